//! hive.toml as written: a tree of typed values, each with its key and its place in the file.
//!
//! A value of the wrong type is in the tree as [`Value::Faulty`]: its key was set, and its fault has been
//! reported, so the readers below return `None` and the fault is not reported twice.

use std::ops::Range;
use std::time::Duration;

use super::keys::Key;
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
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Table(keys, entries) = &self.value else {
            return None;
        };
        debug_assert!(
            keys.iter().any(|known| known.name == key),
            "{key} is not a known key"
        );
        entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, node)| node)
    }

    pub(crate) fn is_faulty(&self) -> bool {
        matches!(self.value, Value::Faulty)
    }

    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        match self.get(key)?.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// An integer whose range in the table of keys fits into `T`.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.get(key)?.value {
            Value::Integer(value) => T::try_from(value).ok(),
            _ => None,
        }
    }

    pub(crate) fn ratio(&self, key: &str) -> Option<f64> {
        match self.get(key)?.value {
            Value::Ratio(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key)?.as_duration()
    }

    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        match self.get(key)?.value {
            Value::Size(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of a list; empty if the key is not set.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        match self.get(key).map(|node| &node.value) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    /// The tables under names of the user's choice, in the order of the file.
    pub(crate) fn named(&self, key: &str) -> &[(String, Node)] {
        match self.get(key).map(|node| &node.value) {
            Some(Value::Named(entries)) => entries,
            _ => &[],
        }
    }

    pub(crate) fn arguments(&self, key: &str) -> Arguments {
        match self.get(key).map(|node| &node.value) {
            Some(Value::Arguments(arguments)) => arguments.clone(),
            _ => Arguments::new(),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Vec<(String, String)> {
        match self.get(key).map(|node| &node.value) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
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
