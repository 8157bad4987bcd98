//! The host of Hive: RabbitMQ consumers that are WebAssembly components.
//!
//! The modules in reading order. `ARCHITECTURE.md`, at the top of the repository, has the map, the
//! invariants, and who may know whom.

pub mod pipeline;
mod schedules;

pub mod ledger;

pub mod audit;
mod client;
mod conditions;
pub mod control;
pub mod dead;
pub mod log;
mod random;
pub mod status;
pub mod tail;
pub mod topology;

pub mod admin;
pub mod app;
pub mod cli;
