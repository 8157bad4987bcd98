//! How an engine compiles: with which settings, on which cores, and what it keeps of it.

use std::sync::Arc;

use wasmtime::{Config, WasmBacktraceDetails};

use super::cache::{cache, cache_directory};
use super::functions::Functions;

/// The stack of a component, and the host's beside it.
const WASM_STACK: usize = 512 * 1024;
const ASYNC_STACK: usize = 2 * 1024 * 1024;

/// What compilation may cost, and what is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiling {
    /// On one core: the deliveries of other components go on meanwhile.
    BesideDeliveries,
    /// On every core: nobody waits for anything else.
    Alone,
    /// On every core, and only the functions that were not compiled before: the same component is built again and
    /// again.
    Repeatedly,
}

impl Compiling {
    /// Sets an engine up for it; gives the functions that it keeps, if any.
    pub(crate) fn set_up(self, config: &mut Config) -> wasmtime::Result<Option<Arc<Functions>>> {
        config
            .parallel_compilation(self != Self::BesideDeliveries)
            .cache(cache());
        if self != Self::Repeatedly {
            return Ok(None);
        }
        let functions = Arc::new(Functions::open(cache_directory().as_deref()));
        config.enable_incremental_compilation(Arc::clone(&functions) as _)?;
        Ok(Some(functions))
    }
}

/// The settings of every engine. Code that one of them compiled ahead runs in another.
pub(crate) fn settings() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK)
        // The component model's own concurrency costs more than a microsecond a call, and the
        // contract has no async function.
        .concurrency_support(false)
        // A trap is reported with file and line if the component has them; they are looked up then.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}
