//! Tests of the room: against a model that looks at every delivery each time.

#![expect(
    clippy::disallowed_methods,
    reason = "there is no clock of tokio's to pause here"
)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::{Attempt, FieldValue, Message};
use crate::rate::Bucket;

fn value(key: u8) -> KeyValue {
    Arc::from([key])
}

fn keys(concurrency: Option<u8>, rate: Option<u8>) -> Keys {
    Keys {
        concurrency: concurrency.map(value),
        rate: rate.map(value),
    }
}

fn limits(limit: Option<u16>, rate: Option<(u32, u32)>) -> Limits {
    let key = Key::Header("tenant".to_owned());
    Limits {
        concurrency: limit.map(|limit| ConcurrencyBy {
            key: key.clone(),
            limit,
        }),
        rate: rate.map(|(limit, burst)| RateBy {
            key,
            rate: RatePlan {
                limit,
                per: Duration::from_secs(1),
                burst,
            },
        }),
    }
}

fn room<T>(limit: Option<u16>, rate: Option<(u32, u32)>) -> Room<T> {
    Room::new(&limits(limit, rate), MOST_RATES)
}

/// What can be taken now, without the places.
fn all<T>(room: &mut Room<T>, now: Instant) -> Vec<T> {
    std::iter::from_fn(|| room.take(now))
        .map(|(one, _)| one)
        .collect()
}

#[test]
fn of_one_key_as_many_as_its_limit_are_out_and_others_do_not_wait_for_it() {
    let now = Instant::now();
    let mut room = room(Some(2), None);
    for one in ["a1", "a2", "a3", "b1", "a4"] {
        let key = one.as_bytes()[0];
        room.arrive(keys(Some(key), None), one, now);
    }
    assert_eq!(all(&mut room, now), ["a1", "a2", "b1"]);
    assert_eq!((room.waiting(), room.next_token_at()), (2, None));
    room.release(&value(b'a'));
    assert_eq!(all(&mut room, now), ["a3"]);
    room.release(&value(b'b'));
    assert_eq!(all(&mut room, now), [""; 0]);
    for _ in 0..3 {
        room.release(&value(b'a'));
    }
    assert_eq!(all(&mut room, now), ["a4"]);
    room.release(&value(b'a'));
    assert!(room.busy.is_empty() && room.lines.is_empty());
}

#[test]
fn of_one_key_a_burst_goes_at_once_and_the_rest_as_its_tokens_come() {
    let now = Instant::now();
    let mut room = room(None, Some((10, 2)));
    for number in 0..4 {
        room.arrive(keys(None, Some(1)), number, now);
    }
    room.arrive(keys(None, Some(2)), 10, now);
    assert_eq!(all(&mut room, now), [0, 1, 10]);
    let next = now + Duration::from_millis(100);
    assert_eq!(room.next_token_at(), Some(next));
    assert_eq!(all(&mut room, next), [2]);
    assert_eq!(all(&mut room, next + Duration::from_millis(99)), [0; 0]);
    assert_eq!(all(&mut room, next + Duration::from_millis(100)), [3]);
    assert_eq!(room.next_token_at(), None);
}

#[test]
fn a_token_is_not_spent_on_one_that_waits_for_a_place() {
    let now = Instant::now();
    let mut room = room(Some(1), Some((1, 1)));
    room.arrive(keys(Some(1), Some(1)), "out", now);
    room.arrive(keys(Some(1), Some(2)), "without a place", now);
    room.arrive(keys(Some(2), Some(2)), "with its token", now);
    room.arrive(keys(Some(3), Some(1)), "without a token", now);
    assert_eq!(all(&mut room, now), ["out", "with its token"]);
    room.release(&value(1));
    assert_eq!(all(&mut room, now), [""; 0]);
    let later = now + Duration::from_secs(1);
    assert_eq!(room.next_token_at(), Some(later));
    assert_eq!(
        all(&mut room, later),
        ["without a place", "without a token"]
    );
}

#[test]
fn what_is_taken_out_makes_way_for_others() {
    let now = Instant::now();
    let later = now + Duration::from_secs(60);
    let mut room = room(Some(1), None);
    for (one, at) in [("out", now), ("old", now), ("stale", later), ("new", later)] {
        room.arrive(keys(Some(1), None), one, at);
    }
    assert_eq!(all(&mut room, later), ["out"]);
    assert_eq!(room.oldest(), Some((&"old", now)));
    assert_eq!(room.remove(|_, since| since < later), ["old"]);
    assert_eq!(room.remove(|one, _| *one == "stale"), ["stale"]);
    assert_eq!(room.waiting(), 1);
    room.release(&value(1));
    assert_eq!(all(&mut room, later), ["new"]);
    assert!(room.lines.is_empty() && room.ready.is_empty());
}

