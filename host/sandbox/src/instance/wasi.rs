//! What an instance has of WASI: its environment, its output, its directories, clocks and random numbers.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hive_config::plan::ComponentPlan;
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::logs::Output;
use crate::capability::dirs;
use crate::capability::surroundings::{Surroundings, WallClock};

/// Made when the instance first asks for any of it: two generators of random numbers are seeded for it, which a fresh
/// instance would pay for with every delivery, and most never ask. Directories are opened at once, because an instance
/// without its directories must not get a delivery.
pub(super) struct Wasi(Option<WasiCtx>);

impl Wasi {
    /// # Errors
    ///
    /// A directory that cannot be opened any more.
    pub(super) fn of(
        plan: &ComponentPlan,
        surroundings: &Surroundings,
        output: &Output,
    ) -> Result<Self, String> {
        if plan.allow.dirs.is_empty() {
            return Ok(Self(None));
        }
        let mut context = context(plan, surroundings, output);
        dirs::open(plan, &mut context)?;
        Ok(Self(Some(context.build())))
    }

    /// These are what it was made of.
    pub(super) fn get(
        &mut self,
        plan: &ComponentPlan,
        surroundings: &Surroundings,
        output: &Output,
    ) -> &mut WasiCtx {
        self.0
            .get_or_insert_with(|| context(plan, surroundings, output).build())
    }
}

/// All of it but the directories.
fn context(plan: &ComponentPlan, surroundings: &Surroundings, output: &Output) -> WasiCtxBuilder {
    let mut context = WasiCtxBuilder::new();
    context
        .envs(&plan.allow.env)
        .stdout(output.stdout())
        .stderr(output.stderr());
    if let Some(clock) = &surroundings.clock {
        context.wall_clock(TimeOfDay(Arc::clone(clock)));
    }
    context
}

/// The time of day of a test, as wasmtime asks for it.
struct TimeOfDay(WallClock);

impl HostWallClock for TimeOfDay {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
