//! Object stores: the directories and buckets that components write objects to.
//!
//! [`Objects`] opens the places that a plan grants, with credentials that it takes from the host's environment and
//! hands to nobody. What it gives is a [`Container`], which reads, lists and deletes, and an [`Upload`], which writes:
//! an object appears whole when the upload is finished, and not at all where it is dropped before.
//!
//! Everything takes the moment by which it has to be over. A store that does not carry out a request is a
//! [`Fault::Unavailable`], and reported once until it works again.

mod aws_files;
mod container;
mod fault;
mod health;
mod open;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use hive_config::plan::{ContainerGrant, ObjectPlace};
use hive_lifecycle::Tasks;
use object_store::ObjectStore;
use object_store::memory::InMemory;

pub use self::container::{Container, Download, Info, Names};
pub use self::fault::Fault;
pub use self::upload::{LARGEST_OBJECT, PART, Upload};

/// The object stores of a host. Clones share everything.
#[derive(Clone)]
pub struct Objects {
    kind: Kind,
    /// One for each place: its connections are shared by all who write there.
    opened: Arc<Mutex<HashMap<ObjectPlace, Arc<dyn ObjectStore>>>>,
    tasks: Tasks,
}

#[derive(Clone, Copy)]
enum Kind {
    AsGranted,
    InMemory,
}

/// A grant that cannot be used.
#[derive(Debug)]
pub struct Unusable {
    container: Arc<str>,
    place: ObjectPlace,
    reason: String,
}

impl Objects {
    /// The places themselves.
    pub fn new(tasks: &Tasks) -> Self {
        Self::of(Kind::AsGranted, tasks)
    }

    /// Memory in place of each: for tests of components, which must not write to a real bucket.
    pub fn in_memory(tasks: &Tasks) -> Self {
        Self::of(Kind::InMemory, tasks)
    }

    fn of(kind: Kind, tasks: &Tasks) -> Self {
        Self {
            kind,
            opened: Arc::default(),
            tasks: tasks.clone(),
        }
    }

    /// The containers of a component. Nothing is sent to a store before a component asks for something.
    ///
    /// # Errors
    ///
    /// Each grant that the host has no use for, such as one whose credentials cannot be read.
    pub fn containers(
        &self,
        component: &Arc<str>,
        grants: &[ContainerGrant],
    ) -> Result<Vec<Container>, Vec<Unusable>> {
        let mut containers = Vec::new();
        let mut unusable = Vec::new();
        for grant in grants {
            match self.store(&grant.place) {
                Ok(store) => {
                    containers.push(Container::new(component, grant, store, &self.tasks));
                }
                Err(reason) => unusable.push(Unusable {
                    container: Arc::clone(&grant.container),
                    place: grant.place.clone(),
                    reason,
                }),
            }
        }
        match unusable.is_empty() {
            true => Ok(containers),
            false => Err(unusable),
        }
    }

    fn store(&self, place: &ObjectPlace) -> Result<Arc<dyn ObjectStore>, String> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(place) {
            return Ok(Arc::clone(store));
        }
        let store = match self.kind {
            Kind::AsGranted => open::open(place)?,
            Kind::InMemory => Arc::new(InMemory::new()),
        };
        opened.insert(place.clone(), Arc::clone(&store));
        Ok(store)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its container {:?} ({}) cannot be used: {}",
            self.container, self.place, self.reason
        )
    }
}
