//! hive.toml as written: a tree of typed values, each with its key and its place in the file.
//!
//! A value of the wrong type is in the tree as [`Value::Faulty`]: its key was set, and its fault has been
//! reported, so the readers below return `None` and the fault is not reported twice.

use std::ops::Range;
use std::time::Duration;

use super::keys::{Key, Name, Readable};
use super::plan::Arguments;

/// One value of the file. It has no `Debug`: it may hold a secret.
pub(crate) struct Node {
    /// The full dotted key; empty for the file as a whole.
    pub(crate) key: String,
    /// The position of the value, or of the key if the value is a table.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A value that has the shape its key asks for.
pub(crate) enum Value {
    Boolean(bool),
    Integer(i64),
    Ratio(f64),
    Text(String),
    Duration(Duration),
    Size(u64),
    List(Vec<Node>),
    /// The keys that are set, of those that it knows.
    Table(&'static [Key], Vec<(String, Node)>),
    /// Values under names of the user's choice.
    Named(Vec<(String, Node)>),
    Arguments(Arguments),
    Texts(Vec<(String, String)>),
    Json(serde_json::Value),
    /// The fault was reported already.
    Faulty,
}

impl Node {
    /// The value of `key`, if it is set; it may be faulty.
    pub(crate) fn get<T, D: Copy>(&self, key: Name<T, D>) -> Option<&Node> {
        if let Value::Table(keys, _) = &self.value {
            // A name is a constant of its table; this notices one of another table, in the unit tests too.
            let is_known = || keys.iter().any(|known| known.name == key.name());
            let name = key.name();
            assert!(
                cfg!(not(any(test, debug_assertions))) || is_known(),
                "{name} is not a key of {}",
                self.key
            );
        }
        self.entry(key.name())
    }

    /// The value that a table has under this name.
    pub(crate) fn entry(&self, name: &str) -> Option<&Node> {
        let Value::Table(_, entries) = &self.value else {
            return None;
        };
        let mut entries = entries.iter();
        entries.find_map(|(key, node)| (key == name).then_some(node))
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.value, Value::Table(..))
    }

    pub(crate) fn is_faulty(&self) -> bool {
        matches!(self.value, Value::Faulty)
    }

    /// The value of `key`, if it is set and not faulty.
    pub(crate) fn read<V: Readable, T, D: Copy>(&self, key: Name<T, D>) -> Option<V> {
        self.get(key).and_then(V::read)
    }

    pub(crate) fn text<T, D: Copy>(&self, key: Name<T, D>) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The elements of a list; empty if the key is not set.
    pub(crate) fn list<T, D: Copy>(&self, key: Name<T, D>) -> &[Node] {
        match self.get(key).map(|node| &node.value) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    /// The tables under names of the user's choice, in the order of the file.
    pub(crate) fn named<T, D: Copy>(&self, key: Name<T, D>) -> &[(String, Node)] {
        match self.get(key).map(|node| &node.value) {
            Some(Value::Named(entries)) => entries,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_duration(&self) -> Option<Duration> {
        match self.value {
            Value::Duration(value) => Some(value),
            _ => None,
        }
    }
}
