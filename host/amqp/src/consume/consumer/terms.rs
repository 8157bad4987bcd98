//! What a subscription asks of the broker beside its deliveries: its rank among the consumers of the queue, and how
//! long an answer may take. Pure.

use std::time::Duration;

use hive_config::plan::{ConsumerPlan, Placement};
use hive_core::placement;
use lapin::types::FieldTable;

use crate::wire::frame::BrokerVersion;

/// The arguments that every subscription of a consumer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// `x-priority`; `None` for the broker's default.
    priority: Option<i32>,
    /// `x-consumer-timeout`.
    ack_timeout: Option<Duration>,
}

impl Terms {
    /// Those of a consumer on this host.
    pub(super) fn new(plan: &ConsumerPlan, host: &str) -> Self {
        let priority = match plan.placement {
            Placement::Single => Some(placement::priority(&plan.queue, host)),
            Placement::Every => Some(plan.priority).filter(|priority| *priority != 0),
        };
        Self {
            priority,
            ack_timeout: plan.ack_timeout,
        }
    }

    /// Adds them to the arguments of a subscription at this broker. One that does not have an argument ignores it, or
    /// refuses the subscription, so it is not sent.
    pub(super) fn add_to(&self, arguments: &mut FieldTable, broker: Option<BrokerVersion>) {
        if let Some(priority) = self.priority {
            arguments.insert("x-priority".into(), priority.into());
        }
        if let Some(timeout) = self.ack_timeout
            && broker.is_some_and(|broker| broker >= BrokerVersion::TIMEOUT_OF_CONSUMER)
        {
            let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
            arguments.insert("x-consumer-timeout".into(), milliseconds.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::AMQPValue;

    use super::*;

    fn sent(terms: &Terms, broker: &str) -> Vec<(String, AMQPValue)> {
        let mut arguments = FieldTable::default();
        terms.add_to(&mut arguments, BrokerVersion::parse(broker));
        let arguments = arguments.inner().iter();
        arguments
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect()
    }

    #[test]
    fn the_timeout_is_sent_to_a_broker_that_has_it() {
        let terms = Terms {
            priority: Some(7),
            ack_timeout: Some(Duration::from_secs(3600)),
        };
        let priority = ("x-priority".to_owned(), AMQPValue::LongInt(7));
        let timeout = (
            "x-consumer-timeout".to_owned(),
            AMQPValue::LongLongInt(3_600_000),
        );
        for old in ["3.10.8", "4.0.5", "no version"] {
            assert_eq!(sent(&terms, old), std::slice::from_ref(&priority), "{old}");
        }
        assert_eq!(sent(&terms, "4.3.6"), [timeout, priority]);
    }
}
