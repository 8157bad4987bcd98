//! A component, from its file to something that takes deliveries.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use wasmtime::Precompiled;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use super::access::{self, Access};
use super::bindings::consumer::ConsumerIndices;
use super::bindings::managed::exports::hive::consumer::lifecycle::{self, StopReason};
use super::engine::Engine;
use super::exports;
use super::fault::ComponentFault;
use super::instance::Instance;
use super::logs::LineRate;
use super::state::State;
use crate::config::plan::{ComponentPlan, Instances};
use crate::lifecycle::Tasks;
use crate::policy::Outcome;
use crate::store::Store;
use crate::telemetry::ComponentTelemetry;

/// One version of a component: compiled, checked, linked, and proven to start.
pub struct Generation {
    pub(super) plan: ComponentPlan,
    pub(super) pre: InstancePre<State>,
    pub(super) handler: ConsumerIndices,
    /// None: the component does not export the interface.
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    pub(super) config: Arc<WasiConfigVariables>,
    /// How many lines its instances may print together.
    pub(super) lines: Arc<LineRate>,
    /// Instances between two deliveries; the last one used is the first one taken, since its
    /// memory is still in the processor's caches.
    warm: Mutex<Vec<Instance>>,
    tasks: Tasks,
    pub(super) store: Arc<dyn Store>,
    pub(super) telemetry: ComponentTelemetry,
    hash: String,
    imports: Vec<String>,
}

/// Holds the current generation of a component.
pub struct Slot(ArcSwap<Generation>);

impl Slot {
    /// A slot that starts with this generation.
    pub fn new(generation: Generation) -> Self {
        Self(ArcSwap::from_pointee(generation))
    }

    /// The generation that takes the next delivery. Whoever holds it keeps it to the end of the
    /// call, so a swap never changes code under a delivery.
    pub fn current(&self) -> Arc<Generation> {
        self.0.load_full()
    }
}

impl Engine {
    /// Compiles and checks the component of a plan, and starts one instance of it: signatures are
    /// only checked then, and what fails to start must not be given a delivery.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, what it exports and what it imports.
    pub async fn load(&self, plan: &ComponentPlan) -> Result<Generation, ComponentFault> {
        let fault = |reasons| ComponentFault {
            component: plan.name.to_string(),
            path: plan.path.clone(),
            reasons,
        };
        let compiling = {
            let (engine, plan) = (self.clone(), plan.clone());
            self.tasks
                .spawn_blocking(move || engine.compile(&plan.path, plan.sha256.as_deref()))
        };
        let compiled = compiling
            .await
            .map_err(|error| fault(vec![format!("compiling it failed: {error}")]))?
            .map_err(fault)?;
        let generation = self.link(plan, compiled).map_err(fault)?;
        generation
            .probe()
            .await
            .map_err(|reason| fault(vec![reason]))?;
        Ok(generation)
    }

    /// `sum` is the one that the plan wants, if it wants one.
    fn compile(&self, path: &Path, sum: Option<&str>) -> Result<(Component, String), Vec<String>> {
        let bytes = std::fs::read(path)
            .map_err(|error| vec![format!("the file cannot be read: {error}")])?;
        let hash = hex(&Sha256::digest(&bytes));
        if let Some(sum) = sum.filter(|sum| **sum != hash) {
            return Err(vec![format!(
                "its SHA-256 is {hash}, and `sha256` wants {sum}; build that version, or write the sum of this one"
            )]);
        }
        let component = self.read(path, &bytes).map_err(|reason| vec![reason])?;
        let faults = exports::faults(&self.engine, &component);
        if !faults.is_empty() {
            return Err(faults);
        }
        component
            .initialize_copy_on_write_image()
            .map_err(|error| vec![format!("its memory cannot be prepared: {error:#}")])?;
        Ok((component, hash))
    }

