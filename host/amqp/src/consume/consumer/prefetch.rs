//! The prefetch of a consumer whose hive.toml does not set it; pure.
//!
//! The bodies of prefetched deliveries are in the host's memory. The prefetch starts small and grows while the
//! bodies that arrive leave room in a budget.
//!
//! Deliveries that are parked (they wait for their key to be below its limit, or for the rest of their batch) leave
//! no room for others. So where deliveries are parked, the prefetch grows further, in the same budget, as long as half
//! of it is parked, and shrinks again when hardly any is.

use hive_config::plan::ConsumerPlan;

/// The most memory for the bodies of one consumer's prefetched deliveries, if each is as large as the largest
/// recent one and hive.toml sets no other.
const BUDGET: u64 = 64 << 20;

/// The first prefetch, when the size of the bodies is still unknown. RabbitMQ accepts bodies of up to 16 MiB,
/// and of 128 MiB before 4.0.
const FIRST: u16 = 8;

/// How much more it asks for at once. From 8 to 256 in two steps, within 72 deliveries.
const STEP: u16 = 8;

/// The largest prefetch where deliveries are parked. Of so many small ones, all that the host keeps about them is some
/// 30 MiB.
const MOST_WITH_PARKED: u16 = 16_384;

/// Deliveries without a large body before it asks for more again, once a large one has come: each
/// change is three questions to the broker.
const CALM: u32 = 1000;

/// Between what the prefetch changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    least: u16,
    most: u16,
    /// Whether it may grow further if deliveries are parked.
    parks: bool,
    /// The memory for bodies, in bytes.
    budget: u64,
    /// Whether it can be changed while the queue is consumed.
    changes: bool,
}

impl Bounds {
    pub(super) fn of(plan: &ConsumerPlan) -> Self {
        Self {
            least: plan.least_prefetch,
            most: plan.prefetch,
            parks: plan.parks_deliveries(),
            budget: plan.max_bytes_in_flight.unwrap_or(BUDGET),
            changes: plan.prefetch_changes,
        }
    }
}

/// How many deliveries a consumer asks for.
#[derive(Debug)]
pub(super) struct Prefetch {
    least: u16,
    most: u16,
    budget: u64,
    changes: bool,
    /// The most while deliveries are parked.
    most_with_parked: u16,
    now: u16,
    /// Deliveries since it was last looked whether there is room for more.
    seen: u32,
    /// The largest body of those.
    largest: usize,
    /// The largest one of those before.
    largest_before: usize,
    /// How many have to be seen at least.
    calm: u32,
}

impl Prefetch {
    /// From the least to the most; the same twice is fixed.
    pub(super) fn new(bounds: Bounds) -> Self {
        let Bounds {
            least,
            most,
            parks,
            budget,
            changes,
        } = bounds;
        Self {
            least,
            most,
            budget,
            changes,
            most_with_parked: match parks && least < most {
                true => MOST_WITH_PARKED.max(most),
                false => most,
            },
            now: FIRST.max(least).min(most),
            seen: 0,
            largest: 0,
            largest_before: 0,
            calm: 0,
        }
    }

    /// The current prefetch.
    pub(super) fn now(&self) -> u16 {
        self.now
    }

    /// From now on it stays as it is.
    pub(super) fn fix(&mut self) {
        self.least = self.now;
        self.most = self.now;
        self.most_with_parked = self.now;
    }

    /// There was no room for a body of this length in the memory of the consumer, or in that of the host. Returns the
    /// prefetch from now on: even one that hive.toml sets is lower then, until bodies are small again.
    pub(super) fn lower(&mut self, body: u64, of_host: u64) -> u16 {
        self.least = 1;
        self.budget = self.budget.min(of_host);
        self.largest = usize::try_from(body).unwrap_or(usize::MAX);
        self.largest_before = self.largest;
        let half = (self.now / 2).max(1);
        self.now = self.room(self.largest, self.most).min(half);
        self.seen = 0;
        self.calm = CALM;
        if !self.changes {
            self.fix();
        }
        self.now
    }

