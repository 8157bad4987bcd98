//! The keys in which two tables of the same name differ, and how their values are shown.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::keys::{Key, Shape};
use crate::units;

/// One key whose value has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// Within its table, as in `retry.limit`.
    pub key: String,
    /// The old and the new value; `None` if they may be secret or long.
    pub values: Option<(String, String)>,
    /// Whether it bears on nothing that runs.
    pub idle: bool,
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            None => f.write_str(&self.key),
            Some((old, new)) => write!(f, "{} {old} -> {new}", self.key),
        }
    }
}

/// Gathers the keys that differ.
#[derive(Default)]
pub(crate) struct Differing {
    /// The table within the table, as in `retry.`; empty for that itself.
    inside: String,
    /// The keys whose new value applies at once.
    pub(crate) at_once: Vec<KeyChange>,
    /// Those whose new value waits for a restart of the host.
    pub(crate) at_restart: Vec<KeyChange>,
}

impl Differing {
    /// A key whose value anybody may see.
    pub(crate) fn shown<T: PartialEq + Show>(&mut self, key: &Key, old: &T, new: &T) {
        if old != new {
            let values = (old.show(&key.shape), new.show(&key.shape));
            self.push(key, (!key.is_hidden()).then_some(values));
        }
    }

    /// A key whose value is not shown.
    pub(crate) fn hidden<T: PartialEq>(&mut self, key: &Key, old: &T, new: &T) {
        if old != new {
            self.push(key, None);
        }
    }

    /// The keys of a table within this one.
    pub(crate) fn within(&mut self, table: &str, look: impl FnOnce(&mut Self)) {
        let outside = self.inside.len();
        self.inside.push_str(table);
        self.inside.push('.');
        look(self);
        self.inside.truncate(outside);
    }

    fn push(&mut self, key: &Key, values: Option<(String, String)>) {
        let change = KeyChange {
            key: format!("{}{}", self.inside, key.name),
            values,
            idle: key.idle,
        };
        match key.at_restart {
            true => self.at_restart.push(change),
            false => self.at_once.push(change),
        }
    }
}

/// A value that a reload shows, as hive.toml has it.
pub(crate) trait Show {
    fn show(&self, shape: &Shape) -> String;
}

/// A value that is shown as this text.
#[derive(PartialEq)]
pub(crate) struct Shown(pub(crate) String);

impl Show for Shown {
    fn show(&self, _: &Shape) -> String {
        self.0.clone()
    }
}

/// A part of something that may not be there: where it comes or goes, the whole is reported and not the part.
pub(crate) struct Within<T>(pub(crate) Option<T>);

impl<T: PartialEq> PartialEq for Within<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }
}

impl<T: Show> Show for Within<T> {
    fn show(&self, shape: &Shape) -> String {
        self.0.show(shape)
    }
}

/// A value that may not be there, with a word for that.
pub(crate) fn or<T: Show>(value: Option<T>, none: &str) -> Shown {
    Shown(value.map_or_else(|| none.to_owned(), |value| value.show(&Shape::Text)))
}

impl<T: Show> Show for Option<T> {
    fn show(&self, shape: &Shape) -> String {
        match self {
            None => "unset".to_owned(),
            Some(value) => value.show(shape),
        }
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn show(&self, shape: &Shape) -> String {
        (*self).show(shape)
    }
}

macro_rules! as_they_are {
    ($($type:ty),+) => {
        $(
            impl Show for $type {
                fn show(&self, _: &Shape) -> String {
                    self.to_string()
                }
            }
        )+
    };
}

as_they_are!(bool, i32, u16, u32, f64);

impl Show for u64 {
    fn show(&self, shape: &Shape) -> String {
        const MIB: u64 = 1 << 20;
        match (shape, self % MIB) {
            (Shape::Size(_), 0) => format!("\"{}MiB\"", self / MIB),
            (Shape::Size(_), _) => format!("\"{self}B\""),
            _ => self.to_string(),
        }
    }
}

impl Show for Duration {
    fn show(&self, _: &Shape) -> String {
        format!("{:?}", units::show(*self))
    }
}

/// A size that is shown by itself.
#[derive(PartialEq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Show for Bytes {
    fn show(&self, _: &Shape) -> String {
        self.0.show(&Shape::Size(0))
    }
}

macro_rules! quoted {
    ($($type:ty),+) => {
        $(
            impl Show for $type {
                fn show(&self, _: &Shape) -> String {
                    format!("{self:?}")
                }
            }
        )+
    };
}

quoted!(str, String, Arc<str>, PathBuf);
