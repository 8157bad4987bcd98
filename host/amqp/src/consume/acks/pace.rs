//! How often acks may go that wait for no others: [`Pace`].

use std::time::Duration;

use tokio::time::Instant;

/// The time from one to the next, where they go evenly. A host that is faster than its broker is idle again and again, and
/// an ack for each of those moments would cost the broker more than it saves.
const EACH: Duration = Duration::from_millis(1);

/// How many may go one right after the other. One that waits has to wait for a timer, which takes a millisecond or two: too
/// long for a few messages that came together.
const AT_ONCE: u32 = 4;

/// How much earlier than evenly the next one may go.
const AHEAD: Duration = EACH.saturating_mul(AT_ONCE - 1);

/// When the next ack may go.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the next one would go, if they went evenly.
    evenly: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { evenly: now }
    }

    /// How long the next one has to wait: [`EACH`] at the most.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.evenly.saturating_duration_since(now + AHEAD)
    }

    /// One has gone. Acks that could not wait, since many were owed, may have gone faster; no later one waits longer for that.
    pub(super) fn sent(&mut self, now: Instant) {
        self.evenly = (self.evenly.max(now) + EACH).min(now + AHEAD + EACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_go_at_once_and_the_rest_at_their_pace() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.sent(now);
        }
        assert_eq!(pace.wait(now), EACH);
        assert_eq!(pace.wait(now + EACH), Duration::ZERO);
        pace.sent(now + EACH);
        assert_eq!(pace.wait(now + EACH), EACH);
    }

    #[test]
    fn what_was_not_used_is_not_saved_for_later() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let later = begin + Duration::from_secs(60);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(later), Duration::ZERO);
            pace.sent(later);
        }
        assert_eq!(pace.wait(later), EACH);
    }

    #[test]
    fn nobody_waits_longer_for_those_that_could_not_wait() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 * AT_ONCE {
            pace.sent(now);
        }
        assert_eq!(pace.wait(now), EACH);
    }
}
