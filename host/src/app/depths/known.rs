//! What the broker has reported of queues, how long that counts, and which queues are due to be asked about. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::DepthFault;
use hive_core::codes::Reason;
use tokio::time::Instant;

/// The least pause between two rounds, and the least in rounds: thousands of queues keep the broker busy for a fifth
/// of the time at most, however often somebody asks.
const PAUSE: Duration = Duration::from_secs(1);
/// See [`PAUSE`].
const PAUSE_IN_ROUNDS: u32 = 4;

/// How long an answer counts, at least, and at least in rounds.
const COUNTS: Duration = Duration::from_secs(10);
/// See [`COUNTS`].
const COUNTS_IN_ROUNDS: u32 = 10;

/// How long a queue is left alone over which the broker has closed the channel: it writes each such case to its log.
const AFTER_A_REFUSAL: Duration = Duration::from_secs(10);

/// The same for a queue that is made on demand and was missing, until this host makes it: another host may make it.
const UNTIL_IT_IS_MADE: Duration = Duration::from_secs(600);

/// The same after the broker has ended the connection.
const AFTER_A_LOSS: Duration = Duration::from_secs(600);

/// Why a queue's depth is unknown that no round has come to.
const NOT_YET: &str = "the broker has not answered yet";

/// The answers about the queues of one connection.
pub(super) struct Known {
    answers: BTreeMap<Arc<str>, Answer>,
    /// When the last round ended, and how long it took.
    last: Option<(Instant, Duration)>,
    /// Why there is no answer about a queue.
    unknown: Reason,
}

struct Answer {
    at: Instant,
    rest: Rest,
    depth: Result<u32, Reason>,
}

/// Why a queue is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It is not.
    None,
    AfterARefusal,
    UntilItIsMade,
    AfterALoss,
}

impl Rest {
    fn lasts(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::AfterARefusal => AFTER_A_REFUSAL,
            Self::UntilItIsMade => UNTIL_IT_IS_MADE,
            Self::AfterALoss => AFTER_A_LOSS,
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            answers: BTreeMap::new(),
            last: None,
            unknown: NOT_YET.into(),
        }
    }
}

impl Known {
    /// Whether the pause after the last round is over.
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.last.is_none_or(|(ended, took)| {
            let pause = PAUSE.max(took.saturating_mul(PAUSE_IN_ROUNDS));
            now.duration_since(ended) >= pause
        })
    }

    /// Those of `queues` to ask about now. One that was missing is due at once when this host has made it (`is_made`).
    /// Those that did not answer the last time come last, the one that has waited
    /// longest first: they may take all the time that there is.
    pub(super) fn due(
        &self,
        queues: &[Arc<str>],
        is_made: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let failed = |queue: &Arc<str>| {
            let answer = self.answers.get(queue);
            answer.filter(|answer| answer.depth.is_err())
        };
        let rests = |queue: &str, answer: &Answer| {
            let is_there_now = answer.rest == Rest::UntilItIsMade && is_made(queue);
            answer.is_resting(now) && !is_there_now
        };
        let due = queues
            .iter()
            .filter(|queue| !failed(queue).is_some_and(|answer| rests(queue, answer)));
        let mut due: Vec<_> = due.cloned().collect();
        due.sort_by_key(|queue| failed(queue).map(|answer| answer.at));
        due
    }

    /// Notes what the broker has reported about a queue, which may not have been made yet.
    pub(super) fn note(
        &mut self,
        queue: Arc<str>,
        depth: Result<u32, DepthFault>,
        may_be_missing: bool,
        at: Instant,
    ) {
        let rest = match &depth {
            Ok(_) => Rest::None,
            Err(DepthFault::Untold(_)) if may_be_missing => Rest::UntilItIsMade,
            Err(DepthFault::HungUp(_)) => Rest::AfterALoss,
            Err(DepthFault::Down | DepthFault::Untold(_)) => Rest::AfterARefusal,
        };
        let depth = depth.map_err(|fault| fault.reason());
        let answer = Answer { at, rest, depth };
        self.answers.insert(queue, answer);
    }

    /// A round has ended. What was known before it counts for a while, unless the round was `cut_short`: then the broker
    /// does not answer. The rest is forgotten: the queue may be gone from hive.toml.
    pub(super) fn ended(&mut self, began: Instant, now: Instant, cut_short: Option<&DepthFault>) {
        self.last = Some((now, now - began));
        self.unknown = match cut_short {
            Some(fault) => fault.reason(),
            None => NOT_YET.into(),
        };
        let counts = self.counts();
        self.answers.retain(|_, answer| match cut_short {
            None => answer.is_true(now, counts),
            Some(_) => answer.at >= began || answer.is_resting(now),
        });
    }

    /// The connection is down: nothing counts, and the first question afterwards is asked at once.
    pub(super) fn lost(&mut self, why: Reason) {
        self.answers
            .retain(|_, answer| answer.rest == Rest::AfterALoss);
        self.last = None;
        self.unknown = why;
    }

    /// The messages in a queue, or why their number is unknown.
    pub(super) fn of(&self, queue: &str, now: Instant) -> Result<u32, Reason> {
        match self.answers.get(queue) {
            Some(answer) if answer.is_true(now, self.counts()) => answer.depth.clone(),
            _ => Err(self.unknown.clone()),
        }
    }

    fn counts(&self) -> Duration {
        let took = self.last.map_or(Duration::ZERO, |(_, took)| took);
        COUNTS.max(took.saturating_mul(COUNTS_IN_ROUNDS))
    }
}

