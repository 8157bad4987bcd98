//! The broker's treatment of messages that fail, are slow, or are in flight when the host dies.

use super::consumed::Consumed;
use super::declaration::QueueDeclaration;
use super::homing;
use super::limit::Limit;
use crate::wire::frame::BrokerVersion;

/// One broker's treatment of the messages of one consumer, in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFate {
    /// The consumer.
    pub consumer: String,
    /// The line.
    pub line: String,
    /// What its hosts do about the queue, in a line, where one at a time consumes.
    pub placement: Option<String>,
}

impl MessageFate {
    /// For a consumer of the queue that was `found`; `None` if the broker does not report its arguments.
    pub(super) fn of(
        consumed: &Consumed,
        found: Option<&QueueDeclaration>,
        broker: BrokerVersion,
    ) -> Self {
        let is_quorum = found.is_none_or(QueueDeclaration::is_quorum);
        let after = match consumed.ack_timeout {
            None => "its consumer timeout".to_owned(),
            Some(timeout) if is_quorum && broker >= BrokerVersion::TIMEOUT_OF_CONSUMER => {
                format!("the `ack_timeout` of {timeout:?}")
            }
            Some(_) => "its own consumer timeout, since `ack_timeout` needs a quorum queue on RabbitMQ 4.3 or later"
                .to_owned(),
        };
        let slow = match broker >= BrokerVersion::CANCELS_SLOW_CONSUMERS {
            true => format!("the broker cancels the consumer after {after}"),
            false => format!("the broker closes the channel after {after}"),
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
            Some((found, Some("quorum"))) => quorum(found, broker, &slow),
            _ => format!(
                "RabbitMQ {broker} does not say what the queue is like; failed: retried by Hive, then \
                 dead-lettered; slow: {slow} and all its messages come back; in flight when the host dies: \
                 comes back, until the delivery limit of the queue where it has one"
            ),
        };
        Self {
            consumer: consumed.consumer.to_string(),
            line,
            placement: consumed.is_single.then(|| homing::line(found, broker)),
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

    use std::time::Duration;

    use super::super::declaration::{Kind, Origin};
    use super::*;

    fn consumed(ack_timeout: Option<Duration>) -> Consumed {
        Consumed {
            consumer: "orders".into(),
            queue: "orders".into(),
            is_discovered: false,
            is_single: true,
            ack_timeout,
            failures: None,
        }
    }

    fn line(arguments: Arguments, kind: Kind, broker: &str) -> String {
        let found = QueueDeclaration::durable("orders", kind, arguments, Origin::Plan);
        let broker = BrokerVersion::parse(broker).expect("a version");
        MessageFate::of(&consumed(None), Some(&found), broker).line
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
        let asked = |broker| {
            let found = QueueDeclaration::durable("orders", Kind::Quorum, Vec::new(), Origin::Plan);
            let broker = BrokerVersion::parse(broker).expect("a version");
            let hour = Some(Duration::from_secs(3600));
            MessageFate::of(&consumed(hour), Some(&found), broker).line
        };
        assert!(
            asked("4.3.6").contains("after the `ack_timeout` of 3600s"),
            "{}",
            asked("4.3.6")
        );
        assert!(
            asked("4.0.5").contains("`ack_timeout` needs"),
            "{}",
            asked("4.0.5")
        );
        let classic = line(Vec::new(), Kind::Classic, "4.3.6");
        assert!(classic.contains("classic"), "{classic}");
    }
}
