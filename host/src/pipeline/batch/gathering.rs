//! The deliveries gathered for batches, and when a batch is due. Pure: the time is a parameter.
//!
//! With `batch.by` there is a batch for each key, gathered side by side; without it there is one.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use hive_core::by_key::KeyValue;
use hive_telemetry::BatchReason;
use tokio::time::Instant;

/// Deliveries on their way to be batches.
pub(super) struct Gathering<T> {
    size: usize,
    wait: Duration,
    /// Those without a key; all of them without `batch.by`.
    without_key: Vec<Gathered<T>>,
    by_key: HashMap<KeyValue, Vec<Gathered<T>>>,
    /// The batches that are not empty, by the time at which each is due at the latest.
    deadlines: BTreeSet<(Instant, Which)>,
    /// One that is full.
    full: Option<Which>,
}

/// A delivery, and when it came.
type Gathered<T> = (T, Instant);

/// The key of a batch.
pub(super) type Which = Option<KeyValue>;

impl<T> Gathering<T> {
    /// Batches of this many, of which the first delivery waits for this long.
    pub(super) fn new(size: u16, wait: Duration) -> Self {
        Self {
            size: size.into(),
            wait,
            without_key: Vec::new(),
            by_key: HashMap::new(),
            deadlines: BTreeSet::new(),
            full: None,
        }
    }

    /// Adds a delivery to the batch of its key; the first one of a batch starts the clock.
    pub(super) fn add(&mut self, which: Which, one: T, now: Instant) {
        let batch = match &which {
            None => &mut self.without_key,
            Some(key) => self.by_key.entry(KeyValue::clone(key)).or_default(),
        };
        batch.push((one, now));
        if batch.len() == 1 {
            self.deadlines.insert((now + self.wait, which.clone()));
        }
        if batch.len() >= self.size {
            self.full = Some(which);
        }
    }

