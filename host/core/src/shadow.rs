//! A shadow: a new version of a component that gets a copy of each delivery. Its answers are compared with those of the
//! current version, and dropped. Pure.

mod sameness;

use std::sync::Arc;
use std::time::Duration;

use crate::canary::Answered;
use crate::difference::{Difference, cut, differs};
use crate::policy::Outcome;

/// Differences that are kept in words: the first ones.
const MOST_DIFFERENCES: usize = 10;
/// Places of one difference.
const MOST_PLACES: usize = 3;
/// Reasons why deliveries could not be compared.
const MOST_REASONS: usize = 10;
/// A longer text is cut.
const LONGEST: usize = 400;
/// Times of each version that are kept, for the median.
const MOST_TIMES: usize = 1_000;

const OTHER_REASONS: &str = "other reasons";

/// After how many deliveries the comparison is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowRule {
    /// That many, compared or not comparable.
    pub deliveries: u32,
}

/// How a shadow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowEnd {
    /// It serves now, by an operator's command.
    Promoted,
    /// An operator ended it.
    Dropped,
    /// Another version took over.
    Replaced,
}

/// A copy of a delivery that the shadow has handled.
#[derive(Debug, Clone)]
pub struct Repeated<'a> {
    /// The consumer, or the route, that the delivery is of.
    pub consumer: &'a str,
    /// What the log calls the delivery.
    pub delivery: &'a str,
    /// The answer of the current version.
    pub current: &'a Outcome,
    /// The answer of the shadow.
    pub shadow: &'a Outcome,
    /// Why the two cannot be compared, if they cannot.
    pub spoilt: Option<&'a str>,
}

/// Which of the two versions handled a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handled {
    /// Whether the current version did.
    pub by_current: bool,
    /// Whether the shadow did.
    pub by_shadow: bool,
}

/// What a comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// The answers are the same.
    Same(Handled),
    /// They differ.
    Different(Handled, Seen),
    /// They cannot be compared, for this reason.
    Not(String),
}

/// How long one call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// That of the current version.
    pub current: Duration,
    /// That of the shadow.
    pub shadow: Duration,
}

/// A delivery that the two versions answered differently, in words that are bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The consumer, or the route, that the delivery is of.
    pub consumer: String,
    /// What the log calls the delivery.
    pub delivery: String,
    /// The answer of the current version.
    pub current: String,
    /// The answer of the shadow.
    pub shadow: String,
    /// Where they differ.
    pub places: Vec<Difference>,
}

/// What came of all copies so far.
#[derive(Debug, Clone, Default)]
pub struct Account {
    current: Answered,
    shadow: Answered,
    different: u32,
    not_comparable: u32,
    left_out: u32,
    reasons: Vec<(String, u32)>,
    differences: Vec<Seen>,
    current_took: Times,
    shadow_took: Times,
}

/// The first times of one version.
#[derive(Debug, Clone, Default)]
struct Times(Vec<Duration>);

impl Account {
    /// What the current version did with the deliveries that were compared.
    pub fn current(&self) -> Answered {
        self.current
    }

    /// What the shadow did with them.
    pub fn shadow(&self) -> Answered {
        self.shadow
    }

    /// Deliveries whose answers were compared.
    pub fn compared(&self) -> u32 {
        self.shadow.deliveries
    }

    /// Those with the same answer by both.
    pub fn same(&self) -> u32 {
        self.compared().saturating_sub(self.different)
    }

    /// Those with two answers.
    pub fn different(&self) -> u32 {
        self.different
    }

    /// Deliveries that the shadow was handed, and whose answers cannot be compared.
    pub fn not_comparable(&self) -> u32 {
        self.not_comparable
    }

    /// Why, and how many of them.
    pub fn reasons(&self) -> &[(String, u32)] {
        &self.reasons
    }

    /// Deliveries that the shadow was not handed, since it was behind.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// The first differences.
    pub fn differences(&self) -> &[Seen] {
        &self.differences
    }

    /// The median time of a call of each version; `None` before the first one.
    pub fn median(&self) -> Option<Took> {
        Some(Took {
            current: self.current_took.median()?,
            shadow: self.shadow_took.median()?,
        })
    }

