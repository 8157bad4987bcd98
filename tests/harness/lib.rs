//! The harness that the scenarios stand on: a private RabbitMQ, guests compiled from source, and
//! the real `hive-host` run as a process.
//!
//! A scenario asks for a [`Vhost`] (its own corner of a broker that all tests share), writes a
//! [`HiveToml`], runs a [`HostProcess`] on it, publishes and looks at queues with a plain AMQP
//! client. Nothing here knows the host's code: what is tested is what a user would run.

mod broker;
mod build;
mod certificates;
mod clock;
mod collector;
mod command;
#[cfg(target_os = "linux")]
mod container;
mod event;
mod eventually;
mod hive_toml;
mod host_process;
pub mod hostile;
pub mod house;
mod http;
mod keeper;
mod languages;
mod management;
pub mod matrix;
mod memory_limit;
mod message;
#[cfg(target_os = "linux")]
mod network;
mod ports;
mod poster;
mod project;
mod proxy;
mod raw;
mod redis_server;
mod s3_server;
mod shell;
mod stores;
mod talk;
mod terminal;
mod tls_broker;
mod usage;
mod user;
mod vhost;
mod web_server;

pub use broker::{Broker, Cluster, Kept, Version, hold};
pub use build::{
    contender, contenders, example, example_component, guest, host_binary, target_folder,
    text_guest, traced_client, workspace,
};
pub use certificates::{Authority, Identity};
pub use clock::{TurnedClock, clock_before_1970};
pub use collector::{CollectedSpan, Collector};
pub use command::{Commands, Started};
#[cfg(target_os = "linux")]
pub use container::Container;
pub use event::{Event, Mark};
pub use eventually::{eventually, eventually_within};
pub use hive_toml::HiveToml;
pub use host_process::{Finished, HostProcess, check, run_into, run_to_end};
pub use http::HttpAnswer;
pub use keeper::{scratch, signal, start};
pub use languages::{Language, built_example, language_guest, toolchains};
pub use management::Management;
pub use memory_limit::MemoryLimit;
pub use message::Message;
#[cfg(target_os = "linux")]
pub use network::Network;
pub use ports::reserve_ports;
pub use poster::{Post, Poster};
pub use project::{PROJECT_LANGUAGES, Project, ProjectLanguage, Readme};
pub use proxy::{Direction, Proxy};
pub use raw::{RawMessage, property};
pub use redis_server::RedisServer;
pub use s3_server::{BUCKET, S3Server, SECRET, unzipped};
pub use shell::Shell;
pub use stores::Stores;
pub use talk::{Speaker, Step, conversation, difference};
pub use terminal::Terminal;
pub use tls_broker::{Clients, TlsBroker};
pub use usage::{Usage, most_descriptors, of_files_kib, peak_kib, processor_time, threads_named};
pub use user::User;
pub use vhost::{HostConnection, Vhost};
pub use web_server::WebServer;
