//! The difference between two plans: what a reload has to do, and what it reports.
//!
//! Pure. It contains no secret: values are shown only for keys that hold none; of the others it says only that
//! they changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::keys::StoreKeys;
use super::plan::{ComponentPlan, ConnectionPlan, ConsumerPlan, HostPlan, Plan};
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
    /// `[consumers.NAME]`.
    pub consumers: Section,
    /// Keys of `[store]`, which is opened once: the new value waits for a restart.
    pub store_at_restart: Vec<KeyChange>,
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
    Changes {
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
        consumers: section(&old.consumers, &new.consumers, ConsumerPlan::differences),
        store_at_restart: store.at_restart,
    }
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

impl Changes {
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
        self.connections.tell("connection", &mut lines);
        for (name, changes) in &self.topology {
            lines.push(format!("topology of connection {name}: {changes}"));
        }
        self.components.tell("component", &mut lines);
        self.consumers.tell("consumer", &mut lines);
        if !self.store_at_restart.is_empty() {
            let keys = listed(&self.store_at_restart);
            lines.push(format!("store: takes effect at a restart ({keys})"));
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

    fn tell(&self, what: &str, lines: &mut Vec<String>) {
        let added = self.added.iter().map(|name| format!("{name}: added"));
        let removed = self.removed.iter().map(|name| format!("{name}: removed"));
        let changed = self
            .changed
            .iter()
            .map(|(name, keys)| format!("{name}: changed ({})", listed(keys)));
        let told = added.chain(removed).chain(changed);
        lines.extend(told.map(|told| format!("{what} {told}")));
    }
}

fn listed(keys: &[KeyChange]) -> String {
    let keys: Vec<String> = keys.iter().map(KeyChange::to_string).collect();
    keys.join(", ")
}
