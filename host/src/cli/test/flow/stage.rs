//! A host and a broker in this process, for one case.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{HandedOut, Outgoing, PublishFault, Unpublishable};
use hive_broker::{QueueStatus, Settings};
use hive_config::Environment;
use hive_config::plan::{Plan, StorePlan};
use hive_core::json::write_delivery;
use hive_core::message::Publication;
use hive_core::moments::{self, TurnedClock};
use hive_lifecycle::Tasks;
use hive_objects::Objects;
use hive_sandbox::Compiling;
use hive_telemetry::Telemetry;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::turning::{is_still, step};
use crate::app::{App, PlanSource, Surroundings};
use crate::cli::broker::{Broker as Client, connect};
use crate::cli::test::offline::Offline;

/// The vhost of the broker's URL, to which all connections lead.
const VHOST: &str = "/";

/// How long the consumers get to consume.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at the broker while the host has something to do.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a case plays on.
pub(super) struct Stage {
    broker: hive_broker::Broker,
    /// Publishes and reads for the case; there once the host consumes.
    client: Option<Client>,
    plan: Plan,
    tasks: Tasks,
    /// The time of day on this thread, on which the host runs; turned with the broker's clock.
    clock: TurnedClock,
    /// How far the clock was turned so far.
    turned: Cell<Duration>,
    /// How many messages were published: each has an id of its own.
    published: u64,
    _app: App,
}

impl Stage {
    /// Starts the broker and the host.
    pub(super) async fn set(hive_toml: &Path, network: &Arc<Offline>) -> Result<Self, String> {
        let broker = hive_broker::Broker::start(Settings::default()).await;
        let broker = broker.map_err(|error| error.to_string())?;
        let environment = Environment {
            broker: Some(broker.url()),
            ..Environment::of_process()
        };
        let loaded = hive_config::load(hive_toml, &environment);
        let mut plan = loaded.map_err(|problems| problems.to_string())?.plan;
        alone(&mut plan);
        let source = PlanSource {
            file: hive_toml.to_owned(),
            environment,
        };
        let tasks = Tasks::new();
        let surroundings = Surroundings {
            components: hive_sandbox::Surroundings {
                network: Some(Arc::clone(network) as _),
                clock: Some(Arc::new(moments::now)),
                objects: Some(Objects::in_memory(&tasks)),
            },
            ..Surroundings::default()
        };
        let clock = TurnedClock::default();
        let telemetry = Telemetry::new().map_err(|error| error.to_string())?;
        let compiling = Compiling::Alone;
        let app = App::start_in(
            surroundings,
            plan.clone(),
            source,
            compiling,
            &tasks,
            &telemetry,
        );
        let app = app.await.map_err(|fault| fault.to_string())?;
        Ok(Self {
            broker,
            client: None,
            plan,
            tasks,
            clock,
            turned: Cell::new(Duration::ZERO),
            published: 0,
            _app: app,
        })
    }

