//! What a consumer is made with, and what the parts of its pipeline have in common.

use std::sync::Arc;

use hive_amqp::{Connection, Subscription};
use hive_config::plan::ConsumerPlan;
use hive_lifecycle::Tasks;
use hive_otlp::Otlp;
use hive_store::Store;
use hive_telemetry::{ConsumerTelemetry, Telemetry};

use super::handler::Handler;
use super::quarantine::Quarantines;
use crate::tail::Tail;

/// What the host has for one of its consumers.
pub struct Services {
    /// The connection that it consumes over.
    pub connection: Arc<Connection>,
    /// What decides over its deliveries.
    pub handler: Handler,
    /// Remembers what outlives the host.
    pub store: Arc<dyn Store>,
    /// Shared by all consumers of the host.
    pub quarantines: Arc<Quarantines>,
    /// Its part of the host's tasks.
    pub tasks: Tasks,
    /// The telemetry of the host.
    pub telemetry: Telemetry,
    /// Where spans go, if they are sent to a collector.
    pub otlp: Option<Otlp>,
    /// Where deliveries are watched.
    pub tail: Tail,
}

/// What each part of a pipeline is made with. The pipeline owns it; a part keeps what it uses.
pub(super) struct Common<'a> {
    pub(super) plan: &'a Arc<ConsumerPlan>,
    pub(super) services: &'a Services,
    /// Lent to those who change its demand.
    pub(super) subscription: &'a Arc<Subscription>,
    /// The telemetry of the consumer.
    pub(super) telemetry: &'a Arc<ConsumerTelemetry>,
}
