//! Series that several consumers have together: those of a table with `queues` have the series of that table.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::meters::Meters;

/// What one consumer adds to a gauge. Dropped, it adds nothing any more.
#[derive(Debug)]
pub(super) struct Part {
    sum: IntGauge,
    own: AtomicI64,
}

impl Part {
    pub(super) fn new(sum: IntGauge) -> Self {
        Self {
            sum,
            own: AtomicI64::new(0),
        }
    }

    pub(super) fn set(&self, value: i64) {
        let before = self.own.swap(value, Ordering::Relaxed);
        self.sum.add(value - before);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A counter of which one consumer's share is known.
#[derive(Debug)]
pub(super) struct Count {
    all: IntCounter,
    /// `None` where the series is that of one consumer: it counts on over a reload.
    own: Option<IntCounter>,
}

impl Count {
    pub(super) fn new(all: IntCounter, is_shared: bool) -> Self {
        let own = is_shared.then(|| {
            IntCounter::new("own", "of one consumer").expect("the name of a counter is a word")
        });
        Self { all, own }
    }

    pub(super) fn inc(&self) {
        self.all.inc();
        if let Some(own) = &self.own {
            own.inc();
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.own.as_ref().unwrap_or(&self.all).get()
    }
}

/// `hive_queue_depth`, which is there while the depth is known.
#[derive(Debug)]
pub(super) enum Depth {
    /// Of the queue of one consumer.
    Alone(IntGaugeVec, Arc<str>),
    /// The queues of several, as far as they are known.
    Shared(Part),
}

impl Depth {
    pub(super) fn new(meters: &Meters, table: &Arc<str>, is_shared: bool) -> Self {
        match is_shared {
            true => Self::Shared(Part::new(meters.depth.with_label_values(&[&**table]))),
            false => Self::Alone(meters.depth.clone(), Arc::clone(table)),
        }
    }

    pub(super) fn set(&self, depth: Option<u64>) {
        let gauged = |depth: u64| depth.try_into().unwrap_or(i64::MAX);
        match (self, depth) {
            (Self::Shared(part), depth) => part.set(depth.map_or(0, gauged)),
            (Self::Alone(depths, table), Some(depth)) => {
                depths.with_label_values(&[&**table]).set(gauged(depth));
            }
            (Self::Alone(depths, table), None) => {
                // There is nothing to remove if the depth was not known before.
                let _was_known = depths.remove_label_values(&[&**table]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_go_with_their_consumers() {
        let sum = IntGauge::new("sum", "of two").unwrap();
        let (one, other) = (Part::new(sum.clone()), Part::new(sum.clone()));
        one.set(3);
        other.set(4);
        one.set(1);
        assert_eq!(sum.get(), 5);
        drop(other);
        assert_eq!(sum.get(), 1);
    }

    #[test]
    fn each_consumer_knows_its_own_count() {
        let all = IntCounter::new("all", "of two").unwrap();
        let (one, other) = (Count::new(all.clone(), true), Count::new(all.clone(), true));
        one.inc();
        other.inc();
        assert_eq!((all.get(), one.get(), other.get()), (2, 1, 1));
    }
}
