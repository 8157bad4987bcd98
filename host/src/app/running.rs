//! Everything that runs, by its name in hive.toml. One task owns it, and carries out what changes
//! it, one thing after the other: nothing here is locked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hive_amqp::{Amqp, Connection, ConsumerState};
use hive_config::plan::{self, ConnectionPlan, ConsumerPlan, LeftOut, Plan, Seen};
use hive_core::codes::{Code, Coded};
use hive_http::Server;
use hive_lifecycle::{Drained, Tasks};
use hive_otlp::Otlp;
use hive_sandbox::{Engine, Slot};
use hive_store::OnDemand;
use hive_telemetry::{Fact, PausedBy, Telemetry};
use tokio::sync::{mpsc, watch};

use super::PlanSource;
use super::board::{Board, Crewed, Watched};
use super::depths::Depths;
use super::discovery::{Discovery, Found};
use super::group::Group;
use super::schedules::Scheduled;
use super::watch::Files;
use crate::pipeline::{Handler, Pipeline, Quarantines, Services};
use crate::tail::Tail;

/// Everything that runs.
pub(super) struct Running {
    pub(super) plan: Plan,
    pub(super) source: PlanSource,
    pub(super) engine: Engine,
    pub(super) store: Arc<OnDemand>,
    pub(super) quarantines: Arc<Quarantines>,
    pub(super) slots: BTreeMap<Arc<str>, Arc<Slot>>,
    pub(super) connections: BTreeMap<Arc<str>, Linked>,
    pub(super) consumers: BTreeMap<Arc<str>, Consuming>,
    pub(super) schedules: BTreeMap<Arc<str>, Scheduled>,
    pub(super) amqp: Amqp,
    pub(super) board: Arc<Board>,
    /// The searches for queues, by connection.
    pub(super) discoveries: BTreeMap<Arc<str>, Discovery>,
    /// Where their listings go.
    pub(super) found: mpsc::Sender<Found>,
    /// The queues of their last listings.
    pub(super) seen: Seen,
    /// Queues that match a pattern and are not consumed from.
    pub(super) left_out: Vec<LeftOut>,
    /// Consumers that did not find their queue although the last listing has it, by connection.
    pub(super) gone: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) group: Option<Arc<Group>>,
    pub(super) files: Files,
    /// Takes requests over HTTP, if hive.toml has `[http]`.
    pub(super) requests: Option<Server>,
    pub(super) shutdown_timeout: watch::Sender<Duration>,
    pub(super) gave_up: mpsc::Sender<Coded>,
    pub(super) tasks: Tasks,
    pub(super) telemetry: Telemetry,
    /// Where spans go, if they are sent to a collector.
    pub(super) otlp: Option<Otlp>,
    /// Where deliveries are watched.
    pub(super) tail: Tail,
}

/// A connection, and the tasks that keep it up.
pub(super) struct Linked {
    pub(super) connection: Arc<Connection>,
    depths: Arc<Depths>,
    tasks: Tasks,
}

/// A consumer at work, and the tasks that are its work.
pub(super) struct Consuming {
    pub(super) crewed: Crewed,
    tasks: Tasks,
}

impl Consuming {
    /// Whether it is paused by hand.
    pub(super) fn is_paused_by_hand(&self) -> bool {
        let paused = self.crewed.flow.paused();
        paused.is_some_and(|pause| pause.by == PausedBy::Hand)
    }

    /// Whether it waits for its queue, which was deleted.
    pub(super) fn is_gone(&self) -> bool {
        match self.crewed.flow.watch().now() {
            ConsumerState::Waiting(reason) => reason.code == Some(Code::EntityMissing),
            ConsumerState::Consuming | ConsumerState::Standby(_) => false,
        }
    }
}

/// The consumers of a plan that consume over one connection.
pub(super) fn consumers_of<'a>(
    plan: &'a Plan,
    connection: &'a str,
) -> impl Iterator<Item = &'a ConsumerPlan> {
    let consumers = plan.consumers.values();
    consumers.filter(move |consumer| &*consumer.connection == connection)
}

