//! The wanted state beside the current one: the source of every [`Status`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use hive_amqp::{Connection, ConsumerState, LinkState, Misfitting, QueuesBehind, StateWatch};
use hive_config::plan::{ConsumerPlan, LeftOut, PatternPlan, Plan, SchedulePlan};
use hive_sandbox::{Shadow, Slot, Trial};
use hive_telemetry::{ConnectionState, ConsumerTelemetry, QueuePurpose, Role};
use tokio::sync::watch;

use super::depths::{Depths, Question, ask, shared};
use super::discovery::{Looked, statuses};
use crate::dead::PlanReader;
use crate::pipeline::{ByKey, Flow, Keeping, Roster, ScaleBounds};
use crate::schedules::ScheduleState;
use crate::status::{
    CanaryStatus, ComponentStatus, ConsumerStatus, CrewStatus, DiscoveryStatus, Entity, LinkStatus,
    Misfit, QueueDepth, ScaleStatus, ScheduleStatus, ShadowStatus, SharedQueue, Status,
    StatusReader,
};

/// Knows every consumer from the start, and how it is doing once it has been started.
pub(super) struct Board(ArcSwap<Wanted>);

/// The wanted state. A reload replaces it.
struct Wanted {
    plan: Arc<Plan>,
    watched: Option<Watched>,
}

/// The current state.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) links: Vec<(Arc<str>, Role, StateWatch)>,
    pub(super) depths: BTreeMap<Arc<str>, Arc<Depths>>,
    pub(super) consumers: BTreeMap<Arc<str>, Crewed>,
    pub(super) slots: BTreeMap<Arc<str>, Arc<Slot>>,
    /// By connection.
    pub(super) discoveries: BTreeMap<Arc<str>, Arc<Looked>>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) schedules: BTreeMap<Arc<str>, watch::Receiver<ScheduleState>>,
}

/// A consumer at work.
#[derive(Clone)]
pub(super) struct Crewed {
    pub(super) flow: Arc<Flow>,
    pub(super) keeping: Arc<Keeping>,
    pub(super) by_key: Option<Arc<ByKey>>,
    /// `None` without `scale`.
    pub(super) bounds: Option<Arc<ScaleBounds>>,
    pub(super) roster: watch::Receiver<Roster>,
    pub(super) telemetry: Arc<ConsumerTelemetry>,
}

impl Wanted {
    fn new(plan: &Plan, watched: Option<Watched>) -> Self {
        Self {
            plan: Arc::new(plan.clone()),
            watched,
        }
    }
}

impl Watched {
    /// Both links of a connection.
    pub(super) fn watch_links(&mut self, name: &Arc<str>, connection: &Connection) {
        let links = Role::ALL.map(|role| (name.clone(), role, connection.state(role)));
        self.links.extend(links);
    }
}

impl Board {
    /// Nothing has been started yet.
    pub(super) fn new(plan: &Plan) -> Self {
        Self(ArcSwap::from_pointee(Wanted::new(plan, None)))
    }

    /// From now on this is wanted, and there is that to watch.
    pub(super) fn set(&self, plan: &Plan, watched: Watched) {
        self.0.store(Arc::new(Wanted::new(plan, Some(watched))));
    }

    /// Reads the state at any time.
    pub(super) fn reader(self: &Arc<Self>) -> StatusReader {
        let board = Arc::clone(self);
        Arc::new(move || board.status())
    }

    pub(super) fn status(&self) -> Status {
        self.0.load().status()
    }

    /// Reads the plan at any time.
    pub(super) fn plan_reader(self: &Arc<Self>) -> PlanReader {
        let board = Arc::clone(self);
        Arc::new(move || Arc::clone(&board.0.load().plan))
    }

    /// The telemetry of every consumer that was started.
    pub(super) fn telemetries(&self) -> Vec<Arc<ConsumerTelemetry>> {
        let wanted = self.0.load();
        let watched = wanted.watched.iter();
        let consumers = watched.flat_map(|watched| watched.consumers.values());
        consumers
            .map(|crewed| Arc::clone(&crewed.telemetry))
            .collect()
    }

    /// The same with the messages in the queues of every consumer, as far as the broker reports them soon.
    pub(super) async fn measured(&self) -> Status {
        let wanted = self.0.load_full();
        ask(wanted.questions()).await;
        let mut status = wanted.status();
        for consumer in &mut status.consumers {
            if let Some(plan) = wanted.plan.consumers.get(&consumer.consumer) {
                consumer.queues = wanted.depths(plan);
            }
        }
        status.shared_queues = wanted.shared_depths();
        status
    }
}

impl Wanted {
    fn status(&self) -> Status {
        let watched = self.watched.as_ref();
        Status {
            links: match watched {
                Some(watched) => watched.links.iter().map(link).collect(),
                None => self.not_connected(),
            },
            consumers: self
                .plan
                .consumers
                .iter()
                .map(|(name, plan)| {
                    let pattern = self.plan.patterns.get(&plan.table);
                    let crewed = watched.and_then(|w| w.consumers.get(name));
                    consumer(plan, pattern, crewed)
                })
                .collect(),
            discoveries: self.discoveries(),
            schedules: self
                .plan
                .schedules
                .values()
                .map(|plan| self.schedule(plan))
                .collect(),
            shared_queues: Vec::new(),
            components: watched.map(components).unwrap_or_default(),
        }
    }

