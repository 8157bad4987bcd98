//! The clock that cuts off an endless loop: it ticks for every instance of an engine, and at each tick a running
//! one looks whether its time is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use hive_lifecycle::aside;
use tokio::time::Instant;
use wasmtime::{Engine, Store, UpdateDeadline};

use super::state::State;

/// How often a running component is asked whether its time is up. An endless loop is cut off this
/// much late at most.
const CLOCK_TICK: Duration = Duration::from_millis(2);

/// A call that has computed for this long goes on where it is in nobody's way.
const LONG: Duration = Duration::from_millis(10);

/// Starts the clock of an engine, on a thread of its own, because components may keep every other thread busy.
pub(crate) fn start(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("hive-epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::park_timeout(CLOCK_TICK);
            }
        })
        .context("the thread that cuts off endless loops could not be started")?;
    Ok(())
}

/// From now on the instance of this store looks at each tick: it stops if it has run too long, and lets other
/// tasks of its thread run otherwise. One that computes for long goes on where it is in nobody's way.
pub(super) fn watch(store: &mut Store<State>) {
    store.epoch_deadline_callback(|mut context| {
        let now = Instant::now();
        let state = context.data_mut();
        if now >= state.deadline {
            return Ok(UpdateDeadline::Interrupt);
        }
        if state.computing.looked_at(now) >= LONG {
            aside::wanted();
        }
        let resumed = Arc::clone(&state.computing.resumed);
        let others_first = async move {
            tokio::task::yield_now().await;
            resumed.set(Instant::now());
        };
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(others_first)))
    });
}

/// Begins a call that may take as long as `timeout`.
pub(super) fn begin(store: &mut Store<State>, timeout: Duration) {
    store.set_epoch_deadline(1);
    let now = Instant::now();
    let state = store.data_mut();
    state.computing.begins(now);
    state.deadline = now + timeout;
    state.blobstore.begins(state.deadline, timeout);
}

/// For how long a call has computed, and not waited for a host function or for its turn.
#[derive(Debug, Default)]
pub(super) struct Computing {
    so_far: Duration,
    resumed: Arc<Resumed>,
}

/// When a call went on after others had their turn.
#[derive(Debug)]
struct Resumed {
    base: Instant,
    /// Since then.
    nanos: AtomicU64,
}

impl Computing {
    fn begins(&mut self, now: Instant) {
        self.so_far = Duration::ZERO;
        self.resumed.set(now);
    }

    /// The clock ticks and the call runs. What ran all the time since the look before has its tick soon; after a longer
    /// time it has waited for a host function meanwhile.
    fn looked_at(&mut self, now: Instant) -> Duration {
        let ran = self.resumed.until(now);
        if ran <= 2 * CLOCK_TICK {
            self.so_far += ran;
        }
        self.so_far
    }
}

impl Resumed {
    fn set(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.base).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Relaxed);
    }

    fn until(&self, now: Instant) -> Duration {
        let resumed = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        now.saturating_duration_since(self.base)
            .saturating_sub(resumed)
    }
}

impl Default for Resumed {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            nanos: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_between_two_looks_does_not_compute() {
        let mut computing = Computing::default();
        let mut now = Instant::now();
        computing.begins(now);
        now += CLOCK_TICK;
        assert_eq!(computing.looked_at(now), CLOCK_TICK);
        // It has its turn again after others, and asks a host function.
        now += Duration::from_millis(50);
        computing.resumed.set(now);
        now += Duration::from_millis(300);
        assert_eq!(computing.looked_at(now), CLOCK_TICK);
        computing.resumed.set(now);
        now += CLOCK_TICK;
        assert_eq!(computing.looked_at(now), 2 * CLOCK_TICK);
        computing.begins(now);
        assert_eq!(computing.looked_at(now), Duration::ZERO);
    }
}
