//! The schedules of retries that have a name.

use std::time::Duration;

use super::RetryPolicy;
use crate::message::Attempt;

/// A schedule that `retry = …` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// No retry.
    None,
    /// Within half a minute: for a component that nobody waits for long.
    Fast,
    /// Over hours, so that a message outlives an outage of what its component needs.
    Patient,
}

impl Schedule {
    /// Retries before the message is dead-lettered, where `limit` says nothing else.
    pub fn limit(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Fast => 5,
            Self::Patient => 15,
        }
    }

    /// The delay before each retry; the last one repeats. Never empty.
    pub fn delays(self) -> Vec<Duration> {
        let seconds: &[u64] = match self {
            Self::Fast => &[1, 2, 4, 8, 15],
            // With a `limit` above 0 beside it, "none" would still need a delay.
            Self::None | Self::Patient => &[1, 5, 30, 120, 600, 1_800, 3_600],
        };
        seconds.iter().copied().map(Duration::from_secs).collect()
    }
}

impl From<Schedule> for RetryPolicy {
    fn from(schedule: Schedule) -> Self {
        Self {
            limit: schedule.limit(),
            delays: schedule.delays(),
            schedule: Some(schedule),
        }
    }
}

/// The least part of a delay with jitter, in thousandths.
const LEAST: u32 = 800;

/// What is left of a delay for one copy: all of it, or 80 % at the least, by `drawn`, which is between 0 and 1.
///
/// Never more than the delay: the queue that it waits in ends that for every copy, so that one copy holds up those
/// behind it by the jitter at most.
pub fn jittered(delay: Duration, drawn: f64) -> Duration {
    let spread = delay * (1_000 - LEAST) / 1_000;
    delay - spread.mul_f64(drawn.clamp(0.0, 1.0))
}

impl RetryPolicy {
    /// The time from the first failure to the last retry, with no jitter and no time for the attempts.
    pub fn span(&self) -> Duration {
        let named = self
            .delays
            .iter()
            .take(self.limit as usize)
            .sum::<Duration>();
        let beyond = self
            .limit
            .saturating_sub(u32::try_from(self.delays.len()).unwrap_or(u32::MAX));
        let last = self.delays.last().copied().unwrap_or_default();
        named.saturating_add(last.saturating_mul(beyond))
    }

    /// The delays that some attempt waits for.
    pub fn used_delays(&self) -> impl Iterator<Item = Duration> {
        self.delays.iter().take(self.limit as usize).copied()
    }

    /// The delay before the retry that follows `attempt`.
    pub(super) fn delay_after(&self, attempt: Attempt) -> Duration {
        let index = attempt.retries_spent() as usize;
        *self
            .delays
            .get(index)
            .or_else(|| self.delays.last())
            .expect("a retry policy has at least one delay")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_patient_one_outlives_a_night_and_the_fast_one_half_a_minute() {
        let span = |schedule: Schedule| RetryPolicy::from(schedule).span().as_secs();
        assert_eq!(span(Schedule::None), 0);
        assert_eq!(span(Schedule::Fast), 30);
        assert_eq!(span(Schedule::Patient), 9 * 3_600 + 42 * 60 + 36);
    }

    #[test]
    fn a_span_counts_the_retries_that_there_are() {
        let policy = |limit, seconds: &[u64]| RetryPolicy {
            limit,
            delays: seconds.iter().copied().map(Duration::from_secs).collect(),
            schedule: None,
        };
        assert_eq!(policy(1, &[1, 5]).span(), Duration::from_secs(1));
        assert_eq!(policy(4, &[1, 5]).span(), Duration::from_secs(16));
        // Nobody lives to see it, and it must not overflow.
        assert!(policy(u32::MAX, &[u64::MAX / 2]).span() > Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(milliseconds in 1u64..=u64::from(u32::MAX), drawn in -1.0f64..2.0) {
            let delay = Duration::from_millis(milliseconds);
            let left = jittered(delay, drawn);
            prop_assert!(left <= delay && left >= delay * 4 / 5, "{left:?} of {delay:?}");
        }
    }
}
