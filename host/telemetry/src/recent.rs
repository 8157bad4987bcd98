//! What a person sees of a consumer's deliveries: those in flight, each with its age, and the last failures. No delivery
//! waits for a reader: one that finds no free place is counted and not listed.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Deliveries in flight that are listed.
const PLACES: usize = 32;

/// The stamp of a place that is free.
const FREE: u64 = 0;

/// The stamp of a place that is being taken.
const TAKING: u64 = u64::MAX;

/// A stamp is the microseconds from the shelf's making to the arrival, and one, and this many further deliveries apart: so a
/// place that changes hands within a microsecond has another stamp.
const APART: u64 = 64;

/// Words of eight bytes that a name has room for: a UUID and some more.
const WORDS: usize = 6;

/// Failures that are remembered.
const FAILURES: usize = 50;

/// The longest error that is remembered, in bytes: a stack with its message.
const LONGEST_ERROR: usize = 4 << 10;

/// The longest name of a delivery that is remembered.
const LONGEST_NAME: usize = 200;

/// A delivery that is being handled or settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// Its name in log lines, cut at 48 bytes.
    pub delivery: String,
    /// Which try it is.
    pub attempt: u32,
    /// Since its arrival.
    pub age: Duration,
}

/// A delivery that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// When it was settled.
    pub at: SystemTime,
    /// Its name in log lines.
    pub delivery: String,
    /// Which try it was.
    pub attempt: u32,
    /// `retried`, `dead_lettered`, `skipped` or `stopped`.
    pub outcome: &'static str,
    /// The class of the error.
    pub class: &'static str,
    /// Its code.
    pub code: &'static str,
    /// The error, cut.
    pub error: String,
    /// How long its copy waits for the next try.
    pub delay: Option<Duration>,
    /// From its arrival to its settlement.
    pub took: Duration,
}

/// Places for deliveries in flight. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    began: Instant,
    next: AtomicUsize,
    places: [Place; PLACES],
}

#[derive(Debug, Default)]
struct Place {
    /// Of the delivery that has it; [`FREE`], or [`TAKING`] while its name is written.
    stamp: AtomicU64,
    attempt: AtomicU32,
    name: [AtomicU64; WORDS],
}

/// A place that is taken for as long as this lives.
#[derive(Debug)]
pub(super) struct Taken(Places, usize);

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shelf {
            began: Instant::now(),
            next: AtomicUsize::new(0),
            places: Default::default(),
        }))
    }

    /// Takes a free place, if there is one.
    pub(super) fn take(
        &self,
        now: Instant,
        delivery: &dyn fmt::Display,
        attempt: u32,
    ) -> Option<Taken> {
        let shelf = &*self.0;
        let since = now.saturating_duration_since(shelf.began).as_micros();
        let since = u64::try_from(since).unwrap_or_default() + 1;
        let first = shelf.next.fetch_add(1, Ordering::Relaxed);
        let stamp = since * APART + first as u64 % APART;
        let mut places = (first..first + PLACES).map(|place| place % PLACES);
        let place = places.find(|place| {
            let stamp = &shelf.places[*place].stamp;
            let (taken, failed) = (Ordering::Acquire, Ordering::Relaxed);
            stamp.load(failed) == FREE
                && stamp.compare_exchange(FREE, TAKING, taken, failed).is_ok()
        })?;
        // Whoever reads a part of the name finds another stamp after it.
        fence(Ordering::Release);
        let mut name = Name::default();
        // What does not fit is left out.
        let _cut = write!(name, "{delivery}");
        let taken = &shelf.places[place];
        for (word, bytes) in taken.name.iter().zip(name.bytes.chunks_exact(8)) {
            let bytes = bytes.try_into().expect("a chunk has eight bytes");
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
        taken.attempt.store(attempt, Ordering::Relaxed);
        taken.stamp.store(stamp, Ordering::Release);
        Some(Taken(self.clone(), place))
    }

    /// What is in flight, the oldest first.
    pub(super) fn list(&self, now: Instant) -> Vec<InFlight> {
        let passed = now.saturating_duration_since(self.0.began);
        let mut list: Vec<_> = self
            .0
            .places
            .iter()
            .filter_map(|place| place.read(passed))
            .collect();
        list.sort_by_key(|one| std::cmp::Reverse(one.age));
        list
    }
}

