//! How long to wait before trying again: exponential, with full jitter.

use std::time::Duration;

use hive_config::plan::ReconnectPlan;

/// Doublings after which any `first` has reached any `max` that makes sense.
const DOUBLINGS: u32 = 30;

/// Counts failures in a row, and says how long to wait after each.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            failures: 0,
        }
    }

    /// The operation works again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure and draws the pause that follows it.
    pub(crate) fn fail(&mut self) -> Duration {
        let pause = self.pause(rand::random());
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// The pause after the failures so far, for a `draw` from 0 to 1.
    ///
    /// Full jitter, so that many hosts that lost one broker do not reconnect at once; but never less than half
    /// of the first pause, so that a broken broker is not hammered by chance.
    fn pause(&self, draw: f64) -> Duration {
        let longest = self
            .first
            .saturating_mul(1 << self.failures.min(DOUBLINGS))
            .min(self.max);
        longest
            .mul_f64(draw.clamp(0.0, 1.0))
            .max(self.first.min(self.max) / 2)
    }
}

impl From<&ReconnectPlan> for Backoff {
    fn from(plan: &ReconnectPlan) -> Self {
        Self::new(plan.first, plan.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut longest = Vec::new();
        for _ in 0..6 {
            longest.push(backoff.pause(1.0).as_millis());
            backoff.fail();
        }
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.pause(1.0).as_millis(), 100);
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(first in 1u64..10_000, max in 1u64..100_000, failures in 0u32..200) {
            let mut backoff = Backoff::new(Duration::from_millis(first), Duration::from_millis(max));
            for _ in 0..failures {
                let pause = backoff.fail();
                prop_assert!(pause <= Duration::from_millis(max));
                prop_assert!(pause >= Duration::from_millis(first.min(max)) / 2);
            }
        }
    }
}
