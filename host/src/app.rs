//! The composition root: turns a plan into a running host, and changes it while it runs.
//!
//! Everything is bound and compiled before anything is consumed, so that a host that cannot do its job fails
//! before it has touched a message. A broker that is unreachable, or has another topology, does not count as
//! such: the host waits for it, reports it, and consumes from the queues that it can.

mod board;
mod bounds;
mod depths;
mod discovery;
mod group;
mod pause;
mod ready;
mod reload;
mod requests;
mod running;
mod schedules;
mod serving;
mod shadow;
mod spans;
mod swap;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Amqp, Network};
use hive_config::Environment;
use hive_config::plan::{HttpPlan, Plan};
use hive_core::canary::Verdict;
use hive_core::codes::Coded;
use hive_http::Server;
use hive_lifecycle::Tasks;
use hive_sandbox::{Compiling, ComponentFault, Engine, EngineLimits, Slot, Source, Trial};
use hive_store::{OnDemand, Store};
use hive_telemetry::{ComponentServes, Fact, Telemetry};
use thiserror::Error;
use tokio::sync::mpsc;

use self::board::Board;
use self::discovery::Listings;
pub(crate) use self::discovery::look as look_for_queues;
use self::group::Group;
use self::ready::Held;
use self::running::Running;
use self::serving::Serving;
use self::watch::Files;
use crate::admin::RuntimeFile;
use crate::audit::Audit;
use crate::control::{self, Control, Order, Orders};
use crate::pipeline::Quarantines;
use crate::status::{StatusReader, Version};
use crate::tail::Tail;

/// Instances for a component beside those that handle deliveries: one that is tried out, and some
/// that are stopping.
const SPARE_INSTANCES: u32 = 4;

/// Room for what a reload may add.
const LEAST_INSTANCES: u32 = 64;

/// A host that consumes.
pub struct App {
    control: Control,
    audit: Audit,
    gave_up: mpsc::Receiver<Coded>,
    shutdown_timeout: tokio::sync::watch::Receiver<Duration>,
    board: Arc<Board>,
    /// Leads commands here for as long as the host runs.
    _runtime_file: Option<RuntimeFile>,
}

/// Where the plan comes from, for whenever it is read again.
#[derive(Clone)]
pub struct PlanSource {
    /// hive.toml.
    pub file: PathBuf,
    /// The source of its variables.
    pub environment: Environment,
}

/// What a host meets outside in place of the machine's own, when it is tested.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// What its components meet.
    pub components: hive_sandbox::Surroundings,
    /// What its brokers are reached over.
    pub network: Option<Arc<dyn Network>>,
    /// What it remembers in, in place of the plan's store.
    pub store: Option<Arc<dyn Store>>,
}

/// Why a host does not start.
#[derive(Debug, Error)]
pub enum StartFault {
    /// A component of hive.toml cannot be run.
    #[error("{}", Lines(.0))]
    Plan(Vec<ComponentFault>),
    /// The machine or the broker won't have it.
    #[error("{0}")]
    Host(Coded),
}

impl PlanSource {
    /// Reads it; an error is every fault, for people.
    fn load(&self) -> Result<Plan, String> {
        match hive_config::load(&self.file, &self.environment) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    Fact::ConfigWarning {
                        code: warning.code().as_str(),
                        warning,
                        advice: &warning.remedy(),
                    }
                    .emit();
                }
                Ok(loaded.plan)
            }
            Err(problems) => Err(problems.to_string()),
        }
    }
}

