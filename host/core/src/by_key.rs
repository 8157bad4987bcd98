//! How many deliveries of one key are handled at once, and how often: `concurrency_by` and `rate_by`. Pure: the time
//! is a parameter.
//!
//! Deliveries enter a [`Room`] as they arrive and leave it when their keys allow that. Those with the same keys are
//! in one line, in order of arrival, and only the first of a line can leave. A line whose key is at its limit stands
//! aside until a place is free or a token arrives, so that finding the next delivery costs the same however many
//! wait. Among the lines that may go, the delivery that arrived first goes first.

mod buckets;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};

use self::buckets::Buckets;
use crate::message::Envelope;
use crate::message_key::Key;
use crate::rate::RatePlan;

/// The rates that a consumer remembers at once: those whose buckets are not full.
pub const MOST_RATES: usize = 100_000;

/// The longest key that is kept as it is, in bytes. Of a longer one the beginning and a hash are kept, since a key may
/// be as long as a body.
const LONGEST_KEY: usize = 64;
/// The part of a longer key that is kept, so that a person may recognise it.
const KEPT_OF_LONG: usize = 32;

/// `concurrency_by = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrencyBy {
    /// What deliveries are told apart by.
    pub key: Key,
    /// How many of one key are handled at once; at least 1.
    pub limit: u16,
}

/// `rate_by = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateBy {
    /// What deliveries are told apart by.
    pub key: Key,
    /// How often those of one key are handed over.
    pub rate: RatePlan,
}

/// The limits of one consumer; at least one of them is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many of one key at once.
    pub concurrency: Option<ConcurrencyBy>,
    /// How often.
    pub rate: Option<RateBy>,
}

/// The value of a key, in the form in which it is remembered.
pub type KeyValue = Arc<[u8]>;

/// The keys of one delivery; `None` where a limit does not apply to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Keys {
    /// The one that `concurrency_by` names.
    pub concurrency: Option<KeyValue>,
    /// The one that `rate_by` names.
    pub rate: Option<KeyValue>,
}

/// The right of one delivery to be handled, of the `limit` that its key has. It is to be given back to
/// [`Room::release`].
pub type Place = Option<KeyValue>;

/// Deliveries that wait until their keys let them go.
#[derive(Debug)]
pub struct Room<T> {
    /// `concurrency_by.limit`.
    limit: u16,
    /// The lines, none of them empty.
    lines: HashMap<Keys, VecDeque<Waiting<T>>>,
    /// Lines whose first delivery may be able to leave, by its number.
    ready: BTreeMap<u64, Keys>,
    /// The keys of which some are being handled, or wait for that.
    busy: HashMap<KeyValue, Busy>,
    buckets: Option<Buckets>,
    /// The lines that wait for a token, by its key.
    without_token: HashMap<KeyValue, WithoutToken>,
    /// When the tokens come that lines wait for.
    tokens: BTreeSet<(Instant, KeyValue)>,
    waiting: usize,
    /// The number of the next delivery to arrive.
    next: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    since: Instant,
    one: T,
}

/// A key of `concurrency_by`.
#[derive(Debug, Default)]
struct Busy {
    /// How many are being handled.
    handled: u16,
    /// The lines that wait for one of these to end, by the number of the first delivery.
    lines: BTreeMap<u64, Keys>,
}

/// A key of `rate_by` that has no token left.
#[derive(Debug, Default)]
struct WithoutToken {
    lines: BTreeMap<u64, Keys>,
    /// When the next token comes, if somebody is to be woken by it.
    at: Option<Instant>,
}

/// Deliveries with the same keys that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Their keys.
    pub keys: Keys,
    /// How many there are.
    pub deliveries: usize,
}

impl Limits {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.concurrency.is_none() && self.rate.is_none()
    }

    /// The keys of a delivery; `None` if no limit applies to it.
    pub fn keys_of(&self, envelope: &Envelope) -> Option<Keys> {
        let (concurrency, rate) = (self.concurrency.as_ref(), self.rate.as_ref());
        let first = concurrency.and_then(|by| value_of(&by.key, envelope));
        let second = match (concurrency, rate) {
            // A body is read as JSON once.
            (Some(one), Some(other)) if one.key == other.key => first.clone(),
            _ => rate.and_then(|by| value_of(&by.key, envelope)),
        };
        let keys = Keys {
            concurrency: first,
            rate: second,
        };
        (keys != Keys::default()).then_some(keys)
    }
}

