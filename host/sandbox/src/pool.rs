//! The instances of a component: its generations, their idle instances, and the permits for all of them.

pub(crate) mod allocation;
pub(crate) mod calls;
pub(crate) mod generation;
mod idle;
pub(crate) mod permits;
mod pooled;
