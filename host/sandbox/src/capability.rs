//! What a component may reach outside itself: one file for each host interface.
//!
//! Everything is linked and denied at the call. A toolchain's standard library imports far more than a
//! component uses, and a component that never calls its imports must still run.

pub(crate) mod config;
pub(crate) mod dirs;
pub(crate) mod env;
pub(crate) mod http;
pub(crate) mod keyvalue;
pub(crate) mod publish;
pub(crate) mod sockets;
pub(crate) mod surroundings;

use std::fmt;

/// A text of a component's as it is put into a log line: quoted, and not at any length.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        let end = self.0.floor_char_boundary(LONGEST);
        let cut = if end < self.0.len() { "…" } else { "" };
        write!(f, "{:?}{cut}", &self.0[..end])
    }
}
