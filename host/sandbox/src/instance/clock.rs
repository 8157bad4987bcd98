//! The clock that cuts off an endless loop: it ticks for every instance of an engine, and at each tick a running
//! one looks whether its time is up.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use wasmtime::{Engine, Store, UpdateDeadline};

use super::state::State;

/// How often a running component is asked whether its time is up. An endless loop is cut off this
/// much late at most.
const CLOCK_TICK: Duration = Duration::from_millis(2);

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
/// tasks of its thread run otherwise.
pub(super) fn watch(store: &mut Store<State>) {
    store.epoch_deadline_callback(|context| {
        Ok(if Instant::now() >= context.data().deadline {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
        })
    });
}

/// Begins a call that may take as long as `timeout`.
pub(super) fn begin(store: &mut Store<State>, timeout: Duration) {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.deadline = Instant::now() + timeout;
    state.blobstore.begins(state.deadline, timeout);
}