    fn schedule(&self, plan: &SchedulePlan) -> ScheduleStatus {
        let watched = self.watched.as_ref();
        let state = watched.and_then(|watched| watched.schedules.get(&plan.name));
        let state = state.map(|state| state.borrow().clone());
        let local = |moment| plan.cron.local(moment);
        let is_there = state.as_ref().is_some_and(|state| state.was_there);
        let state = state.unwrap_or_default();
        let failing = state.failing.as_ref().filter(|_| state.is_active);
        ScheduleStatus {
            schedule: plan.name.clone(),
            connection: plan.connection.clone(),
            state: match (is_there, state.is_active) {
                (false, _) => "waiting",
                (true, true) if failing.is_some() => "failing",
                (true, true) => "active",
                (true, false) => "standby",
            },
            next: state.next.map(local),
            last: state.last.map(local),
            reason: match failing {
                Some((_, reason)) => Some(reason.clone()),
                None if is_there => None,
                None => Some(
                    state
                        .waiting
                        .unwrap_or_else(|| "the host is starting".into()),
                ),
            },
        }
    }

    /// The state of each table with `queues`.
    fn discoveries(&self) -> Vec<DiscoveryStatus> {
        let watched = self.watched.as_ref();
        let left_out = watched.map_or(&[][..], |watched| &watched.left_out);
        let looked = |connection: &str| watched?.discoveries.get(connection).cloned();
        statuses(&self.plan.patterns, &self.plan.consumers, left_out, looked)
    }

    /// The queues of every consumer, by the connection that it consumes over.
    fn questions(&self) -> Vec<(Arc<Depths>, Question)> {
        let Some(watched) = &self.watched else {
            return Vec::new();
        };
        let depths = watched.depths.iter();
        depths
            .map(|(connection, depths)| (Arc::clone(depths), self.question(watched, connection)))
            .collect()
    }

    fn question(&self, watched: &Watched, connection: &str) -> Question {
        let consumers = self.plan.consumers.values();
        let consumers: Vec<_> = consumers
            .filter(|plan| &*plan.connection == connection)
            .collect();
        let queues = consumers.iter().copied().flat_map(queues_of);
        let shared = shared::queues(consumers.iter().copied(), SystemTime::now());
        let queues = queues.chain(shared);
        let queues: BTreeSet<_> = queues.map(|(queue, _)| queue).collect();
        // Of a stream, RabbitMQ does not count the consumers.
        let counted = consumers.into_iter().filter(|plan| plan.stream.is_none());
        let flows: HashMap<_, _> = counted
            .filter_map(|plan| {
                let crewed = watched.consumers.get(&plan.name)?;
                Some((plan.queue.clone(), Arc::clone(&crewed.flow)))
            })
            .collect();
        Question {
            queues: queues.into_iter().collect(),
            flows,
        }
    }

    /// The messages in the queues of a consumer, as far as they are known.
    fn depths(&self, plan: &ConsumerPlan) -> Vec<QueueDepth> {
        let queues = queues_of(plan).into_iter();
        queues
            .map(|queue| self.depth(&plan.connection, queue))
            .collect()
    }

    /// The messages in the queues that consumers share, as far as there are such queues.
    fn shared_depths(&self) -> Vec<SharedQueue> {
        let of = |connection: &Arc<str>| {
            let consumers = self.plan.consumers.values();
            let consumers = consumers.filter(|plan| plan.connection == *connection);
            let depths = shared::queues(consumers, SystemTime::now()).into_iter();
            let depths = depths.map(|queue| self.depth(connection, queue));
            let shown = depths
                .filter(|depth| depth.messages.is_ok() || depth.purpose == QueuePurpose::Lost);
            let connection = Arc::clone(connection);
            shown
                .map(move |depth| SharedQueue {
                    connection: Arc::clone(&connection),
                    depth,
                })
                .collect::<Vec<_>>()
        };
        self.plan.connections.keys().flat_map(of).collect()
    }

    fn depth(&self, connection: &str, (queue, purpose): (Arc<str>, QueuePurpose)) -> QueueDepth {
        let watched = self.watched.as_ref();
        let depths = watched.and_then(|watched| watched.depths.get(connection));
        QueueDepth {
            messages: match depths {
                Some(depths) => depths.of(&queue),
                None => Err("the host is starting".into()),
            },
            queue,
            purpose,
        }
    }

    fn not_connected(&self) -> Vec<LinkStatus> {
        let links = self.plan.connections.keys().flat_map(|name| {
            Role::ALL.map(|role| LinkStatus {
                connection: name.clone(),
                role,
                state: ConnectionState::Connecting,
                reason: None,
                misfits: Vec::new(),
            })
        });
        links.collect()
    }
}

