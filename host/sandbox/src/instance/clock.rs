//! The clock that cuts off an endless loop: it ticks for every instance of an engine, and at each tick a running
//! one looks whether its time is up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hive_lifecycle::aside;
use tokio::time::Instant;
use wasmtime::{Engine, Store, UpdateDeadline};

use super::computing::CLOCK_TICK;
use super::state::State;

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

/// Begins a call that may take as long as `timeout`; gives the end of that time.
pub(super) fn begin(store: &mut Store<State>, timeout: Duration) -> Instant {
    let now = Instant::now();
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.computing.begins(now);
    state.deadline = now + timeout;
    state.blobstore.begins(state.deadline, timeout);
    state.deadline
}
