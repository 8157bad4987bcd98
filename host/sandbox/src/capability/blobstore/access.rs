//! An instance's access to its containers: what is granted, and how much may be open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code;
use hive_objects::{Container, Fault};
use hive_store::Noting;
use hive_telemetry::{Capability, CapabilityDenied, ComponentTelemetry};
use tokio::time::Instant;
use wasmtime::component::{HasData, ResourceTable};

use super::running::Current;
use crate::capability::reporting::Quoted;
use crate::capability::shadow;

/// What an instance may have open at once, of each kind.
pub(super) const MOST_CONTAINERS: usize = 64;
/// See [`MOST_CONTAINERS`]. Each has up to two parts of 8 MiB in the host's memory.
pub(super) const MOST_OUTGOING: usize = 4;
/// Outgoing values without a stream need nothing but their place.
pub(super) const MOST_VALUES: usize = 64;
/// See [`MOST_CONTAINERS`].
pub(super) const MOST_INCOMING: usize = 16;
/// See [`MOST_CONTAINERS`].
pub(super) const MOST_LISTINGS: usize = 16;

/// The result of a call: the error of the interface is a text.
pub(super) type Answer<T> = wasmtime::Result<Result<T, String>>;

/// An instance's access to its containers.
pub(crate) struct Blobstore {
    component: Arc<str>,
    containers: Arc<[Container]>,
    pub(super) open: Open,
    pub(super) current: Current,
    noting: Arc<Noting>,
    telemetry: ComponentTelemetry,
}

/// How much is open.
#[derive(Default)]
pub(super) struct Open {
    pub(super) containers: usize,
    pub(super) outgoing: usize,
    pub(super) incoming: usize,
    pub(super) listings: usize,
}

impl Blobstore {
    pub(crate) fn new(
        plan: &ComponentPlan,
        containers: &Arc<[Container]>,
        noting: &Arc<Noting>,
        telemetry: &ComponentTelemetry,
        now: Instant,
    ) -> Self {
        Self {
            component: Arc::clone(&plan.name),
            containers: Arc::clone(containers),
            open: Open::default(),
            current: Current::new(now),
            noting: Arc::clone(noting),
            telemetry: telemetry.clone(),
        }
    }

    /// A call begins.
    pub(crate) fn begins(&self, deadline: Instant, timeout: Duration) {
        if !self.containers.is_empty() {
            self.current.begins(deadline, timeout);
        }
    }

    /// Why a store did not do what the call asked for, if so.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        match self.containers.is_empty() {
            true => None,
            false => self.current.take_trouble(),
        }
    }

    pub(super) fn granted(&self, name: &str) -> Option<&Container> {
        let mut containers = self.containers.iter();
        containers.find(|container| **container.name() == *name)
    }

    /// The container of this name, or the text of the refusal.
    pub(super) fn container(&self, name: &str) -> Result<Container, String> {
        match self.granted(name) {
            Some(container) => Ok(container.clone()),
            None => {
                let why = format!(
                    "`components.{}.allow.blobstore` does not have it",
                    self.component
                );
                Err(self.deny(&format_args!("the container {}", Quoted(name)), &why))
            }
        }
    }

    /// Whether objects may be changed; the text of the refusal otherwise.
    pub(super) fn may_change(&self) -> Result<(), String> {
        match shadow::refused(&self.noting, "changes objects of a container") {
            Some(refused) => Err(refused),
            None => Ok(()),
        }
    }

    /// Reports a refusal; its text.
    pub(super) fn deny(&self, asked: &dyn fmt::Display, reason: &str) -> String {
        self.telemetry.denied(CapabilityDenied {
            capability: Capability::Blobstore,
            code: Code::ContainerDenied.as_str(),
            asked,
            reason: &reason,
        });
        format!("{asked} is denied: {reason}")
    }
}

/// An instance that has containers.
pub(crate) trait BlobstoreView: Send {
    fn blobstore(&mut self) -> Access<'_>;
}

/// The parts of an instance's state that a call needs.
pub(crate) struct Access<'a> {
    pub(crate) blobstore: &'a mut Blobstore,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for Access<'static> {
    type Data<'a> = Access<'a>;
}

impl Access<'_> {
    /// The text of a fault, which is remembered for the end of the call.
    pub(super) fn told<T>(
        &self,
        container: &Container,
        ended: Result<T, Fault>,
    ) -> Result<T, String> {
        ended.map_err(|fault| self.blobstore.current.told(container.name(), &fault))
    }
}

/// Takes a place among `most`, or says why there is none.
pub(super) fn take_place(open: &mut usize, most: usize, what: &str) -> Result<(), String> {
    if *open >= most {
        return Err(format!("{most} {what} are open already; drop some of them"));
    }
    *open += 1;
    Ok(())
}