impl<T> Room<T> {
    /// An empty one. It remembers the rates of `most_rates` keys.
    pub fn new(limits: &Limits, most_rates: usize) -> Self {
        let rate = limits.rate.as_ref();
        Self {
            limit: limits.concurrency.as_ref().map_or(u16::MAX, |by| by.limit),
            lines: HashMap::new(),
            ready: BTreeMap::new(),
            busy: HashMap::new(),
            buckets: rate.map(|by| Buckets::new(by.rate, most_rates)),
            without_token: HashMap::new(),
            tokens: BTreeSet::new(),
            waiting: 0,
            next: 0,
        }
    }

    /// A delivery with these keys has arrived. It leaves by [`Room::take`].
    pub fn arrive(&mut self, keys: Keys, one: T, now: Instant) {
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let line = self.lines.entry(keys.clone()).or_default();
        if line.is_empty() {
            self.ready.insert(number, keys);
        }
        line.push_back(Waiting {
            number,
            since: now,
            one,
        });
    }

    /// The next delivery that may be handled, with its place. It has taken its token.
    pub fn take(&mut self, now: Instant) -> Option<(T, Place)> {
        loop {
            self.wake(now);
            let (number, keys) = self.ready.pop_first()?;
            if self.is_at_its_limit(&keys) {
                let key = keys.concurrency.clone()?;
                let busy = self.busy.entry(key).or_default();
                busy.lines.insert(number, keys.clone());
            } else if let Some(at) = self.next_token(&keys, now) {
                let key = keys.rate.clone()?;
                self.wait_for_token(key, number, keys.clone(), at);
            } else {
                return self.leave(keys, now);
            }
            // It did not use what it was woken for; another line may.
            self.offer(&keys, now);
        }
    }

    /// A delivery that had this place is not handled any more.
    pub fn release(&mut self, key: &KeyValue) {
        let Some(busy) = self.busy.get_mut(key) else {
            return;
        };
        busy.handled = busy.handled.saturating_sub(1);
        self.offer_place(key);
    }

    /// When [`Room::take`] may have another answer, if nothing else happens until then.
    pub fn next_token_at(&self) -> Option<Instant> {
        self.tokens.first().map(|(at, _)| *at)
    }

    /// How many wait here.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The one that has waited for the longest, and since when.
    pub fn oldest(&self) -> Option<(&T, Instant)> {
        let firsts = self.lines.values().filter_map(VecDeque::front);
        let oldest = firsts.min_by_key(|first| first.number)?;
        Some((&oldest.one, oldest.since))
    }

    /// Takes those out that fulfil a condition, in order of arrival.
    pub fn remove(&mut self, mut is_unwanted: impl FnMut(&T, Instant) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        for line in self.lines.values_mut() {
            let all = std::mem::take(line);
            for waiting in all {
                match is_unwanted(&waiting.one, waiting.since) {
                    true => removed.push(waiting),
                    false => line.push_back(waiting),
                }
            }
        }
        if removed.is_empty() {
            return Vec::new();
        }
        self.waiting -= removed.len();
        self.look_again();
        removed.sort_unstable_by_key(|waiting| waiting.number);
        removed.into_iter().map(|waiting| waiting.one).collect()
    }

    /// The longest lines, the longest first.
    pub fn longest(&self, most: usize) -> Vec<Line> {
        let mut lines: Vec<_> = self.lines.iter().collect();
        lines.sort_unstable_by_key(|(_, line)| {
            let first = line.front().map(|first| first.number);
            (Reverse(line.len()), first)
        });
        lines.truncate(most);
        let line = |(keys, line): (&Keys, &VecDeque<_>)| Line {
            keys: keys.clone(),
            deliveries: line.len(),
        };
        lines.into_iter().map(line).collect()
    }

    /// Every line is looked at once more, by the next [`Room::take`].
    fn look_again(&mut self) {
        self.lines.retain(|_, line| !line.is_empty());
        self.without_token.clear();
        self.tokens.clear();
        self.busy.retain(|_, busy| {
            busy.lines.clear();
            busy.handled > 0
        });
        let lines = self.lines.iter();
        let firsts = lines.filter_map(|(keys, line)| Some((line.front()?.number, keys.clone())));
        self.ready = firsts.collect();
    }

