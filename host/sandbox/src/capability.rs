//! What a component may reach outside itself: one file for each host interface.
//!
//! Everything is linked and denied at the call. A toolchain's standard library imports far more than a
//! component uses, and a component that never calls its imports must still run.

pub(super) mod config;
pub(super) mod dirs;
pub(super) mod env;
pub(super) mod http;
pub(super) mod keyvalue;
pub(super) mod publish;
pub(super) mod sockets;

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
