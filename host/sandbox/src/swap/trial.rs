//! A canary at work: dealing it its share, and counting what becomes of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hive_core::canary::{CanaryRule, Tally, Verdict};
use tokio_util::sync::CancellationToken;

use crate::pool::generation::Generation;

/// A canary on trial.
pub struct Trial {
    pub(crate) canary: Arc<Generation>,
    rule: CanaryRule,
    dealt: AtomicU64,
    tally: Mutex<Tally>,
    verdict: OnceLock<Verdict>,
    over: CancellationToken,
}

impl Trial {
    pub(crate) fn new(canary: Arc<Generation>, rule: CanaryRule) -> Self {
        Self {
            canary,
            rule,
            dealt: AtomicU64::new(0),
            tally: Mutex::default(),
            verdict: OnceLock::new(),
            over: CancellationToken::new(),
        }
    }

    /// The rule by which it is judged.
    pub fn rule(&self) -> CanaryRule {
        self.rule
    }

    /// The generation on trial.
    pub fn canary(&self) -> &Arc<Generation> {
        &self.canary
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next delivery is the canary's. None is once it has failed.
    pub(crate) fn deal(&self) -> bool {
        match self.verdict.get() {
            Some(verdict) => *verdict == Verdict::Promote,
            None => self.rule.takes(self.dealt.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Counts a result, until there is a verdict.
    pub(crate) fn saw(&self, by_canary: bool, handled: bool) {
        let verdict = {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            self.rule.count(&mut tally, by_canary, handled)
        };
        if let Some(verdict) = verdict
            && self.verdict.set(verdict).is_ok()
        {
            self.over.cancel();
        }
    }

    /// Ends it without a verdict.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    /// The verdict, once there is one; `None` if the trial ended without.
    pub async fn verdict(&self) -> Option<Verdict> {
        self.over.cancelled().await;
        self.verdict.get().copied()
    }
}
