//! Spans and metrics of deliveries for an OpenTelemetry collector, sent as OTLP over HTTP.
//!
//! - [`Otlp`]: begun once a process, if hive.toml or the environment names a collector;
//! - [`Handling`]: the span of a delivery, or of a batch, from its arrival to its settlement;
//! - [`Sending`]: the span of one message that is published.
//!
//! The names are those of OpenTelemetry's semantic conventions, "Messaging" and "RabbitMQ". No delivery waits for a
//! collector: a span for which there is no room is dropped and counted.

mod client;
mod context;
mod destination;
mod handling;
mod meters;
mod queue;
mod start;

pub use self::handling::{Arrival, Handling, Sending, Settled};
pub use self::queue::Report;
pub use self::start::{Otlp, StartFault};
