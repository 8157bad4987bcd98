//! `wasi:blobstore`: the containers that `allow.blobstore` of the component names.
//!
//! The interface is that of the proposal: `write-data` names the object, the stream of the value takes its content, and
//! `finish` makes it appear. Credentials and addresses are `hive-objects`' own; a component knows names.
//!
//! Everything ends before the call does, so that the component and the log get a reason. A store that was away during
//! a call is remembered for its end: a call that fails then is no failure of the component.

mod containers;
mod streams;
mod values;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_config::plan::ComponentPlan;
use hive_core::codes::Code;
use hive_objects::{Container, Fault};
use hive_telemetry::{Capability, CapabilityDenied, ComponentTelemetry};
use tokio::time::Instant;
use wasmtime::component::{HasData, Linker, ResourceTable};

use self::bindings::wasi::blobstore::{blobstore, container, types};
use super::reporting::Quoted;

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../../guest-sdk/wit/deps/wasi-io.wit", "../../guest-sdk/wit/deps/wasi-blobstore"],
        world: "wasi:blobstore/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:blobstore/types.outgoing-value": crate::capability::blobstore::values::Outgoing,
            "wasi:blobstore/types.incoming-value": crate::capability::blobstore::values::Incoming,
            "wasi:blobstore/container.container": hive_objects::Container,
            "wasi:blobstore/container.stream-object-names":
                crate::capability::blobstore::containers::Listing,
        },
    });
}

/// What an instance may have open at once, of each kind.
const MOST_CONTAINERS: usize = 64;
/// See [`MOST_CONTAINERS`]. Each has up to two parts of 8 MiB in the host's memory.
const MOST_OUTGOING: usize = 4;
/// Outgoing values without a stream need nothing but their place.
const MOST_VALUES: usize = 64;
/// See [`MOST_CONTAINERS`].
const MOST_INCOMING: usize = 16;
/// See [`MOST_CONTAINERS`].
const MOST_LISTINGS: usize = 16;

/// What is left of a call for the component once its store has taken too long: a tenth of its time, and at most this.
const LEFT_FOR_THE_COMPONENT: Duration = Duration::from_millis(500);

/// The result of a call: the error of the interface is a text.
type Answer<T> = wasmtime::Result<Result<T, String>>;

/// An instance's access to its containers.
pub(crate) struct Blobstore {
    component: Arc<str>,
    containers: Arc<[Container]>,
    open: Open,
    current: Current,
    telemetry: ComponentTelemetry,
}

/// How much is open.
#[derive(Default)]
struct Open {
    containers: usize,
    outgoing: usize,
    incoming: usize,
    listings: usize,
}

/// The call that runs now, for the streams that outlive it.
#[derive(Clone)]
struct Current(Arc<Mutex<Running>>);

struct Running {
    /// When whatever is asked of a store has to be over.
    until: Instant,
    /// Why a store did not do what the call asked for.
    trouble: Option<String>,
}

impl Blobstore {
    pub(crate) fn new(
        plan: &ComponentPlan,
        containers: &Arc<[Container]>,
        telemetry: &ComponentTelemetry,
    ) -> Self {
        Self {
            component: Arc::clone(&plan.name),
            containers: Arc::clone(containers),
            open: Open::default(),
            current: Current(Arc::new(Mutex::new(Running {
                until: Instant::now(),
                trouble: None,
            }))),
            telemetry: telemetry.clone(),
        }
    }

    /// A call begins.
    pub(crate) fn begins(&self, deadline: Instant, timeout: Duration) {
        let mut running = self.current.lock();
        running.until = deadline - (timeout / 10).min(LEFT_FOR_THE_COMPONENT);
        running.trouble = None;
    }

    /// Why a store did not do what the call asked for, if so.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.current.lock().trouble.take()
    }

    fn granted(&self, name: &str) -> Option<&Container> {
        let mut containers = self.containers.iter();
        containers.find(|container| **container.name() == *name)
    }

    /// The container of this name, or the text of the refusal.
    fn container(&self, name: &str) -> Result<Container, String> {
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

    /// Reports a refusal; its text.
    fn deny(&self, asked: &dyn fmt::Display, reason: &str) -> String {
        self.telemetry.denied(CapabilityDenied {
            capability: Capability::Blobstore,
            code: Code::ContainerDenied.as_str(),
            asked,
            reason: &reason,
        });
        format!("{asked} is denied: {reason}")
    }
}

impl Current {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self) -> Instant {
        self.lock().until
    }

    /// Notes that a store was away; the text of the fault.
    fn told(&self, container: &str, fault: &Fault) -> String {
        let text = format!("container {container:?}: {fault}");
        if let Fault::Unavailable(_) = fault {
            self.lock().trouble = Some(format!("the object store of {text}"));
        }
        text
    }
}

/// An instance that has containers.
pub(crate) trait BlobstoreView: Send {
    fn blobstore(&mut self) -> Access<'_>;
}

pub(super) fn link<T>(linker: &mut Linker<T>) -> wasmtime::Result<()>
where
    T: BlobstoreView + 'static,
{
    types::add_to_linker::<_, Access>(linker, T::blobstore)?;
    container::add_to_linker::<_, Access>(linker, T::blobstore)?;
    blobstore::add_to_linker::<_, Access>(linker, T::blobstore)
}

/// The parts of an instance's state that a call needs.
pub(crate) struct Access<'a> {
    pub(crate) blobstore: &'a mut Blobstore,
    pub(crate) table: &'a mut ResourceTable,
}

impl HasData for Access<'static> {
    type Data<'a> = Access<'a>;
}

/// Takes a place among `most`, or says why there is none.
fn take_place(open: &mut usize, most: usize, what: &str) -> Result<(), String> {
    if *open >= most {
        return Err(format!("{most} {what} are open already; drop some of them"));
    }
    *open += 1;
    Ok(())
}