#[test]
fn the_longest_lines_are_told_first() {
    let now = Instant::now();
    let mut room = room(Some(1), None);
    for key in [1, 1, 2, 1, 3, 2] {
        room.arrive(keys(Some(key), None), (), now);
    }
    let longest = room.longest(2);
    let longest: Vec<_> = longest
        .iter()
        .map(|line| (line.keys.concurrency.clone(), line.deliveries))
        .collect();
    assert_eq!(longest, [(Some(value(1)), 3), (Some(value(2)), 2)]);
}

#[test]
fn a_key_whose_bucket_is_full_is_forgotten_and_of_too_many_the_fullest() {
    let now = Instant::now();
    let rate = RatePlan {
        limit: 1,
        per: Duration::from_secs(1),
        burst: 10,
    };
    let mut buckets = Buckets::new(rate, 3);
    for key in [1, 2, 2, 3, 3, 3] {
        buckets.take(&value(key), now);
    }
    assert_eq!(buckets.len(), 3);
    // The one that lacks the least makes way; the one that goes most often stays.
    buckets.take(&value(4), now);
    buckets.take(&value(4), now);
    assert_eq!(buckets.len(), 3);
    assert_eq!(buckets.next(&value(1)), None);
    assert!(buckets.next(&value(3)).is_some());
    // Those of two keys are full by now.
    let later = now + Duration::from_secs(2);
    buckets.take(&value(5), later);
    assert_eq!(buckets.len(), 2);
    assert!(buckets.next(&value(3)).is_some());
}

#[test]
fn a_long_key_is_remembered_shortly_and_a_message_without_one_has_no_limit() {
    let envelope = |value: Option<FieldValue>| {
        let mut message = Message::default();
        let header = value.map(|value| ("tenant".to_owned(), value));
        message.properties.headers = header.into_iter().collect();
        Envelope {
            message,
            queue: "q".into(),
            exchange: String::new(),
            routing_key: "q".to_owned(),
            redelivered: false,
            attempt: Attempt::FIRST,
            stream_offset: None,
        }
    };
    let limits = limits(Some(1), Some((1, 1)));
    let of = |text: &str| {
        let keys = limits.keys_of(&envelope(Some(FieldValue::Text(text.into()))));
        let keys = keys.expect("it has the header");
        assert_eq!(keys.concurrency, keys.rate);
        keys.rate.expect("it has the header")
    };
    assert_eq!(shown(&of("acme")), "acme");
    let (one, other) = (of(&"a".repeat(1000)), of(&"a".repeat(1001)));
    assert_eq!((one.len(), other.len()), (LONGEST_KEY, LONGEST_KEY));
    assert_ne!(one, other);
    assert_eq!(shown(&one), format!("{}…", "a".repeat(KEPT_OF_LONG)));
    assert_eq!(shown(&of(&"a".repeat(64))), "a".repeat(64));
    assert_eq!(limits.keys_of(&envelope(None)), None);
}

/// One step of a consumer's life.
#[derive(Debug, Clone)]
enum Step {
    /// A delivery with these keys comes.
    Come(Keys),
    /// This many milliseconds pass.
    Pass(u64),
    /// The delivery with this index among those being handled ends.
    End(prop::sample::Index),
    /// A worker asks for a delivery.
    Ask,
    /// Everything in the room with this index among the keys is taken out.
    Remove(prop::sample::Index),
}

fn any_key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![4 => (0..4u8).prop_map(Some), 1 => Just(None)]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_key(), any_key())
            .prop_filter("a limit applies", |(one, other)| one.or(*other).is_some())
            .prop_map(|(one, other)| Step::Come(keys(one, other))),
        2 => (0..700u64).prop_map(Step::Pass),
        4 => any::<prop::sample::Index>().prop_map(Step::End),
        6 => Just(Step::Ask),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

/// The same decisions, by a look at every delivery.
struct Model {
    limit: u16,
    rate: RatePlan,
    waiting: Vec<(u32, Keys)>,
    handled: HashMap<KeyValue, u16>,
    buckets: HashMap<KeyValue, Bucket>,
}

