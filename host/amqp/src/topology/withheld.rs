//! Entities that could not be declared, and the queues that are not consumed because of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_core::codes::Reason;
use hive_telemetry::LinkTelemetry;

use crate::session::fault::Mismatch;

/// Every mismatch, each with the consumed queues that wait for it to be mended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    mismatches: Vec<(Mismatch, BTreeSet<Arc<str>>)>,
    /// Queues of the plan that the broker has with other arguments, consumed or not.
    at_fault: BTreeSet<Arc<str>>,
    reasons: BTreeMap<Arc<str>, Reason>,
}

impl Withheld {
    /// Notes that the queues `waiting` are not to be consumed while there is this mismatch, which
    /// is one of the queue `at_fault` if it is one of a queue.
    pub(super) fn add(
        &mut self,
        at_fault: Option<Arc<str>>,
        waiting: BTreeSet<Arc<str>>,
        mismatch: Mismatch,
    ) {
        for queue in &waiting {
            // The first says enough; the log has them all.
            self.reasons
                .entry(queue.clone())
                .or_insert_with(|| Reason::new(mismatch.code, &mismatch));
        }
        self.at_fault.extend(at_fault);
        self.mismatches.push((mismatch, waiting));
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
        mismatches.map(|(mismatch, _)| mismatch.clone()).collect()
    }

    /// Logs each.
    pub(crate) fn tell(&self, telemetry: &LinkTelemetry) {
        for (mismatch, queues) in &self.mismatches {
            let queues: Vec<&str> = queues.iter().map(|queue| &**queue).collect();
            telemetry.mismatch(mismatch.code.as_str(), mismatch, &queues);
        }
    }
}
