//! Instances between two deliveries.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_config::plan::{ComponentPlan, Instances};
use hive_lifecycle::Tasks;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::instance::Instance;
use crate::instance::bindings::contract::exports::hive::consumer::lifecycle::StopReason;

/// Instances of one generation that run their `lifecycle.stop` at once. No delivery waits for the stop
/// of the instance that handled it, so that without a bound a component that spins in `stop` would have
/// more and more of them at work.
const STOPS_AT_ONCE: usize = 1;

/// The warm instances of one generation.
pub(crate) struct Warm {
    idle: Mutex<Idle>,
    /// How long an instance may go unused.
    longest: Option<Duration>,
    /// For `lifecycle.stop`.
    timeout: Duration,
    stops: Arc<Semaphore>,
    /// A copy for each instance that handles deliveries or may be asked to.
    roll: Arc<()>,
    tasks: Tasks,
}

/// An instance is on the roll of its generation for as long as it has this.
pub(crate) struct OnTheRoll {
    _copy: Arc<()>,
}

struct Idle {
    /// With the moment since which each is unused, the longest first. The last one used is the first
    /// one taken, since its memory is still in the processor's caches.
    instances: Vec<(Instance, Instant)>,
    /// Why none is kept any more.
    retired: Option<StopReason>,
}

impl Warm {
    pub(crate) fn new(plan: &ComponentPlan, tasks: &Tasks) -> Self {
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
            roll: Arc::default(),
            tasks: tasks.clone(),
        }
    }

    /// For an instance in the making.
    pub(crate) fn enrol(&self) -> OnTheRoll {
        OnTheRoll {
            _copy: Arc::clone(&self.roll),
        }
    }

    /// The one used last.
    pub(crate) fn take(&self) -> Option<Instance> {
        self.idle().instances.pop().map(|(instance, _)| instance)
    }

    /// Keeps an instance for later, or stops it if it is not needed.
    pub(crate) fn keep(&self, instance: Instance) {
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
    pub(crate) fn retire(&self, reason: StopReason) {
        for (instance, _) in self.close(reason) {
            self.stop(instance, reason);
        }
    }

    /// The same because the host stops; resolves when they have stopped.
    pub(crate) async fn drain(&self) {
        for (instance, _) in self.close(StopReason::Drain) {
            instance.stop(StopReason::Drain, self.timeout).await;
        }
    }

    /// Gives up the permit of one idle instance for a waiting caller; false if there is none.
    pub(crate) fn give_place(&self) -> bool {
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
    pub(crate) fn trim(&self, most: usize) {
        let spare = {
            let mut idle = self.idle();
            let enrolled = Arc::strong_count(&self.roll) - 1;
            let count = enrolled.saturating_sub(most).min(idle.instances.len());
            let mut spare: Vec<_> = idle.instances.drain(..count).collect();
            // While no other code counts them.
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
    pub(crate) fn sweep(&self, now: Instant) {
        let Some(longest) = self.longest else {
            return;
        };
        let unused = {
            let mut idle = self.idle();
            let is_unused = |(_, since): &(Instance, Instant)| now - *since >= longest;
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
    pub(crate) fn stop(&self, mut instance: Instance, reason: StopReason) {
        instance.strike_off();
        if instance.has_lifecycle() {
            let (stops, timeout) = (Arc::clone(&self.stops), self.timeout);
            let tasks = self.tasks.clone();
            self.tasks.spawn_work(async move {
                let stopping = pin!(async move {
                    let _turn = stops.acquire().await;
                    instance.stop(reason, timeout).await;
                });
                // A host that has run out of time does not notify it.
                let _told = tasks.unless_abandoned(stopping).await;
            });
        }
    }

    /// Waits for the stops that were asked for before. Instances that wait for theirs keep their places
    /// in the host, so no new ones are made meanwhile.
    pub(crate) async fn have_stopped(&self) {
        // It is never closed.
        let _turn = self.stops.acquire().await;
    }

    fn close(&self, reason: StopReason) -> Vec<(Instance, Instant)> {
        let mut idle = self.idle();
        idle.retired = Some(reason);
        std::mem::take(&mut idle.instances)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing here leaves the list half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