    /// Waits until every consumer consumes, and connects.
    pub(super) async fn ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut consumers = self.plan.consumers.values();
            let idle = consumers.find(|consumer| {
                let queue = self.queue(&consumer.queue);
                queue.is_none_or(|queue| queue.consumers == 0)
            });
            let Some(idle) = idle else {
                break;
            };
            if Instant::now() >= deadline {
                return Err(format!(
                    "the consumer {:?} does not consume {:?} after {PATIENCE:?}",
                    idle.name, idle.queue
                ));
            }
            sleep(LOOK_EVERY).await;
        }
        let connection = self.plan.connections.values().next();
        let connection = connection.ok_or("hive.toml has no connection")?;
        let client = connect(connection, "hive-host test");
        self.client = client.ok();
        Ok(())
    }

    /// Publishes a message this many times, and waits for the broker's confirmations.
    pub(super) async fn publish(
        &mut self,
        publication: &Publication,
        times: u32,
    ) -> Result<(), String> {
        let first = self.published;
        self.published += u64::from(times);
        let client = self.client()?;
        let limits = client.connection.publish_limits();
        let publisher = client.publisher();
        let mut confirmations = Vec::new();
        for number in first..self.published {
            let mut publication = publication.clone();
            let id = format!("hive-test-{number}");
            let outgoing = Outgoing::publication(&mut publication, &id, &limits);
            let outgoing = outgoing.map_err(|Unpublishable(reason)| reason)?;
            confirmations.push(publisher.publish(vec![outgoing]).await);
        }
        for confirmation in confirmations {
            confirmation.await.map_err(|fault| match fault {
                PublishFault::Unroutable { text, .. } => format!("no queue takes it ({text})"),
                fault => fault.to_string(),
            })?;
        }
        Ok(())
    }

    fn client(&self) -> Result<&Client, String> {
        let client = self.client.as_ref();
        client.ok_or_else(|| "there is no connection to the broker".to_owned())
    }

    fn queue(&self, name: &str) -> Option<QueueStatus> {
        self.broker.queue(VHOST, name)
    }

    /// How many messages wait in a queue; `None` if there is no such queue.
    pub(super) fn waiting(&self, queue: &str) -> Option<usize> {
        self.queue(queue).map(|queue| queue.ready)
    }

    /// The messages that wait in a queue, as JSON. They stay there.
    pub(super) async fn messages(&self, queue: &str, count: usize) -> Result<Vec<Value>, String> {
        let client = self.client()?;
        let handed_out = HandedOut {
            at_once: u16::try_from(count).unwrap_or(u16::MAX),
            in_all: u64::try_from(count).ok(),
        };
        let connection = &client.connection;
        let browsing = connection.browse(queue, handed_out, &client.tasks).await;
        let mut browsing = browsing.map_err(|fault| fault.to_string())?;
        let mut messages = Vec::new();
        while messages.len() < count {
            match browsing.next().await.map_err(|fault| fault.to_string())? {
                Some(letter) => messages.push(write_delivery(&letter.delivery.envelope)),
                None => break,
            }
        }
        browsing.end().await;
        Ok(messages)
    }

    /// Every queue that has messages, one a line.
    pub(super) fn queues(&self) -> String {
        let queues = self.broker.queues();
        let filled = queues
            .iter()
            .filter(|queue| queue.ready + queue.unacked > 0);
        let lines: Vec<String> = filled
            .map(|queue| {
                let (name, ready, unacked) = (&queue.name, queue.ready, queue.unacked);
                format!("in {name:?}: {ready} waiting, {unacked} in flight")
            })
            .collect();
        match lines.is_empty() {
            true => "no queue has any message".to_owned(),
            false => lines.join("\n"),
        }
    }

    /// The time by the clock that is turned.
    pub(super) fn now(&self) -> Duration {
        Duration::from_millis(self.broker.now().millis())
    }

    /// Whether the host has no message in flight, and gets none unless the clock is turned.
    pub(super) fn is_still(&self) -> bool {
        let queues = self.broker.queues();
        let mut consumers = self.plan.consumers.values();
        consumers.all(|consumer| {
            let queue = queues
                .iter()
                .find(|queue| queue.vhost == VHOST && *queue.name == *consumer.queue);
            queue.is_none_or(is_still)
        })
    }

    /// Turns the clock to what happens next, `boundary` at the latest; or lets the machine's clock go on, if the host
    /// has something to do.
    pub(super) async fn go_on(&self, boundary: Duration) {
        if !self.is_still() {
            sleep(LOOK_EVERY).await;
            return;
        }
        let left = boundary.saturating_sub(self.now());
        let by = step(self.broker.due(), left);
        // First the time of day: what the broker hands out at that moment is handled at that moment.
        self.clock.turn(by);
        self.broker.turn(by);
        self.turned.set(self.turned.get() + by);
    }

    /// How far the clock was turned so far.
    pub(super) fn turned(&self) -> Duration {
        self.turned.get()
    }

    /// Turns the clock, once the host has no message in flight.
    pub(super) async fn turn(&self, time: Duration) {
        let begun = self.now();
        while !self.is_still() && self.now() < begun + time {
            sleep(LOOK_EVERY).await;
        }
        let end = match self.is_still() {
            true => self.now() + time,
            // The host waits by the machine's clock, as for the end of a batch; so did this step.
            false => begun + time,
        };
        while self.now() < end {
            self.go_on(end).await;
        }
    }

    /// Ends everything.
    pub(super) async fn clear(mut self) {
        if let Some(client) = self.client.take() {
            client.leave().await;
        }
        let _drained = self.tasks.stop(Duration::ZERO).await;
    }
}

/// The plan for a broker that has nothing and a host that shares nothing.
fn alone(plan: &mut Plan) {
    plan.host.admin = None;
    // The host does not die in a case.
    plan.host.quarantine = false;
    plan.store = StorePlan::Memory;
    for component in plan.components.values_mut() {
        component.watch = false;
        component.log_lines = u32::MAX;
    }
    for connection in plan.connections.values_mut() {
        for queue in &mut connection.topology.queues {
            queue.passive = false;
        }
        for exchange in &mut connection.topology.exchanges {
            exchange.passive = false;
        }
    }
}
