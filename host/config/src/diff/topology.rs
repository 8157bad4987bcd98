//! Changes of the topology of one connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::plan::{ExchangePlan, QueuePlan, TopologyPlan};

/// Exchanges and queues whose declaration changed. The host declares new ones, and deletes none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopologyChanges {
    /// By name.
    pub exchanges: Declarations,
    /// By name.
    pub queues: Declarations,
}

/// The changes of the declarations of one kind. A name is in at most one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declarations {
    /// Only in the new plan.
    pub added: BTreeSet<String>,
    /// Only in the old plan; it stays at the broker.
    pub removed: BTreeSet<String>,
    /// The entities of both files whose settings or bindings differ.
    pub changed: BTreeSet<String>,
}

impl TopologyChanges {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The way from `old` to `new`. The order in the file does not matter.
pub(super) fn changes(old: &TopologyPlan, new: &TopologyPlan) -> TopologyChanges {
    let TopologyPlan { exchanges, queues } = old;
    let exchange = |exchange: &ExchangePlan| exchange.name.clone();
    let queue = |queue: &QueuePlan| queue.name.to_string();
    TopologyChanges {
        exchanges: declarations(exchanges, &new.exchanges, exchange),
        queues: declarations(queues, &new.queues, queue),
    }
}

fn declarations<T: PartialEq>(old: &[T], new: &[T], name: impl Fn(&T) -> String) -> Declarations {
    let by_name = |declared: &[T]| -> BTreeMap<String, usize> {
        let names = declared.iter().map(&name);
        names.enumerate().map(|(at, name)| (name, at)).collect()
    };
    let (old_names, new_names) = (by_name(old), by_name(new));
    let mut declarations = Declarations::default();
    for (name, at) in &new_names {
        match old_names.get(name) {
            None => declarations.added.insert(name.clone()),
            Some(before) if old[*before] != new[*at] => declarations.changed.insert(name.clone()),
            Some(_) => false,
        };
    }
    let gone = old_names
        .into_keys()
        .filter(|name| !new_names.contains_key(name));
    declarations.removed.extend(gone);
    declarations
}

impl fmt::Display for TopologyChanges {
    /// Written as in `queue orders added, exchange audit changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        for (kind, declarations) in [("exchange", &self.exchanges), ("queue", &self.queues)] {
            let Declarations {
                added,
                removed,
                changed,
            } = declarations;
            for (names, what) in [
                (added, "added"),
                (removed, "no longer declared"),
                (changed, "changed"),
            ] {
                told.extend(names.iter().map(|name| format!("{kind} {name} {what}")));
            }
        }
        f.write_str(&told.join(", "))
    }
}
