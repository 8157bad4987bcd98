//! The deliveries gathered for one batch, and when the batch is due. Pure: the time is a parameter.

use hive_config::plan::BatchPlan;
use hive_telemetry::BatchReason;
use tokio::time::Instant;

/// Deliveries on their way to be one batch.
pub(super) struct Gathering<T> {
    rule: BatchPlan,
    /// In the order in which they came, each with the moment.
    pending: Vec<(T, Instant)>,
}

impl<T> Gathering<T> {
    pub(super) fn new(rule: BatchPlan) -> Self {
        Self {
            rule,
            pending: Vec::new(),
        }
    }

    /// Adds a delivery; the first one of a batch starts the clock.
    pub(super) fn add(&mut self, one: T, now: Instant) {
        self.pending.push((one, now));
    }

    /// The one that came last.
    pub(super) fn last(&self) -> Option<&T> {
        self.pending.last().map(|(one, _)| one)
    }

    /// Drops those that are not wanted any more, and gives their number. The clock is that of the first
    /// one left.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&T) -> bool) -> usize {
        let before = self.pending.len();
        self.pending.retain(|(one, _)| is_wanted(one));
        before - self.pending.len()
    }

    /// Takes all gathered deliveries.
    pub(super) fn take(&mut self) -> Vec<T> {
        let pending = std::mem::take(&mut self.pending);
        pending.into_iter().map(|(one, _)| one).collect()
    }

    /// When it is due at the latest; `None` while it is empty.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, since) = self.pending.first()?;
        Some(*since + self.rule.wait)
    }

    /// Why it is due now, if it is.
    pub(super) fn due(&self, now: Instant) -> Option<BatchReason> {
        if self.pending.len() >= usize::from(self.rule.size) {
            return Some(BatchReason::Size);
        }
        let deadline = self.deadline()?;
        (deadline <= now).then_some(BatchReason::Wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// One step of a consumer's life.
    #[derive(Debug, Clone)]
    enum Step {
        /// This many milliseconds pass.
        Pass(u64),
        /// A delivery comes.
        Come,
        /// The channel dies, and with it what it delivered.
        Die,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..400u64).prop_map(Step::Pass),
            6 => Just(Step::Come),
            1 => Just(Step::Die),
        ]
    }

    fn rule(size: u16, milliseconds: u64) -> BatchPlan {
        BatchPlan {
            size,
            wait: Duration::from_millis(milliseconds),
        }
    }

    #[tokio::test]
    async fn the_clock_starts_with_the_first_and_stands_while_there_is_none() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut gathering = Gathering::new(rule(3, 1000));
        assert_eq!(
            (gathering.deadline(), gathering.due(at(5000))),
            (None, None)
        );
        gathering.add("a", at(5000));
        gathering.add("b", at(5900));
        assert_eq!(gathering.deadline(), Some(at(6000)));
        assert_eq!(gathering.due(at(5999)), None);
        assert_eq!(gathering.due(at(6000)), Some(BatchReason::Wait));
        // Their channel dies: those that come next have their whole time.
        gathering.add("c", at(5950));
        assert_eq!(gathering.keep(|one| *one == "c"), 2);
        assert_eq!(gathering.deadline(), Some(at(6950)));
        assert_eq!(gathering.keep(|_| false), 1);
        assert_eq!(
            (gathering.deadline(), gathering.due(at(9000))),
            (None, None)
        );
        gathering.add("c", at(6100));
        assert_eq!(gathering.deadline(), Some(at(7100)));
        gathering.add("d", at(6100));
        gathering.add("e", at(6100));
        assert_eq!(gathering.due(at(6100)), Some(BatchReason::Size));
    }

    proptest! {
        #[test]
        fn each_delivery_is_in_one_batch_in_order_and_in_time(
            size in 1u16..8,
            wait in 1u64..600,
            steps in proptest::collection::vec(any_step(), 0..200),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut gathering = Gathering::new(rule(size, wait));
            let (mut next, mut batches, mut died) = (0u32, Vec::new(), Vec::new());
            for step in steps {
                // As a gatherer does: it is woken at the deadline, and looks after each delivery.
                let then = match step {
                    Step::Pass(milliseconds) => now + Duration::from_millis(milliseconds),
                    Step::Come | Step::Die => now,
                };
                if let Some(deadline) = gathering.deadline().filter(|deadline| *deadline <= then) {
                    now = deadline;
                    prop_assert_eq!(gathering.due(now), Some(BatchReason::Wait));
                    let batch = gathering.take();
                    prop_assert!(batch.iter().all(|(_, came)| now - *came <= Duration::from_millis(wait)));
                    batches.push(batch);
                }
                now = then;
                match step {
                    Step::Pass(_) => prop_assert_eq!(gathering.due(now), None),
                    Step::Come => {
                        gathering.add((next, now), now);
                        next += 1;
                        if let Some(reason) = gathering.due(now) {
                            prop_assert_eq!(reason, BatchReason::Size);
                            batches.push(gathering.take());
                        }
                    }
                    Step::Die => died.extend(gathering.take()),
                }
            }
            prop_assert!(batches.iter().all(|batch| (1..=usize::from(size)).contains(&batch.len())));
            let handed: Vec<u32> = batches.concat().into_iter().map(|(number, _)| number).collect();
            prop_assert!(handed.is_sorted());
            let rest = gathering.take();
            let mut all: Vec<u32> = died.iter().chain(&rest).map(|(number, _)| *number).collect();
            all.extend(handed);
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
        }
    }
}
