//! Takes an object apart key by key, and reports unknown keys.

use serde_json::{Map, Value};

use crate::nearest;

/// Why a text is not valid. The message begins with the key, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

impl Malformed {
    /// The same error, with the place of the surrounding value in front.
    pub(super) fn at(self, place: &str) -> Self {
        let Self(words) = self;
        Self(format!("{place} {words}"))
    }

    /// The key that it is about, and the words behind it.
    pub fn of_key(&self) -> Option<(&str, &str)> {
        let Self(words) = self;
        words.strip_prefix('`')?.split_once("` ")
    }

    pub(super) fn must_be(wanted: &str, found: &Value) -> Self {
        Self(format!("must be {wanted}, not {}", kind(found)))
    }
}

/// An object whose keys are taken one by one.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// The keys that were asked for, there or not.
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Malformed> {
        let object = value
            .as_object()
            .ok_or_else(|| Malformed::must_be("an object", value))?;
        Ok(Self {
            object,
            known: Vec::new(),
        })
    }

    /// The value at `key`, if there is one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.object.get(key)
    }

    /// Reads the value of a field with `read`.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        let value = self.value(key);
        let read = value.map(|value| read(value).map_err(|fault| fault.at(&format!("`{key}`"))));
        read.transpose()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, Malformed> {
        self.read(key, |value| text(value).map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Malformed> {
        self.read(key, |value| {
            let boolean = value.as_bool();
            boolean.ok_or_else(|| Malformed::must_be("true or false", value))
        })
    }

    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<u64>, Malformed> {
        self.read(key, number)
    }

    /// A required value.
    pub(super) fn required<T>(&self, key: &'static str, found: Option<T>) -> Result<T, Malformed> {
        found.ok_or_else(|| Malformed(format!("`{key}` is missing")))
    }

    /// Reports a key that is not known.
    pub(super) fn end(self) -> Result<(), Malformed> {
        let Self { object, known } = self;
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let advice = nearest::advice(key, known, "the keys are");
                Err(Malformed(format!("`{key}` is an unknown key; {advice}")))
            }
        }
    }
}

pub(super) fn text(value: &Value) -> Result<&str, Malformed> {
    value
        .as_str()
        .ok_or_else(|| Malformed::must_be("a string", value))
}

pub(super) fn number(value: &Value) -> Result<u64, Malformed> {
    value
        .as_u64()
        .ok_or_else(|| Malformed::must_be("a whole number that is not negative", value))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "that number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
