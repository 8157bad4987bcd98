//! The prefetch of a consumer whose hive.toml does not set it; pure.
//!
//! The bodies of prefetched deliveries are in the host's memory. The prefetch starts small and grows while the
//! bodies that arrive leave room in a budget.

/// The most memory for the bodies of one consumer's prefetched deliveries, if each is as large as the largest
/// recent one.
const BUDGET: usize = 64 << 20;

/// The first prefetch, when the size of the bodies is still unknown. RabbitMQ accepts bodies of up to 16 MiB,
/// and of 128 MiB before 4.0.
const FIRST: u16 = 8;

/// How much more it asks for at once. From 8 to 256 in two steps, within 72 deliveries.
const STEP: u16 = 8;

/// Deliveries without a large body before it asks for more again, once a large one has come: each
/// change is three questions to the broker.
const CALM: u32 = 1000;

/// How many deliveries a consumer asks for.
#[derive(Debug)]
pub(super) struct Prefetch {
    least: u16,
    most: u16,
    now: u16,
    /// Deliveries since it was last looked whether there is room for more.
    seen: u32,
    /// The largest body of those.
    largest: usize,
    /// How many have to be seen at least.
    calm: u32,
}

impl Prefetch {
    /// From `least` to `most`; the same twice is fixed.
    pub(super) fn new(least: u16, most: u16) -> Self {
        Self {
            least,
            most,
            now: FIRST.max(least).min(most),
            seen: 0,
            largest: 0,
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
    }

    /// A body of this length has arrived. Returns the new prefetch if it changes.
    pub(super) fn came(&mut self, body: usize) -> Option<u16> {
        if self.least == self.most {
            return None;
        }
        self.seen += 1;
        self.largest = self.largest.max(body);
        let room = u16::try_from(BUDGET / self.largest.max(1)).unwrap_or(u16::MAX);
        let room = room.clamp(self.least, self.most);
        // A small excess changes nothing: lowering the prefetch does not take back outstanding deliveries.
        let is_too_much = self.largest.saturating_mul(self.now.into()) > 2 * BUDGET;
        if is_too_much && room < self.now {
            self.seen = 0;
            self.calm = CALM;
            self.now = room;
            return Some(room);
        }
        if self.seen < self.calm.max(self.now.into()) {
            return None;
        }
        self.seen = 0;
        self.largest = 0;
        let is_worth_it = room == self.most || room / 2 >= self.now;
        if room <= self.now || !is_worth_it {
            return None;
        }
        self.now = room.min(self.now.saturating_mul(STEP));
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// The prefetch after this many bodies of this length.
    fn after(prefetch: &mut Prefetch, bodies: u32, length: usize) -> u16 {
        for _ in 0..bodies {
            // The result is the prefetch from then on.
            let _changed = prefetch.came(length);
        }
        prefetch.now()
    }

    #[test]
    fn with_small_bodies_it_asks_for_everything_within_a_few_dozen() {
        let mut prefetch = Prefetch::new(1, 256);
        assert_eq!(prefetch.now(), FIRST);
        assert_eq!(after(&mut prefetch, 8, KIB), 64);
        assert_eq!(after(&mut prefetch, 64, KIB), 256);
        assert_eq!(after(&mut prefetch, 10_000, 100 * KIB), 256);
    }

    #[test]
    fn with_large_bodies_it_stays_within_the_budget() {
        let mut prefetch = Prefetch::new(1, 256);
        assert_eq!(after(&mut prefetch, 60, 8 * MIB), 8);
        let mut prefetch = Prefetch::new(1, 256);
        assert_eq!(after(&mut prefetch, 1, 128 * MIB), 1, "at once");
    }

    #[test]
    fn a_large_body_among_small_ones_is_answered_at_once_and_remembered_for_a_while() {
        let mut prefetch = Prefetch::new(1, 256);
        after(&mut prefetch, 1000, KIB);
        assert_eq!(after(&mut prefetch, 1, 8 * MIB), 8);
        assert_eq!(after(&mut prefetch, CALM, KIB), 8);
        assert_eq!(after(&mut prefetch, 2 * CALM, KIB), 256);
    }

    #[test]
    fn what_is_handled_at_once_is_asked_for_whatever_it_takes() {
        let mut prefetch = Prefetch::new(16, 256);
        assert_eq!(prefetch.now(), 16);
        assert_eq!(after(&mut prefetch, 100, 128 * MIB), 16);
    }

    #[test]
    fn what_is_written_or_fixed_stays() {
        let mut written = Prefetch::new(500, 500);
        assert_eq!(written.now(), 500);
        assert_eq!(after(&mut written, 1000, 64 * MIB), 500);
        let mut fixed = Prefetch::new(1, 256);
        fixed.fix();
        assert_eq!(after(&mut fixed, 1000, KIB), FIRST);
    }

    proptest! {
        #[test]
        fn it_is_within_its_bounds_and_tells_each_change(
            (least, most) in (1u16..300).prop_flat_map(|least| (Just(least), least..2000)),
            bodies in proptest::collection::vec(0usize..(32 << 20), 0..500),
        ) {
            let mut prefetch = Prefetch::new(least, most);
            for body in bodies {
                let before = prefetch.now();
                let told = prefetch.came(body);
                prop_assert_eq!(told.unwrap_or(before), prefetch.now());
                prop_assert!((least..=most).contains(&prefetch.now()));
                prop_assert!(told != Some(before), "a change that is none");
                prop_assert!(prefetch.now() == least
                    || body * usize::from(prefetch.now()) <= 2 * BUDGET);
            }
        }
    }
}
