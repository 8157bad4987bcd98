//! The name of a key, with the type of its value: what the code asks a node with, so that a name which is
//! misspelt does not compile.

use std::marker::PhantomData;

use super::{Key, Readable};
use crate::written::Node;

/// The name of a key whose values are of type `T`. `D` says what applies where it is not set: a function that
/// makes the default, [`Required`], or `()` for neither.
pub(crate) struct Name<T, D = ()> {
    name: &'static str,
    unset: D,
    of: PhantomData<fn() -> T>,
}

/// The table of this key requires it.
#[derive(Clone, Copy)]
pub(crate) struct Required;

impl<T, D: Copy> Clone for Name<T, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, D: Copy> Copy for Name<T, D> {}

impl<T, D: Copy> Name<T, D> {
    pub(crate) const fn new(name: &'static str, unset: D) -> Self {
        Self {
            name,
            unset,
            of: PhantomData,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.name
    }

    /// The name alone, beside others whose values have other types.
    pub(crate) const fn untyped(self) -> Name<()> {
        Name::new(self.name, ())
    }

    /// The row of the key.
    pub(crate) fn of(self, keys: &'static [Key]) -> &'static Key {
        let mut rows = keys.iter();
        rows.find(|key| key.name == self.name)
            .expect("each key is a row of its own table")
    }

    /// Where it is set in a table, whatever its value is. There may be no table.
    pub(crate) fn at(self, table: Option<&Node>) -> Option<&Node> {
        table.and_then(|table| table.get(self))
    }
}

impl<T: Readable, D: Copy> Name<T, D> {
    /// The value of the key, if it is set and not faulty.
    pub(crate) fn written(self, table: Option<&Node>) -> Option<T> {
        self.at(table).and_then(T::read)
    }
}

impl<T> Name<T, fn() -> T> {
    pub(crate) fn default(self) -> T {
        (self.unset)()
    }
}

impl<T: Readable> Name<T, fn() -> T> {
    /// The value of the key, or its default.
    pub(crate) fn value(self, table: Option<&Node>) -> T {
        self.written(table).unwrap_or_else(self.unset)
    }

    pub(crate) fn take(self, table: Option<&Node>) -> Option<T> {
        Some(self.value(table))
    }
}

impl<T: Readable> Name<T, Required> {
    pub(crate) fn take(self, table: Option<&Node>) -> Option<T> {
        self.written(table)
    }
}

impl<T: Readable + Default> Name<T> {
    pub(crate) fn take(self, table: Option<&Node>) -> Option<T> {
        Some(self.written(table).unwrap_or_default())
    }
}
