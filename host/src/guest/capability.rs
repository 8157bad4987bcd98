//! What a component may reach outside itself: one file a host interface.
//!
//! Everything is linked and denied at the call. A toolchain's standard library imports far more
//! than a component uses, and a component that never calls what it imports has to run.

pub(super) mod config;
pub(super) mod http;
