//! A queue that exists with other arguments than Hive declares, and is consumed as it is.

use std::fmt;

use hive_core::codes::Code;
use hive_telemetry::Fact;
use serde_json::{Map, Value};

use super::Topology;
use super::declaration::{Origin, QueueDeclaration};
use super::declarer::{AsItIs, Declarer};
use super::limit::Limit;
use crate::wire::frame::BrokerVersion;

const NO_POLICY: &str = "no policy lifts the limit that a queue was declared with: write it as `delivery_limit`, \
                         or delete the queue once it is empty, and Hive declares it again";

/// A queue that is consumed as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The queue.
    pub queue: String,
    /// In what it differs, and what follows from that.
    pub found: String,
    /// The remedy: a command if there is one.
    pub remedy: String,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            queue,
            found,
            remedy,
        } = self;
        write!(
            f,
            "queue {queue:?} {found}; it is consumed as it is; {remedy}"
        )
    }
}

impl Departure {
    /// In what the queue that was `found` departs from the one `wanted`.
    pub(super) fn between(
        wanted: &QueueDeclaration,
        found: &QueueDeclaration,
        broker: BrokerVersion,
        vhost: &str,
    ) -> Self {
        let asked = Limit::wanted(&wanted.arguments);
        let argument = found.delivery_limit();
        let has_limit = !found.is_passive() && wanted.delivery_limit() == argument;
        let loses = wanted
            .drops_go_to
            .as_deref()
            .filter(|_| found.drops_go_to.is_none());
        let mut differs = Vec::new();
        let mut policy = Map::new();
        let mut remedies = Vec::new();
        if !has_limit {
            let holds = match found.is_passive() {
                true => "exists with a delivery limit that the broker's answer left no room for"
                    .to_owned(),
                false => exists_with(argument, broker),
            };
            differs.push(format!(
                "{holds}, where hive.toml asks for {}",
                in_words(asked)
            ));
            match !found.is_passive() && asked.can_be_a_policy(argument, broker) {
                true => drop(policy.insert("delivery-limit".to_owned(), asked.number().into())),
                false => remedies.push(NO_POLICY.to_owned()),
            }
        }
        if let Some(queue) = loses {
            differs.push(format!(
                "exists without a dead-letter exchange, so that what the broker drops at the limit is lost \
                 and does not go to {queue:?}, unless a policy says otherwise"
            ));
            for (key, value) in [
                ("dead-letter-exchange", ""),
                ("dead-letter-routing-key", queue),
                ("dead-letter-strategy", "at-least-once"),
                ("overflow", "reject-publish"),
            ] {
                policy.insert(key.to_owned(), value.into());
            }
        }
        if !policy.is_empty() {
            remedies.push(format!(
                "run: {} (a queue follows one policy: if it has one, add this to it)",
                command(vhost, &found.name, policy, broker)
            ));
        }
        let remedy = remedies.join("; and ");
        Self {
            queue: found.name.clone(),
            found: differs.join(", and "),
            remedy,
        }
    }
}

fn exists_with(argument: Option<i64>, broker: BrokerVersion) -> String {
    match (argument, Limit::held(argument, broker)) {
        (None, Limit::Returns(limit)) => format!(
            "exists without x-delivery-limit: RabbitMQ {broker} drops a message that came back more than \
             {limit} times, unless a policy says otherwise"
        ),
        (None, Limit::Unlimited) => "exists without x-delivery-limit".to_owned(),
        (Some(argument), _) => format!("exists with x-delivery-limit = {argument}"),
    }
}

fn in_words(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "no limit".to_owned(),
        Limit::Returns(limit) => format!("a limit of {limit}"),
    }
}

/// The command that gives one queue a policy.
fn command(vhost: &str, queue: &str, policy: Map<String, Value>, broker: BrokerVersion) -> String {
    let words = [
        vhost.to_owned(),
        format!("hive.{queue}"),
        format!("^{}$", literally(queue)),
        Value::Object(policy).to_string(),
    ];
    let [vhost, name, pattern, definition] = words.map(|word| quoted(&word));
    let queues = match broker >= BrokerVersion::DELIVERY_LIMIT {
        true => "quorum_queues",
        false => "queues",
    };
    format!(
        "rabbitmqctl set_policy --vhost {vhost} {name} {pattern} {definition} --apply-to {queues}"
    )
}

