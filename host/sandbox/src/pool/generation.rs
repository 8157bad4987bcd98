//! One version of a component at work: linked, proven to start, with its instances.

use std::sync::Arc;
use std::time::SystemTime;

use hive_config::plan::{ComponentPlan, ConsumerPlan, Instances};
use hive_core::codes::Code as ErrorCode;
use hive_core::policy::Outcome;
use hive_core::version::Version;
use hive_store::Store;
use hive_telemetry::ComponentTelemetry;
use tokio::sync::Semaphore;
use wasmtime::component::InstancePre;
use wasmtime_wasi_config::WasiConfigVariables;

use super::idle::{OnTheRoll, Warm};
use super::permits::Places;
use crate::capability::surroundings::Surroundings;
use crate::component::access::{self, Access};
use crate::component::code::{Code, Source, advise, not_compiled};
use crate::component::fault::{ComponentFault, Reason};
use crate::engine::Engine;
use crate::instance::Instance;
use crate::instance::bindings::contract::exports::hive::consumer::lifecycle::StopReason;
use crate::instance::bindings::contract::exports::hive::consumer::{
    batch_handler, handler, lifecycle,
};
use crate::instance::logs::LineRate;
use crate::instance::state::State;

/// One version of a component: compiled, checked, linked, and proven to start.
pub struct Generation {
    pub(crate) plan: ComponentPlan,
    pub(crate) pre: InstancePre<State>,
    /// None: the component does not export the interface; so are the two below.
    pub(crate) handler: Option<handler::GuestIndices>,
    pub(crate) batch_handler: Option<batch_handler::GuestIndices>,
    pub(crate) lifecycle: Option<lifecycle::GuestIndices>,
    pub(crate) config: Arc<WasiConfigVariables>,
    /// How many lines its instances may print together.
    pub(crate) lines: Arc<LineRate>,
    pub(crate) places: Arc<Places>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) surroundings: Surroundings,
    pub(crate) telemetry: ComponentTelemetry,
    pub(crate) version: Version,
    warm: Arc<Warm>,
    /// `max_instances`: a delivery waits here for its turn.
    turns: Option<Semaphore>,
    code: Code,
}

impl Engine {
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
        let fault = |reasons| ComponentFault::of(plan, reasons);
        let code = self.code(plan, source).await?;
        code.fits(consumers).map_err(fault)?;
        let generation = self.link(plan, code, number).map_err(fault)?;
        generation
            .probe()
            .await
            .map_err(|text| fault(vec![Reason::new(ErrorCode::DoesNotStart, text)]))?;
        Ok(generation)
    }

    fn link(
        &self,
        plan: &ComponentPlan,
        code: Code,
        number: u64,
    ) -> Result<Generation, Vec<Reason>> {
        let describe = |error: wasmtime::Error| vec![not_compiled(&error)];
        let pre = self
            .linker
            .instantiate_pre(&code.component)
            .map_err(describe)?;
        let telemetry = self.telemetry.component(&plan.name);
        let warm = Arc::new(Warm::new(plan, &self.tasks));
        self.places.keep_in_view(&warm);
        let handlers = code.handlers;
        let handler = handlers.single.then(|| handler::GuestIndices::new(&pre));
        let batch_handler = handlers
            .batch
            .then(|| batch_handler::GuestIndices::new(&pre));
        Ok(Generation {
            handler: handler.transpose().map_err(describe)?,
            batch_handler: batch_handler.transpose().map_err(describe)?,
            lifecycle: lifecycle::GuestIndices::new(&pre).ok(),
            pre,
            config: Arc::new(plan.config.iter().cloned().collect()),
            lines: LineRate::new(plan.name.clone(), plan.log_lines, &self.tasks, &telemetry),
            places: Arc::clone(&self.places),
            store: Arc::clone(&self.store),
            surroundings: self.surroundings.clone(),
            version: Version {
                generation: number,
                sha256: code.hash.clone(),
                since: SystemTime::now(),
            },
            warm,
            turns: plan
                .max_instances
                .map(|most| Semaphore::new(usize::from(most))),
            plan: plan.clone(),
            telemetry,
            code,
        })
    }
}

impl Generation {
    /// Which one it is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The code that it was made from.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Whether it can serve `consumers`, which are its component's from now on.
    ///
    /// # Errors
    ///
    /// Each that wants a handler which the component does not export.
    pub fn fits(&self, consumers: &[&ConsumerPlan]) -> Result<(), ComponentFault> {
        let fits = self.code.fits(consumers);
        fits.map_err(|reasons| ComponentFault::of(&self.plan, reasons))
    }

    /// The imports of the component, and what the plan grants of them.
    pub fn access(&self) -> Vec<Access> {
        access::of(&self.code.imports, &self.plan)
    }

    /// Where the component may publish.
    pub fn publications(&self) -> String {
        access::publications(&self.plan)
    }

    /// Starts one instance, and keeps it for the first delivery if instances are kept at all.
    async fn probe(&self) -> Result<(), String> {
        let instance = Instance::start(self)
            .await
            .map_err(|outcome| match outcome {
                Outcome::Failed(error) | Outcome::Trapped(error) => {
                    advise(&format!("an instance of it does not start: {error}"))
                }
                Outcome::OverLimit(error) | Outcome::HostFault(error) => {
                    format!("an instance of it does not start: {error}")
                }
                other => format!("an instance of it does not start: {other:?}"),
            })?;
        self.give_back(instance);
        Ok(())
    }

    /// For an instance in the making.
    pub(crate) fn enrol(&self) -> OnTheRoll {
        self.warm.enrol()
    }

    /// Keeps no more than `most` instances, as far as those are idle that are too many.
    pub(crate) fn trim(&self, most: usize) {
        self.warm.trim(most);
    }

    /// Waits until fewer instances handle deliveries than the plan allows.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        match &self.turns {
            // It is never closed.
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        }
    }

    /// An instance for one delivery.
    pub(crate) async fn take(&self) -> Result<Instance, Outcome> {
        match self.warm.take() {
            Some(instance) => Ok(instance),
            None => {
                self.warm.have_stopped().await;
                Instance::start(self).await
            }
        }
    }

    /// Takes back an instance that can serve again; one that has served enough is stopped instead.
    pub(crate) fn give_back(&self, instance: Instance) {
        let spent = match self.plan.instances {
            Instances::Fresh => true,
            Instances::Reuse { after, above, .. } => {
                after.is_some_and(|most| instance.served() >= most)
                    || above.is_some_and(|most| instance.memory() > most)
            }
        };
        if spent {
            self.warm.stop(instance, StopReason::Recycled);
        } else if self.places.is_crowded() {
            self.warm.stop(instance, StopReason::ScaleDown);
        } else {
            self.warm.keep(instance);
        }
    }

    /// Another version has taken over: idle instances are stopped, and the others when their call has ended.
    pub(crate) fn retire(&self) {
        self.warm.retire(StopReason::Swap);
    }

    /// Stops every instance because the host is shutting down.
    pub async fn drain(&self) {
        self.warm.drain().await;
    }
}