    /// Whether enough was seen for a report.
    pub fn is_done(&self, rule: ShadowRule) -> bool {
        self.compared().saturating_add(self.not_comparable) >= rule.deliveries
    }

    /// Whether something was compared, and every delivery could be, and had the same answer.
    pub fn is_all_the_same(&self) -> bool {
        self.compared() > 0 && self.different == 0 && self.not_comparable == 0
    }

    /// A delivery was not copied: too much waits for the shadow already.
    pub fn leave_out(&mut self, deliveries: u32) {
        self.left_out = self.left_out.saturating_add(deliveries);
    }

    /// A call of both versions has ended.
    pub fn time(&mut self, took: Took) {
        self.current_took.note(took.current);
        self.shadow_took.note(took.shadow);
    }

    /// Counts what came of a copy. Says whether it is the one that makes enough for a report.
    pub fn count(&mut self, rule: ShadowRule, compared: Compared) -> bool {
        let was_done = self.is_done(rule);
        match compared {
            Compared::Not(reason) => self.cannot_compare(reason),
            Compared::Same(handled) => self.both_answered(handled),
            Compared::Different(handled, seen) => {
                self.both_answered(handled);
                self.different = self.different.saturating_add(1);
                if self.differences.len() < MOST_DIFFERENCES {
                    self.differences.push(seen);
                }
            }
        }
        !was_done && self.is_done(rule)
    }

    fn both_answered(&mut self, handled: Handled) {
        self.current.count(handled.by_current);
        self.shadow.count(handled.by_shadow);
    }

    fn cannot_compare(&mut self, reason: String) {
        self.not_comparable = self.not_comparable.saturating_add(1);
        let known = self.reasons.iter().any(|(known, _)| *known == reason);
        let reason = match known || self.reasons.len() < MOST_REASONS {
            true => reason,
            false => OTHER_REASONS.to_owned(),
        };
        match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.reasons.push((reason, 1)),
        }
    }
}

impl Repeated<'_> {
    /// Compares the two answers. `None` if the current version could not handle the delivery, which shows nothing.
    pub fn compared(&self) -> Option<Compared> {
        let by_current = self.current.is_handled()?;
        let spoilt = self.spoilt.or(match self.shadow {
            Outcome::HostFault(reason) => Some(reason),
            _ => None,
        });
        if let Some(reason) = spoilt {
            return Some(Compared::Not(bounded(reason)));
        }
        let handled = Handled {
            by_current,
            by_shadow: self.shadow.is_handled().unwrap_or(false),
        };
        let places = sameness::differences(self.current, self.shadow);
        if places.is_empty() {
            return Some(Compared::Same(handled));
        }
        let places = places.into_iter().take(MOST_PLACES);
        let seen = Seen {
            consumer: bounded(self.consumer),
            delivery: bounded(self.delivery),
            current: bounded(&sameness::words(self.current)),
            shadow: bounded(&sameness::words(self.shadow)),
            places: places
                .map(|one| differs(&bounded(&one.place), bounded(&one.words)))
                .collect(),
        };
        Some(Compared::Different(handled, seen))
    }
}

impl Times {
    fn note(&mut self, took: Duration) {
        if self.0.len() < MOST_TIMES {
            self.0.push(took);
        }
    }

    fn median(&self) -> Option<Duration> {
        let mut times = self.0.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

/// A text, cut where it is long.
fn bounded(text: &str) -> String {
    let (beginning, mark) = cut(text, LONGEST);
    format!("{beginning}{mark}")
}

/// The end of a shadow, with what came of it.
#[derive(Debug, Clone)]
pub struct LastShadow {
    /// The generation that was a shadow.
    pub generation: u64,
    /// Its SHA-256.
    pub sha256: Arc<str>,
    /// After how many deliveries there was a report.
    pub rule: ShadowRule,
    /// How it ended.
    pub end: ShadowEnd,
    /// What came of the copies.
    pub account: Account,
}

impl ShadowEnd {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Dropped => "dropped",
            Self::Replaced => "replaced",
        }
    }
}

#[cfg(test)]
mod tests;
