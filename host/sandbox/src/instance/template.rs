//! What the instances of one generation are made from. It knows nothing of instances, and nothing of who keeps them.

use std::sync::Arc;

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code as ErrorCode;
use hive_lifecycle::Tasks;
use hive_objects::{Objects, Unusable};
use hive_store::Store;
use hive_telemetry::Telemetry;
use wasmtime::component::{InstancePre, Linker};

use super::bindings::contract::exports::hive::consumer::{batch_handler, handler, lifecycle};
use super::logs::LineRate;
use super::state::{Grants, State};
use crate::capability::surroundings::Surroundings;
use crate::component::code::{Code, not_compiled};
use crate::component::fault::Reason;

/// What the host has for the instances of all components.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) linker: Arc<Linker<State>>,
    /// Has the buckets of components.
    pub(crate) store: Arc<dyn Store>,
    /// Has their containers.
    pub(crate) objects: Objects,
    pub(crate) surroundings: Surroundings,
    pub(crate) tasks: Tasks,
    pub(crate) telemetry: Telemetry,
}

/// What the instances of one generation are made from: linked code, and what the plan grants them.
pub(crate) struct Template {
    pub(super) pre: InstancePre<State>,
    /// `None`: the component does not export the interface; so are the two below.
    pub(super) handler: Option<handler::GuestIndices>,
    pub(super) batch_handler: Option<batch_handler::GuestIndices>,
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    pub(crate) grants: Arc<Grants>,
}

impl Template {
    /// Links the code of a component. An error is a signature that the host does not have. `shadow` is the generation, if
    /// it is one.
    pub(crate) fn new(
        plan: &ComponentPlan,
        code: &Code,
        services: &Services,
        shadow: Option<u64>,
    ) -> Result<Self, Vec<Reason>> {
        let describe = |error: wasmtime::Error| vec![not_compiled(&error)];
        let pre = services
            .linker
            .instantiate_pre(&code.component)
            .map_err(describe)?;
        let handlers = code.handlers;
        let handler = handlers.single.then(|| handler::GuestIndices::new(&pre));
        let batch_handler = handlers
            .batch
            .then(|| batch_handler::GuestIndices::new(&pre));
        let telemetry = services.telemetry.component(&plan.name);
        let tasks = &services.tasks;
        let containers = services
            .objects
            .containers(&plan.name, &plan.allow.blobstore)
            .map_err(|unusable| {
                let reason =
                    |one: &Unusable| Reason::new(ErrorCode::ObjectsUnusable, one.to_string());
                unusable.iter().map(reason).collect::<Vec<_>>()
            })?;
        Ok(Self {
            handler: handler.transpose().map_err(describe)?,
            batch_handler: batch_handler.transpose().map_err(describe)?,
            lifecycle: lifecycle::GuestIndices::new(&pre).ok(),
            pre,
            grants: Arc::new(Grants {
                config: plan.config.iter().cloned().collect(),
                lines: LineRate::new(plan.name.clone(), plan.log_lines, tasks, &telemetry),
                store: Arc::clone(&services.store),
                containers: containers.into(),
                surroundings: services.surroundings.clone(),
                shadow,
                plan: plan.clone(),
                telemetry,
            }),
        })
    }

    /// Whether the component exports the handler of single deliveries.
    pub(crate) fn takes_single(&self) -> bool {
        self.handler.is_some()
    }

    /// Whether it exports the handler of batches.
    pub(crate) fn takes_batches(&self) -> bool {
        self.batch_handler.is_some()
    }
}
