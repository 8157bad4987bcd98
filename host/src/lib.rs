//! The host of Hive: RabbitMQ consumers that are WebAssembly components.
//!
//! The modules in reading order. `ARCHITECTURE.md`, at the top of the repository, has the map, the
//! invariants, and who may know whom.

pub mod message;
pub mod message_key;
pub mod policy;

pub mod pipeline;

pub mod amqp;
pub mod guest;
pub mod ledger;

pub mod authorities;
pub mod canary;
pub mod config;
pub mod control;
pub mod dead;
pub mod escape;
pub mod failpoint;
pub mod files;
pub mod json;
pub mod lifecycle;
pub mod log;
pub mod moments;
pub mod recent;
pub mod scaling;
pub mod status;
pub mod store;
mod tls;

pub mod admin;
pub mod app;
pub mod cli;
