//! One version of a component at work: linked, proven to start, with its instances.

use std::sync::Arc;
use std::time::SystemTime;

use hive_config::plan::{ConsumerPlan, Instances};
use hive_core::policy::Outcome;
use hive_core::version::Version;
use hive_lifecycle::Tasks;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::idle::IdlePool;
use super::permits::Permits;
use super::pooled::Pooled;
use crate::component::access::{self, Access};
use crate::component::code::{Code, advise};
use crate::component::fault::ComponentFault;
use crate::instance::template::Template;
use crate::instance::{Instance, StopReason};

/// One version of a component: compiled, checked, linked, and proven to start.
pub struct Generation {
    pub(super) template: Template,
    version: Version,
    idle: Arc<IdlePool>,
    permits: Arc<Permits>,
    /// `max_instances`: a delivery waits here for its turn.
    turns: Option<Semaphore>,
    code: Code,
}

impl Generation {
    /// A generation without instances. It is to be [probed](Self::probe) before it gets a delivery.
    pub(crate) fn new(
        template: Template,
        code: Code,
        number: u64,
        permits: &Arc<Permits>,
        tasks: &Tasks,
    ) -> Self {
        let plan = &template.grants.plan;
        let idle = Arc::new(IdlePool::new(plan, tasks));
        permits.keep_in_view(&idle);
        Self {
            version: Version {
                generation: number,
                sha256: code.hash.clone(),
                since: SystemTime::now(),
            },
            idle,
            permits: Arc::clone(permits),
            turns: plan
                .max_instances
                .map(|most| Semaphore::new(usize::from(most))),
            template,
            code,
        }
    }

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
        fits.map_err(|reasons| ComponentFault::of(&self.template.grants.plan, reasons))
    }

    /// The imports of the component, and what the plan grants of them.
    pub fn access(&self) -> Vec<Access> {
        access::of(&self.code.imports, &self.template.grants.plan)
    }

    /// Whether it may keep something in the store.
    pub(crate) fn keeps(&self) -> bool {
        !self.template.grants.plan.allow.keyvalue.is_empty()
    }

    /// Where the component may publish.
    pub fn publications(&self) -> String {
        access::publications(&self.template.grants.plan)
    }

    /// Whether the component exports the handler of single deliveries.
    pub fn takes_single(&self) -> bool {
        self.template.takes_single()
    }

    /// Whether it exports the handler of batches.
    pub fn takes_batches(&self) -> bool {
        self.template.takes_batches()
    }

    /// Starts one instance, and keeps it for the first delivery if instances are kept at all.
    pub(crate) async fn probe(&self) -> Result<(), String> {
        let instance = self.start().await.map_err(|outcome| match outcome {
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

    /// Makes an instance, once there is a permit for it.
    async fn start(&self) -> Result<Pooled, Outcome> {
        let permit = self.permits.take().await;
        let on_the_roll = self.idle.enrol();
        let instance = Instance::start(&self.template).await?;
        Ok(Pooled::new(instance, on_the_roll, permit))
    }

    /// Keeps no more than `most` instances, as far as those are idle that are too many.
    pub(crate) fn trim(&self, most: usize) {
        self.idle.trim(most);
    }

    /// Waits until fewer instances handle deliveries than the plan allows.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        match &self.turns {
            // The semaphore is never closed.
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        }
    }

    /// An instance for one delivery.
    pub(super) async fn take(&self) -> Result<Pooled, Outcome> {
        match self.idle.take() {
            Some(instance) => Ok(instance),
            None => {
                self.idle.have_stopped().await;
                self.start().await
            }
        }
    }

    /// Takes back an instance that can serve again; one that has served enough is stopped instead.
    pub(super) fn give_back(&self, instance: Pooled) {
        let spent = match self.template.grants.plan.instances {
            Instances::Fresh => true,
            Instances::Reuse { after, above, .. } => {
                after.is_some_and(|most| instance.served() >= most)
                    || above.is_some_and(|most| instance.memory() > most)
            }
        };
        if spent {
            self.idle.stop(instance, StopReason::Recycled);
        } else if self.permits.is_crowded() {
            self.idle.stop(instance, StopReason::ScaleDown);
        } else {
            self.idle.keep(instance);
        }
    }

    /// Another version has taken over: idle instances are stopped, and the others when their call has ended.
    pub(crate) fn retire(&self) {
        self.idle.retire(StopReason::Swap);
    }

    /// Stops every instance because the host is shutting down.
    pub async fn drain(&self) {
        self.idle.drain().await;
    }
}
