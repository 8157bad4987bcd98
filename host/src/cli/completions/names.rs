//! The names in a hive.toml, for completions.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Arg;
use hive_config::Environment;
use hive_config::plan::Plan;

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Component,
    Queue,
    Exchange,
    Connection,
}

impl Kind {
    /// `None` if the argument is no name of hive.toml.
    pub(super) fn of(arg: &Arg) -> Option<Self> {
        Some(match arg.get_id().as_str() {
            "consumer" => Self::Consumer,
            "component" => Self::Component,
            "queue" | "to" => Self::Queue,
            "exchange" => Self::Exchange,
            "connection" => Self::Connection,
            _ => return None,
        })
    }
}

/// The names in sorted order, by kind.
#[derive(Debug, Default)]
pub(super) struct Names {
    consumers: Vec<String>,
    components: Vec<String>,
    queues: Vec<String>,
    exchanges: Vec<String>,
    connections: Vec<String>,
}

impl Names {
    /// The names of a file. Of a faulty one, or with variables that are set elsewhere, those of its own tables; none if
    /// it cannot be read.
    pub(super) fn of(file: &Path) -> Self {
        match hive_config::load(file, &Environment::of_process()) {
            Ok(loaded) => Self::of_plan(&loaded.plan),
            Err(_) => std::fs::read_to_string(file)
                .map(|text| Self::of_tables(&text))
                .unwrap_or_default(),
        }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Consumer => &self.consumers,
            Kind::Component => &self.components,
            Kind::Queue => &self.queues,
            Kind::Exchange => &self.exchanges,
            Kind::Connection => &self.connections,
        }
    }

    fn of_plan(plan: &Plan) -> Self {
        let topologies = || plan.connections.values().map(|one| &one.topology);
        let consumed = plan.consumers.values();
        let consumed = consumed.flat_map(|one| [&*one.queue, &*one.dead_letter]);
        let declared = topologies().flat_map(|one| &one.queues);
        let queues = consumed.chain(declared.map(|queue| &*queue.name));
        let exchanges = topologies().flat_map(|one| &one.exchanges);
        Self {
            consumers: sorted(
                plan.consumers
                    .keys()
                    .chain(plan.patterns.keys())
                    .map(|name| &**name),
            ),
            components: sorted(plan.components.keys().map(|name| &**name)),
            queues: sorted(queues),
            exchanges: sorted(exchanges.map(|exchange| &*exchange.name)),
            connections: sorted(plan.connections.keys().map(|name| &**name)),
        }
    }

    fn of_tables(text: &str) -> Self {
        let tables: toml::Table = text.parse().unwrap_or_default();
        let named = |section: &str| match tables.get(section) {
            Some(toml::Value::Table(table)) => sorted(table.keys().map(String::as_str)),
            _ => Vec::new(),
        };
        Self {
            consumers: named("consumers"),
            components: named("components"),
            queues: named("queues"),
            exchanges: named("exchanges"),
            connections: named("connections"),
        }
    }
}

/// Each name once.
fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().map(str::to_owned).collect()
}
