//! Instance permits for the whole host: no more than its pool holds. A caller that needs one waits, and idle
//! instances of other components make room.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hive_lifecycle::Tasks;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

use super::idle::IdlePool;
use super::pooled::Permit;

/// How often unused instances are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The instance permits of a host.
pub(crate) struct Permits {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    in_view: Mutex<Vec<Weak<IdlePool>>>,
}

impl Permits {
    /// Makes this many permits, and starts the sweep of idle instances.
    pub(crate) fn new(count: u32, tasks: &Tasks) -> Arc<Self> {
        let permits = Arc::new(Self {
            free: Arc::new(Semaphore::new(count as usize)),
            waiting: AtomicUsize::new(0),
            in_view: Mutex::default(),
        });
        let (swept, close) = (Arc::downgrade(&permits), tasks.close().clone());
        tasks.spawn_service(async move {
            let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = close.cancelled() => return,
                    now = ticks.tick() => match swept.upgrade() {
                        Some(permits) => permits.sweep(now),
                        None => return,
                    },
                }
            }
        });
        permits
    }

    /// From now on `idle` may have to give up an idle instance for another component.
    pub(super) fn keep_in_view(&self, idle: &Arc<IdlePool>) {
        self.view(|in_view| in_view.push(Arc::downgrade(idle)));
    }

    /// A permit, as soon as there is one.
    pub(super) async fn take(&self) -> Permit {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return place;
        }
        let _waiting = Waiting::begin(&self.waiting);
        self.make_room();
        Arc::clone(&self.free)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Whether a caller waits for a permit, so that none may be kept for later.
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn make_room(&self) {
        let generations = self.living();
        // The generation that gave up a permit last is asked last.
        if let Some(index) = generations.iter().position(|idle| idle.give_permit()) {
            self.view(|in_view| {
                if index < in_view.len() {
                    in_view.rotate_left(index + 1);
                }
            });
        }
    }

    fn sweep(&self, now: Instant) {
        for idle in self.living() {
            idle.sweep(now);
        }
    }

    fn living(&self) -> Vec<Arc<IdlePool>> {
        self.view(|in_view| {
            in_view.retain(|idle| idle.strong_count() > 0);
            in_view.iter().filter_map(Weak::upgrade).collect()
        })
    }

    fn view<T>(&self, look: impl FnOnce(&mut Vec<Weak<IdlePool>>) -> T) -> T {
        look(&mut self.in_view.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counted for as long as it lives, also where its future is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
