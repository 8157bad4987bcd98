//! Entities that could not be declared, and the queues that are not consumed because of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_core::codes::Reason;
use hive_telemetry::LinkTelemetry;

use crate::session::fault::Mismatch;

/// The entity that a mismatch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfitting {
    /// An exchange of hive.toml.
    Exchange(Arc<str>),
    /// A queue of hive.toml.
    Queue(Arc<str>),
    /// A queue that a consumer needs and hive.toml does not declare: its own, or one for its retries or dead letters.
    Implied(Arc<str>),
    /// What the delay queues that consumers share have in common.
    Shared,
}

/// An entity that could not be declared, as the host shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The entity.
    pub entity: Misfitting,
    /// What the broker says, and the remedy.
    pub reason: Reason,
}

/// Every mismatch, each with the consumed queues that wait for it to be mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    mismatches: Vec<(Misfitting, Mismatch, BTreeSet<Arc<str>>)>,
    /// Queues of the plan that the broker has with other arguments, consumed or not.
    at_fault: BTreeSet<Arc<str>>,
    reasons: BTreeMap<Arc<str>, Reason>,
}

impl Withheld {
    /// Notes that the queues `waiting` are not to be consumed while there is this mismatch of `entity`.
    pub(super) fn add(
        &mut self,
        entity: Misfitting,
        waiting: BTreeSet<Arc<str>>,
        mismatch: Mismatch,
    ) {
        for queue in &waiting {
            // The first says enough; the log has them all.
            self.reasons
                .entry(queue.clone())
                .or_insert_with(|| Reason::new(mismatch.code, &mismatch));
        }
        if let Misfitting::Queue(queue) = &entity {
            self.at_fault.insert(Arc::clone(queue));
        }
        self.mismatches.push((entity, mismatch, waiting));
    }

    /// Whether `queue` does not fit, or waits for what does not.
    pub(super) fn concerns(&self, queue: &str) -> bool {
        self.at_fault.contains(queue) || self.reasons.contains_key(queue)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.mismatches.is_empty()
    }

    /// Why `queue` is not to be consumed.
    pub(crate) fn reason(&self, queue: &str) -> Option<Reason> {
        self.reasons.get(queue).cloned()
    }

    /// All that does not fit.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        let mismatches = self.mismatches.iter();
        mismatches
            .map(|(_, mismatch, _)| mismatch.clone())
            .collect()
    }

    /// The same, each with its entity.
    pub(crate) fn misfits(&self) -> Vec<Misfit> {
        let mismatches = self.mismatches.iter();
        mismatches
            .map(|(entity, mismatch, _)| Misfit {
                entity: entity.clone(),
                reason: Reason::new(mismatch.code, mismatch),
            })
            .collect()
    }

    /// Logs each.
    pub(crate) fn tell(&self, telemetry: &LinkTelemetry) {
        for (_, mismatch, queues) in &self.mismatches {
            let queues: Vec<&str> = queues.iter().map(|queue| &**queue).collect();
            telemetry.mismatch(mismatch.code.as_str(), mismatch, &queues);
        }
    }
}
