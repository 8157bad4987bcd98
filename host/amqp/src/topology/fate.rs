//! The broker's treatment of messages that fail, are slow, or are in flight when the host dies.

use super::declaration::QueueDeclaration;
use super::limit::Limit;
use crate::wire::frame::BrokerVersion;

/// One broker's treatment of the messages of one consumer, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFate {
    /// The consumer.
    pub consumer: String,
    /// The line.
    pub line: String,
}

impl MessageFate {
    /// For a consumer of the queue that was `found`; `None` if the broker does not report its arguments.
    pub(super) fn of(
        consumer: &str,
        found: Option<&QueueDeclaration>,
        broker: BrokerVersion,
    ) -> Self {
        let slow = match broker >= BrokerVersion::CANCELS_SLOW_CONSUMERS {
            true => "the broker cancels the consumer after its consumer timeout",
            false => "the broker closes the channel after its consumer timeout",
        };
        let line = match found.map(|found| (found, found.kind())) {
            Some((_, Some("stream"))) => format!(
                "a stream on RabbitMQ {broker}; failed: as `on_error` says; slow or in flight when the host \
                 dies: read again"
            ),
            Some((_, Some("classic"))) => format!(
                "a classic queue on RabbitMQ {broker}; failed: retried by Hive, then dead-lettered; slow: {slow} \
                 and all its messages come back; in flight when the host dies: comes back, however often"
            ),
            Some((found, Some("quorum"))) => quorum(found, broker, slow),
            _ => format!(
                "RabbitMQ {broker} does not say what the queue is like; failed: retried by Hive, then \
                 dead-lettered; slow: {slow} and all its messages come back; in flight when the host dies: \
                 comes back, until the delivery limit of the queue where it has one"
            ),
        };
        Self {
            consumer: consumer.to_owned(),
            line,
        }
    }
}

fn quorum(found: &QueueDeclaration, broker: BrokerVersion, slow: &str) -> String {
    let (limit, crashed) = match Limit::held(found.delivery_limit(), broker) {
        Limit::Unlimited => (
            "without a delivery limit".to_owned(),
            "comes back, however often".to_owned(),
        ),
        Limit::Returns(limit) => {
            let then = match found.dead_letter_target() {
                Some(target) => format!("is dead-lettered to {target}"),
                None => "is lost".to_owned(),
            };
            (
                format!("with a delivery limit of {limit}, unless a policy says otherwise"),
                format!("comes back up to {limit} times, then {then}"),
            )
        }
    };
    format!(
        "a quorum queue on RabbitMQ {broker} {limit}; failed: retried by Hive, then dead-lettered; slow: {slow} \
         and all its messages come back; in flight when the host dies: {crashed}"
    )
}

#[cfg(test)]
mod tests {
    use hive_config::plan::{Argument, Arguments};

    use super::super::declaration::{Kind, Origin};
    use super::*;

    fn line(arguments: Arguments, kind: Kind, broker: &str) -> String {
        let found = QueueDeclaration::durable("orders", kind, arguments, Origin::Plan);
        let broker = BrokerVersion::parse(broker).expect("a version");
        MessageFate::of("orders", Some(&found), broker).line
    }

    fn limit(limit: i64) -> (String, Argument) {
        ("x-delivery-limit".to_owned(), Argument::Integer(limit))
    }

    #[test]
    fn what_becomes_of_a_message_in_flight() {
        let unlimited = line(vec![limit(-1)], Kind::Quorum, "4.3.6");
        assert!(
            unlimited.contains("without a delivery limit"),
            "{unlimited}"
        );
        assert!(unlimited.contains("cancels the consumer"), "{unlimited}");
        let old = line(Vec::new(), Kind::Quorum, "3.10.8");
        assert!(old.contains("however often"), "{old}");
        assert!(old.contains("closes the channel"), "{old}");
        let default = line(Vec::new(), Kind::Quorum, "4.0.5");
        assert!(
            default.contains("up to 20 times, then is lost"),
            "{default}"
        );
        let kept = vec![
            limit(5),
            (
                "x-dead-letter-exchange".to_owned(),
                Argument::Text(String::new()),
            ),
            (
                "x-dead-letter-routing-key".to_owned(),
                Argument::Text("orders.dead".to_owned()),
            ),
        ];
        let kept = line(kept, Kind::Quorum, "4.0.5");
        assert!(
            kept.contains("up to 5 times, then is dead-lettered to queue \"orders.dead\""),
            "{kept}"
        );
        let classic = line(Vec::new(), Kind::Classic, "4.3.6");
        assert!(classic.contains("classic"), "{classic}");
    }
}
