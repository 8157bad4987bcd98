//! What is wanted, beside what watches it: the source of every [`Status`].

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::amqp::{Connection, ConsumerState, ConsumerWatch, LinkState, Role, StateWatch};
use crate::config::plan::{ConsumerPlan, Plan};
use crate::status::{ConsumerStatus, LinkStatus, Status};

/// Knows every consumer from the start, and how it is doing once it has been started.
pub(super) struct Board {
    connections: Vec<Arc<str>>,
    consumers: BTreeMap<Arc<str>, ConsumerPlan>,
    watched: OnceLock<Watched>,
}

struct Watched {
    links: Vec<(Arc<str>, Role, StateWatch)>,
    consumers: BTreeMap<Arc<str>, ConsumerWatch>,
}

impl Board {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            connections: plan.connections.keys().cloned().collect(),
            consumers: plan.consumers.clone(),
            watched: OnceLock::new(),
        }
    }

    /// From now on there is something to watch.
    pub(super) fn started(
        &self,
        connections: &BTreeMap<Arc<str>, Arc<Connection>>,
        consumers: BTreeMap<Arc<str>, ConsumerWatch>,
    ) {
        let links = connections.iter().flat_map(|(name, connection)| {
            Role::ALL.map(|role| (name.clone(), role, connection.state(role)))
        });
        let watched = Watched {
            links: links.collect(),
            consumers,
        };
        let first = self.watched.set(watched).is_ok();
        debug_assert!(first, "a host starts once");
    }

    pub(super) fn status(&self) -> Status {
        let watched = self.watched.get();
        Status {
            links: match watched {
                Some(watched) => watched.links.iter().map(link).collect(),
                None => self.not_connected(),
            },
            consumers: self
                .consumers
                .iter()
                .map(|(name, plan)| consumer(plan, watched.and_then(|w| w.consumers.get(name))))
                .collect(),
        }
    }

    fn not_connected(&self) -> Vec<LinkStatus> {
        let links = self.connections.iter().flat_map(|name| {
            Role::ALL.map(|role| LinkStatus {
                connection: name.clone(),
                role: role.as_str(),
                state: "connecting",
                reason: None,
            })
        });
        links.collect()
    }
}

fn link((connection, role, watch): &(Arc<str>, Role, StateWatch)) -> LinkStatus {
    let (state, reason) = match watch.now() {
        LinkState::Connecting(reason) => ("connecting", reason),
        LinkState::Open => ("open", None),
        LinkState::Blocked(reason) => ("blocked", Some(reason)),
        LinkState::Closed(reason) => ("closed", Some(reason)),
        LinkState::Ended => ("closed", Some("the host stops".into())),
    };
    LinkStatus {
        connection: connection.clone(),
        role: role.as_str(),
        state,
        reason,
    }
}

fn consumer(plan: &ConsumerPlan, watch: Option<&ConsumerWatch>) -> ConsumerStatus {
    let state = watch.map(ConsumerWatch::now);
    ConsumerStatus {
        consumer: plan.name.clone(),
        queue: plan.queue.clone(),
        component: plan.component.clone(),
        connection: plan.connection.clone(),
        waiting: match state {
            Some(ConsumerState::Consuming) => None,
            Some(ConsumerState::Waiting(reason)) => Some(reason),
            None => Some("the host is starting: components are compiled first".into()),
        },
    }
}