    fn read(&self, path: &Path, bytes: &[u8]) -> Result<Component, String> {
        const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
        match wasmtime::Engine::detect_precompiled(bytes) {
            Some(Precompiled::Component) => return self.read_precompiled(bytes),
            Some(Precompiled::Module) => {
                return Err("it is a precompiled core module, not a component".to_owned());
            }
            None => {}
        }
        let is_text = path.extension().is_some_and(|extension| extension == "wat");
        if bytes.is_empty() {
            return Err("the file is empty; was its build interrupted?".to_owned());
        }
        if bytes.starts_with(CORE_MODULE) {
            return Err(
                "it is a core WebAssembly module, not a component; build it for wasm32-wasip2, or wrap \
                 it with `wasm-tools component new`"
                    .to_owned(),
            );
        }
        if !bytes.starts_with(b"\0asm") && !is_text {
            return Err("it is not WebAssembly: it does not begin with \\0asm".to_owned());
        }
        Component::new(&self.engine, bytes).map_err(|error| advise(&format!("{error:#}")))
    }

    #[expect(
        unsafe_code,
        reason = "native code is run as it stands in the file: a .cwasm is as trusted as the host's own binary, \
                  which docs/configuration.md says of `path`"
    )]
    fn read_precompiled(&self, bytes: &[u8]) -> Result<Component, String> {
        // SAFETY: the bytes were made by wasmtime (`detect_precompiled` has seen its mark), from a file
        // named by the operator, who could as well have named another binary to run. They are those
        // whose sum was checked: the file may be another by now.
        unsafe { Component::deserialize(&self.engine, bytes) }.map_err(|error| {
            format!(
                "it was precompiled for another engine ({error:#}); name the .wasm it was made from"
            )
        })
    }

    fn link(
        &self,
        plan: &ComponentPlan,
        (component, hash): (Component, String),
    ) -> Result<Generation, Vec<String>> {
        let describe = |error: wasmtime::Error| vec![advise(&format!("{error:#}"))];
        let pre = self.linker.instantiate_pre(&component).map_err(describe)?;
        let telemetry = self.telemetry.component(&plan.name);
        Ok(Generation {
            handler: ConsumerIndices::new(&pre).map_err(describe)?,
            lifecycle: lifecycle::GuestIndices::new(&pre).ok(),
            pre,
            config: Arc::new(plan.config.iter().cloned().collect()),
            plan: plan.clone(),
            warm: Mutex::default(),
            tasks: self.tasks.clone(),
            lines: LineRate::new(
                Arc::clone(&plan.name),
                plan.log_lines,
                &self.tasks,
                &telemetry,
            ),
            telemetry,
            store: Arc::clone(&self.store),
            hash,
            imports: exports::imports(&self.engine, &component),
        })
    }
}

impl Generation {
    /// The SHA-256 of the component's file, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What the component imports, and what of it the plan grants.
    pub fn access(&self) -> Vec<Access> {
        access::of(&self.imports, &self.plan)
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

    /// An instance for one delivery.
    pub(super) async fn take(&self) -> Result<Instance, Outcome> {
        let warm = self
            .warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match warm {
            Some(instance) => Ok(instance),
            None => Instance::start(self).await,
        }
    }

    /// Takes back an instance that can serve again; one that has served enough is stopped instead.
    pub(super) fn give_back(&self, instance: Instance) {
        let spent = match self.plan.instances {
            Instances::Fresh => true,
            Instances::Reuse { recycle_after } => {
                recycle_after.is_some_and(|most| instance.served() >= most)
            }
        };
        if spent {
            if instance.has_lifecycle() {
                let timeout = self.plan.timeout;
                self.tasks
                    .spawn_work(instance.stop(StopReason::Recycled, timeout));
            }
            return;
        }
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }

    /// Stops every warm instance because the host is shutting down.
    pub async fn drain(&self) {
        let warm = std::mem::take(&mut *self.warm.lock().unwrap_or_else(PoisonError::into_inner));
        for instance in warm {
            instance.stop(StopReason::Drain, self.plan.timeout).await;
        }
    }
}

/// Adds what to do to the errors of wasmtime that people meet.
fn advise(error: &str) -> String {
    const ADVICE: &[(&str, &str)] = &[
        (
            "requires the component model async feature",
            "its functions are async; build it with synchronous exports",
        ),
        (
            "exceeds the limit of",
            "it needs more than the host gives; raise `memory` of the component",
        ),
        (
            "exceeds memory limits",
            "it needs more than the host gives; raise `memory` of the component",
        ),
    ];
    match ADVICE.iter().find(|(sign, _)| error.contains(sign)) {
        Some((_, advice)) => format!("{advice} ({error})"),
        None => error.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
