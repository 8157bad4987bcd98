//! The wasmtime engine, and everything that the wings of this crate make with it: code, templates, generations.

use std::sync::Arc;

use anyhow::Context;
use hive_config::plan::{ComponentPlan, ConsumerPlan};
use hive_core::codes::Code as ErrorCode;
use hive_lifecycle::Tasks;
use hive_objects::Objects;
use hive_store::Store;
use hive_telemetry::{Fact, Telemetry};
use wasmtime::InstanceAllocationStrategy;

use crate::capability;
use crate::capability::surroundings::Surroundings;
use crate::component::code::{Compiler, Source};
use crate::component::compiling::{Compiling, settings};
use crate::component::content::Content;
use crate::component::fault::{ComponentFault, Reason};
use crate::instance::clock;
use crate::instance::template::{Services, Template};
use crate::pool::allocation::{EngineLimits, pooling};
use crate::pool::generation::Generation;
use crate::pool::permits::Permits;

/// Compiles and links components. Clones share everything.
#[derive(Clone)]
pub struct Engine {
    compiler: Compiler,
    services: Services,
    permits: Arc<Permits>,
}

impl Engine {
    /// An engine for this many instances. They come from a pool that is reserved at start, or each from its own
    /// mapping if there can be no pool. Its clock ticks until the last clone is gone. `store` holds the buckets
    /// of components.
    pub fn new(
        limits: EngineLimits,
        compiling: Compiling,
        tasks: &Tasks,
        telemetry: &Telemetry,
        store: &Arc<dyn Store>,
    ) -> anyhow::Result<Self> {
        let mut settings = settings();
        let functions = compiling.set_up(&mut settings)?;
        let mut pooled = settings.clone();
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits)));
        let engine = match wasmtime::Engine::new(&pooled) {
            Ok(engine) => engine,
            Err(error) => {
                Fact::PoolUnavailable {
                    error: &format!("{error:#}"),
                    instances: limits.instances,
                }
                .emit();
                wasmtime::Engine::new(&settings)
                    .map_err(anyhow::Error::from)
                    .context("the WebAssembly engine could not be made")?
            }
        };
        let linker = capability::linker(&engine)
            .map_err(anyhow::Error::from)
            .context("the host's interfaces could not be linked")?;
        clock::start(&engine)?;
        Ok(Self {
            compiler: Compiler::new(engine, functions, tasks),
            services: Services {
                linker: Arc::new(linker),
                store: Arc::clone(store),
                objects: Objects::new(tasks),
                surroundings: Surroundings::default(),
                tasks: tasks.clone(),
                telemetry: telemetry.clone(),
            },
            permits: Permits::new(limits.instances, tasks),
        })
    }

    /// The same engine, whose components keep their buckets in `store` and meet these surroundings.
    #[must_use]
    pub fn surrounded(&self, store: &Arc<dyn Store>, surroundings: Surroundings) -> Self {
        let mut surrounded = self.clone();
        surrounded.services.store = Arc::clone(store);
        if let Some(objects) = &surroundings.objects {
            surrounded.services.objects = objects.clone();
        }
        surrounded.services.surroundings = surroundings;
        surrounded
    }

    /// The current content of the plan's file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub async fn file(&self, plan: &ComponentPlan) -> Result<Content, ComponentFault> {
        self.compiler.file(plan).await
    }

    /// Content that was sent instead of the file.
    ///
    /// # Errors
    ///
    /// The host fails to compute its checksum.
    pub async fn sent(
        &self,
        plan: &ComponentPlan,
        bytes: Vec<u8>,
    ) -> Result<Content, ComponentFault> {
        self.compiler.sent(plan, bytes).await
    }

    /// Compiles and checks the code of a component, and starts one instance of it: signatures are only checked
    /// then, and code that does not start must not get a delivery. `consumers` are those of the component,
    /// `number` distinguishes this generation from earlier ones.
    ///
    /// # Errors
    ///
    /// Every fault of the file, its exports and its imports.
    pub async fn load(
        &self,
        plan: &ComponentPlan,
        consumers: &[&ConsumerPlan],
        source: Source,
        number: u64,
    ) -> Result<Generation, ComponentFault> {
        self.load_as(plan, consumers, source, number, None).await
    }

    /// The same for a shadow: its instances change nothing outside of them, and nothing of it is counted in the metrics of
    /// the component.
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub async fn load_shadow(
        &self,
        plan: &ComponentPlan,
        consumers: &[&ConsumerPlan],
        source: Source,
        number: u64,
    ) -> Result<Generation, ComponentFault> {
        let mut plan = plan.clone();
        for dir in &mut plan.allow.dirs {
            dir.write = false;
        }
        let uncounted = Telemetry::new().map_err(|error| {
            let reason = Reason::new(ErrorCode::HostFailed, error.to_string());
            ComponentFault::of(&plan, vec![reason])
        })?;
        let mut apart = self.clone();
        apart.services.telemetry = uncounted;
        apart
            .load_as(&plan, consumers, source, number, Some(number))
            .await
    }

    async fn load_as(
        &self,
        plan: &ComponentPlan,
        consumers: &[&ConsumerPlan],
        source: Source,
        number: u64,
        shadow: Option<u64>,
    ) -> Result<Generation, ComponentFault> {
        let fault = |reasons| ComponentFault::of(plan, reasons);
        let code = self.compiler.code(plan, source).await?;
        code.fits(consumers).map_err(fault)?;
        let template = Template::new(plan, &code, &self.services, shadow).map_err(fault)?;
        let tasks = &self.services.tasks;
        let generation = Generation::new(template, code, number, &self.permits, tasks);
        generation
            .probe()
            .await
            .map_err(|text| fault(vec![Reason::new(ErrorCode::DoesNotStart, text)]))?;
        Ok(generation)
    }
}