fn components(watched: &Watched) -> Vec<ComponentStatus> {
    let slots = watched.slots.iter();
    slots
        .map(|(name, slot)| {
            let current = slot.current();
            let access = current.access().into_iter();
            ComponentStatus {
                component: name.clone(),
                version: current.version().clone(),
                canary: slot.trial().as_deref().map(canary),
                shadow: slot.shadow().as_deref().map(shadow),
                last_shadow: slot.last_shadow(),
                decision: slot.decision(),
                before: slot.before().map(|before| before.version().clone()),
                access: access.map(|one| (one.import, one.granted)).collect(),
                publications: current.publications(),
            }
        })
        .collect()
}

fn canary(trial: &Trial) -> CanaryStatus {
    let rule = trial.rule();
    CanaryStatus {
        version: trial.canary().version().clone(),
        percent: rule.percent,
        wanted: rule.deliveries,
        tally: trial.tally(),
    }
}

fn shadow(shadow: &Shadow) -> ShadowStatus {
    ShadowStatus {
        version: shadow.generation().version().clone(),
        rule: shadow.rule(),
        account: shadow.account(),
    }
}

fn link((connection, role, watch): &(Arc<str>, Role, StateWatch)) -> LinkStatus {
    let (state, reason) = match watch.now() {
        LinkState::Connecting(reason) => (ConnectionState::Connecting, reason),
        LinkState::Open => (ConnectionState::Open, None),
        LinkState::Blocked(reason) => (ConnectionState::Blocked, Some(reason)),
        LinkState::Closed(reason) => (ConnectionState::Closed, Some(reason)),
        LinkState::Ended => (ConnectionState::Closed, Some("the host stops".into())),
    };
    LinkStatus {
        connection: connection.clone(),
        role: *role,
        state,
        reason,
        misfits: watch.misfits().into_iter().map(misfit).collect(),
    }
}

fn misfit(hive_amqp::Misfit { entity, reason }: hive_amqp::Misfit) -> Misfit {
    let entity = match entity {
        Misfitting::Exchange(name) => Entity::Exchange(name),
        Misfitting::Queue(name) | Misfitting::Implied(name) => Entity::Queue(name),
        Misfitting::Shared => Entity::SharedDelayQueues,
    };
    Misfit { entity, reason }
}

fn consumer(
    plan: &ConsumerPlan,
    pattern: Option<&PatternPlan>,
    crewed: Option<&Crewed>,
) -> ConsumerStatus {
    let state = crewed.map(|crewed| crewed.flow.watch().now());
    let standby = match &state {
        Some(ConsumerState::Standby(why)) => Some(why.clone()),
        _ => None,
    };
    let kept = crewed.and_then(|crewed| crewed.keeping.status());
    let bounds = crewed.and_then(|crewed| crewed.bounds.as_ref());
    let scale = bounds.map(|bounds| ScaleStatus {
        now: bounds.now(),
        written: bounds.written(),
    });
    ConsumerStatus {
        consumer: plan.name.clone(),
        table: plan.table.clone(),
        pattern: pattern.map(|pattern| pattern.written.clone()),
        queue: plan.queue.clone(),
        component: plan.handler.name().clone(),
        connection: plan.connection.clone(),
        is_stream: plan.stream.is_some(),
        most_workers: scale.map_or(plan.concurrency, |scale| scale.now.max),
        scale,
        waiting: match state {
            Some(ConsumerState::Consuming | ConsumerState::Standby(_)) => {
                let held_back = kept.as_ref().filter(|kept| kept.holds_back);
                held_back.map(|kept| kept.reason.clone().into())
            }
            Some(ConsumerState::Waiting(reason)) => Some(reason),
            None => Some("the host is starting: components are compiled first".into()),
        },
        placement: plan.placement,
        standby,
        idle: crewed.and_then(|crewed| crewed.flow.watch().idle()),
        paused: crewed.and_then(|crewed| crewed.flow.paused()),
        kept,
        limited: crewed.and_then(|crewed| crewed.by_key.as_ref()?.status()),
        crew: crewed.map(crew),
        queues: Vec::new(),
    }
}

/// The queues of a consumer, each with what it is for.
fn queues_of(plan: &ConsumerPlan) -> Vec<(Arc<str>, QueuePurpose)> {
    let behind = QueuesBehind::of(plan);
    let consumed = [(plan.queue.clone(), QueuePurpose::Consumed)];
    let delay = behind.delay.into_iter();
    let delay = delay.map(|queue| (queue, QueuePurpose::Delay));
    let dead_letter = behind.dead_letter.into_iter();
    let dead_letter = dead_letter.map(|queue| (queue, QueuePurpose::DeadLetter));
    consumed
        .into_iter()
        .chain(delay)
        .chain(dead_letter)
        .collect()
}

fn crew(crewed: &Crewed) -> CrewStatus {
    let Roster {
        present,
        wanted,
        waiting,
        asked,
    } = *crewed.roster.borrow();
    CrewStatus {
        workers: present,
        wanted,
        waiting,
        asked,
        deliveries: crewed.telemetry.counts(),
    }
}
