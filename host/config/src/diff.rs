//! The difference between two plans: what a reload has to do, and what it reports.
//!
//! Pure. It contains no secret: values are shown only for keys that hold none; of the others it says only that
//! they changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::keys::StoreKeys;
use super::plan::{
    ComponentPlan, ConnectionPlan, ConsumerPlan, HostPlan, HttpPlan, HttpRoutePlan, PatternPlan,
    Plan, SchedulePlan, TelemetryPlan,
};
use differing::Differing;

pub(crate) mod differing;
mod topology;

#[cfg(test)]
mod tests;

pub use differing::KeyChange;
pub use topology::TopologyChanges;

/// The way from one plan to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys of `[host]` that are read at start alone: the new value waits for a restart.
    pub host_at_restart: Vec<KeyChange>,
    /// Keys of `[host]` that can be taken over at once.
    pub host_at_once: Vec<KeyChange>,
    /// How a broker is reached: what changed here needs a new connection.
    pub connections: Section,
    /// Changes of the topology of a connection that existed before; they need no new connection.
    pub topology: BTreeMap<Arc<str>, TopologyChanges>,
    /// `[components.NAME]`. A file whose content changed under the same path is not seen here.
    pub components: Section,
    /// `[consumers.NAME]` with a `queue`, and those that were discovered.
    pub consumers: Section,
    /// `[consumers.NAME]` with `queues`.
    pub patterns: Section,
    /// Those of the changed consumers that were discovered, each with its table.
    discovered: BTreeMap<Arc<str>, Arc<str>>,
    /// Keys of `[http]` that are read at start alone: the new value waits for a restart.
    pub http_at_restart: Vec<KeyChange>,
    /// Keys of `[http]` that can be taken over at once.
    pub http_at_once: Vec<KeyChange>,
    /// `[http.routes]`.
    pub http_routes: Section,
    /// `[schedules.NAME]`.
    pub schedules: Section,
    /// Keys of `[store]`, which is opened once: the new value waits for a restart.
    pub store_at_restart: Vec<KeyChange>,
    /// Keys of `[telemetry]`, which is read at start alone.
    pub telemetry_at_restart: Vec<KeyChange>,
}

/// The changes of one section. A name is in at most one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// Only in the new plan.
    pub added: BTreeSet<Arc<str>>,
    /// Only in the old plan.
    pub removed: BTreeSet<Arc<str>>,
    /// The entries of both files that differ, each with the keys that changed: at least one.
    pub changed: BTreeMap<Arc<str>, Vec<KeyChange>>,
}

/// The way from `old` to `new`.
pub fn diff(old: &Plan, new: &Plan) -> Changes {
    let host = differing(&old.host, &new.host, HostPlan::differences);
    let store = differing(&old.store, &new.store, StoreKeys::differences);
    let telemetry = differing(&old.telemetry, &new.telemetry, TelemetryPlan::differences);
    let consumers = section(&old.consumers, &new.consumers, ConsumerPlan::differences);
    let http = http(old.http.as_ref(), new.http.as_ref());
    Changes {
        discovered: discovered(&consumers, [old, new]),
        host_at_restart: host.at_restart,
        host_at_once: host.at_once,
        connections: section(
            &old.connections,
            &new.connections,
            ConnectionPlan::differences,
        ),
        topology: in_both(&old.connections, &new.connections)
            .map(|(name, old, new)| (name, topology::changes(&old.topology, &new.topology)))
            .filter(|(_, changes)| !changes.is_empty())
            .collect(),
        components: section(&old.components, &new.components, ComponentPlan::differences),
        consumers,
        patterns: section(&old.patterns, &new.patterns, PatternPlan::differences),
        http_at_restart: http.at_restart,
        http_at_once: http.at_once,
        http_routes: match (&old.http, &new.http) {
            (Some(old), Some(new)) => section(&old.routes, &new.routes, HttpRoutePlan::differences),
            // There is no server, or none any more.
            _ => Section::default(),
        },
        schedules: section(&old.schedules, &new.schedules, SchedulePlan::differences),
        store_at_restart: store.at_restart,
        telemetry_at_restart: telemetry.at_restart,
    }
}

/// The keys of `[http]`; where it comes or goes, its address, which needs another server.
fn http(old: Option<&HttpPlan>, new: Option<&HttpPlan>) -> Differing {
    let shown = |http: Option<&HttpPlan>| {
        http.map_or_else(
            || "unset".to_owned(),
            |http| format!("{:?}", http.listen.to_string()),
        )
    };
    match (old, new) {
        (None, None) => Differing::default(),
        (Some(old), Some(new)) => differing(old, new, HttpPlan::differences),
        _ => {
            let mut differing = Differing::default();
            differing.at_restart.push(KeyChange {
                key: HttpPlan::listen.name().to_owned(),
                values: Some((shown(old), shown(new))),
                idle: false,
            });
            differing
        }
    }
}

/// Those of `changed` that were discovered, each with its table.
fn discovered(changed: &Section, plans: [&Plan; 2]) -> BTreeMap<Arc<str>, Arc<str>> {
    let names = changed.added.iter().chain(changed.ended());
    let tables = names.filter_map(|name| {
        let mut found = plans.iter().filter_map(|plan| plan.consumers.get(name));
        let consumer = found.next()?;
        consumer
            .is_discovered()
            .then(|| (Arc::clone(name), Arc::clone(&consumer.table)))
    });
    tables.collect()
}