    /// A body of this length has arrived. Returns the new prefetch if it changes. How many deliveries are parked is asked
    /// only where some may be.
    pub(super) fn came(&mut self, body: usize, parked: impl FnOnce() -> usize) -> Option<u16> {
        if self.least == self.most {
            return None;
        }
        let parked = match self.most < self.most_with_parked {
            true => parked(),
            false => 0,
        };
        self.seen += 1;
        self.largest = self.largest.max(body);
        let is_half_parked = 2 * parked >= usize::from(self.now);
        let most = match self.now > self.most || is_half_parked {
            true => self.most_with_parked,
            false => self.most,
        };
        let room = self.room(self.largest, most);
        // A small excess changes nothing: lowering the prefetch does not take back outstanding deliveries.
        let all = (self.largest as u64).saturating_mul(self.now.into());
        let is_too_much = all > self.budget.saturating_mul(2);
        if is_too_much && room < self.now {
            self.seen = 0;
            self.calm = CALM;
            self.now = room;
            return Some(room);
        }
        // At once: if all of it were parked, none would come any more that it could grow at.
        if is_half_parked && self.most < self.most_with_parked {
            let room = self.room(self.largest.max(self.largest_before), most);
            return self.grow(room);
        }
        if self.seen < self.calm.max(self.now.into()) {
            return None;
        }
        self.seen = 0;
        self.largest_before = std::mem::take(&mut self.largest);
        if self.now > self.most {
            let is_hardly_parked = 8 * parked < usize::from(self.most);
            let usual = room.min(self.most);
            return is_hardly_parked.then(|| {
                self.now = usual;
                usual
            });
        }
        self.grow(room)
    }

    /// How many bodies of this length the budget has room for.
    fn room(&self, largest: usize, most: u16) -> u16 {
        let room = self.budget / (largest as u64).max(1);
        let room = u16::try_from(room).unwrap_or(u16::MAX);
        room.clamp(self.least, most)
    }

