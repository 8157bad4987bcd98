//! What a consumer wants of the messages that it gets, and of those that come of them.

use std::borrow::Cow;

use hive_core::glob::Glob;
use hive_core::json::further_routing_keys;
use hive_core::message::{Envelope, Message, Publication};
use hive_core::policy::Outcome;

use crate::decode::decode;
use crate::schema::Schema;

/// `[consumers.NAME.schema]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// What each body has to match.
    pub body: Option<Schema>,
    /// Whether bodies in gzip and zstd are handed over decoded.
    pub decode: bool,
    /// The most bytes of a body that was decoded.
    pub max_decoded: usize,
    /// What publications have to match.
    pub publications: Vec<PublicationSchema>,
}

/// What the publications to some exchanges and routing keys have to match.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicationSchema {
    /// Names of exchanges.
    pub exchange: Glob,
    /// Routing keys.
    pub routing_key: Glob,
    /// What their bodies have to match.
    pub schema: Schema,
}

impl Contract {
    /// The delivery as it is handed over.
    ///
    /// # Errors
    ///
    /// It must not be: why.
    pub fn admit<'e>(&self, envelope: &'e Envelope) -> Result<Cow<'e, Envelope>, String> {
        let mut admitted = Cow::Borrowed(envelope);
        if self.decode {
            let decoded = decode(&envelope.message, self.max_decoded);
            if let Some(decoded) = decoded.map_err(|why| why.to_string())? {
                // The compressed body is not copied: it goes on in the delivery, for a retry or a dead letter.
                admitted = Cow::Owned(with(envelope, decoded.body, decoded.encoding));
            }
        }
        if let Some(schema) = &self.body {
            let checked = schema.check(&admitted.message.body);
            checked
                .map_err(|mismatch| format!("the body does not match its schema: {mismatch}"))?;
        }
        Ok(admitted)
    }

    /// The same for many.
    pub fn admit_all<'e>(&'e self, envelopes: &[&'e Envelope]) -> Admitted<'e> {
        let admitted = envelopes.iter().map(|envelope| self.admit(envelope));
        Admitted {
            contract: self,
            envelopes: admitted.collect(),
        }
    }

    /// The outcome, unless a publication of it does not match.
    pub fn release(&self, outcome: Outcome) -> Outcome {
        let Outcome::Handled(publications) = &outcome else {
            return outcome;
        };
        let broken = publications.iter().enumerate().find_map(|(index, one)| {
            let why = self.what_is_broken(one)?;
            Some(format!(
                "publication {} of {}, to exchange {:?} with routing key {:?}, {why}",
                index + 1,
                publications.len(),
                one.exchange,
                one.routing_key
            ))
        });
        broken.map_or(outcome, Outcome::NotAllowed)
    }

    fn what_is_broken(&self, publication: &Publication) -> Option<String> {
        let mut keys = vec![publication.routing_key.clone()];
        keys.extend(
            further_routing_keys(publication).flat_map(|(_, keys)| keys.unwrap_or_default()),
        );
        let schemas = self.publications.iter().filter(|of| {
            of.exchange.matches(&publication.exchange)
                && keys.iter().any(|key| of.routing_key.matches(key))
        });
        schemas
            .map(|of| &of.schema)
            .find_map(|schema| self.broken(schema, &publication.message))
    }

    fn broken(&self, schema: &Schema, message: &Message) -> Option<String> {
        let checked = match decode(message, self.max_decoded) {
            Ok(Some(decoded)) => schema.check(&decoded.body),
            Ok(None) => schema.check(&message.body),
            Err(why) => return Some(format!("cannot be checked: {why}")),
        };
        let mismatch = checked.err()?;
        Some(format!("does not match its schema: {mismatch}"))
    }
}

/// Deliveries that were held against a contract.
pub struct Admitted<'e> {
    contract: &'e Contract,
    envelopes: Vec<Result<Cow<'e, Envelope>, String>>,
}

impl Admitted<'_> {
    /// Those that match, in their order.
    pub fn handed(&self) -> Vec<&Envelope> {
        self.envelopes.iter().flatten().map(Cow::as_ref).collect()
    }

    /// The outcomes of all, from those of the ones that match.
    pub fn outcomes(self, decided: Vec<Outcome>) -> Vec<Outcome> {
        let mut decided = decided.into_iter();
        let outcome = |envelope| match envelope {
            Ok(_) => match decided.next() {
                Some(outcome) => self.contract.release(outcome),
                None => Outcome::HostFault("the call gave no outcome for it".to_owned()),
            },
            Err(reason) => Outcome::Unmatched(reason),
        };
        self.envelopes.into_iter().map(outcome).collect()
    }
}

/// The delivery with another body.
fn with(envelope: &Envelope, body: Vec<u8>, content_encoding: Option<String>) -> Envelope {
    let mut properties = envelope.message.properties.clone();
    properties.content_encoding = content_encoding;
    Envelope {
        message: Message {
            properties,
            body: body.into(),
        },
        queue: envelope.queue.clone(),
        exchange: envelope.exchange.clone(),
        routing_key: envelope.routing_key.clone(),
        redelivered: envelope.redelivered,
        attempt: envelope.attempt,
        stream_offset: envelope.stream_offset,
    }
}

#[cfg(test)]
mod tests {
    use hive_core::message::{FieldValue, Properties};

    use super::*;

    fn contract(exchange: &str, routing_key: &str) -> Contract {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        std::fs::write(&file, r#"{"type": "object"}"#).unwrap();
        Contract {
            body: None,
            decode: false,
            max_decoded: 1000,
            publications: vec![PublicationSchema {
                exchange: Glob::parse(exchange).unwrap(),
                routing_key: Glob::parse(routing_key).unwrap(),
                schema: Schema::read(&file, |path| std::fs::read(path)).unwrap(),
            }],
        }
    }

    /// To exchange `e` with routing key `k`.
    fn published(body: &str, cc: Option<&str>) -> Outcome {
        let cc = cc.map(|keys| ("CC".to_owned(), FieldValue::Nested(keys.to_owned())));
        Outcome::Handled(vec![Publication {
            exchange: "e".to_owned(),
            routing_key: "k".to_owned(),
            message: Message {
                properties: Properties {
                    headers: cc.into_iter().collect(),
                    ..Properties::default()
                },
                body: body.to_owned().into(),
            },
            mandatory: true,
            delay: None,
        }])
    }

    #[test]
    fn a_publication_is_held_against_the_schemas_of_where_it_goes() {
        for (exchange, routing_key, cc, is_held) in [
            ("e", "k", None, true),
            ("*", "?", None, true),
            ("e", "other", None, false),
            ("f", "k", None, false),
            ("e", "other", Some(r#"["other"]"#), true),
            ("f", "other", Some(r#"["other"]"#), false),
        ] {
            let contract = contract(exchange, routing_key);
            let held = contract.release(published("1", cc));
            let expected = r#"publication 1 of 1, to exchange "e" with routing key "k", does not match its schema: the whole: the value is not of type "object" (rule /type)"#;
            match is_held {
                true => assert_eq!(held, Outcome::NotAllowed(expected.to_owned())),
                false => assert_eq!(held, published("1", cc)),
            }
            assert_eq!(contract.release(published("{}", cc)), published("{}", cc));
        }
    }

    #[test]
    fn other_outcomes_are_as_they_were() {
        let rejected = Outcome::Rejected("no".to_owned());
        assert_eq!(contract("*", "*").release(rejected.clone()), rejected);
        let acked = Outcome::Handled(Vec::new());
        assert_eq!(contract("*", "*").release(acked.clone()), acked);
    }
}
