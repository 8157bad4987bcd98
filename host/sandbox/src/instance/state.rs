//! The host's state for one instance, beside the instance itself.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use hive_telemetry::ComponentTelemetry;
use tokio::time::Instant;
use wasmtime_wasi::clocks::HostWallClock;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpCtx;

use super::limits::Limits;
use super::logs::Output;
use crate::capability::dirs;
use crate::capability::http::Outgoing;
use crate::capability::keyvalue::KeyValue;
use crate::capability::surroundings::WallClock;
use crate::pool::generation::Generation;

/// The data of an instance's store.
pub(crate) struct State {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: WasiHttpCtx,
    pub(crate) outgoing: Outgoing,
    pub(crate) config: Arc<WasiConfigVariables>,
    pub(crate) keyvalue: KeyValue,
    pub(crate) limits: Limits,
    pub(crate) output: Output,
    pub(crate) telemetry: ComponentTelemetry,
    /// When the call that runs now has run too long.
    pub(crate) deadline: Instant,
}

impl State {
    /// Grants what the plan allows: its environment, its configuration, its directories, its HTTP,
    /// its buckets. No sockets, no arguments; clocks and randomness always.
    ///
    /// # Errors
    ///
    /// A directory that cannot be opened any more.
    pub(crate) fn new(generation: &Generation) -> Result<Self, String> {
        let Generation {
            plan,
            config,
            telemetry,
            store,
            lines,
            surroundings,
            ..
        } = generation;
        let output = Output::new(Arc::clone(&plan.name), Arc::clone(lines));
        let mut wasi = WasiCtxBuilder::new();
        wasi.envs(&plan.allow.env)
            .stdout(output.stdout())
            .stderr(output.stderr());
        dirs::open(plan, &mut wasi)?;
        if let Some(clock) = &surroundings.clock {
            wasi.wall_clock(TimeOfDay(Arc::clone(clock)));
        }
        Ok(Self {
            wasi: wasi.build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing::new(plan, surroundings.network.clone(), telemetry),
            config: Arc::clone(config),
            keyvalue: KeyValue::new(plan, store, telemetry),
            limits: Limits::new(plan),
            output,
            telemetry: telemetry.clone(),
            deadline: Instant::now(),
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
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
