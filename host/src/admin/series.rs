//! The metrics of consumers at one moment. Those of a table with `queues` have its series together, so that the number
//! of series does not grow with that of queues.

use std::collections::BTreeMap;

use hive_config::plan::Placement;
use hive_telemetry::{QueuePurpose, Telemetry};

use crate::status::{ConsumerStatus, Status};

/// The series of one table.
#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    table: &'a str,
    /// The queue, or the pattern of queues.
    queue: &'a str,
    up: i64,
    /// `None` where none of its consumers can stand by.
    standing_by: Option<i64>,
    /// By the queue, or the pattern of those that were discovered. `None` where no depth is known.
    depths: BTreeMap<(&'a str, &'static str), (QueuePurpose, Option<u64>)>,
}

impl<'a> Series<'a> {
    /// One for each table.
    pub(super) fn of(status: &'a Status) -> impl Iterator<Item = Self> {
        let mut all = BTreeMap::<&str, Self>::new();
        for discovery in &status.discoveries {
            let series = all.entry(&discovery.table).or_default();
            (series.table, series.queue) = (&discovery.table, &discovery.pattern);
        }
        for consumer in &status.consumers {
            all.entry(&consumer.table).or_default().add(consumer);
        }
        all.into_values()
    }

    fn add(&mut self, consumer: &'a ConsumerStatus) {
        let pattern = consumer.pattern.as_deref();
        self.table = &consumer.table;
        self.queue = pattern.unwrap_or(&consumer.queue);
        self.up += i64::from(consumer.waiting.is_none());
        if consumer.placement == Placement::Single {
            let before = self.standing_by.unwrap_or_default();
            self.standing_by = Some(before + i64::from(consumer.stands_by()));
        }
        for depth in &consumer.queues {
            let queue = pattern.unwrap_or(&depth.queue);
            let place = (queue, depth.purpose.as_str());
            let (_, sum) = self.depths.entry(place).or_insert((depth.purpose, None));
            if let Ok(messages) = &depth.messages {
                *sum = Some(sum.unwrap_or_default() + u64::from(*messages));
            }
        }
    }

    /// Notes all of it.
    pub(super) fn tell(&self, telemetry: &Telemetry) {
        telemetry.consumers_up(self.table, self.queue, self.up);
        if let Some(standing_by) = self.standing_by {
            telemetry.consumers_standing_by(self.table, self.queue, standing_by);
        }
        for ((queue, _), (purpose, messages)) in &self.depths {
            telemetry.queue_depth(self.table, queue, *purpose, *messages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::QueueDepth;

    #[test]
    fn a_thousand_queues_of_a_pattern_are_one_series() {
        let consumer = |number: u32| ConsumerStatus {
            consumer: format!("tenants/tenant.{number}").into(),
            table: "tenants".into(),
            pattern: Some("tenant.*".into()),
            waiting: (number == 7).then(|| "it is missing".into()),
            queues: vec![QueueDepth {
                queue: format!("tenant.{number}").into(),
                purpose: QueuePurpose::Consumed,
                messages: Ok(2),
            }],
            ..ConsumerStatus::of_orders()
        };
        let status = Status {
            links: Vec::new(),
            consumers: (0..1000).map(consumer).collect(),
            discoveries: Vec::new(),
            schedules: Vec::new(),
            shared_queues: Vec::new(),
            components: Vec::new(),
        };
        let series: Vec<_> = Series::of(&status).collect();
        assert_eq!(series.len(), 1);
        assert_eq!(
            (series[0].table, series[0].queue, series[0].up),
            ("tenants", "tenant.*", 999)
        );
        let depths: Vec<_> = series[0].depths.values().collect();
        assert_eq!(depths, [&(QueuePurpose::Consumed, Some(2000))]);
    }
}
