//! How often each key may go: a bucket of tokens for each key, [`Buckets`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::KeyValue;
use crate::rate::{Bucket, RatePlan};

/// The buckets of the keys that went lately.
///
/// A key whose bucket is full again is forgotten, since a new bucket begins full. There are no more buckets than a
/// bound: one more takes the place of the one that is full the soonest, whose key then has the few tokens early that
/// it lacked. So a key that floods, whose bucket is the emptiest, is forgotten last.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: RatePlan,
    most: usize,
    buckets: HashMap<KeyValue, Bucket>,
    /// The same, by the time at which each is full.
    full_at: BTreeSet<(Instant, KeyValue)>,
}

impl Buckets {
    pub(super) fn new(rate: RatePlan, most: usize) -> Self {
        Self {
            rate,
            most,
            buckets: HashMap::new(),
            full_at: BTreeSet::new(),
        }
    }

    /// When the next token of a key is there: in the past if one is there now; `None` if all are there.
    pub(super) fn next(&self, key: &KeyValue) -> Option<Instant> {
        self.buckets.get(key).map(Bucket::next)
    }

    /// Takes a token of a key.
    pub(super) fn take(&mut self, key: &KeyValue, now: Instant) {
        let mut bucket = match self.buckets.remove(key) {
            Some(bucket) => {
                self.full_at.remove(&(bucket.full_at(), Arc::clone(key)));
                bucket
            }
            None => Bucket::new(&self.rate, now),
        };
        bucket.take(now);
        self.forget(now);
        self.full_at.insert((bucket.full_at(), Arc::clone(key)));
        self.buckets.insert(Arc::clone(key), bucket);
    }

    /// Forgets full buckets, and one that is not if there would be too many.
    fn forget(&mut self, now: Instant) {
        while let Some((at, _)) = self.full_at.first()
            && (*at <= now || self.buckets.len() >= self.most)
            && let Some((_, key)) = self.full_at.pop_first()
        {
            self.buckets.remove(&key);
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}