impl App {
    /// Binds the admin server and the address of requests, and compiles every component; then opens the connections and
    /// consumes over each as soon as it is there. `source` is where `plan` comes from.
    ///
    /// # Errors
    ///
    /// Every component that cannot be run; an address that cannot be bound.
    pub async fn start(
        plan: Plan,
        source: PlanSource,
        compiling: Compiling,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> Result<Self, StartFault> {
        let surroundings = Surroundings::default();
        Self::start_in(surroundings, plan, source, compiling, tasks, telemetry).await
    }

    /// Starts a host with these surroundings.
    ///
    /// # Errors
    ///
    /// See [`App::start`].
    pub async fn start_in(
        surroundings: Surroundings,
        plan: Plan,
        source: PlanSource,
        compiling: Compiling,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> Result<Self, StartFault> {
        let board = Arc::new(Board::new(&plan));
        let (control, orders) = control::line();
        let audit = Audit::default();
        let group = Group::of(&plan, &board, &control, &audit, tasks);
        let tail = Tail::default();
        let serving = Serving {
            plan: &plan,
            file: &source.file,
            board: &board,
            group: group.as_ref(),
            control: &control,
            audit: &audit,
            telemetry,
            tail: &tail,
        };
        let runtime_file = serving.start(tasks).await?;
        let listener = requests::bind(&plan).await?;
        let store = match surroundings.store {
            Some(store) => Arc::new(OnDemand::given(plan.store.clone(), store, tasks)),
            None => open_store(&plan, tasks).await?,
        };
        let remembers: Arc<dyn Store> = Arc::<OnDemand>::clone(&store);
        let engine = engine(&plan, compiling, tasks, telemetry, &remembers)?;
        let engine = engine.surrounded(&remembers, surroundings.components);
        let slots = load(&plan, &engine).await.map_err(StartFault::Plan)?;
        for (name, slot) in &slots {
            tell_serving(name, None, slot.current().version(), telemetry);
        }
        let name = Arc::clone(&plan.host.name);
        let amqp = Amqp::start_in(
            surroundings.network,
            telemetry,
            name,
            plan.host.memory_in_flight,
        );
        let amqp = amqp.map_err(|error| {
            StartFault::Host(Coded::plain(format_args!(
                "the AMQP runtime could not be started: {error}"
            )))
        })?;
        let (told, gave_up) = mpsc::channel(1);
        let (found, listings) = discovery::line();
        let (shutdown_timeout, timeout) = tokio::sync::watch::channel(plan.host.shutdown_timeout);
        let otlp = spans::start(&plan, tasks, telemetry)?;
        let mut running = Running {
            plan: plan.clone(),
            source,
            engine,
            quarantines: Quarantines::new(&plan.host, &plan.store, &remembers, tasks),
            store,
            slots,
            connections: BTreeMap::new(),
            consumers: BTreeMap::new(),
            schedules: BTreeMap::new(),
            amqp,
            board: Arc::clone(&board),
            discoveries: BTreeMap::new(),
            found,
            seen: BTreeMap::new(),
            left_out: Vec::new(),
            gone: BTreeMap::new(),
            group,
            files: Files::start(control.clone(), tasks),
            requests: None,
            shutdown_timeout,
            gave_up: told,
            tasks: tasks.clone(),
            telemetry: telemetry.clone(),
            otlp,
            tail,
        };
        for connection in plan.connections.values() {
            running
                .connect(connection, &plan)
                .map_err(StartFault::Host)?;
        }
        for consumer in plan.consumers.values() {
            running.consume(consumer);
        }
        running.start_schedules();
        running.look_for_queues();
        running.requests = listener
            .zip(plan.http.as_ref())
            .map(|(listener, plan)| Server::start(listener, plan, tasks, telemetry));
        running.show();
        tasks.spawn_service(run(running, orders, listings));
        Ok(Self {
            control,
            audit,
            gave_up,
            shutdown_timeout: timeout,
            board,
            _runtime_file: runtime_file,
        })
    }

    /// Resolves when a connection is given up, with the reason: the host cannot continue.
    pub async fn gave_up(&mut self) -> Coded {
        match self.gave_up.recv().await {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// The handle for commands.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The record of its commands.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Reads the state of the host at the moment of the call.
    pub fn status(&self) -> StatusReader {
        self.board.reader()
    }

    /// How long a stop may take now.
    pub fn shutdown_timeout(&self) -> Duration {
        *self.shutdown_timeout.borrow()
    }
}

/// A canary about which there is a verdict.
struct Judged {
    component: Arc<str>,
    trial: Arc<Trial>,
    verdict: Verdict,
}

/// Carries out commands, one after the other, until the host drains. Then stops the instances, once no delivery
/// is in flight any more.
async fn run(mut running: Running, mut orders: Orders, mut listings: Listings) {
    let (drain, close) = (running.tasks.drain().clone(), running.tasks.close().clone());
    let (judge, mut judged) = mpsc::channel::<Judged>(16);
    let tasks = running.tasks.clone();
    let conclude = |component: Arc<str>, trial: Arc<Trial>| {
        let (judge, drain) = (judge.clone(), tasks.drain().clone());
        tasks.spawn_service(async move {
            let verdict = tokio::select! {
                () = drain.cancelled() => return,
                verdict = trial.verdict() => verdict,
            };
            let Some(verdict) = verdict else {
                return;
            };
            let judged = Judged {
                component,
                trial,
                verdict,
            };
            if judge.send(judged).await.is_err() {
                tracing::debug!("a canary was judged while the host stopped");
            }
        });
    };
    let mut held = Held::default();
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => break,
            Some(Judged { component, trial, verdict }) = judged.recv() => {
                running.conclude(&component, &trial, verdict);
            }
            Some(found) = listings.recv() => running.discovered(found).await,
            Some(order) = orders.recv() => obey(order, &mut running, &mut held, &conclude).await,
        }
    }
    orders.close();
    close.cancelled().await;
    running.drain_components().await;
    // Instances that stop may still keep something.
    running.store.close().await;
}

/// Carries out one order. Where the caller has gone, it is carried out and logged all the same.
async fn obey(
    order: Order,
    running: &mut Running,
    held: &mut Held,
    conclude: impl FnOnce(Arc<str>, Arc<Trial>),
) {
    match order {
        Order::Now { command, answer } => {
            held.drop_stale();
            let done = match running.make_ready(command).await {
                Ok(ready) => running.carry_out(ready, conclude).await,
                Err(refusal) => Err(refusal),
            };
            let _nobody_waits = answer.send(done);
        }
        Order::Prepare {
            ticket,
            command,
            answer,
        } => {
            let ready = running.make_ready(command).await;
            let ready = ready.map(|ready| held.hold(ticket, ready));
            let _nobody_waits = answer.send(ready);
        }
        Order::CarryOut { ticket, answer } => {
            let done = match held.take(&ticket) {
                Ok(ready) => running.carry_out(ready, conclude).await,
                Err(refusal) => Err(refusal),
            };
            let _nobody_waits = answer.send(done);
        }
        Order::GiveUp { ticket } => held.give_up(&ticket),
    }
}

/// Reports that `version` serves, and which one served before.
fn tell_serving(
    component: &str,
    before: Option<&Version>,
    version: &Version,
    telemetry: &Telemetry,
) {
    ComponentServes {
        component,
        before: before.map(|before| (before.generation, &*before.sha256)),
        generation: (version.generation, &version.sha256),
    }
    .emit(telemetry);
}

/// The store, open if anything in the plan uses it: a host that cannot remember must not begin.
async fn open_store(plan: &Plan, tasks: &Tasks) -> Result<Arc<OnDemand>, StartFault> {
    let store = OnDemand::new(plan.store.clone(), tasks);
    if plan.uses_the_store() {
        let opened = store.open().await;
        opened.map_err(|fault| StartFault::Host(Coded::new(fault.code(), &fault)))?;
    }
    Ok(Arc::new(store))
}

/// An engine with room for every instance that the plan can have at once.
pub(crate) fn engine(
    plan: &Plan,
    compiling: Compiling,
    tasks: &Tasks,
    telemetry: &Telemetry,
    store: &Arc<dyn Store>,
) -> Result<Engine, StartFault> {
    let handling: u32 = plan
        .consumers
        .values()
        .chain(plan.templates())
        .map(|consumer| u32::from(consumer.concurrency))
        .chain(plan.http.iter().flat_map(requests_at_once))
        .sum();
    let components = u32::try_from(plan.components.len()).unwrap_or(u32::MAX);
    // During a swap, both versions have instances.
    let wanted = handling
        .saturating_mul(2)
        .saturating_add(components.saturating_mul(SPARE_INSTANCES));
    let limits = EngineLimits {
        instances: plan
            .host
            .max_instances
            .unwrap_or(wanted.max(LEAST_INSTANCES)),
    };
    Engine::new(limits, compiling, tasks, telemetry, store)
        .map_err(|error| StartFault::Host(Coded::plain(format_args!("{error:#}"))))
}

/// How many requests over HTTP the component of each route handles at once.
fn requests_at_once(http: &HttpPlan) -> impl Iterator<Item = u32> {
    let routes = http.routes.values();
    let handled = routes.filter(|route| route.component.is_some());
    handled.map(|route| u32::from(route.concurrency))
}

/// Loads every component of the plan; the faults of all of them in one go.
pub(crate) async fn load(
    plan: &Plan,
    engine: &Engine,
) -> Result<BTreeMap<Arc<str>, Arc<Slot>>, Vec<ComponentFault>> {
    let mut slots = BTreeMap::new();
    let mut faults = Vec::new();
    for component in plan.components.values() {
        let consumers = plan.consumers_of(&component.name);
        let loading = engine.load(component, &consumers, Source::File, 1);
        match loading.await {
            Ok(generation) => {
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
