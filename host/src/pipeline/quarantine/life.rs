//! One run of the host, as far as quarantine is concerned: its id, whether other runs are alive, and the state
//! that the consumers of a host share: [`Quarantines`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hive_config::plan::{HostPlan, StorePlan};
use hive_lifecycle::Tasks;
use hive_store::{Bucket, Namespace, Store, StoreFault, Value};
use hive_telemetry::Fact;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Instant, MissedTickBehavior};

use super::marker::{Fate, Owner};
use super::verdict::Deaths;

/// How often a host that shares its store says that it lives, once it has a marker there.
const BEAT_INTERVAL: Duration = Duration::from_secs(3);

/// How long its word counts: some [`BEAT_INTERVAL`]s.
const BEAT_LIFETIME: Duration = Duration::from_secs(12);

/// Between two looks at whether another host lives.
const LIFE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a store that failed is not asked again: a suspect must not wait for it each time.
const STORE_REST: Duration = Duration::from_secs(10);

/// State shared by the quarantines of all consumers of a host.
pub struct Quarantines {
    /// `host.quarantine`.
    pub(super) is_on: bool,
    /// The store does not outlive the host: no death is known after it.
    pub(super) forgets: bool,
    /// The id of this run of the host.
    life: Box<str>,
    host: Arc<str>,
    store: Arc<dyn Store>,
    lives: Bucket,
    beating: OnceCell<()>,
    trials: RwLock<()>,
    rests_until: Mutex<Option<Instant>>,
    tasks: Tasks,
}

/// The right to try a suspect, among all consumers of the host.
pub(super) struct Trial<'a> {
    _shared: Option<RwLockReadGuard<'a, ()>>,
    _alone: Option<RwLockWriteGuard<'a, ()>>,
}

impl Quarantines {
    /// For one run of the host, whose `store` is the one of `plan`.
    pub fn new(
        host: &HostPlan,
        plan: &StorePlan,
        store: &Arc<dyn Store>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let id: u128 = rand::random();
        Arc::new(Self {
            is_on: host.quarantine,
            forgets: matches!(plan, StorePlan::Memory),
            life: format!("{id:032x}").into(),
            host: Arc::clone(&host.name),
            store: Arc::clone(store),
            lives: Bucket::new(store, Namespace::lives()),
            beating: OnceCell::new(),
            trials: RwLock::new(()),
            rests_until: Mutex::default(),
            tasks: tasks.clone(),
        })
    }

    /// The markers of a queue.
    pub(super) fn markers(&self, vhost: &str, queue: &str) -> Bucket {
        Bucket::new(
            &self.store,
            Namespace::deaths(vhost, queue).bounded(MOST_MARKERS),
        )
    }

    /// This host, as the owner of a marker.
    pub(super) fn owner(&self, is_alone: bool) -> Owner {
        Owner {
            life: self.life.clone(),
            is_alone,
            host: (&*self.host).into(),
        }
    }

    /// Waits for the right to try a suspect. A death with two of them on trial, on two consumers, is a
    /// death of both; so one that has a death behind it is tried with no other on trial in the host.
    pub(super) async fn trial(&self, deaths: Deaths) -> Trial<'_> {
        match deaths == Deaths::default() {
            true => Trial {
                _shared: Some(self.trials.read().await),
                _alone: None,
            },
            false => Trial {
                _shared: None,
                _alone: Some(self.trials.write().await),
            },
        }
    }

    /// The fate of a marker's owner. On a store of this host alone any other run is over; on a shared one it
    /// takes until the other run's entry has expired, or was renewed.
    pub(super) async fn fate(&self, owner: &Owner) -> Result<Fate, StoreFault> {
        if owner.life == self.life {
            return Ok(Fate::Lives);
        }
        if !self.lives.is_shared() {
            return Ok(Fate::Died);
        }
        let first = self.lives.get(owner.life.as_bytes()).await?;
        let mut now = first.clone();
        while now.is_some() && now == first {
            tokio::time::sleep(LIFE_LOOK_INTERVAL).await;
            now = self.lives.get(owner.life.as_bytes()).await?;
        }
        Ok(match now {
            Some(_) => Fate::Lives,
            None => Fate::Died,
        })
    }

    /// Before a marker is written: others have to know that its owner lives.
    pub(super) async fn lives(&self) -> Result<(), StoreFault> {
        if !self.lives.is_shared() {
            return Ok(());
        }
        let begin = || async {
            let beat = |number: u64| Value::passing(number.to_string(), BEAT_LIFETIME);
            let (lives, life) = (self.lives.clone(), self.life.clone());
            lives.set(life.as_bytes(), beat(0)).await?;
            let close = self.tasks.close().clone();
            self.tasks.spawn_service(async move {
                let mut tick = tokio::time::interval(BEAT_INTERVAL);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for number in 1.. {
                    if close.run_until_cancelled(tick.tick()).await.is_none() {
                        return;
                    }
                    if let Err(fault) = lives.set(life.as_bytes(), beat(number)).await {
                        tracing::debug!(%fault, "the store does not hear that this host lives");
                    }
                }
            });
            Ok(())
        };
        self.beating.get_or_try_init(begin).await.copied()
    }

    /// Whether the store is asked now.
    pub(super) fn asks_the_store(&self) -> bool {
        let rests_until = *self.rests_until();
        rests_until.is_none_or(|until| until <= Instant::now())
    }

    /// The store failed: what is not known of a message is not held against it.
    pub(super) fn store_failed(&self, fault: &StoreFault) {
        *self.rests_until() = Some(Instant::now() + STORE_REST);
        Fact::QuarantineStoreFailed { fault }.emit();
    }

    fn rests_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most markers of one queue; a new one replaces the oldest. No host has so many in flight.
const MOST_MARKERS: u64 = 100_000;

#[cfg(test)]
pub(super) mod tests {
    use hive_store::{Clock, Memory};

    use super::*;

    /// A run of a host on this store.
    pub(in super::super) fn run_on(store: &Arc<dyn Store>) -> Arc<Quarantines> {
        let host = HostPlan::named("h".into());
        let plan = StorePlan::Embedded {
            path: "hive.db".into(),
        };
        Quarantines::new(&host, &plan, store, &Tasks::new())
    }

    fn quarantines() -> Arc<Quarantines> {
        let store: Arc<dyn Store> = Arc::new(Memory::new(Clock::system()));
        run_on(&store)
    }

    #[tokio::test]
    async fn on_a_store_of_its_own_every_other_run_is_over() {
        let (this, other) = (quarantines(), quarantines());
        let fate = this.fate(&other.owner(true)).await.unwrap();
        assert_eq!(fate, Fate::Died);
        let fate = this.fate(&this.owner(true)).await.unwrap();
        assert_eq!(fate, Fate::Lives);
    }

    #[tokio::test]
    async fn a_suspect_with_a_death_behind_it_is_on_trial_with_no_other() {
        use futures_util::FutureExt;
        let quarantines = quarantines();
        let (none, one) = (Deaths::default(), Deaths::default().and_one(true));
        let first = quarantines.trial(none).await;
        let second = quarantines.trial(none).await;
        assert!(quarantines.trial(one).now_or_never().is_none());
        drop((first, second));
        let alone = quarantines.trial(one).await;
        assert!(quarantines.trial(none).now_or_never().is_none());
        drop(alone);
    }

    #[tokio::test]
    async fn a_store_that_failed_is_not_asked_again_at_once() {
        let quarantines = quarantines();
        assert!(quarantines.asks_the_store());
        quarantines.store_failed(&StoreFault::Closed);
        assert!(!quarantines.asks_the_store());
    }
}
