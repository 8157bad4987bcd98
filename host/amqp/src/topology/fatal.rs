//! Entities over which the broker ends the connection, and not only the channel.
//!
//! RabbitMQ answers 541 to a declaration that it refuses on principle (a deprecated feature), and to one that
//! makes it fail. It also answers 541 to anything at all while it restarts. So an entity is blamed if it was
//! the one asked for several times in a row; it is left out then, and tried on a separate connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use crate::session::fault::Mismatch;

/// The third 541 in a row over one entity is not the broker's restart.
const TIMES: u32 = 3;

/// The fatal entities of one connection of the plan.
#[derive(Debug, Default)]
pub(crate) struct Fatal {
    cases: Mutex<BTreeMap<String, Case>>,
    /// While an entity is suspected, one subscription is made at a time: the broker reports the end of the
    /// connection to every one that is on its way.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Case {
    times: u32,
    mismatch: Mismatch,
}

impl Fatal {
    /// The broker ended a connection over this. Whether it is left out from now on.
    pub(crate) fn met(&self, mismatch: Mismatch) -> bool {
        let mut cases = self.cases();
        let case = cases.entry(mismatch.entity.clone()).or_insert(Case {
            times: 0,
            mismatch: mismatch.clone(),
        });
        case.times = case.times.saturating_add(1);
        case.mismatch = mismatch;
        case.times >= TIMES
    }

    /// Why an entity is left out, if it is.
    pub(crate) fn left_out(&self, entity: &str) -> Option<Mismatch> {
        let cases = self.cases();
        let case = cases.get(entity)?;
        (case.times >= TIMES).then(|| case.mismatch.clone())
    }

    /// Everything that is left out.
    pub(crate) fn all_left_out(&self) -> BTreeSet<String> {
        let cases = self.cases();
        let left_out = cases.iter().filter(|(_, case)| case.times >= TIMES);
        left_out.map(|(entity, _)| entity.clone()).collect()
    }

    /// The broker has answered about this entity in another way.
    pub(crate) fn answered(&self, entity: &str) {
        self.cases().remove(entity);
    }

    /// The same, without naming it where no entity is suspected.
    pub(crate) fn answered_lazily(&self, entity: impl Fn() -> String) {
        if !self.is_empty() {
            self.answered(&entity());
        }
    }

    /// Whether no entity is suspected of anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.cases().is_empty()
    }

    /// The right to subscribe, which is taken in turns while an entity is suspected.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.is_empty() {
            true => None,
            false => Some(self.turn.lock().await),
        }
    }

    fn cases(&self) -> MutexGuard<'_, BTreeMap<String, Case>> {
        self.cases.lock().unwrap_or_else(|error| error.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use hive_core::codes::Code;

    use super::*;

    fn mismatch(entity: &str) -> Mismatch {
        Mismatch {
            entity: entity.to_owned(),
            answer: "541 INTERNAL_ERROR".to_owned(),
            remedy: String::new(),
            code: Code::BrokerBrokeOff,
        }
    }

    #[test]
    fn a_broker_that_restarts_blames_nobody() {
        let fatal = Fatal::default();
        assert!(!fatal.met(mismatch("queue a")));
        assert!(!fatal.met(mismatch("queue b")));
        assert!(!fatal.met(mismatch("queue a")));
        fatal.answered("queue a");
        assert!(!fatal.met(mismatch("queue a")));
        assert_eq!(fatal.left_out("queue a"), None);
        assert!(fatal.all_left_out().is_empty());
    }

    #[test]
    fn the_third_time_blames_the_entity_until_it_is_answered() {
        let fatal = Fatal::default();
        assert!(!fatal.met(mismatch("queue a")));
        assert!(!fatal.met(mismatch("queue a")));
        assert!(fatal.met(mismatch("queue a")));
        assert_eq!(fatal.left_out("queue a"), Some(mismatch("queue a")));
        assert_eq!(fatal.left_out("queue b"), None);
        assert_eq!(fatal.all_left_out(), ["queue a".to_owned()].into());
        fatal.answered("queue a");
        assert!(fatal.is_empty());
    }
}
