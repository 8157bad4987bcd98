//! An AMQP 0-9-1 broker in the process, for development and tests: the real wire protocol, memory only.
//!
//! It answers as RabbitMQ 4.3 does, and does three things that no broker does: it starts in a moment, its
//! [clock can be turned](Broker::turn), and it shows [faults](Fault) on command. It is no broker for
//! production: it keeps nothing over a restart, and one lock guards all of it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), hive_broker::StartError> {
//! use std::time::Duration;
//!
//! let broker = hive_broker::Broker::start(hive_broker::Settings::default()).await?;
//! println!("connect any AMQP 0-9-1 client to {}", broker.url());
//! broker.turn(Duration::from_secs(30));
//! # Ok(())
//! # }
//! ```
//!
//! `docs/broker.md` has what it does and where it differs from RabbitMQ.

mod broker;
mod clock;
mod control;
mod definitions;
mod faults;
mod inside;
mod message;
#[doc(hidden)]
pub mod probe;
mod queue;
mod refusal;
mod routing;
mod server;
mod state;
mod time;
mod wire;

pub use self::broker::{Broker, ConnectionStatus, Login, QueueStatus, Settings, StartError};
pub use self::clock::Pace;
pub use self::definitions::{Definitions, DefinitionsError};
pub use self::faults::Fault;
pub use self::inside::Waiting;
pub use self::time::Time;
