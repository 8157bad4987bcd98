//! The code of a component: read, checked against the contract and the host's interfaces, compiled.

pub(crate) mod access;
pub(crate) mod cache;
pub(crate) mod code;
pub(crate) mod content;
pub(crate) mod exports;
pub(crate) mod fault;
