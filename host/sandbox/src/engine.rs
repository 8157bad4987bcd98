//! The wasmtime engine: how components are compiled, where their memory comes from, and the clock
//! that cuts off an endless loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hive_lifecycle::Tasks;
use hive_store::Store;
use hive_telemetry::{Fact, Telemetry};
use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::capability;
use crate::capability::surroundings::Surroundings;
use crate::instance::limits::TABLE_ELEMENTS;
use crate::instance::state::State;
use crate::pool::permits::Places;

/// How often a running component is asked whether its time is up. An endless loop is cut off this
/// much late at most.
const TICK: Duration = Duration::from_millis(2);

/// Resources of one component, as the pool reserves them: enough for the largest runtimes that
/// compile to components (JavaScript and Python use up to nine core instances).
const CORE_INSTANCES: u32 = 20;
const MEMORIES: u32 = 4;
const TABLES: u32 = 10;

/// The largest 32-bit memory. A permit reserves this size anyway, and the limit of a component may be raised
/// while the host runs.
const LARGEST_MEMORY: usize = 1 << 32;

/// The stack of a component, and the host's beside it.
const WASM_STACK: usize = 512 * 1024;
const ASYNC_STACK: usize = 2 * 1024 * 1024;

/// The parameters of the pool.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Instances that exist at once.
    pub instances: u32,
}

/// Compiles and links components. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<State>>,
    pub(crate) places: Arc<Places>,
    pub(crate) tasks: Tasks,
    pub(crate) telemetry: Telemetry,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) surroundings: Surroundings,
}

impl Engine {
    /// An engine for this many instances. They come from a pool that is reserved at start, or each from its own
    /// mapping if there can be no pool. Its clock ticks until the last clone is gone. `store` holds the buckets
    /// of components.
    pub fn new(
        limits: EngineLimits,
        tasks: &Tasks,
        telemetry: &Telemetry,
        store: &Arc<dyn Store>,
    ) -> anyhow::Result<Self> {
        let engine = match wasmtime::Engine::new(&config(Some(limits))) {
            Ok(engine) => engine,
            Err(error) => {
                Fact::PoolUnavailable {
                    error: &format!("{error:#}"),
                    instances: limits.instances,
                }
                .emit();
                wasmtime::Engine::new(&config(None))
                    .map_err(anyhow::Error::from)
                    .context("the WebAssembly engine could not be made")?
            }
        };
        let linker = linker(&engine)
            .map_err(anyhow::Error::from)
            .context("the host's interfaces could not be linked")?;
        start_clock(&engine)?;
        Ok(Self {
            linker: Arc::new(linker),
            places: Places::new(limits.instances, tasks),
            engine,
            tasks: tasks.clone(),
            telemetry: telemetry.clone(),
            store: Arc::clone(store),
            surroundings: Surroundings::default(),
        })
    }

    /// The same engine, whose components keep their buckets in `store` and meet these surroundings.
    #[must_use]
    pub fn surrounded(&self, store: &Arc<dyn Store>, surroundings: Surroundings) -> Self {
        Self {
            store: Arc::clone(store),
            surroundings,
            ..self.clone()
        }
    }
}

fn config(pool: Option<EngineLimits>) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(ASYNC_STACK)
        // The component model's own concurrency costs more than a microsecond a call, and the
        // contract has no async function.
        .concurrency_support(false)
        // A trap is reported with file and line if the component has them; they are looked up then.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        // One compilation would take every core and stall the deliveries of other components.
        .parallel_compilation(false)
        .cache(cache());
    if let Some(limits) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits)));
    }
    config
}

fn pooling(limits: EngineLimits) -> PoolingAllocationConfig {
    let instances = limits.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(TABLES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(LARGEST_MEMORY)
        .pagemap_scan(Enabled::Auto);
    // Without PAGEMAP_SCAN what is kept is cleared with a memset at every reuse of a slot.
    let keep = if PoolingAllocationConfig::is_pagemap_scan_available() {
        512 * 1024
    } else {
        128 * 1024
    };
    pool.linear_memory_keep_resident(keep)
        .table_keep_resident(64 * 1024);
    pool
}

/// Compiled code is kept between runs; without a folder for it every start compiles again.
fn cache() -> Option<Cache> {
    let directory = cache_directory()?;
    let mut config = CacheConfig::new();
    config.with_directory(&directory);
    match Cache::new(config) {
        Ok(cache) => Some(cache),
        Err(error) => {
            Fact::CacheUnavailable {
                directory: &directory.display(),
                error: &format!("{error:#}"),
            }
            .emit();
            None
        }
    }
}

/// `HIVE_CACHE_DIR`, else `hive` in the user's cache folder (XDG Base Directory Specification).
fn cache_directory() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let directory = variable("HIVE_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("hive")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache/hive")))?;
    std::path::absolute(directory).ok()
}

/// A thread of its own, because components may keep every other thread busy.
fn start_clock(engine: &wasmtime::Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("hive-epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::park_timeout(TICK);
            }
        })
        .context("the thread that cuts off endless loops could not be started")?;
    Ok(())
}

fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // Functions in front of wasmtime's log what is denied.
    linker.allow_shadowing(true);
    capability::env::link(&mut linker)?;
    capability::dirs::link(&mut linker)?;
    capability::sockets::link(&mut linker)?;
    linker.allow_shadowing(false);
    capability::http::link(&mut linker)?;
    capability::config::link(&mut linker)?;
    capability::keyvalue::link(&mut linker)?;
    Ok(linker)
}