    /// Drops those that are not wanted any more, and gives their number. The clock of a batch is that of the first
    /// one left.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&T) -> bool) -> usize {
        let mut dropped = 0;
        let mut keep = |batch: &mut Vec<Gathered<T>>| {
            let before = batch.len();
            batch.retain(|(one, _)| is_wanted(one));
            dropped += before - batch.len();
        };
        keep(&mut self.without_key);
        self.by_key.values_mut().for_each(keep);
        if dropped > 0 {
            self.count_again();
        }
        dropped
    }

    fn count_again(&mut self) {
        self.by_key.retain(|_, batch| !batch.is_empty());
        let by_key = self.by_key.iter();
        let by_key = by_key.map(|(key, batch)| (Some(KeyValue::clone(key)), batch));
        let all = std::iter::once((None, &self.without_key)).chain(by_key);
        let deadline = |(which, batch): (Which, &Vec<Gathered<T>>)| {
            let (_, since) = batch.first()?;
            Some((*since + self.wait, which))
        };
        self.deadlines = all.filter_map(deadline).collect();
        let full = self.full.take();
        self.full = full.filter(|which| self.length(which) >= self.size);
    }

    /// Takes the deliveries of a batch.
    pub(super) fn take(&mut self, which: &Which) -> Vec<T> {
        let batch = match which {
            None => std::mem::take(&mut self.without_key),
            Some(key) => self.by_key.remove(key).unwrap_or_default(),
        };
        if let Some((_, since)) = batch.first() {
            self.deadlines.remove(&(*since + self.wait, which.clone()));
        }
        if self.full.as_ref() == Some(which) {
            self.full = None;
        }
        batch.into_iter().map(|(one, _)| one).collect()
    }

    /// Takes all gathered deliveries, those of one batch after those of another.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        let mut all = Vec::new();
        while let Some((_, which)) = self.deadlines.first().cloned() {
            all.extend(self.take(&which));
        }
        all
    }

    /// When a batch is due at the latest; `None` while all are empty.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The batch that is due now, if there is one, and why it is.
    pub(super) fn due(&self, now: Instant) -> Option<(Which, BatchReason)> {
        // One that has waited long enough is not to wait for others that get full all the time.
        if let Some((_, which)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            let reason = match self.length(which) >= self.size {
                true => BatchReason::Size,
                false => BatchReason::Wait,
            };
            return Some((which.clone(), reason));
        }
        let full = self.full.clone()?;
        Some((full, BatchReason::Size))
    }

    /// The batch with the most deliveries, and of these the one that is due first; `None` while all are empty.
    pub(super) fn fullest(&self) -> Option<Which> {
        let batches = self.deadlines.iter().rev();
        let fullest = batches.max_by_key(|(_, which)| self.length(which));
        fullest.map(|(_, which)| which.clone())
    }

    fn length(&self, which: &Which) -> usize {
        match which {
            None => self.without_key.len(),
            Some(key) => self.by_key.get(key).map_or(0, Vec::len),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One step of a consumer's life.
    #[derive(Debug, Clone)]
    enum Step {
        /// This many milliseconds pass.
        Pass(u64),
        /// A delivery with this key comes.
        Come(Option<u8>),
        /// The channel dies, and with it what it delivered.
        Die,
        /// No more deliveries come before a batch is handed over.
        Fill,
    }

    fn any_step(keys: u8) -> impl Strategy<Value = Step> {
        let key = (0..=keys).prop_map(|key| (key > 0).then_some(key));
        prop_oneof![
            3 => (0..400u64).prop_map(Step::Pass),
            6 => key.prop_map(Step::Come),
            1 => Just(Step::Die),
            1 => Just(Step::Fill),
        ]
    }

    fn which(key: Option<u8>) -> Which {
        key.map(|key| KeyValue::from([key]))
    }

    fn gathering<T>(size: u16, milliseconds: u64) -> Gathering<T> {
        Gathering::new(size, Duration::from_millis(milliseconds))
    }

    #[tokio::test]
    async fn the_clock_starts_with_the_first_and_stands_while_there_is_none() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut gathering = gathering(3, 1000);
        assert_eq!(
            (gathering.deadline(), gathering.due(at(5000))),
            (None, None)
        );
        gathering.add(None, "a", at(5000));
        gathering.add(None, "b", at(5900));
        assert_eq!(gathering.deadline(), Some(at(6000)));
        assert_eq!(gathering.due(at(5999)), None);
        assert_eq!(gathering.due(at(6000)), Some((None, BatchReason::Wait)));
        // Their channel dies: those that come next have their whole time.
        gathering.add(None, "c", at(5950));
        assert_eq!(gathering.keep(|one| *one == "c"), 2);
        assert_eq!(gathering.deadline(), Some(at(6950)));
        assert_eq!(gathering.keep(|_| false), 1);
        assert_eq!(
            (gathering.deadline(), gathering.due(at(9000))),
            (None, None)
        );
        gathering.add(None, "c", at(6100));
        assert_eq!(gathering.deadline(), Some(at(7100)));
        gathering.add(None, "d", at(6100));
        gathering.add(None, "e", at(6100));
        assert_eq!(gathering.due(at(6100)), Some((None, BatchReason::Size)));
    }

    #[tokio::test]
    async fn each_key_has_a_batch_and_a_clock() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let (a, b) = (which(Some(1)), which(Some(2)));
        let mut gathering = gathering(3, 1000);
        gathering.add(a.clone(), "a1", at(0));
        gathering.add(b.clone(), "b1", at(100));
        gathering.add(None, "none", at(150));
        gathering.add(b.clone(), "b2", at(200));
        assert_eq!(gathering.fullest(), Some(b.clone()));
        gathering.add(b.clone(), "b3", at(300));
        assert_eq!(gathering.due(at(300)), Some((b.clone(), BatchReason::Size)));
        assert_eq!(gathering.take(&b), ["b1", "b2", "b3"]);
        assert_eq!(gathering.due(at(999)), None);
        assert_eq!(gathering.deadline(), Some(at(1000)));
        assert_eq!(gathering.fullest(), Some(a.clone()), "the oldest of them");
        for _ in 0..3 {
            gathering.add(b.clone(), "full", at(999));
        }
        // One that is full does not go before one that has waited long enough.
        assert_eq!(
            gathering.due(at(1000)),
            Some((a.clone(), BatchReason::Wait))
        );
        assert_eq!(gathering.take(&a), ["a1"]);
        assert_eq!(gathering.due(at(1000)), Some((b, BatchReason::Size)));
        assert_eq!(gathering.take_all(), ["none", "full", "full", "full"]);
        assert_eq!(
            (gathering.deadline(), gathering.due(at(9000))),
            (None, None)
        );
        assert!(gathering.by_key.is_empty());
    }

    proptest! {
        #[test]
        fn each_delivery_is_in_one_batch_of_its_key_in_order_and_in_time(
            size in 1u16..8,
            wait in 1u64..600,
            steps in (0u8..4).prop_flat_map(|keys| proptest::collection::vec(any_step(keys), 0..200)),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut gathering = gathering(size, wait);
            let (mut next, mut batches, mut died) = (0u32, Vec::new(), Vec::new());
            for step in steps {
                // As a gatherer does: it is woken at the deadline, and looks after each delivery.
                let then = match step {
                    Step::Pass(milliseconds) => now + Duration::from_millis(milliseconds),
                    Step::Come(_) | Step::Die | Step::Fill => now,
                };
                while let Some(deadline) = gathering.deadline().filter(|deadline| *deadline <= then) {
                    now = deadline;
                    let (which, reason) = gathering.due(now).expect("its time has come");
                    prop_assert_eq!(reason, BatchReason::Wait);
                    let batch = gathering.take(&which);
                    let in_time = |(_, _, came): &(u32, Option<u8>, Instant)| {
                        now - *came <= Duration::from_millis(wait)
                    };
                    prop_assert!(batch.iter().all(in_time));
                    batches.push(batch);
                }
                now = then;
                match step {
                    Step::Pass(_) => prop_assert_eq!(gathering.due(now), None),
                    Step::Come(key) => {
                        gathering.add(which(key), (next, key, now), now);
                        next += 1;
                        if let Some((due, reason)) = gathering.due(now) {
                            prop_assert_eq!(reason, BatchReason::Size);
                            batches.push(gathering.take(&due));
                        }
                    }
                    Step::Die => {
                        died.extend(gathering.take_all());
                    }
                    Step::Fill => {
                        if let Some(fullest) = gathering.fullest() {
                            batches.push(gathering.take(&fullest));
                        }
                    }
                }
                prop_assert_eq!(gathering.due(now), None);
            }
            prop_assert!(batches.iter().all(|batch| (1..=usize::from(size)).contains(&batch.len())));
            for batch in &batches {
                prop_assert!(batch.iter().all(|(_, key, _)| *key == batch[0].1));
            }
            let rest = gathering.take_all();
            prop_assert_eq!(gathering.deadline(), None);
            for key in [None, Some(1), Some(2), Some(3)] {
                let of_key = batches.iter().flatten().filter(|(_, other, _)| *other == key);
                prop_assert!(of_key.map(|(number, ..)| number).is_sorted());
            }
            let all = batches.iter().flatten().chain(&died).chain(&rest);
            let mut all: Vec<u32> = all.map(|(number, ..)| *number).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
        }
    }
}
