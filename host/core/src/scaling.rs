//! How many workers a consumer is to have: what waits and how fast it is handled in, a number out.
//! Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

mod bounds;
mod plan;

pub use self::bounds::{Bounds, BoundsFault, NewBounds};
pub use self::plan::ScalePlan;

/// Looks that are remembered: fewer workers are wanted only if this many in a row agree.
const LOOKS: usize = 3;

/// The state of a consumer at one look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Messages that wait: at the broker, or here and not begun. None: it cannot be known.
    pub depth: Option<u64>,
    /// Whether the consumer is paused: waiting messages then do not wait for a worker.
    pub is_paused: bool,
    /// Whether another host handles what waits.
    pub stands_by: bool,
    /// Workers that there are.
    pub workers: u16,
    /// How many of the workers are handling a delivery.
    pub busy: u16,
    /// Messages that were answered since the last look, and the time of workers that they took.
    pub answered: (u64, Duration),
}

/// A rule, with what it remembers from one look to the next.
#[derive(Debug)]
pub struct Rule {
    plan: ScalePlan,
    /// Those of the plan, unless an operator has set others.
    bounds: Bounds,
    /// The worker time of one message, with more weight for recent ones; `None` before the first.
    pace: Option<Duration>,
    /// The numbers that `target_wait` asked for at the last looks.
    recent: VecDeque<u64>,
}

/// The result of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How many workers there should be, within the bounds.
    pub wanted: u16,
    /// The number that was asked for, before the bounds; `None` if none was.
    pub asked: Option<u64>,
    /// Why.
    pub because: Because,
}

/// Why this many workers are wanted. If two rules ask for the same number, the later one here is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Because {
    /// `messages_per_instance` asks for them.
    Messages,
    /// `target_wait` asks for them.
    Wait,
    /// `target_wait` asked for them at one of the last looks.
    Recently,
    /// No call has ended yet, so the time of one is unknown: nothing changes.
    NoPace,
    /// How much waits cannot be known: nothing is changed.
    DepthUnknown,
    /// The consumer is paused: nothing is changed.
    Paused,
    /// Another host handles what waits: `min` is enough.
    StandsBy,
}

impl Rule {
    /// A rule that has seen nothing.
    pub fn new(plan: ScalePlan) -> Self {
        Self {
            bounds: Bounds::from(&plan),
            plan,
            pace: None,
            recent: VecDeque::with_capacity(LOOKS),
        }
    }

    /// The worker time of one message, as far as the rule knows it.
    pub fn pace(&self) -> Option<Duration> {
        self.pace
    }

    /// From now on there are never fewer or more workers than these bounds say.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// How many workers there are to be from now on.
    pub fn decide(&mut self, look: &Look) -> Decision {
        self.pace = paced(self.pace, look.answered);
        if look.is_paused {
            return self.hold(look, Because::Paused);
        }
        if look.stands_by {
            return Decision {
                wanted: self.bounds.min,
                asked: None,
                because: Because::StandsBy,
            };
        }
        let Some(depth) = look.depth else {
            return self.hold(look, Because::DepthUnknown);
        };
        let for_messages = self
            .plan
            .messages_per_instance
            .map(|each| (depth.div_ceil(u64::from(each)), Because::Messages));
        let asked = for_messages.max(self.for_wait(depth, look));
        match asked {
            None => self.hold(look, Because::NoPace),
            Some((asked, because)) => Decision {
                wanted: self.bounded(asked),
                asked: Some(asked),
                because,
            },
        }
    }

    /// So many that what waits is begun within `target_wait`.
    ///
    /// With n workers the last of `depth` messages is begun after depth * pace / n. That says nothing
    /// of what arrives meanwhile, and asks for one worker as soon as several keep up; so those that are
    /// busy stay, and fewer are wanted only when several looks in a row agree.
    fn for_wait(&mut self, depth: u64, look: &Look) -> Option<(u64, Because)> {
        let target = self.plan.target_wait?;
        let pace = self.pace?;
        let work = u128::from(depth) * pace.as_nanos();
        let needed = u64::try_from(work.div_ceil(target.as_nanos())).unwrap_or(u64::MAX);
        let now = needed.max(u64::from(look.busy.min(look.workers)));
        if self.recent.len() == LOOKS {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let most = self.recent.iter().copied().max().unwrap_or(now);
        let because = match most > now {
            true => Because::Recently,
            false => Because::Wait,
        };
        Some((most, because))
    }

    fn hold(&self, look: &Look, because: Because) -> Decision {
        Decision {
            wanted: self.bounded(u64::from(look.workers)),
            asked: None,
            because,
        }
    }

    fn bounded(&self, asked: u64) -> u16 {
        let Bounds { min, max } = self.bounds;
        u16::try_from(asked.clamp(min.into(), max.into())).unwrap_or(max)
    }
}

/// The mean of the known time and the new one; at first the new one alone.
fn paced(known: Option<Duration>, (messages, time): (u64, Duration)) -> Option<Duration> {
    if messages == 0 {
        return known;
    }
    let nanos = time.as_nanos() / u128::from(messages);
    let new = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    Some(known.map_or(new, |known| (known + new) / 2))
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "messages_per_instance",
            Self::Wait => "target_wait",
            Self::Recently => "target_wait, which wanted more a moment ago",
            Self::NoPace => "nothing was answered yet",
            Self::DepthUnknown => "queue depth unknown",
            Self::Paused => "the consumer is paused",
            Self::StandsBy => "another host consumes the queue",
        })
    }
}

#[cfg(test)]
mod tests;
