//! `allow.publish`: where a component may publish. Nothing of a delivery is published if one of its
//! publications is not allowed.

use hive_config::plan::{ComponentPlan, PublishGrant};
use hive_core::json::further_routing_keys;
use hive_core::message::Publication;
use hive_core::policy::Outcome;
use hive_telemetry::{Capability, ComponentTelemetry};

/// The outcome, unless it has a publication that the plan does not allow.
pub(crate) fn checked(
    outcome: Outcome,
    plan: &ComponentPlan,
    telemetry: &ComponentTelemetry,
) -> Outcome {
    let (Outcome::Handled(publications), Some(grants)) = (&outcome, &plan.allow.publish) else {
        return outcome;
    };
    match first_fault(publications, grants) {
        None => outcome,
        Some(fault) => {
            telemetry.count_denied(Capability::Publish);
            Outcome::NotAllowed(format!(
                "{fault}, which `components.{}.allow.publish` does not name",
                plan.name
            ))
        }
    }
}

fn first_fault(publications: &[Publication], grants: &[PublishGrant]) -> Option<String> {
    publications
        .iter()
        .enumerate()
        .find_map(|(index, publication)| {
            let fault = fault(publication, grants)?;
            Some(format!(
                "publication {} of {} is to {fault}",
                index + 1,
                publications.len()
            ))
        })
}

/// Where a publication goes that is not granted.
pub(super) fn fault(publication: &Publication, grants: &[PublishGrant]) -> Option<String> {
    let Publication {
        exchange,
        routing_key,
        ..
    } = publication;
    let is_allowed = |key: &str| {
        grants
            .iter()
            .any(|grant| grant.exchange.matches(exchange) && grant.routing_key.matches(key))
    };
    let to = |key: &str| format!("exchange {exchange:?} with routing key {key:?}");
    if !is_allowed(routing_key) {
        return Some(to(routing_key));
    }
    for (name, keys) in further_routing_keys(publication) {
        let Some(keys) = keys else {
            return Some(format!(
                "exchange {exchange:?} with a header {name:?} that is not an array of routing keys"
            ));
        };
        if let Some(key) = keys.iter().find(|key| !is_allowed(key)) {
            return Some(format!("{} in its header {name:?}", to(key)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use hive_core::glob::Glob;
    use hive_core::message::FieldValue;
    use hive_core::message::{Message, Properties};

    use super::*;

    fn grants(patterns: &[(&str, &str)]) -> Vec<PublishGrant> {
        let glob = |text| Glob::parse(text).unwrap();
        patterns
            .iter()
            .map(|(exchange, routing_key)| PublishGrant {
                exchange: glob(exchange),
                routing_key: glob(routing_key),
            })
            .collect()
    }

    fn publication(exchange: &str, key: &str, headers: &[(&str, &str)]) -> Publication {
        let nested = |(name, json): &(&str, &str)| {
            ((*name).to_owned(), FieldValue::Nested((*json).to_owned()))
        };
        Publication {
            exchange: exchange.to_owned(),
            routing_key: key.to_owned(),
            message: Message {
                properties: Properties {
                    headers: headers.iter().map(nested).collect(),
                    ..Properties::default()
                },
                body: bytes::Bytes::new(),
            },
            mandatory: true,
            delay: None,
        }
    }

    #[test]
    fn one_publication_elsewhere_is_a_fault() {
        let grants = grants(&[("orders", "*"), ("", "audit")]);
        let allowed = [
            publication("orders", "a.b", &[]),
            publication("", "audit", &[]),
        ];
        assert_eq!(first_fault(&allowed, &grants), None);
        let [first, _] = allowed;
        let mixed = [first, publication("orders2", "a", &[])];
        let fault = first_fault(&mixed, &grants).unwrap();
        assert!(fault.contains("publication 2 of 2") && fault.contains("\"orders2\""));
        assert!(first_fault(&mixed[..1], &[]).is_some(), "nothing is named");
    }

    #[test]
    fn further_routing_keys_are_held_to_the_same_list() {
        let grants = grants(&[("", "audit"), ("", "out")]);
        let fine = publication("", "out", &[("CC", r#"["audit"]"#), ("BCC", "[]")]);
        assert_eq!(fault(&fine, &grants), None);
        for name in ["CC", "BCC"] {
            let hidden = publication("", "out", &[(name, r#"["audit", "secret"]"#)]);
            let told = fault(&hidden, &grants).unwrap();
            assert!(told.contains("\"secret\"") && told.contains(name), "{told}");
            let odd = publication("", "out", &[(name, r#"{"a": 1}"#)]);
            assert!(fault(&odd, &grants).is_some());
        }
    }
}