    fn grow(&mut self, room: u16) -> Option<u16> {
        let is_worth_it =
            room == self.most || room == self.most_with_parked || room / 2 >= self.now;
        if room <= self.now || !is_worth_it {
            return None;
        }
        self.seen = 0;
        self.now = room.min(self.now.saturating_mul(STEP));
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn between(least: u16, most: u16, parks: bool) -> Prefetch {
        Prefetch::new(Bounds {
            least,
            most,
            parks,
            budget: BUDGET,
            changes: true,
        })
    }

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// The prefetch after this many bodies of this length.
    fn after(prefetch: &mut Prefetch, bodies: u32, length: usize) -> u16 {
        for _ in 0..bodies {
            // The result is the prefetch from then on.
            let _changed = prefetch.came(length, || 0);
        }
        prefetch.now()
    }

    #[test]
    fn with_small_bodies_it_asks_for_everything_within_a_few_dozen() {
        let mut prefetch = between(1, 256, false);
        assert_eq!(prefetch.now(), FIRST);
        assert_eq!(after(&mut prefetch, 8, KIB), 64);
        assert_eq!(after(&mut prefetch, 64, KIB), 256);
        assert_eq!(after(&mut prefetch, 10_000, 100 * KIB), 256);
    }

    #[test]
    fn with_large_bodies_it_stays_within_the_budget() {
        let mut prefetch = between(1, 256, false);
        assert_eq!(after(&mut prefetch, 60, 8 * MIB), 8);
        let mut prefetch = between(1, 256, false);
        assert_eq!(after(&mut prefetch, 1, 128 * MIB), 1, "at once");
    }

    #[test]
    fn a_large_body_among_small_ones_is_answered_at_once_and_remembered_for_a_while() {
        let mut prefetch = between(1, 256, false);
        after(&mut prefetch, 1000, KIB);
        assert_eq!(after(&mut prefetch, 1, 8 * MIB), 8);
        assert_eq!(after(&mut prefetch, CALM, KIB), 8);
        assert_eq!(after(&mut prefetch, 2 * CALM, KIB), 256);
    }

    #[test]
    fn while_half_of_it_is_parked_it_grows_further_and_shrinks_when_hardly_any_is() {
        let mut prefetch = between(1, 256, true);
        // All that comes is parked, so that nothing comes but what the prefetch has room for.
        for parked in 1..=usize::from(MOST_WITH_PARKED) {
            assert!(parked <= prefetch.now().into(), "{parked} stand still");
            let _changed = prefetch.came(KIB, || parked);
        }
        assert_eq!(prefetch.now(), MOST_WITH_PARKED);
        let half = usize::from(MOST_WITH_PARKED) / 2;
        for _ in 0..=MOST_WITH_PARKED {
            assert_eq!(prefetch.came(KIB, || half), None);
        }
        let changes = (0..=MOST_WITH_PARKED).filter_map(|_| prefetch.came(KIB, || 3));
        assert_eq!(changes.collect::<Vec<_>>(), [256]);
        // With large bodies the budget is what counts, as always.
        let mut prefetch = between(1, 256, true);
        for parked in 1..=1000 {
            let parked = parked.min(prefetch.now().into());
            let _changed = prefetch.came(MIB, || parked);
        }
        assert_eq!(prefetch.now(), 64);
        assert_eq!(after(&mut between(500, 500, true), 1000, KIB), 500);
    }

    #[test]
    fn what_is_handled_at_once_is_asked_for_whatever_it_takes() {
        let mut prefetch = between(16, 256, false);
        assert_eq!(prefetch.now(), 16);
        assert_eq!(after(&mut prefetch, 100, 128 * MIB), 16);
    }

    #[test]
    fn what_is_written_or_fixed_stays() {
        let mut written = between(500, 500, false);
        assert_eq!(written.now(), 500);
        assert_eq!(after(&mut written, 1000, 64 * MIB), 500);
        let mut fixed = between(1, 256, false);
        fixed.fix();
        assert_eq!(after(&mut fixed, 1000, KIB), FIRST);
    }

    #[test]
    fn after_a_body_had_no_room_even_a_written_one_is_lower_until_bodies_are_small() {
        let mut written = between(500, 500, false);
        assert_eq!(written.lower(16 << 20, u64::MAX), 4);
        assert_eq!(after(&mut written, CALM, 16 * MIB), 4);
        assert_eq!(after(&mut written, 4 * CALM, KIB), 500);
        let mut small = between(1, 256, false);
        after(&mut small, 1000, KIB);
        assert_eq!(
            small.lower(100 << 10, u64::MAX),
            128,
            "half, if its own budget has room"
        );
        let mut single = Prefetch::new(Bounds {
            least: 16,
            most: 16,
            parks: false,
            budget: BUDGET,
            changes: false,
        });
        assert_eq!(single.lower(16 << 20, 32 << 20), 2, "the host has less");
        assert_eq!(after(&mut single, 4 * CALM, KIB), 2, "it cannot grow");
    }

    proptest! {
        #[test]
        fn it_is_within_its_bounds_and_tells_each_change(
            (least, most) in (1u16..300).prop_flat_map(|least| (Just(least), least..2000)),
            bodies in proptest::collection::vec((0usize..(32 << 20), 0.0..1.0f64), 0..500),
            parks in any::<bool>(),
        ) {
            let mut prefetch = between(least, most, parks);
            let highest = match parks && least < most {
                true => MOST_WITH_PARKED,
                false => most,
            };
            for (body, share) in bodies {
                let before = prefetch.now();
                let parked = (f64::from(before) * share * f64::from(u8::from(parks))) as usize;
                let told = prefetch.came(body, || parked);
                prop_assert_eq!(told.unwrap_or(before), prefetch.now());
                prop_assert!((least..=highest).contains(&prefetch.now()));
                prop_assert!(told != Some(before), "a change that is none");
                prop_assert!(prefetch.now() == least
                    || body as u64 * u64::from(prefetch.now()) <= 2 * BUDGET);
            }
        }
    }
}
