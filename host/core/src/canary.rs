//! A canary: a new version of a component that gets a share of the deliveries, until there are enough of them
//! to see whether it fails more often than the current one. Pure.

/// How much more often than the current generation a new one may fail and still be taken: one
/// delivery in a hundred.
pub const TOLERANCE: f64 = 0.01;

/// The share of a canary, and when it is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanaryRule {
    /// The share of deliveries that the canary gets, in percent: above 0, at most 100.
    pub percent: f64,
    /// Deliveries that it has to have answered.
    pub deliveries: u32,
}

/// The results of deliveries while a canary was on trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The canary's results.
    pub canary: Answered,
    /// The results of the current generation in the same time.
    pub current: Answered,
}

/// Deliveries that one generation answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// How many deliveries the version has handled.
    pub deliveries: u32,
    /// How many of them failed, whatever the reason.
    pub failed: u32,
}

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The generation that was on trial.
    pub generation: u64,
    /// Whether it took over.
    pub verdict: Verdict,
    /// The results that decided, or those at the moment when an operator did.
    pub tally: Tally,
    /// Whether an operator decided, and not the results.
    pub by_hand: bool,
}

/// The end of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The canary is made current.
    Promote,
    /// The current generation stays, and the canary ends.
    RollBack,
}

impl Answered {
    /// Counts one more.
    pub fn count(&mut self, handled: bool) {
        self.deliveries = self.deliveries.saturating_add(1);
        if !handled {
            self.failed = self.failed.saturating_add(1);
        }
    }

    /// The share of the deliveries that failed, from 0 to 1.
    pub fn failure_ratio(&self) -> f64 {
        match self.deliveries {
            0 => 0.0,
            deliveries => f64::from(self.failed) / f64::from(deliveries),
        }
    }
}

impl CanaryRule {
    /// `None` while the result is open.
    ///
    /// A canary is rolled back as soon as it could not be promoted any more even if all the rest of its
    /// deliveries were handled.
    pub fn judge(&self, tally: &Tally) -> Option<Verdict> {
        let allowed = tally.current.failure_ratio() + TOLERANCE;
        if f64::from(tally.canary.failed) > allowed * f64::from(self.deliveries) {
            return Some(Verdict::RollBack);
        }
        (tally.canary.deliveries >= self.deliveries).then_some(Verdict::Promote)
    }

    /// Counts a result, unless the trial is decided: its counts stay those that decided. Returns the verdict, if there
    /// is one now.
    pub fn count(&self, tally: &mut Tally, by_canary: bool, handled: bool) -> Option<Verdict> {
        self.judge(tally).or_else(|| {
            match by_canary {
                true => tally.canary.count(handled),
                false => tally.current.count(handled),
            }
            self.judge(tally)
        })
    }

    /// Whether delivery `number`, counted from 0, is the canary's: spread evenly.
    pub fn takes(&self, number: u64) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a trial ends long before 2^53 deliveries"
        )]
        let due = |number: u64| (number as f64 * self.percent / 100.0).floor();
        due(number + 1) > due(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: CanaryRule = CanaryRule {
        percent: 5.0,
        deliveries: 100,
    };

    fn tally(canary: (u32, u32), current: (u32, u32)) -> Tally {
        let answered = |(deliveries, failed)| Answered { deliveries, failed };
        Tally {
            canary: answered(canary),
            current: answered(current),
        }
    }

    #[test]
    fn a_canary_gets_its_share_evenly() {
        let rule = CanaryRule {
            percent: 25.0,
            ..RULE
        };
        let dealt: Vec<u64> = (0..12).filter(|number| rule.takes(*number)).collect();
        assert_eq!(dealt, [3, 7, 11]);
        let all = CanaryRule {
            percent: 100.0,
            ..RULE
        };
        assert!((0..100).all(|number| all.takes(number)));
        let rare = CanaryRule {
            percent: 0.1,
            ..RULE
        };
        assert_eq!((0..10_000).filter(|number| rare.takes(*number)).count(), 10);
    }

    #[test]
    fn what_is_counted_after_the_verdict_changes_nothing() {
        let mut counted = tally((99, 0), (1900, 0));
        assert_eq!(RULE.count(&mut counted, false, false), None);
        assert_eq!(counted, tally((99, 0), (1901, 1)));
        let promoted = Some(Verdict::Promote);
        assert_eq!(RULE.count(&mut counted, true, true), promoted);
        for by_canary in [true, false] {
            assert_eq!(RULE.count(&mut counted, by_canary, false), promoted);
        }
        assert_eq!(counted, tally((100, 0), (1901, 1)));
    }

    #[test]
    fn a_canary_that_fails_half_the_time_is_rolled_back_before_its_time() {
        assert_eq!(RULE.judge(&tally((1, 1), (20, 0))), None);
        assert_eq!(RULE.judge(&tally((4, 2), (80, 0))), Some(Verdict::RollBack));
    }

    #[test]
    fn a_canary_that_fails_no_more_often_is_promoted_and_not_before_its_time() {
        assert_eq!(RULE.judge(&tally((99, 0), (1900, 0))), None);
        assert_eq!(
            RULE.judge(&tally((100, 1), (1900, 0))),
            Some(Verdict::Promote)
        );
        // Both fail at half of what they get: that is the messages' fault.
        assert_eq!(
            RULE.judge(&tally((100, 50), (1900, 950))),
            Some(Verdict::Promote)
        );
        assert_eq!(
            RULE.judge(&tally((100, 52), (1900, 950))),
            Some(Verdict::RollBack)
        );
    }
}