impl Model {
    fn take(&mut self, now: Instant) -> Option<(u32, Keys)> {
        let has_place = |key: &KeyValue| self.handled.get(key).is_none_or(|n| *n < self.limit);
        let has_token = |key: &KeyValue| self.buckets.get(key).is_none_or(|b| b.next() <= now);
        let goes = |(_, keys): &(u32, Keys)| {
            keys.concurrency.as_ref().is_none_or(has_place)
                && keys.rate.as_ref().is_none_or(has_token)
        };
        let index = self.waiting.iter().position(goes)?;
        let (number, keys) = self.waiting.remove(index);
        if let Some(key) = &keys.concurrency {
            *self.handled.entry(Arc::clone(key)).or_default() += 1;
        }
        if let Some(key) = &keys.rate {
            let bucket = self.buckets.entry(Arc::clone(key));
            let bucket = bucket.or_insert_with(|| Bucket::new(&self.rate, now));
            bucket.take(now);
        }
        Some((number, keys))
    }
}

proptest! {
    #[test]
    fn the_oldest_whose_keys_let_it_go_is_the_next(
        limit in 1u16..4, rate in 1u32..8, burst in 1u32..4,
        steps in proptest::collection::vec(any_step(), 0..300),
    ) {
        let limits = limits(Some(limit), Some((rate, burst)));
        let plan = limits.rate.as_ref().expect("it has one").rate;
        let mut room = Room::new(&limits, MOST_RATES);
        let mut model = Model {
            limit,
            rate: plan,
            waiting: Vec::new(),
            handled: HashMap::new(),
            buckets: HashMap::new(),
        };
        let mut now = Instant::now();
        let mut out: Vec<Place> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Come(keys) => {
                    room.arrive(keys.clone(), (next, keys.clone()), now);
                    model.waiting.push((next, keys));
                    next += 1;
                }
                Step::Pass(milliseconds) => {
                    // As a worker does: it is woken when a token comes, and finds what there is then.
                    let then = now + Duration::from_millis(milliseconds);
                    if let Some(at) = room.next_token_at().filter(|at| *at <= then) {
                        now = now.max(at);
                    } else {
                        now = then;
                    }
                }
                Step::End(index) if !out.is_empty() => {
                    if let Some(key) = out.swap_remove(index.index(out.len())) {
                        room.release(&key);
                        *model.handled.get_mut(&key).expect("it was counted") -= 1;
                    }
                }
                Step::End(_) => {}
                Step::Ask => {
                    let (taken, expected) = (room.take(now), model.take(now));
                    prop_assert_eq!(taken.as_ref().map(|(one, _)| one), expected.as_ref());
                    out.extend(taken.map(|(_, place)| place));
                }
                Step::Remove(index) => {
                    let number = index.index(4) as u8;
                    let is_it = |keys: &Keys| keys.concurrency == Some(value(number));
                    let removed = room.remove(|(_, keys), _| is_it(keys));
                    let (gone, left) = model.waiting.drain(..).partition(|(_, keys)| is_it(keys));
                    model.waiting = left;
                    let gone: Vec<_> = gone;
                    prop_assert_eq!(removed, gone);
                }
            }
            prop_assert_eq!(room.waiting(), model.waiting.len());
            // Nobody would come to look at what waits for a token if its time were not known.
            let waits_for_a_token = |(_, keys): &(u32, Keys)| {
                let has_place = keys.concurrency.as_ref()
                    .is_none_or(|key| model.handled.get(key).is_none_or(|n| *n < limit));
                let token = keys.rate.as_ref().and_then(|key| model.buckets.get(key));
                has_place && token.is_some_and(|bucket| bucket.next() > now)
            };
            if room.ready.is_empty() && model.waiting.iter().any(waits_for_a_token) {
                prop_assert!(room.next_token_at().is_some());
            }
        }
        // Everything ends, and nothing of it is left behind.
        while room.waiting() > 0 || !out.is_empty() {
            for key in out.drain(..).flatten() {
                room.release(&key);
                *model.handled.get_mut(&key).expect("it was counted") -= 1;
            }
            while let Some((one, place)) = room.take(now) {
                prop_assert_eq!(Some(one), model.take(now));
                out.push(place);
            }
            now += Duration::from_millis(100);
        }
        prop_assert!(room.busy.is_empty() && room.lines.is_empty() && room.ready.is_empty());
        prop_assert!(room.without_token.is_empty() && room.tokens.is_empty());
    }

    #[test]
    fn there_are_no_more_buckets_than_the_bound(
        most in 1usize..8, taken in proptest::collection::vec((0u8..20, 0u64..200), 0..200),
    ) {
        let rate = RatePlan { limit: 5, per: Duration::from_secs(1), burst: 3 };
        let mut buckets = Buckets::new(rate, most);
        let mut now = Instant::now();
        for (key, milliseconds) in taken {
            now += Duration::from_millis(milliseconds);
            buckets.take(&value(key), now);
            prop_assert!(buckets.len() <= most);
            prop_assert!(buckets.next(&value(key)).is_some());
        }
    }
}