impl Place {
    /// The delivery, unless the place is free or changed hands meanwhile.
    fn read(&self, passed: Duration) -> Option<InFlight> {
        let stamp = self.stamp.load(Ordering::Acquire);
        if stamp == FREE || stamp == TAKING {
            return None;
        }
        let attempt = self.attempt.load(Ordering::Relaxed);
        let mut name = Name::default();
        for (word, bytes) in self.name.iter().zip(name.bytes.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        fence(Ordering::Acquire);
        (self.stamp.load(Ordering::Relaxed) == stamp).then(|| InFlight {
            delivery: name.text(),
            attempt,
            age: passed.saturating_sub(Duration::from_micros(stamp / APART - 1)),
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Self(places, place) = self;
        places.0.places[*place].stamp.store(FREE, Ordering::Release);
    }
}

/// A name, as far as it fits.
struct Name {
    bytes: [u8; 8 * WORDS],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self {
            bytes: [0; 8 * WORDS],
            length: 0,
        }
    }
}

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = &text[..text.floor_char_boundary(self.bytes.len() - self.length)];
        let end = self.length + text.len();
        self.bytes[self.length..end].copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Name {
    fn text(&self) -> String {
        let end = self.bytes.iter().position(|byte| *byte == 0);
        let bytes = &self.bytes[..end.unwrap_or(self.bytes.len())];
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The last failures of a consumer.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<VecDeque<Failure>>);

impl Failures {
    /// Remembers one, unless somebody else is at the list: no delivery waits for that.
    pub(super) fn note(&self, failure: impl FnOnce() -> Failure) {
        if let Ok(mut list) = self.0.try_lock() {
            list.truncate(FAILURES - 1);
            list.push_front(failure());
        }
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<Failure> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().cloned().collect()
    }
}

/// As much of an error as is remembered.
pub(super) fn cut_error(error: &str) -> String {
    error[..error.floor_char_boundary(LONGEST_ERROR)].to_owned()
}

/// As much of a delivery's name as is remembered.
pub(super) fn cut_name(delivery: &dyn fmt::Display) -> String {
    let mut name = delivery.to_string();
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_listed_until_it_is_dropped() {
        let places = Places::new();
        let start = Instant::now();
        let old = places.take(start, &"o-1", 1).expect("there is room");
        let at = start + Duration::from_secs(2);
        let young = places.take(at, &"ü".repeat(100), 7).expect("there is room");
        let list = places.list(at + Duration::from_secs(1));
        let [first, second] = &list[..] else {
            panic!("two are in flight: {list:?}");
        };
        assert_eq!((&*first.delivery, first.attempt), ("o-1", 1));
        assert!(
            first.age >= Duration::from_secs(3) && second.age < first.age,
            "{list:?}"
        );
        assert_eq!(
            (second.delivery.clone(), second.attempt),
            ("ü".repeat(24), 7)
        );
        drop(old);
        assert_eq!(places.list(at).len(), 1);
        drop(young);
        assert!(places.list(at).is_empty());
    }

    #[test]
    fn one_that_finds_no_place_is_not_listed() {
        let places = Places::new();
        let now = Instant::now();
        let taken: Vec<_> = (0..PLACES)
            .map(|number| places.take(now, &number, 1))
            .collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(places.take(now, &"one more", 1).is_none());
        drop(taken);
        assert!(places.take(now, &"one more", 1).is_some());
    }

    #[test]
    fn places_that_change_hands_are_never_mixed_up() {
        let places = Places::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=3_u32)
                .map(|number| {
                    let places = &places;
                    scope.spawn(move || {
                        let name = number.to_string().repeat(40);
                        for _ in 0..20_000 {
                            drop(places.take(Instant::now(), &name, number));
                        }
                    })
                })
                .collect();
            while threads.iter().any(|thread| !thread.is_finished()) {
                for one in places.list(Instant::now()) {
                    assert_eq!(one.delivery, one.attempt.to_string().repeat(40));
                }
            }
        });
    }

    #[test]
    fn the_last_failures_are_remembered_newest_first() {
        let failures = Failures::default();
        for attempt in 1..=60 {
            failures.note(|| Failure {
                at: SystemTime::UNIX_EPOCH,
                delivery: cut_name(&"x".repeat(1_000)),
                attempt,
                outcome: "retried",
                class: "error",
                code: "HIVE-0401",
                error: cut_error(&"e".repeat(10_000)),
                delay: None,
                took: Duration::ZERO,
            });
        }
        let list = failures.list();
        assert_eq!(
            (list.len(), list[0].attempt, list[49].attempt),
            (50, 60, 11)
        );
        assert_eq!((list[0].error.len(), list[0].delivery.len()), (4_096, 200));
    }
}