/// A regular expression that matches the text and nothing else.
fn literally(text: &str) -> String {
    let mut expression = String::new();
    for character in text.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && !"_-".contains(character) {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression
}

/// One word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Topology {
    /// In what queues that are consumed as they are differ from what would be declared.
    pub(super) fn departures(
        &self,
        declarer: &Declarer<'_>,
        as_they_are: &[AsItIs],
    ) -> Vec<Departure> {
        // Without a version it is not known what a limit means.
        let broker = declarer.broker().unwrap_or(BrokerVersion::DELIVERY_LIMIT);
        // The limit of a delay queue counts looks at it alone, and what it drops is retried early.
        let all = as_they_are
            .iter()
            .filter(|one| one.wanted.origin != Origin::Delay);
        all.map(|one| Departure::between(&one.wanted, &one.found, broker, &self.vhost))
            .collect()
    }

    pub(super) fn log_departures(&self, declarer: &mut Declarer<'_>) {
        let as_they_are = declarer.take_as_they_are();
        for departure in self.departures(declarer, &as_they_are) {
            if self.known.is_news(&departure) {
                let Departure {
                    queue,
                    found,
                    remedy,
                } = departure;
                Fact::TopologyDeparture {
                    code: Code::QueueDiffers.as_str(),
                    connection: &self.connection,
                    queue: &queue,
                    found: &found,
                    remedy: &remedy,
                }
                .emit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hive_config::plan::{Argument, Arguments};

    use super::super::declaration::{Kind, Origin};
    use super::*;

    fn version(text: &str) -> BrokerVersion {
        BrokerVersion::parse(text).expect("a version")
    }

    fn queue(limit: Option<i64>) -> QueueDeclaration {
        let limit = limit.map(|limit| ("x-delivery-limit".to_owned(), Argument::Integer(limit)));
        let arguments: Arguments = limit.into_iter().collect();
        QueueDeclaration::durable("orders", Kind::Quorum, arguments, Origin::Plan)
    }

    fn between(wanted: &QueueDeclaration, found: &QueueDeclaration, broker: &str) -> Departure {
        Departure::between(wanted, found, version(broker), "/")
    }

    #[test]
    fn the_policy_that_takes_the_limit_away() {
        let departure = between(&queue(Some(-1)), &queue(None), "4.0.5");
        assert!(
            departure.found.contains("more than 20 times"),
            "{departure}"
        );
        let command = r#"rabbitmqctl set_policy --vhost '/' 'hive.orders' '^orders$' '{"delivery-limit":-1}' --apply-to quorum_queues"#;
        assert!(departure.remedy.contains(command), "{departure}");
    }

    #[test]
    fn no_policy_lifts_a_limit_that_was_declared() {
        let departure = between(&queue(Some(-1)), &queue(Some(5)), "4.3.6");
        assert!(
            departure.found.contains("x-delivery-limit = 5"),
            "{departure}"
        );
        assert!(!departure.remedy.contains("rabbitmqctl"), "{departure}");
        let lower = between(&queue(Some(3)), &queue(Some(5)), "4.3.6");
        assert!(lower.remedy.contains(r#"{"delivery-limit":3}"#), "{lower}");
        let passive = QueueDeclaration {
            options: lapin::options::QueueDeclareOptions {
                passive: true,
                ..Default::default()
            },
            ..queue(None)
        };
        let unknown = between(&queue(Some(-1)), &passive, "4.3.6");
        assert!(!unknown.remedy.contains("rabbitmqctl"), "{unknown}");
    }

    #[test]
    fn a_policy_for_what_a_limit_drops() {
        let wanted = QueueDeclaration {
            drops_go_to: Some("orders.dead".to_owned()),
            ..queue(Some(5))
        };
        let departure = between(&wanted, &queue(Some(5)), "3.10.8");
        let definition = r#"'{"dead-letter-exchange":"","dead-letter-routing-key":"orders.dead","dead-letter-strategy":"at-least-once","overflow":"reject-publish"}' --apply-to queues"#;
        assert!(departure.remedy.contains(definition), "{departure}");
        assert!(!departure.found.contains("hive.toml asks"), "{departure}");
    }

    #[test]
    fn odd_names_are_quoted() {
        let odd = "it's (a) \"queue\".v2+\\d";
        assert_eq!(quoted(odd), r#"'it'\''s (a) "queue".v2+\d'"#);
        assert_eq!(literally(odd), r#"it\'s\ \(a\)\ \"queue\"\.v2\+\\d"#);
        assert_eq!(literally("bücher-1_a"), "bücher-1_a");
    }
}
