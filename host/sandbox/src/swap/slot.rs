//! The place of a component: the generation that serves, the one before it, and a canary or a shadow beside it.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use hive_core::canary::{CanaryRule, Decision, Verdict};
use hive_core::shadow::{LastShadow, ShadowEnd, ShadowRule};
use tokio::sync::Notify;

use super::shadow::{Observed, Shadow};
use super::trial::Trial;
use crate::pool::generation::Generation;

/// Holds the current generation of a component.
pub struct Slot {
    current: ArcSwap<Generation>,
    trial: ArcSwapOption<Trial>,
    shadow: ArcSwapOption<Shadow>,
    /// For the way back: the last one with other code than the current one, its code and its plan, without its
    /// instances.
    before: Mutex<Option<Arc<Generation>>>,
    /// The decision over the last canary that was judged.
    decision: Mutex<Option<Decision>>,
    last_shadow: Mutex<Option<Arc<LastShadow>>>,
    /// The highest number of a generation that was given deliveries.
    newest: AtomicU64,
    taken_over: Notify,
    /// How many workers of all its consumers may ask for an instance.
    workers: AtomicUsize,
}

impl Slot {
    /// A slot that starts with this generation.
    pub fn new(generation: Generation) -> Self {
        Self {
            newest: AtomicU64::new(generation.version().generation),
            current: ArcSwap::from_pointee(generation),
            trial: ArcSwapOption::empty(),
            shadow: ArcSwapOption::empty(),
            before: Mutex::default(),
            decision: Mutex::default(),
            last_shadow: Mutex::default(),
            taken_over: Notify::new(),
            workers: AtomicUsize::new(0),
        }
    }

    /// The generation that serves.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// The canary on trial, if there is one.
    pub fn trial(&self) -> Option<Arc<Trial>> {
        self.trial.load_full()
    }

    /// The shadow, if there is one.
    pub fn shadow(&self) -> Option<Arc<Shadow>> {
        self.shadow.load_full()
    }

    /// The last one that served with other code than the current one.
    pub fn before(&self) -> Option<Arc<Generation>> {
        self.before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The number of the generation that is to come. None is given twice, also not that of a canary
    /// which did not take over: the log has it.
    pub fn next_number(&self) -> u64 {
        self.newest.load(Ordering::Relaxed) + 1
    }

    /// The generation that takes the next delivery. The caller keeps it to the end of the call, so a swap never
    /// changes code under a delivery.
    pub fn deal(&self) -> Arc<Generation> {
        match &*self.trial.load() {
            Some(trial) if trial.deal() => Arc::clone(&trial.canary),
            _ => self.current.load_full(),
        }
    }

    /// A call of this generation begins. Somebody wants a copy of it, if there is a shadow and the generation is current.
    pub fn observe(&self, generation: &Arc<Generation>) -> Option<Observed> {
        let shadow = self.shadow.load();
        let shadow = shadow.as_ref()?;
        Arc::ptr_eq(&self.current.load(), generation).then(|| shadow.observe())
    }

    /// Resolves when another generation than this one is current.
    pub async fn takes_over_from(&self, generation: &Arc<Generation>) {
        loop {
            let mut taken_over = pin!(self.taken_over.notified());
            // From here on, so that no swap slips in between looking and waiting.
            taken_over.as_mut().enable();
            if !Arc::ptr_eq(&self.current.load(), generation) {
                return;
            }
            taken_over.await;
        }
    }

    /// Notes what became of a delivery; only a trial wants to know.
    pub fn saw(&self, generation: &Arc<Generation>, handled: bool) {
        if let Some(trial) = &*self.trial.load() {
            trial.saw(Arc::ptr_eq(generation, &trial.canary), handled);
        }
    }

    /// Makes `next` current, in one step: a caller gets the old or the new generation. A canary on trial ends, and so does
    /// a shadow. Returns the old generation.
    pub fn replace(&self, next: Arc<Generation>) -> Arc<Generation> {
        self.count(&next);
        let old = self.current.swap(Arc::clone(&next));
        if let Some(trial) = self.trial.swap(None) {
            trial.end();
            if !Arc::ptr_eq(&trial.canary, &next) {
                trial.canary.retire();
            }
        }
        self.end_shadow(ShadowEnd::Replaced);
        old.retire();
        self.taken_over.notify_waiters();
        if old.version().sha256 != next.version().sha256 {
            *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&old));
        }
        old
    }

    /// Gives `canary` a share of the deliveries.
    pub fn try_out(&self, canary: Arc<Generation>, rule: CanaryRule) -> Arc<Trial> {
        self.count(&canary);
        let trial = Arc::new(Trial::new(canary, rule));
        self.trial.store(Some(Arc::clone(&trial)));
        trial
    }

    /// Notes the verdict over a canary, with the counts so far: an operator's if it is `by_hand`, and otherwise that of
    /// the counts. It is carried out by whoever calls this.
    pub fn decide(&self, trial: &Trial, verdict: Verdict, by_hand: bool) -> Decision {
        let decision = Decision {
            generation: trial.canary.version().generation,
            verdict,
            tally: trial.tally(),
            by_hand,
        };
        *self.decision.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision);
        decision
    }

    /// The decision over the last canary that was judged.
    pub fn decision(&self) -> Option<Decision> {
        *self.decision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `shadow` get a copy of each delivery.
    pub fn begin_shadow(&self, shadow: Arc<Generation>, rule: ShadowRule) -> Arc<Shadow> {
        self.count(&shadow);
        let shadow = Arc::new(Shadow::new(shadow, rule));
        self.shadow.store(Some(Arc::clone(&shadow)));
        shadow
    }

    /// Ends the shadow, if there is one. Its answers are dropped as before.
    pub fn end_shadow(&self, end: ShadowEnd) -> Option<Arc<LastShadow>> {
        let shadow = self.shadow.swap(None)?;
        shadow.end();
        shadow.generation().retire();
        let last = Arc::new(shadow.ended(end));
        *self
            .last_shadow
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&last));
        Some(last)
    }

    /// The last shadow that ended.
    pub fn last_shadow(&self) -> Option<Arc<LastShadow>> {
        self.last_shadow
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, generation: &Generation) {
        let number = generation.version().generation;
        self.newest.fetch_max(number, Ordering::Relaxed);
    }

    /// Takes the canary off again.
    pub fn give_up_trial(&self) {
        if let Some(trial) = self.trial.swap(None) {
            trial.end();
            trial.canary.retire();
        }
    }

    /// One more worker will need an instance from time to time.
    pub fn worker_comes(&self) {
        self.workers.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker will not need one any more.
    pub fn worker_goes(&self) {
        self.workers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Stops the idle instances that are more than there are workers, and gives their memory back.
    pub fn give_back(&self) {
        let workers = self.workers.load(Ordering::Relaxed);
        self.current.load().trim(workers);
        if let Some(trial) = &*self.trial.load() {
            trial.canary.trim(workers);
        }
        if let Some(shadow) = &*self.shadow.load() {
            shadow.generation().trim(workers);
        }
    }

    /// The component is not wanted any more.
    pub fn retire(&self) {
        self.give_up_trial();
        self.end_shadow(ShadowEnd::Replaced);
        self.current.load().retire();
    }
}
