//! The host's code for AMQP's frames, tables and properties, the broker in the process, and what must hold for
//! every input.
//!
//! The targets depend on the host's crates, none of which is `hive-host`: that would bring wasmtime along.

pub mod broker;
pub mod frames;
pub mod messages;
mod wire;
