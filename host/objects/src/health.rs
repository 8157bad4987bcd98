//! Whether the store of a container carries out requests: reported when that changes.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hive_config::plan::ObjectPlace;
use hive_core::codes::Code;
use hive_telemetry::Fact;

use super::fault::Fault;

/// What is known of one container's store.
pub(crate) struct Health {
    component: Arc<str>,
    container: Arc<str>,
    place: ObjectPlace,
    is_away: AtomicBool,
}

impl Health {
    pub(crate) fn new(component: &Arc<str>, container: &Arc<str>, place: &ObjectPlace) -> Self {
        Self {
            component: Arc::clone(component),
            container: Arc::clone(container),
            place: place.clone(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Notes the end of a request.
    pub(crate) fn note<T>(&self, ended: &Result<T, Fault>) {
        match ended {
            Err(Fault::Unavailable(error)) => {
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    Fact::ObjectsAway {
                        code: Code::ObjectsAway.as_str(),
                        component: &self.component,
                        container: &self.container,
                        place: &self.place,
                        error,
                    }
                    .emit();
                }
            }
            // Nothing was asked of the store.
            Err(Fault::Invalid(_)) => {}
            Ok(_) | Err(Fault::NotFound) => {
                if self.is_away.swap(false, Ordering::Relaxed) {
                    Fact::ObjectsBack {
                        component: &self.component,
                        container: &self.container,
                        place: &self.place,
                    }
                    .emit();
                }
            }
        }
    }

    /// Notes the end of a request, and passes it on.
    pub(crate) fn noted<T>(&self, ended: Result<T, Fault>) -> Result<T, Fault> {
        self.note(&ended);
        ended
    }

    /// The parts of an unfinished upload stay where they are.
    pub(crate) fn parts_left(&self, error: &dyn Display) {
        Fact::ObjectPartsLeft {
            place: &self.place,
            error: &error.to_string(),
        }
        .emit();
    }
}
