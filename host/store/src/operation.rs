//! The operations on an entry, and their results; pure.

use std::time::Duration;

/// One change that is asked of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Whose entry.
    pub key: Vec<u8>,
    /// The operation.
    pub operation: Operation,
}

/// An operation on an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Deletes the value, whatever it is.
    Set(Value),
    /// Only where nothing stands.
    Claim(Value),
    /// Only where exactly this stands, or nothing.
    Swap {
        /// The value that must exist; `None` if there must be none.
        expected: Option<Vec<u8>>,
        /// The new value.
        value: Value,
    },
    /// Deletes the value, whatever it is.
    Delete,
    /// Only where exactly this stands.
    DeleteIf(Vec<u8>),
    /// A number in decimal digits, which nothing is as good as 0. Keeps the end of what stood there.
    Increment(u64),
}

/// A value to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The value.
    pub bytes: Vec<u8>,
    /// How long the value is kept; `None` for ever.
    pub lives: Option<Duration>,
}

/// The result of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The change was made.
    Done,
    /// The counter was changed, and has this value now.
    Counted(u64),
    /// Nothing was changed, because of the existing value.
    Refused(Option<Vec<u8>>),
}

impl Value {
    /// A value that is there for ever.
    pub fn lasting(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            lives: None,
        }
    }

    /// A value with this lifetime.
    pub fn passing(bytes: impl Into<Vec<u8>>, lives: Duration) -> Self {
        Self {
            bytes: bytes.into(),
            lives: Some(lives),
        }
    }
}

/// The existing value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which entry of the store it was, counted from its first.
    pub(super) number: u64,
    /// When the entry ends, in milliseconds since the Unix epoch.
    pub(super) ends: Option<u64>,
    pub(super) value: Vec<u8>,
}

impl Entry {
    pub(super) fn has_ended(&self, now: u64) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}

/// The change that an operation makes to an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Remove,
    Put { value: Vec<u8>, ends: Option<u64> },
}

/// `standing` has not ended.
pub(super) fn decide(operation: Operation, standing: Option<&Entry>, now: u64) -> (Effect, Answer) {
    let value_there = standing.map(|entry| entry.value.as_slice());
    let refused = || {
        (
            Effect::Nothing,
            Answer::Refused(value_there.map(<[u8]>::to_vec)),
        )
    };
    let put = |value: Value| (value.into_effect(now), Answer::Done);
    match operation {
        Operation::Set(value) => put(value),
        Operation::Claim(value) if standing.is_none() => put(value),
        Operation::Swap { expected, value } if expected.as_deref() == value_there => put(value),
        Operation::Delete if standing.is_none() => (Effect::Nothing, Answer::Done),
        Operation::Delete => (Effect::Remove, Answer::Done),
        Operation::DeleteIf(expected) if Some(expected.as_slice()) == value_there => {
            (Effect::Remove, Answer::Done)
        }
        Operation::Increment(by) => match sum(value_there, by) {
            Some(sum) => {
                let effect = Effect::Put {
                    value: sum.to_string().into_bytes(),
                    ends: standing.and_then(|entry| entry.ends),
                };
                (effect, Answer::Counted(sum))
            }
            None => refused(),
        },
        Operation::Claim(_) | Operation::Swap { .. } | Operation::DeleteIf(_) => refused(),
    }
}

/// `None` if the value is not a number, or the sum is too large.
fn sum(standing: Option<&[u8]>, by: u64) -> Option<u64> {
    let number: u64 = match standing {
        None => 0,
        Some(digits) => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    number.checked_add(by)
}

impl Value {
    fn into_effect(self, now: u64) -> Effect {
        let ends = self.lives.map(|lives| {
            let lives = u64::try_from(lives.as_millis()).unwrap_or(u64::MAX);
            now.saturating_add(lives)
        });
        Effect::Put {
            value: self.bytes,
            ends,
        }
    }
}