impl Answer {
    fn is_resting(&self, now: Instant) -> bool {
        now.duration_since(self.at) < self.rest.lasts()
    }

    fn is_true(&self, now: Instant, counts: Duration) -> bool {
        now.duration_since(self.at) <= self.rest.lasts() + counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn untold() -> Result<u32, DepthFault> {
        Err(DepthFault::Untold("no answer".into()))
    }

    fn names(queues: &[&str]) -> Vec<Arc<str>> {
        queues.iter().map(|&queue| queue.into()).collect()
    }

    #[test]
    fn a_long_round_is_followed_by_a_longer_pause() {
        let now = Instant::now();
        let mut known = Known::default();
        assert!(known.may_begin(now));
        known.ended(now - SECOND / 10, now, None);
        assert!(!known.may_begin(now + SECOND / 2));
        assert!(known.may_begin(now + SECOND));
        known.ended(now - SECOND * 5, now, None);
        assert!(!known.may_begin(now + SECOND * 19));
        assert!(known.may_begin(now + SECOND * 20));
    }

    #[test]
    fn an_answer_counts_for_a_while_and_is_forgotten() {
        let now = Instant::now();
        let mut known = Known::default();
        known.note("orders".into(), Ok(3), false, now);
        let depth = |known: &Known, after| known.of("orders", now + after).ok();
        assert_eq!(depth(&known, COUNTS), Some(3));
        assert_eq!(depth(&known, COUNTS + SECOND), None);
        // It must not come and go where a round takes longer than that.
        known.ended(now - SECOND * 5, now, None);
        assert_eq!(depth(&known, COUNTS + SECOND), Some(3));
        known.ended(now + SECOND * 59, now + SECOND * 60, None);
        assert!(known.answers.is_empty());
    }

    #[test]
    fn a_queue_that_did_not_answer_rests_and_is_asked_last() {
        let now = Instant::now();
        let mut known = Known::default();
        known.note("a".into(), untold(), false, now + SECOND);
        known.note("b".into(), untold(), false, now);
        known.note("c".into(), Ok(1), false, now);
        let all = names(&["a", "b", "c", "d"]);
        let due = |known: &Known, after| known.due(&all, |_| false, now + after);
        assert_eq!(due(&known, SECOND * 2), names(&["c", "d"]));
        assert_eq!(due(&known, AFTER_A_REFUSAL), names(&["c", "d", "b"]));
        let later = AFTER_A_REFUSAL + SECOND;
        assert_eq!(due(&known, later), names(&["c", "d", "b", "a"]));
    }

    #[test]
    fn a_queue_on_demand_that_was_missing_is_due_when_it_is_made() {
        let now = Instant::now();
        let mut known = Known::default();
        known.note("a".into(), untold(), true, now);
        let all = names(&["a"]);
        let due = |is_made: bool, after| known.due(&all, |_| is_made, now + after).len();
        assert_eq!(due(false, AFTER_A_REFUSAL), 0);
        assert_eq!(due(true, SECOND), 1);
        assert_eq!(due(false, UNTIL_IT_IS_MADE), 1);
    }

    #[test]
    fn nothing_is_known_of_a_broker_that_is_away_but_what_it_ends_connections_over() {
        let now = Instant::now();
        let mut known = Known::default();
        known.note("good".into(), Ok(3), false, now);
        known.note("slow".into(), untold(), false, now);
        let broken = DepthFault::HungUp("541 INTERNAL_ERROR".into());
        known.note("broken".into(), Err(broken), false, now);
        known.ended(now - SECOND * 60, now, None);
        known.lost("the connection is down".into());
        assert_eq!(known.of("good", now), Err("the connection is down".into()));
        assert!(known.may_begin(now));
        let all = names(&["broken", "good", "slow"]);
        assert_eq!(known.due(&all, |_| false, now), names(&["good", "slow"]));
        assert_eq!(known.due(&all, |_| false, now + AFTER_A_LOSS).len(), 3);
    }

    #[test]
    fn what_a_round_did_not_come_to_is_unknown() {
        let now = Instant::now();
        let mut known = Known::default();
        known.note("before".into(), Ok(3), false, now);
        known.note("refused".into(), untold(), false, now);
        known.note("during".into(), Ok(4), false, now + SECOND);
        let silent = DepthFault::Untold("the broker is silent".into());
        let end = now + SECOND * 2;
        known.ended(now + SECOND, end, Some(&silent));
        assert_eq!(known.of("before", end), Err("the broker is silent".into()));
        assert_eq!(known.of("refused", end), Err("no answer".into()));
        assert_eq!(known.of("during", end), Ok(4));
        known.ended(end, end, None);
        assert_eq!(known.of("before", end), Err(NOT_YET.into()));
    }
}
