//! A connection for one command: opened once, and given up where it does not open.

use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Amqp, Connection, Publisher};
use hive_config::plan::{ConnectionPlan, TopologyPlan};
use hive_core::codes::Coded;
use hive_lifecycle::Tasks;
use hive_telemetry::Telemetry;

/// Failures in a row before a connection is given up: a person waits for the command.
const TRIES: u32 = 2;

/// A broker that is spoken to.
pub(crate) struct Client {
    /// How.
    pub(crate) connection: Arc<Connection>,
    /// Everything that runs for it.
    pub(crate) tasks: Tasks,
    name: &'static str,
    _amqp: Amqp,
}

impl Client {
    /// Connects as `plan` says, under `name`, and declares nothing.
    ///
    /// # Errors
    ///
    /// The machine does not let it; that the broker does not is found out by the first question.
    pub(crate) fn connect(plan: &ConnectionPlan, name: &'static str) -> Result<Self, Coded> {
        let mut plan = plan.clone();
        plan.topology = TopologyPlan::default();
        plan.reconnect.attempts = Some(TRIES);
        let tasks = Tasks::new();
        let telemetry = Telemetry::new().map_err(|error| {
            Coded::plain(format_args!("the metrics could not be set up: {error}"))
        })?;
        let amqp = Amqp::start(&telemetry, name.into()).map_err(Coded::plain)?;
        let connection = amqp.connect(&plan, [], &tasks);
        let connection = connection.map_err(|fault| Coded::new(fault.code(), &fault))?;
        Ok(Self {
            connection,
            tasks,
            name,
            _amqp: amqp,
        })
    }

    /// A publisher on it.
    pub(crate) fn publisher(&self) -> Publisher {
        self.connection.publisher(self.name, self.name, &self.tasks)
    }

    /// Sends what is owed to the broker, and takes leave of it. What was read and not acknowledged goes
    /// back.
    pub(crate) async fn leave(self) {
        // Nothing is in flight that a deadline could cut short.
        let _drained = self.tasks.stop(Duration::ZERO).await;
    }
}
