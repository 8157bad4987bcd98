//! hive.toml as meant: defaults, names that refer to something, and keys that must fit together.
//!
//! The reader has reported every value that is wrong by itself. The rest is beyond a table of keys: how one key
//! affects another.

use std::collections::HashMap;
use std::path::Path;

use hive_core::codes::Code;
use hive_core::nearest;

use super::environment::Environment;
use super::faults::Faults;
use super::keys::{Name, RootKeys};
use super::plan::{HostPlan, MAIN, Plan};
use super::redact;
use super::sources::Sources;
use super::written::{Node, Value};

mod allow;
mod arguments;
mod components;
mod connections;
mod consumers;
mod host;
mod http;
mod publication;
mod schedules;
mod store;
mod telemetry;
mod tls;
mod topology;

pub(crate) use connections::names_a_broker;

/// The context that every part of the meaning needs.
struct Context<'a> {
    root: &'a Node,
    names: Names<'a>,
    environment: &'a Environment,
    sources: &'a Sources,
    faults: &'a mut Faults,
}

impl<'a> Context<'a> {
    /// The value of a variable that the host itself looks at, if it says anything.
    fn variable(&mut self, name: &str) -> Option<&'a str> {
        if self.environment.unreadable.contains(name) {
            self.faults.elsewhere(
                Code::VariableNotUtf8,
                name,
                "is not UTF-8",
                "set it to a text in UTF-8, or not at all",
            );
        }
        self.environment.filled(name)
    }
}

/// The definitions by name: with hundreds of included files, searching them all for each name would take longer
/// than reading them.
struct Names<'a> {
    connections: HashMap<&'a str, &'a Node>,
    components: HashMap<&'a str, &'a Node>,
    queues: HashMap<&'a str, &'a Node>,
}

impl<'a> Names<'a> {
    fn of(root: &'a Node) -> Self {
        let section = |entries: &'a [(String, Node)]| {
            let entries = entries.iter();
            entries.map(|(name, node)| (name.as_str(), node)).collect()
        };
        Self {
            connections: section(root.named(RootKeys::connections)),
            components: section(root.named(RootKeys::components)),
            queues: section(root.named(RootKeys::queues)),
        }
    }
}

/// The plan, unless there are faults; they are in `faults`.
pub(crate) fn plan(
    root: &Node,
    environment: &Environment,
    sources: &Sources,
    faults: &mut Faults,
) -> Option<Plan> {
    let mut context = Context {
        root,
        names: Names::of(root),
        environment,
        sources,
        faults,
    };
    let host = host::plan(&mut context);
    let mut connections = connections::plans(&mut context);
    topology::declare(&mut context, &mut connections);
    let components = components::plans(&mut context);
    let (consumers, patterns) = consumers::plans(&mut context, &connections);
    let http = http::plan(&mut context);
    let schedules = schedules::plans(&mut context);
    let store = store::plan(&mut context);
    let telemetry = telemetry::plan(&mut context);
    Some(Plan {
        host: host?,
        connections,
        components,
        consumers,
        patterns,
        http,
        schedules,
        store,
        telemetry: telemetry?,
    })
}

/// `[host]` alone.
pub(crate) fn host_plan(
    root: &Node,
    environment: &Environment,
    sources: &Sources,
    faults: &mut Faults,
) -> Option<HostPlan> {
    host::plan(&mut Context {
        root,
        names: Names::of(root),
        environment,
        sources,
        faults,
    })
}

impl Context<'_> {
    /// The name of the connection that `node` uses, if there is one of that name.
    fn connection<T, D: Copy>(&mut self, node: &Node, key: Name<T, D>) -> Option<String> {
        let Some(at) = node.get(key) else {
            let unseen = self.connections_are_faulty() || self.faults.may_miss_names();
            if !self.has_connection(MAIN) && !unseen {
                let remedy = nearest::advice(MAIN, self.connection_names(), "name one of");
                let remedy = format!("there is no [connections.main] to default to; {remedy}");
                self.faults.missing(node, key.name(), remedy);
            }
            return Some(MAIN.to_owned());
        };
        let name = at.as_text()?;
        if !self.has_connection(name) && !self.connections_are_faulty() {
            let message = format!("names no connection: {}", redact::quote(name));
            let remedy = nearest::advice(name, self.connection_names(), "the connections are");
            self.faults.dangling(at, message, remedy);
        }
        Some(name.to_owned())
    }

    /// The directory that relative paths in this node start from: that of its own file.
    fn base(&self, node: &Node) -> &Path {
        self.sources.of(&node.span).directory()
    }

    fn has_connection(&self, name: &str) -> bool {
        let main_by_default = name == MAIN && self.root.get(RootKeys::connections).is_none();
        main_by_default || self.names.connections.contains_key(name)
    }

    /// The names of the connections, in the order of the files.
    fn connection_names(&self) -> Vec<&str> {
        let named = self.root.named(RootKeys::connections).iter();
        let by_default = self
            .root
            .get(RootKeys::connections)
            .is_none()
            .then_some(MAIN);
        named
            .map(|(name, _)| name.as_str())
            .chain(by_default)
            .collect()
    }

    /// Whether nothing can be said about which connections there are.
    fn connections_are_faulty(&self) -> bool {
        self.root
            .get(RootKeys::connections)
            .is_some_and(|node| !matches!(node.value, Value::Named(_)))
    }
}