    /// Has the lines looked at whose tokens have come, one of each key.
    fn wake(&mut self, now: Instant) {
        while self.next_token_at().is_some_and(|at| at <= now)
            && let Some((_, key)) = self.tokens.pop_first()
        {
            let Some(without) = self.without_token.get_mut(&key) else {
                continue;
            };
            without.at = None;
            if let Some((number, keys)) = without.lines.pop_first() {
                self.ready.insert(number, keys);
            }
            if without.lines.is_empty() {
                self.without_token.remove(&key);
            }
        }
    }

    fn is_at_its_limit(&self, keys: &Keys) -> bool {
        let busy = keys.concurrency.as_ref().and_then(|key| self.busy.get(key));
        busy.is_some_and(|busy| busy.handled >= self.limit)
    }

    /// When there is a token for a delivery with these keys; `None` if there is one now, or if none is needed.
    fn next_token(&mut self, keys: &Keys, now: Instant) -> Option<Instant> {
        let at = self.buckets.as_ref()?.next(keys.rate.as_ref()?)?;
        (at > now).then_some(at)
    }

    fn wait_for_token(&mut self, key: KeyValue, number: u64, keys: Keys, at: Instant) {
        let without = self.without_token.entry(Arc::clone(&key)).or_default();
        without.lines.insert(number, keys);
        if without.at.is_none() {
            without.at = Some(at);
            self.tokens.insert((at, key));
        }
    }

    /// The first of this line goes.
    fn leave(&mut self, keys: Keys, now: Instant) -> Option<(T, Place)> {
        let line = self.lines.get_mut(&keys)?;
        let waiting = line.pop_front()?;
        self.waiting -= 1;
        match line.front() {
            Some(next) => {
                self.ready.insert(next.number, keys.clone());
            }
            None => {
                self.lines.remove(&keys);
            }
        }
        if let Some(key) = &keys.concurrency {
            self.busy.entry(Arc::clone(key)).or_default().handled += 1;
        }
        if let (Some(key), Some(buckets)) = (&keys.rate, &mut self.buckets) {
            buckets.take(key, now);
        }
        self.offer(&keys, now);
        Some((waiting.one, keys.concurrency))
    }

    /// What a line of these keys has left over is another one's.
    fn offer(&mut self, keys: &Keys, now: Instant) {
        if let Some(key) = &keys.concurrency {
            self.offer_place(key);
        }
        if let Some(key) = &keys.rate
            && let Some(without) = self.without_token.get_mut(key)
            && without.at.is_none()
        {
            let next = self.buckets.as_ref().and_then(|buckets| buckets.next(key));
            let at = next.unwrap_or(now);
            without.at = Some(at);
            self.tokens.insert((at, Arc::clone(key)));
        }
    }

    /// Has a line looked at that waits for a place of this key, if there is one now.
    fn offer_place(&mut self, key: &KeyValue) {
        let Some(busy) = self.busy.get_mut(key) else {
            return;
        };
        if busy.handled < self.limit
            && let Some((number, keys)) = busy.lines.pop_first()
        {
            self.ready.insert(number, keys);
        }
        if busy.handled == 0 && busy.lines.is_empty() {
            self.busy.remove(key);
        }
    }
}

/// The key of a message, as it is remembered; `None` if it has none.
pub fn value_of(key: &Key, envelope: &Envelope) -> Option<KeyValue> {
    Some(remembered(key.of(envelope)?))
}

fn remembered(key: Vec<u8>) -> KeyValue {
    if key.len() <= LONGEST_KEY {
        return key.into();
    }
    let hash = Sha256::digest(&key);
    let kept = key.get(..KEPT_OF_LONG).unwrap_or_default();
    [kept, hash.as_slice()].concat().into()
}

/// A remembered key as a person may read it: what is not printable is escaped by whoever shows it.
pub fn shown(key: &KeyValue) -> String {
    let is_long = key.len() == LONGEST_KEY && std::str::from_utf8(key).is_err();
    match is_long {
        true => {
            let kept = key.get(..KEPT_OF_LONG).unwrap_or_default();
            format!("{}…", String::from_utf8_lossy(kept))
        }
        false => String::from_utf8_lossy(key).into_owned(),
    }
}