impl Running {
    /// Starts to open a connection; it is the host's end if it is given up.
    pub(super) fn connect(&mut self, plan: &ConnectionPlan, whole: &Plan) -> Result<(), Coded> {
        let tasks = self.tasks.branch();
        let connection = self
            .amqp
            .connect(plan, consumers_of(whole, &plan.name), &tasks)
            .map_err(|fault| Coded::new(fault.code(), &fault))?;
        let (watched, gave_up) = (Arc::clone(&connection), self.gave_up.clone());
        let close = tasks.close().clone();
        tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                fault = watched.gave_up() => {
                    // The first reason is enough.
                    let _told_already = gave_up.try_send(Coded::new(fault.code(), &fault));
                }
            }
        });
        if let Some(group) = &self.group {
            group.join(&plan.name, &connection, &tasks);
        }
        let linked = Linked {
            depths: Depths::new(&connection, &tasks),
            connection,
            tasks,
        };
        self.connections.insert(plan.name.clone(), linked);
        Ok(())
    }

    /// Starts a consumer of the plan; its connection and its component are there.
    pub(super) fn consume(&mut self, plan: &ConsumerPlan) {
        let tasks = self.tasks.branch();
        let services = Services {
            connection: Arc::clone(&self.connections[&plan.connection].connection),
            handler: self.handler(plan),
            store: Arc::<OnDemand>::clone(&self.store),
            quarantines: Arc::clone(&self.quarantines),
            tasks: tasks.clone(),
            telemetry: self.telemetry.clone(),
            otlp: self.otlp.clone(),
            tail: self.tail.clone(),
        };
        let pipeline = Pipeline::new(&Arc::new(plan.clone()), services);
        let crewed = Crewed {
            flow: Arc::clone(pipeline.flow()),
            keeping: Arc::clone(pipeline.keeping()),
            by_key: pipeline.by_key().cloned(),
            bounds: pipeline.bounds().cloned(),
            telemetry: Arc::clone(pipeline.telemetry()),
            roster: pipeline.start(),
        };
        self.consumers
            .insert(plan.name.clone(), Consuming { crewed, tasks });
    }

    /// What decides over the deliveries of a consumer; a component is there already.
    fn handler(&self, consumer: &ConsumerPlan) -> Handler {
        match &consumer.handler {
            plan::Handler::Component(name) => Handler::Component(Arc::clone(&self.slots[name])),
            plan::Handler::Routes(routes) => Handler::Routes(Arc::clone(routes)),
        }
    }

    /// Removes these consumers, after their deliveries in flight. Deliveries that are not finished after
    /// `shutdown_timeout` go back to the broker.
    pub(super) async fn stop_consumers(&mut self, names: impl IntoIterator<Item = &Arc<str>>) {
        let timeout = self.plan.host.shutdown_timeout;
        let stopped = names
            .into_iter()
            .filter_map(|name| self.consumers.remove_entry(name));
        let stopped: Vec<_> = stopped.collect();
        join_all(stopped.iter().map(async |(name, consumer)| {
            if consumer.tasks.stop(timeout).await == Drained::AtDeadline {
                Fact::ConsumerUnfinished {
                    consumer: name,
                    timeout,
                }
                .emit();
            }
        }))
        .await;
        for (name, _) in &stopped {
            // The series of a pattern's consumers are those of its table: each takes back its part when it ends.
            if let Some(plan) = self.plan.consumers.get(name)
                && !plan.is_discovered()
            {
                self.telemetry.consumer_gone(name);
            }
        }
    }

    /// Closes a connection without consumers.
    pub(super) async fn disconnect(&mut self, name: &Arc<str>) {
        if let Some(linked) = self.connections.remove(name) {
            linked.tasks.stop(self.plan.host.shutdown_timeout).await;
            self.telemetry.connection_gone(name);
        }
    }

    /// Updates the board, the watched files and the routes over HTTP to what runs.
    pub(super) fn show(&self) {
        self.serve_routes();
        let mut watched = Watched {
            slots: self.slots.clone(),
            ..Watched::default()
        };
        for (name, linked) in &self.connections {
            watched.watch_links(name, &linked.connection);
            watched
                .depths
                .insert(name.clone(), Arc::clone(&linked.depths));
        }
        let consumers = self.consumers.iter();
        watched.consumers = consumers
            .map(|(name, consumer)| (name.clone(), consumer.crewed.clone()))
            .collect();
        watched.schedules = self.schedule_states();
        watched.discoveries = self
            .discoveries
            .iter()
            .map(|(name, one)| (name.clone(), one.looked()))
            .collect();
        watched.left_out.clone_from(&self.left_out);
        self.board.set(&self.plan, watched);
        self.files.watch(self.plan.components.values());
        self.shutdown_timeout
            .send_replace(self.plan.host.shutdown_timeout);
    }

    /// Notifies idle instances that the host stops, once no delivery is in flight any more.
    pub(super) async fn drain_components(&self) {
        join_all(self.slots.values().map(async |slot| {
            if let Some(trial) = slot.trial() {
                trial.canary().drain().await;
            }
            if let Some(shadow) = slot.shadow() {
                shadow.generation().drain().await;
            }
            slot.current().drain().await;
        }))
        .await;
    }
}
