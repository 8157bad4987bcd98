//! The code of a component: read, checked against the contract and the host's interfaces, compiled.

pub(crate) mod access;
mod ahead;
pub(crate) mod ahead_of_time;
pub(crate) mod cache;
pub(crate) mod code;
pub(crate) mod compiling;
pub(crate) mod content;
pub(crate) mod cpu;
pub(crate) mod exports;
pub(crate) mod fault;
mod functions;
mod native;
mod slow;
mod trust;
