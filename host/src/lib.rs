//! The host of Hive: RabbitMQ consumers that are WebAssembly components.

pub mod message;
pub mod policy;

pub mod config;
pub mod guest;
pub mod lifecycle;
