//! `component`, `routes` and `otherwise`: what decides over the deliveries of a consumer.

use std::sync::{Arc, LazyLock};

use hive_routes::{Answer, Routes};

use crate::keys::words;

/// What decides over the deliveries of a consumer.
#[derive(Debug, Clone, PartialEq)]
pub enum Handler {
    /// The component of this name.
    Component(Arc<str>),
    /// Routes.
    Routes(Arc<Routes>),
}

impl Handler {
    /// In the place of a component's name, in logs, metrics and the status.
    pub const ROUTES: &str = "(routes)";

    /// The name of the component, or [`Handler::ROUTES`].
    pub fn name(&self) -> &Arc<str> {
        static ROUTES: LazyLock<Arc<str>> = LazyLock::new(|| Handler::ROUTES.into());
        match self {
            Self::Component(name) => name,
            Self::Routes(_) => &ROUTES,
        }
    }

    /// The name of the component, if there is one.
    pub fn component(&self) -> Option<&Arc<str>> {
        match self {
            Self::Component(name) => Some(name),
            Self::Routes(_) => None,
        }
    }

    /// The routes, if there are any.
    pub fn routes(&self) -> Option<&Arc<Routes>> {
        match self {
            Self::Component(_) => None,
            Self::Routes(routes) => Some(routes),
        }
    }

    pub(crate) fn otherwise(&self) -> Option<Otherwise> {
        self.routes().map(|routes| match routes.otherwise {
            Answer::Ack | Answer::Publish(_) => Otherwise::Ack,
            Answer::Reject(_) => Otherwise::Reject,
            Answer::Retry(..) => Otherwise::Retry,
        })
    }
}

/// What becomes of a delivery for which no condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// It is acknowledged.
    Ack,
    /// It is dead-lettered at once.
    Reject,
    /// It is retried.
    Retry,
}

words!(Otherwise { Ack = "ack", Reject = "reject", Retry = "retry" });
