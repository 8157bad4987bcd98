//! A connection for one command: opened once, and given up where it does not open.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Amqp, Connection, Publisher};
use hive_config::plan::{ConnectionPlan, TopologyPlan};
use hive_core::codes::Coded;
use hive_lifecycle::Tasks;
use hive_telemetry::Telemetry;

use super::Exit;
use super::run::Signals;
use super::say::fault;

/// Failures in a row before a connection is given up: the user waits for the command.
const TRIES: u32 = 2;

/// A broker that is spoken to.
pub(super) struct Broker {
    /// How.
    pub(super) connection: Arc<Connection>,
    /// Everything that runs for it.
    pub(super) tasks: Tasks,
    name: &'static str,
    _amqp: Amqp,
}

impl Broker {
    /// Connects as `plan` says, under `name`, and declares nothing.
    pub(super) fn connect(plan: &ConnectionPlan, name: &'static str) -> Result<Self, Exit> {
        let mut plan = plan.clone();
        plan.topology = TopologyPlan::default();
        plan.reconnect.attempts = Some(TRIES);
        let tasks = Tasks::new();
        let telemetry: Telemetry = super::telemetry()?;
        let connected = Amqp::start(&telemetry, name.into())
            .map_err(|error: io::Error| Coded::plain(error))
            .and_then(|amqp| {
                let connection = amqp.connect(&plan, [], &tasks);
                let connection = connection.map_err(|fault| Coded::new(fault.code(), &fault))?;
                Ok((amqp, connection))
            });
        let (amqp, connection) = connected.map_err(|reason| {
            fault!([reason.code] "{reason}");
            Exit::Failed
        })?;
        Ok(Self {
            connection,
            tasks,
            name,
            _amqp: amqp,
        })
    }

    /// A publisher on it.
    pub(super) fn publisher(&self) -> Publisher {
        self.connection.publisher(self.name, self.name, &self.tasks)
    }

    /// Sends what is owed to the broker, and takes leave of it. What was read and not acknowledged goes
    /// back.
    pub(super) async fn leave(self) {
        // Nothing is in flight that a deadline could cut short.
        let _drained = self.tasks.stop(Duration::ZERO).await;
    }
}

/// Resolves at the first signal that asks the process to stop.
pub(super) async fn told_to_stop() {
    match Signals::new() {
        Ok(mut signals) => {
            signals.stop(None).await;
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}
