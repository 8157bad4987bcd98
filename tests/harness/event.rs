//! What a host reports, as its JSON log lines have it: an event with a stable name, and fields.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// One event. Its sentence is for people, and nothing here matches it.
#[derive(Clone)]
pub struct Event(Arc<Value>);

/// A place in what a host has logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub(crate) usize);

/// What every line has, whatever it reports.
const EVERY_LINE: [&str; 5] = ["timestamp", "level", "target", "event", "message"];

impl Mark {
    /// The position before the first event.
    pub const START: Self = Self(0);
}

impl Event {
    /// Reads a log line; `None` if it is no JSON.
    pub(crate) fn read(line: &str) -> Option<Self> {
        if !line.starts_with('{') {
            return None;
        }
        let value: Value = serde_json::from_str(line).ok()?;
        value["level"].is_string().then(|| Self(Arc::new(value)))
    }

    /// Whether it has this name, and each of these fields with that very value.
    pub fn is(&self, name: &str, fields: &[(&str, &str)]) -> bool {
        let has = |(field, wanted): &(&str, &str)| {
            let value = self.field(field);
            value.is_some_and(|value| value == *wanted)
        };
        self.0["event"] == name && fields.iter().all(has)
    }

    /// A field as text.
    pub fn field(&self, name: &str) -> Option<String> {
        match &self.0[name] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Whether `text` stands in one of its fields: its sentence does not count, nor does where it comes from.
    pub fn names(&self, text: &str) -> bool {
        let fields = self.0.as_object().into_iter().flatten();
        let mut told = fields.filter(|(name, _)| !EVERY_LINE.contains(&name.as_str()));
        told.any(|(_, value)| match value {
            Value::String(value) => value.contains(text),
            other => other.to_string().contains(text),
        })
    }

    /// How much it concerns an operator.
    pub fn level(&self) -> &str {
        self.0["level"].as_str().unwrap_or_default()
    }

    /// What a component printed, if it is that.
    pub(crate) fn printed(&self) -> Option<&str> {
        let is_it = self.0["event"] == "component.printed";
        self.0["line"].as_str().filter(|_| is_it)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
