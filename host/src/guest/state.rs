//! What the host keeps for one instance, beside the instance itself.

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpCtx;

use super::capability::http::Outgoing;
use super::limits::Limits;
use super::logs::{LineRate, Output};
use crate::config::plan::ComponentPlan;

/// The data of an instance's store.
pub(super) struct State {
    wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) http: WasiHttpCtx,
    pub(super) outgoing: Outgoing,
    pub(super) config: Arc<WasiConfigVariables>,
    pub(super) limits: Limits,
    pub(super) output: Output,
    /// When the call that runs now has run too long.
    pub(super) deadline: Instant,
}

impl State {
    /// Grants what the plan allows: its environment and its configuration. No directories, no
    /// sockets, no arguments; clocks and randomness always.
    pub(super) fn new(
        plan: &ComponentPlan,
        config: &Arc<WasiConfigVariables>,
        lines: &Arc<LineRate>,
    ) -> Self {
        let output = Output::new(Arc::clone(&plan.name), Arc::clone(lines));
        let wasi = WasiCtxBuilder::new()
            .envs(&plan.env)
            .stdout(output.stdout())
            .stderr(output.stderr())
            .build();
        Self {
            wasi,
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            outgoing: Outgoing {
                component: Arc::clone(&plan.name),
            },
            config: Arc::clone(config),
            limits: Limits::new(plan),
            output,
            deadline: Instant::now(),
        }
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
