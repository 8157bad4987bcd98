//! How often something may happen: a bucket of tokens.
//!
//! It is kept as the one time at which it will be full again, so that no rounding adds up and
//! nothing has to tick.

use std::time::{Duration, Instant};

/// `rate = …`: how often deliveries are handed to the component, or requests of a route are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePlan {
    /// So many, at least 1,
    pub limit: u32,
    /// in this time.
    pub per: Duration,
    /// How many may go at once after a time with fewer; at least 1.
    pub burst: u32,
}

/// A bucket that begins full.
#[derive(Debug)]
pub struct Bucket {
    /// The time in which one token arrives.
    each: Duration,
    /// The time in which all tokens but one arrive.
    slack: Duration,
    full_at: Instant,
}

impl Bucket {
    /// A bucket for this rate.
    pub fn new(rate: &RatePlan, now: Instant) -> Self {
        // A rate of more than one in a nanosecond is none.
        let each = (rate.per / rate.limit.max(1)).max(Duration::from_nanos(1));
        Self {
            each,
            slack: each.saturating_mul(rate.burst.saturating_sub(1)),
            full_at: now,
        }
    }

    /// When the next token is there: in the past if one is there now.
    pub fn next(&self) -> Instant {
        self.full_at.checked_sub(self.slack).unwrap_or(self.full_at)
    }

    /// When all tokens are there.
    pub fn full_at(&self) -> Instant {
        self.full_at
    }

    /// Takes a token. A token that is taken early delays the next ones.
    pub fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.each;
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "there is no clock of tokio's to pause here"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(limit: u32, per: u64, burst: u32) -> RatePlan {
        RatePlan {
            limit,
            per: Duration::from_secs(per),
            burst,
        }
    }

    /// Takes all tokens; returns how many there were.
    fn take_all(bucket: &mut Bucket, now: Instant) -> u32 {
        let mut taken = 0;
        while bucket.next() <= now {
            bucket.take(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(&rate(10, 1, 5), now);
        assert_eq!(take_all(&mut bucket, now), 5);
        for _ in 0..10 {
            now += Duration::from_millis(100);
            assert_eq!(take_all(&mut bucket, now), 1);
        }
        now += Duration::from_secs(60);
        assert_eq!(take_all(&mut bucket, now), 5, "no more is saved up");
    }

    #[test]
    fn slow_rates_are_spread_over_their_time() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(&rate(2, 3600, 1), now);
        assert_eq!(take_all(&mut bucket, now), 1);
        now += Duration::from_secs(1799);
        assert_eq!(take_all(&mut bucket, now), 0);
        now += Duration::from_secs(1);
        assert_eq!(take_all(&mut bucket, now), 1);
    }

    proptest! {
        /// In any interval at most the burst plus the tokens of that interval are taken, and a worker that
        /// takes all there are gets no fewer.
        #[test]
        fn over_any_time_it_is_the_rate_and_a_burst(
            limit in 1u32..2000, per in 1u64..100, burst in 1u32..500,
            waits in proptest::collection::vec(0u64..5000, 1..50),
        ) {
            let begin = Instant::now();
            let mut bucket = Bucket::new(&rate(limit, per, burst), begin);
            let each = Duration::from_secs(per) / limit;
            let mut now = begin;
            let mut taken = take_all(&mut bucket, now);
            prop_assert_eq!(taken, burst);
            for wait in waits {
                let wait = Duration::from_millis(wait);
                now += wait;
                let more = take_all(&mut bucket, now);
                prop_assert!(more <= burst);
                taken += more;
                let came = (now - begin).as_nanos() / each.as_nanos();
                prop_assert!(u128::from(taken) <= u128::from(burst) + came);
            }
        }
    }
}
