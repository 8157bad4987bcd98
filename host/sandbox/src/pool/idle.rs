//! Instances between two deliveries.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_config::plan::{ComponentPlan, Instances};
use hive_lifecycle::Tasks;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::pooled::{OnTheRoll, Pooled, Roll};
use crate::instance::StopReason;

/// Instances of one generation that run their `lifecycle.stop` at once. No delivery waits for the stop
/// of the instance that handled it, so that without a bound a component that spins in `stop` would have
/// more and more of them at work.
const STOPS_AT_ONCE: usize = 1;

/// The idle instances of one generation.
pub(super) struct IdlePool {
    idle: Mutex<Idle>,
    /// How long an instance may go unused.
    longest: Option<Duration>,
    /// The time limit of `lifecycle.stop`.
    timeout: Duration,
    stops: Arc<Semaphore>,
    /// The instances that handle deliveries or may be asked to.
    roll: Roll,
    tasks: Tasks,
}

struct Idle {
    /// With the moment since which each is unused, the longest first. The last one used is the first
    /// one taken, since its memory is still in the processor's caches.
    instances: Vec<(Pooled, Instant)>,
    /// Why none is kept any more.
    retired: Option<StopReason>,
}

impl IdlePool {
    pub(super) fn new(plan: &ComponentPlan, tasks: &Tasks) -> Self {
        Self {
            idle: Mutex::new(Idle {
                instances: Vec::new(),
                retired: None,
            }),
            longest: match plan.instances {
                Instances::Reuse { idle, .. } => idle,
                Instances::Fresh => None,
            },
            timeout: plan.timeout,
            stops: Arc::new(Semaphore::new(STOPS_AT_ONCE)),
            roll: Roll::default(),
            tasks: tasks.clone(),
        }
    }

    /// Enters an instance that is being made in the roll.
    pub(super) fn enrol(&self) -> OnTheRoll {
        self.roll.enrol()
    }

    /// The one used last.
    pub(super) fn take(&self) -> Option<Pooled> {
        self.idle().instances.pop().map(|(instance, _)| instance)
    }

    /// Keeps an instance for later, or stops it if it is not needed.
    pub(super) fn keep(&self, instance: Pooled) {
        let mut idle = self.idle();
        match idle.retired {
            None => idle.instances.push((instance, Instant::now())),
            Some(reason) => {
                drop(idle);
                self.stop(instance, reason);
            }
        }
    }

    /// Stops all of them, and those whose calls end later.
    pub(super) fn retire(&self, reason: StopReason) {
        for (instance, _) in self.close(reason) {
            self.stop(instance, reason);
        }
    }

    /// The same because the host stops; resolves when they have stopped.
    pub(super) async fn drain(&self) {
        for (instance, _) in self.close(StopReason::Drain) {
            instance.stop(StopReason::Drain, self.timeout).await;
        }
    }

    /// Gives up the permit of one idle instance for a waiting caller; false if there is none.
    pub(super) fn give_permit(&self) -> bool {
        let mut idle = self.idle();
        if idle.instances.is_empty() {
            return false;
        }
        let (instance, _) = idle.instances.remove(0);
        drop(idle);
        self.stop(instance, StopReason::ScaleDown);
        true
    }

    /// Stops idle instances while there are more than `most` with those in use, the ones unused for
    /// longest first.
    pub(super) fn trim(&self, most: usize) {
        let spare = {
            let mut idle = self.idle();
            let enrolled = self.roll.count();
            let count = enrolled.saturating_sub(most).min(idle.instances.len());
            let mut spare: Vec<_> = idle.instances.drain(..count).collect();
            // Under the lock, so that nobody counts them in between.
            spare
                .iter_mut()
                .for_each(|(instance, _)| instance.strike_off());
            spare
        };
        for (instance, _) in spare {
            self.stop(instance, StopReason::ScaleDown);
        }
    }

    /// Stops those that were not used for as long as the plan says.
    pub(super) fn sweep(&self, now: Instant) {
        let Some(longest) = self.longest else {
            return;
        };
        let unused = {
            let mut idle = self.idle();
            let is_unused = |(_, since): &(Pooled, Instant)| now - *since >= longest;
            let count = idle
                .instances
                .iter()
                .take_while(|one| is_unused(one))
                .count();
            idle.instances.drain(..count).collect::<Vec<_>>()
        };
        for (instance, _) in unused {
            self.stop(instance, StopReason::ScaleDown);
        }
    }

    /// Ends an instance, which hears of it if it wants to.
    pub(super) fn stop(&self, mut instance: Pooled, reason: StopReason) {
        instance.strike_off();
        if instance.has_lifecycle() {
            let (stops, timeout) = (Arc::clone(&self.stops), self.timeout);
            let tasks = self.tasks.clone();
            self.tasks.spawn_work(async move {
                let stopping = pin!(async move {
                    let _turn = stops.acquire().await;
                    instance.stop(reason, timeout).await;
                });
                // A host whose time to stop is over does not call `lifecycle.stop`.
                let _told = tasks.unless_abandoned(stopping).await;
            });
        }
    }

    /// Waits for the stops that were asked for before. Instances that wait for theirs keep their permits, so no new ones are made meanwhile.
    pub(super) async fn have_stopped(&self) {
        // The semaphore is never closed.
        let _turn = self.stops.acquire().await;
    }

    fn close(&self, reason: StopReason) -> Vec<(Pooled, Instant)> {
        let mut idle = self.idle();
        idle.retired = Some(reason);
        std::mem::take(&mut idle.instances)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // No panic here can leave the list half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
