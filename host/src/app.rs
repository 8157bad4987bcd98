//! The composition root: a plan in, a running host out.
//!
//! Everything is bound and compiled before anything is consumed, so that a host that cannot do its
//! job says so before it has touched a message. A broker that is not there, or not as planned, is
//! no such case: the host waits for it, tells so, and consumes what can be consumed.

mod board;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future;
use thiserror::Error;

use self::board::Board;
use crate::admin::{Admin, Sources};
use crate::amqp::{Amqp, Connection};
use crate::config::plan::{AdminPlan, Plan};
use crate::guest::{ComponentFault, Engine, EngineLimits, Generation, Slot};
use crate::lifecycle::Tasks;
use crate::pipeline::Pipeline;
use crate::store::{OnDemand, Store};
use crate::telemetry::Telemetry;

/// Instances for a component beside those that handle deliveries: one that is tried out, and some
/// that are stopping.
const SPARE_INSTANCES: u32 = 4;

/// A host that consumes.
pub struct App {
    connections: Vec<Arc<Connection>>,
}

/// Why a host does not start.
#[derive(Debug, Error)]
pub enum StartFault {
    /// What hive.toml names cannot be run.
    #[error("{}", Lines(.0))]
    Plan(Vec<ComponentFault>),
    /// The machine or the broker won't have it.
    #[error("{0}")]
    Host(String),
}

impl App {
    /// Binds the admin server and compiles every component; then opens the connections and consumes
    /// over each as soon as it is there.
    ///
    /// # Errors
    ///
    /// Every component that cannot be run; an address that cannot be bound.
    pub async fn start(
        plan: Plan,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> Result<Self, StartFault> {
        let board = Arc::new(Board::new(&plan));
        serve_admin(&plan, &board, tasks, telemetry).await?;
        let store = open_store(&plan, tasks).await?;
        let engine = engine(&plan, tasks, telemetry, &store)?;
        let slots = load(&plan, &engine).await.map_err(StartFault::Plan)?;
        stop_with_the_host(&slots, store, tasks);
        let connections = connect(&plan, tasks, telemetry)?;
        let mut consumers = BTreeMap::new();
        for (name, consumer) in &plan.consumers {
            let slot = Arc::clone(&slots[&consumer.component]);
            let connection = &connections[&consumer.connection];
            let pipeline = Pipeline::new(consumer, connection, slot, (tasks, telemetry));
            consumers.insert(Arc::clone(name), pipeline.watch());
            pipeline.start();
        }
        board.started(&connections, consumers);
        Ok(Self {
            connections: connections.into_values().collect(),
        })
    }

    /// Resolves when a connection is given up, with the reason: the host cannot go on.
    pub async fn gave_up(&self) -> String {
        let connections = self
            .connections
            .iter()
            .map(|connection| Box::pin(connection.gave_up()));
        let (fault, _, _) = future::select_all(connections).await;
        fault.to_string()
    }
}

/// Serves health and metrics from before the first component is compiled.
async fn serve_admin(
    plan: &Plan,
    board: &Arc<Board>,
    tasks: &Tasks,
    telemetry: &Telemetry,
) -> Result<(), StartFault> {
    let Some(AdminPlan { address, is_named }) = plan.host.admin else {
        return Ok(());
    };
    let admin = match Admin::bind(address).await {
        Ok(admin) => admin,
        Err(error) if is_named => {
            return Err(StartFault::Host(format!(
                "the admin server cannot listen on {address}: {error}; change `host.admin`"
            )));
        }
        Err(error) => {
            tracing::warn!(
                %address, %error,
                "health and metrics are not served; name an address in `host.admin`, or \"off\""
            );
            return Ok(());
        }
    };
    let board = Arc::clone(board);
    let sources = Sources {
        status: Arc::new(move || board.status()),
        telemetry: telemetry.clone(),
    };
    admin.serve(sources, tasks);
    Ok(())
}

/// The store, open if anything in the plan uses it: a host that cannot remember must not begin.
async fn open_store(plan: &Plan, tasks: &Tasks) -> Result<Arc<dyn Store>, StartFault> {
    let store = OnDemand::new(plan.store.clone(), tasks);
    if plan.uses_the_store() {
        let opened = store.open().await;
        opened.map_err(|fault| StartFault::Host(fault.to_string()))?;
    }
    Ok(Arc::new(store))
}

/// An engine with room for every instance that the plan can have at once.
pub(crate) fn engine(
    plan: &Plan,
    tasks: &Tasks,
    telemetry: &Telemetry,
    store: &Arc<dyn Store>,
) -> Result<Engine, StartFault> {
    let handling: u32 = plan
        .consumers
        .values()
        .map(|consumer| u32::from(consumer.concurrency))
        .sum();
    let components = u32::try_from(plan.components.len()).unwrap_or(u32::MAX);
    let limits = EngineLimits {
        instances: handling.saturating_add(components.saturating_mul(SPARE_INSTANCES)),
        memory: plan
            .components
            .values()
            .map(|component| component.memory)
            .max()
            .unwrap_or_default(),
    };
    Engine::new(limits, tasks, telemetry, store)
        .map_err(|error| StartFault::Host(format!("{error:#}")))
}

/// Loads every component of the plan; the faults of all of them in one go.
pub(crate) async fn load(
    plan: &Plan,
    engine: &Engine,
) -> Result<BTreeMap<Arc<str>, Arc<Slot>>, Vec<ComponentFault>> {
    let mut slots = BTreeMap::new();
    let mut faults = Vec::new();
    for component in plan.components.values() {
        match engine.load(component).await {
            Ok(generation) => {
                tell(component.name.as_ref(), &generation);
                slots.insert(Arc::clone(&component.name), Arc::new(Slot::new(generation)));
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(slots)
    } else {
        Err(faults)
    }
}

fn tell(component: &str, generation: &Generation) {
    tracing::info!(component, sha256 = generation.hash(), "loaded");
}

/// Warm instances hear that the host stops, once no delivery is in hand any more; they may still keep
/// something, so the store closes after them.
fn stop_with_the_host(slots: &BTreeMap<Arc<str>, Arc<Slot>>, store: Arc<dyn Store>, tasks: &Tasks) {
    let slots: Vec<_> = slots.values().map(Arc::clone).collect();
    let close = tasks.close().clone();
    tasks.spawn_service(async move {
        close.cancelled().await;
        future::join_all(slots.iter().map(|slot| {
            let generation = slot.current();
            async move { generation.drain().await }
        }))
        .await;
        store.close().await;
    });
}

/// Starts to open every connection.
fn connect(
    plan: &Plan,
    tasks: &Tasks,
    telemetry: &Telemetry,
) -> Result<BTreeMap<Arc<str>, Arc<Connection>>, StartFault> {
    let amqp = Amqp::start(tasks, telemetry, Arc::clone(&plan.host.name)).map_err(|error| {
        StartFault::Host(format!("the AMQP runtime could not be started: {error}"))
    })?;
    let mut connections = BTreeMap::new();
    for (name, connection) in &plan.connections {
        let consumers = plan
            .consumers
            .values()
            .filter(|consumer| consumer.connection == *name);
        let connection = amqp
            .connect(connection, consumers)
            .map_err(|fault| StartFault::Host(fault.to_string()))?;
        connections.insert(Arc::clone(name), connection);
    }
    Ok(connections)
}

struct Lines<'a>(&'a [ComponentFault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}