/// The keys in which two tables differ.
fn differing<T>(old: &T, new: &T, differences: fn(&T, &T, &mut Differing)) -> Differing {
    let mut differing = Differing::default();
    differences(old, new, &mut differing);
    differing
}

fn section<T>(
    old: &BTreeMap<Arc<str>, T>,
    new: &BTreeMap<Arc<str>, T>,
    differences: fn(&T, &T, &mut Differing),
) -> Section {
    let only_in = |one: &BTreeMap<Arc<str>, T>, other: &BTreeMap<Arc<str>, T>| {
        let names = one.keys().filter(|name| !other.contains_key(*name));
        names.cloned().collect()
    };
    Section {
        added: only_in(new, old),
        removed: only_in(old, new),
        changed: in_both(old, new)
            .map(|(name, old, new)| (name, differing(old, new, differences).at_once))
            .filter(|(_, changes)| !changes.is_empty())
            .collect(),
    }
}

fn in_both<'a, T>(
    old: &'a BTreeMap<Arc<str>, T>,
    new: &'a BTreeMap<Arc<str>, T>,
) -> impl Iterator<Item = (Arc<str>, &'a T, &'a T)> {
    old.iter()
        .filter_map(|(name, old)| Some((Arc::clone(name), old, new.get(name)?)))
}

/// How many consumers of a pattern come, change and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Queues that get a consumer.
    pub added: usize,
    /// Queues whose consumer is made anew.
    pub changed: usize,
    /// Queues whose consumer goes.
    pub removed: usize,
}

impl fmt::Display for QueueCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.added, "added"),
            (self.changed, "changed"),
            (self.removed, "removed"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = counts
            .map(|(count, what)| match count {
                1 => format!("1 queue {what}"),
                _ => format!("{count} queues {what}"),
            })
            .collect();
        f.write_str(&told.join(", "))
    }
}

impl Changes {
    /// The connections that are opened again, since a key has changed that bears on how the broker is reached.
    pub fn reopened(&self) -> impl Iterator<Item = &Arc<str>> {
        let changed = self.connections.changed.iter();
        let changed = changed.filter(|(_, keys)| keys.iter().any(|change| !change.idle));
        changed.map(|(name, _)| name)
    }

    /// What changes of the consumers of each pattern, by its table.
    pub fn of_patterns(&self) -> BTreeMap<&str, QueueCounts> {
        let mut counts = BTreeMap::<&str, QueueCounts>::new();
        for (name, table) in &self.discovered {
            let counts = counts.entry(table).or_default();
            counts.added += usize::from(self.consumers.added.contains(name));
            counts.changed += usize::from(self.consumers.changed.contains_key(name));
            counts.removed += usize::from(self.consumers.removed.contains(name));
        }
        counts
    }

    /// Whether both plans are the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Changes {
    /// One line for each thing that changed, in the order of hive.toml; nothing for no change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (keys, when) in [
            (&self.host_at_restart, "takes effect at a restart"),
            (&self.host_at_once, "changed"),
        ] {
            if !keys.is_empty() {
                lines.push(format!("host: {when} ({})", listed(keys)));
            }
        }
        self.connections.tell("connection", |_| true, &mut lines);
        for (name, changes) in &self.topology {
            lines.push(format!("topology of connection {name}: {changes}"));
        }
        self.components.tell("component", |_| true, &mut lines);
        let is_written = |name: &Arc<str>| !self.discovered.contains_key(name);
        self.consumers.tell("consumer", is_written, &mut lines);
        self.patterns.tell("consumer", |_| true, &mut lines);
        for (table, counts) in self.of_patterns() {
            lines.push(format!("consumer {table}: {counts}"));
        }
        if !self.http_at_once.is_empty() {
            lines.push(format!("http: changed ({})", listed(&self.http_at_once)));
        }
        self.http_routes.tell("http route", |_| true, &mut lines);
        self.schedules.tell("schedule", |_| true, &mut lines);
        for (section, keys) in [
            ("http", &self.http_at_restart),
            ("store", &self.store_at_restart),
            ("telemetry", &self.telemetry_at_restart),
        ] {
            if !keys.is_empty() {
                let keys = listed(keys);
                lines.push(format!("{section}: takes effect at a restart ({keys})"));
            }
        }
        f.write_str(&lines.join("\n"))
    }
}

impl Section {
    /// Entries that were removed or changed.
    pub fn ended(&self) -> impl Iterator<Item = &Arc<str>> {
        self.removed.iter().chain(self.changed.keys())
    }

    /// Entries that were added or changed.
    pub fn begun(&self) -> impl Iterator<Item = &Arc<str>> {
        self.added.iter().chain(self.changed.keys())
    }

    fn tell(&self, what: &str, is_told: impl Fn(&Arc<str>) -> bool, lines: &mut Vec<String>) {
        let is_told = |name: &&Arc<str>| is_told(name);
        let added = self.added.iter().filter(is_told);
        let added = added.map(|name| format!("{name}: added"));
        let removed = self.removed.iter().filter(is_told);
        let removed = removed.map(|name| format!("{name}: removed"));
        let changed = self.changed.iter().filter(|(name, _)| is_told(name));
        let changed = changed.map(|(name, keys)| format!("{name}: changed ({})", listed(keys)));
        let told = added.chain(removed).chain(changed);
        lines.extend(told.map(|told| format!("{what} {told}")));
    }
}

fn listed(keys: &[KeyChange]) -> String {
    let keys: Vec<String> = keys.iter().map(KeyChange::to_string).collect();
    keys.join(", ")
}
