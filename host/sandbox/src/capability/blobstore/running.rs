//! The call that runs now: when it ends, and what stood in its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_objects::Fault;
use tokio::time::Instant;

/// What is left of a call for the component once its store has taken too long: a tenth of its time, and at most this.
const LEFT_FOR_THE_COMPONENT: Duration = Duration::from_millis(500);

/// The call that runs now, for the streams that outlive it.
#[derive(Clone)]
pub(super) struct Current(Arc<Mutex<Running>>);

struct Running {
    /// When whatever is asked of a store has to be over.
    until: Instant,
    /// Why a store did not do what the call asked for.
    trouble: Option<String>,
}

impl Current {
    pub(super) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Running {
            until: now,
            trouble: None,
        })))
    }

    /// A call begins.
    pub(super) fn begins(&self, deadline: Instant, timeout: Duration) {
        let mut running = self.lock();
        running.until = deadline - (timeout / 10).min(LEFT_FOR_THE_COMPONENT);
        running.trouble = None;
    }

    /// Why a store did not do what the call asked for, if so.
    pub(super) fn take_trouble(&self) -> Option<String> {
        self.lock().trouble.take()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn until(&self) -> Instant {
        self.lock().until
    }

    /// Notes that a store was away; the text of the fault.
    pub(super) fn told(&self, container: &str, fault: &Fault) -> String {
        let text = format!("container {container:?}: {fault}");
        if let Fault::Unavailable(_) = fault {
            self.lock().trouble = Some(format!("the object store of {text}"));
        }
        text
    }
}
