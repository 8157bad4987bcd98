//! The queues in which retries of several consumers wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hive_amqp::{LOST, QueuesBehind, shared_delay_queue_name};
use hive_config::plan::{ConsumerPlan, DelayQueues};
use hive_core::moments;
use hive_telemetry::QueuePurpose;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The queues that `consumers` of one connection share, whether they have been made or not: those of today and of
/// yesterday, since no delay is longer than a day, and the one for what was lost.
pub(in crate::app) fn queues<'a>(
    consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    now: SystemTime,
) -> Vec<(Arc<str>, QueuePurpose)> {
    let sharing = consumers
        .into_iter()
        .filter(|plan| plan.delay_queues == DelayQueues::Shared);
    let mut is_shared = false;
    let mut delays = BTreeSet::new();
    for plan in sharing {
        is_shared = true;
        delays.extend(QueuesBehind::of(plan).shared);
    }
    let days = [now.checked_sub(DAY).unwrap_or(now), now].map(moments::day);
    let delayed = delays.iter().flat_map(|delay| {
        let names = days.iter().map(|day| shared_delay_queue_name(*delay, day));
        names.map(|name| (name.into(), QueuePurpose::Delay))
    });
    let lost = is_shared.then(|| (LOST.into(), QueuePurpose::Lost));
    delayed.chain(lost).collect()
}
