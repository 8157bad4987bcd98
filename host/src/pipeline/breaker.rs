//! When a consumer pauses by itself because its component fails, and when it resumes: a circuit breaker. Pure.
//!
//! Closed, it counts how many of the last deliveries failed. Open, no delivery is handed over for a while.
//! Half-open, one probe delivery is, and its result decides. Every delivery gets a [`Pass`], so that one from
//! an earlier state cannot decide about the current one.

use std::collections::VecDeque;

use hive_config::plan::PauseOnPlan;
use hive_core::policy::Performance;
use tokio::time::Instant;

/// Which time of the breaker a delivery belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass(u64);

/// Where the breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Deliveries are handed over.
    Closed,
    /// No delivery is handed over until then.
    Open(Instant),
    /// One delivery is being tried.
    HalfOpen,
}

/// The breaker of one consumer.
#[derive(Debug)]
pub(super) struct Breaker {
    plan: PauseOnPlan,
    stand: Stand,
    /// Whether each of the last deliveries failed, while it is closed.
    last: VecDeque<bool>,
    failed: usize,
    pass: u64,
}

impl Breaker {
    pub(super) fn new(plan: PauseOnPlan) -> Self {
        Self {
            plan,
            stand: Stand::Closed,
            last: VecDeque::new(),
            failed: 0,
            pass: 0,
        }
    }

    pub(super) fn stand(&self) -> Stand {
        self.stand
    }

    /// Whether a delivery may be handed over now.
    pub(super) fn pass(&self) -> Pass {
        Pass(self.pass)
    }

    /// How many of how many failed.
    pub(super) fn tally(&self) -> (usize, usize) {
        (self.failed, self.last.len())
    }

    /// A delivery has ended. True if the breaker stands elsewhere now, or wants another delivery to
    /// decide by.
    pub(super) fn ended(&mut self, pass: Pass, performance: Performance, now: Instant) -> bool {
        if pass != self.pass() {
            return false;
        }
        match (self.stand, performance) {
            (Stand::Open(_), _) | (Stand::Closed, Performance::Unknown) => false,
            (Stand::Closed, performance) => {
                self.count(performance == Performance::Failed);
                let trips = self.failed >= self.failures_to_open();
                if trips {
                    self.stands(Stand::Open(now + self.plan.pause));
                }
                trips
            }
            (Stand::HalfOpen, performance) => {
                self.stands(match performance {
                    Performance::Well => Stand::Closed,
                    Performance::Failed => Stand::Open(now + self.plan.pause),
                    Performance::Unknown => Stand::HalfOpen,
                });
                true
            }
        }
    }

    /// Time has passed. True if it is half-open from now on.
    pub(super) fn wake(&mut self, now: Instant) -> bool {
        match self.stand {
            Stand::Open(until) if until <= now => {
                self.stands(Stand::HalfOpen);
                true
            }
            _ => false,
        }
    }

    /// The consumer is resumed by hand.
    pub(super) fn reset(&mut self) {
        self.stands(Stand::Closed);
    }

    fn stands(&mut self, stand: Stand) {
        self.stand = stand;
        self.pass += 1;
        // The window that tripped it is reported with the pause; the next one begins empty.
        if stand == Stand::Closed {
            self.last.clear();
            self.failed = 0;
        }
    }

    fn count(&mut self, failed: bool) {
        if self.last.len() == usize::from(self.plan.of_last) {
            self.failed -= usize::from(self.last.pop_front() == Some(true));
        }
        self.last.push_back(failed);
        self.failed += usize::from(failed);
    }

    /// At least one: a window without failures must not open it.
    fn failures_to_open(&self) -> usize {
        let of_last = f64::from(self.plan.of_last);
        ((self.plan.failure_ratio * of_last - 1e-9).ceil() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn breaker(failure_ratio: f64, of_last: u16) -> Breaker {
        Breaker::new(PauseOnPlan {
            failure_ratio,
            of_last,
            pause: PAUSE,
        })
    }

    fn end(breaker: &mut Breaker, performance: Performance) -> bool {
        end_at(breaker, performance, Instant::now())
    }

    fn end_at(breaker: &mut Breaker, performance: Performance, now: Instant) -> bool {
        let pass = breaker.pass();
        breaker.ended(pass, performance, now)
    }

    #[test]
    fn it_opens_as_soon_as_so_many_have_failed() {
        let mut breaker = breaker(0.5, 4);
        assert!(!end(&mut breaker, Performance::Failed));
        assert!(!end(&mut breaker, Performance::Unknown));
        assert!(!end(&mut breaker, Performance::Well));
        let now = Instant::now();
        assert!(end_at(&mut breaker, Performance::Failed, now));
        assert_eq!(breaker.stand(), Stand::Open(now + PAUSE));
    }

    #[test]
    fn failures_that_are_long_past_do_not_count() {
        let mut breaker = breaker(0.5, 4);
        for _ in 0..10 {
            assert!(!end(&mut breaker, Performance::Failed));
            for _ in 0..3 {
                assert!(!end(&mut breaker, Performance::Well));
            }
        }
    }

    #[test]
    fn one_delivery_decides_whether_to_go_on() {
        let mut now = Instant::now();
        let mut breaker = breaker(1.0, 1);
        let before = breaker.pass();
        assert!(end_at(&mut breaker, Performance::Failed, now));
        assert!(!breaker.wake(now));
        now += PAUSE;
        assert!(breaker.wake(now));
        assert_eq!(breaker.stand(), Stand::HalfOpen);
        assert!(
            !breaker.ended(before, Performance::Well, now),
            "it is from before"
        );
        assert!(
            end_at(&mut breaker, Performance::Unknown, now),
            "another one is wanted"
        );
        assert_eq!(breaker.stand(), Stand::HalfOpen);
        assert!(end_at(&mut breaker, Performance::Failed, now));
        assert_eq!(breaker.stand(), Stand::Open(now + PAUSE));
        now += PAUSE;
        assert!(breaker.wake(now));
        assert!(end_at(&mut breaker, Performance::Well, now));
        assert_eq!(breaker.stand(), Stand::Closed);
        assert_eq!(breaker.tally(), (0, 0));
    }

    #[test]
    fn a_ratio_is_rounded_up_to_whole_failures() {
        for (ratio, of_last, failures) in [
            (0.5, 100, 50),
            (0.5, 3, 2),
            (0.001, 10, 1),
            (1.0, 7, 7),
            (0.3, 10, 3),
        ] {
            assert_eq!(breaker(ratio, of_last).failures_to_open(), failures);
        }
    }

    proptest! {
        /// It opens exactly when the share of failures in the window reaches the ratio.
        #[test]
        fn it_is_open_if_and_only_if_so_many_failed(
            of_last in 1u16..20, ratio in 0.05f64..1.0,
            outcomes in proptest::collection::vec(any::<bool>(), 0..100),
        ) {
            let mut breaker = breaker(ratio, of_last);
            let mut seen = Vec::new();
            for failed in outcomes {
                seen.push(failed);
                let window = &seen[seen.len().saturating_sub(of_last.into())..];
                let count = window.iter().filter(|failed| **failed).count();
                let performance = if failed { Performance::Failed } else { Performance::Well };
                let opened = end(&mut breaker, performance);
                prop_assert_eq!(opened, count as f64 >= ratio * f64::from(of_last) - 1e-9);
                if opened {
                    break;
                }
            }
        }
    }
}
