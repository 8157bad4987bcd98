//! The host of Hive: RabbitMQ consumers that are WebAssembly components.

pub mod message;
pub mod policy;

pub mod amqp;
pub mod config;
pub mod lifecycle;
