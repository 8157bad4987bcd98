//! hive.toml as meant: defaults, names that lead somewhere, and keys that go together.
//!
//! The reader has told of every value that is wrong by itself. What is left is what a table of
//! keys cannot know: how one key bears on another.

use std::path::Path;

use super::environment::Environment;
use super::faults::Faults;
use super::nearest;
use super::plan::Plan;
use super::redact;
use super::written::{Node, Value};

mod allow;
mod arguments;
mod components;
mod connections;
mod consumers;
mod host;
mod tls;
mod topology;

/// The connection that is meant where none is named.
const MAIN: &str = "main";

/// What every part of the meaning needs.
struct Context<'a> {
    root: &'a Node,
    environment: &'a Environment,
    /// The directory that relative paths start from.
    base: &'a Path,
    faults: &'a mut Faults,
}

/// The plan, unless a fault stands in its way; then each of them is in `faults`.
pub(crate) fn plan(
    root: &Node,
    environment: &Environment,
    base: &Path,
    faults: &mut Faults,
) -> Option<Plan> {
    let mut context = Context {
        root,
        environment,
        base,
        faults,
    };
    let host = host::plan(&mut context);
    let mut connections = connections::plans(&mut context);
    topology::declare(&mut context, &mut connections);
    let components = components::plans(&mut context);
    let consumers = consumers::plans(&mut context);
    Some(Plan {
        host: host?,
        connections,
        components,
        consumers,
    })
}

impl Context<'_> {
    /// The name of the connection that `node` uses, if there is one of that name.
    fn connection(&mut self, node: &Node) -> Option<String> {
        let named = self.root.named("connections");
        let mut names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
        if self.root.get("connections").is_none() {
            names.push(MAIN);
        }
        let Some(at) = node.get("connection") else {
            if !names.contains(&MAIN) && !self.connections_are_faulty() {
                let remedy = nearest::advice(MAIN, names, "name one of");
                let remedy = format!("there is no [connections.main] to default to; {remedy}");
                self.faults.missing(node, "connection", remedy);
            }
            return Some(MAIN.to_owned());
        };
        let name = at.as_text()?;
        if !names.contains(&name) && !self.connections_are_faulty() {
            let message = format!("names no connection: {}", redact::quote(name));
            self.faults.dangling(
                at,
                message,
                nearest::advice(name, names, "the connections are"),
            );
        }
        Some(name.to_owned())
    }

    /// Whether nothing can be said about which connections there are.
    fn connections_are_faulty(&self) -> bool {
        self.root
            .get("connections")
            .is_some_and(|node| !matches!(node.value, Value::Named(_)))
    }
}
