//! The way of messages through a host, as a graph: exchanges, queues, consumers, components and where these publish.
//! It is made of hive.toml and of what the host knows of its state. Pure.

mod plan;
mod publications;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hive_config::plan::Plan;
use hive_core::codes::Reason;

use crate::status::Status;

/// The graph.
#[derive(Debug, Default)]
pub struct Graph {
    /// By place.
    pub nodes: BTreeMap<Place, Node>,
    /// In the order of hive.toml.
    pub edges: Vec<Edge>,
}

/// What a node stands for. In the order in which messages pass them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `[schedules.NAME]`.
    Schedule,
    /// `[http.routes."METHOD /path"]`.
    HttpRoute,
    /// An exchange.
    Exchange,
    /// A queue.
    Queue,
    /// A consumer.
    Consumer,
    /// A table with `queues`.
    Pattern,
    /// A component.
    Component,
    /// The delay queues in which retries wait.
    Retries,
    /// Somewhere that hive.toml names by a pattern, or not at all.
    Destination,
}

/// Which node is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// The connection of what is at the broker; empty otherwise.
    pub connection: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
}

/// One node.
#[derive(Debug, Default)]
pub struct Node {
    /// Whether hive.toml declares it, or implies it.
    pub declared: bool,
    /// What there is to say of it: a type, a time, a pattern.
    pub detail: Option<String>,
    /// The state of a consumer or a schedule.
    pub state: Option<&'static str>,
    /// The messages in it, if they are counted and known.
    pub messages: Option<u64>,
    /// The queues that it stands for, if they are several.
    pub queues: Vec<Arc<str>>,
    /// What is wrong with it.
    pub problems: Vec<Reason>,
}

/// A way from one node to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Edge {
    /// Where it begins.
    pub from: Place,
    /// Where it leads.
    pub to: Place,
    /// What goes this way.
    pub way: Way,
    /// A routing key, or a pattern of them.
    pub label: Option<String>,
    /// The consumer whose deliveries are those of this way, if they are counted.
    pub consumer: Option<Arc<str>>,
}

/// What goes along an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Messages that match a binding.
    Binding,
    /// Deliveries.
    Delivers,
    /// Calls.
    Handles,
    /// Publications.
    Publishes,
    /// Requests whose replies are waited for.
    Requests,
    /// Deliveries that wait for another attempt.
    Retries,
    /// The same, back in their queue.
    Returns,
    /// Deliveries that are given up; for a queue with a dead-letter exchange, what the broker drops.
    DeadLetters,
}

impl Graph {
    /// The graph of a plan in this state.
    pub fn of(plan: &Plan, status: &Status) -> Self {
        let mut graph = Self::default();
        graph.declare(plan);
        graph.publish(plan);
        graph.observe(status);
        graph
    }

    /// The node at a place, which is made if it is not there.
    fn node(&mut self, place: &Place) -> &mut Node {
        self.nodes.entry(place.clone()).or_default()
    }

    /// Both ends of an edge are there from then on.
    fn edge(&mut self, from: &Place, to: &Place, way: Way) -> &mut Edge {
        self.node(from);
        self.node(to);
        let at = self.edges.len();
        self.edges.push(Edge {
            from: from.clone(),
            to: to.clone(),
            way,
            label: None,
            consumer: None,
        });
        &mut self.edges[at]
    }
}

impl Place {
    /// A place at the broker.
    fn at(kind: Kind, connection: &Arc<str>, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            connection: Arc::clone(connection),
            name: name.into(),
        }
    }

    /// A place of the host.
    fn here(kind: Kind, name: impl Into<Arc<str>>) -> Self {
        Self::at(kind, &"".into(), name)
    }
}

impl Kind {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::HttpRoute => "http_route",
            Self::Exchange => "exchange",
            Self::Queue => "queue",
            Self::Consumer => "consumer",
            Self::Pattern => "pattern",
            Self::Component => "component",
            Self::Retries => "retries",
            Self::Destination => "destination",
        }
    }
}

impl Way {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binding => "binding",
            Self::Delivers => "delivers",
            Self::Handles => "handles",
            Self::Publishes => "publishes",
            Self::Requests => "requests",
            Self::Retries => "retries",
            Self::Returns => "returns",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// A name that no other place has.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            connection,
            name,
        } = self;
        // Of the three, the name alone may have a `/` in it.
        write!(f, "{}/{connection}/{name}", kind.as_str())
    }
}
