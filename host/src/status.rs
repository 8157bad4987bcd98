//! The host's state at one moment: every connection, every consumer of hive.toml, and why a wanted one does not
//! consume.
//!
//! A consumer must never be silently dead. So the wanted state is compared with the actual one, here and
//! nowhere else; readiness and metrics come from it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hive_config::plan::{LeftOut, Placement};
use hive_core::by_key::{self, Line};
use hive_core::canary::{Decision, Tally};
use hive_core::codes::{Code, Reason};
use hive_core::group::Report;
use hive_core::scaling::Bounds;
use hive_core::shadow::{Account, LastShadow, ShadowRule};
pub use hive_core::version::Version;
use hive_telemetry::{ConnectionState, DeliveryCounts, PausedBy, QueuePurpose, Role};

/// The host at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    /// Two for each connection of the plan: one to consume over, one to publish over.
    pub links: Vec<LinkStatus>,
    /// Every consumer of the plan.
    pub consumers: Vec<ConsumerStatus>,
    /// Every table of the plan with `queues`.
    pub discoveries: Vec<DiscoveryStatus>,
    /// Every schedule of the plan.
    pub schedules: Vec<ScheduleStatus>,
    /// The messages in the queues that consumers share; empty where the broker was not asked.
    pub shared_queues: Vec<SharedQueue>,
    /// Every component of the plan that has been loaded.
    pub components: Vec<ComponentStatus>,
}

/// Reads the state of the host at the moment of the call.
pub type StatusReader = Arc<dyn Fn() -> Status + Send + Sync>;

/// One connection to a broker.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// The name of `[connections.NAME]`.
    pub connection: Arc<str>,
    /// What it is for.
    pub role: Role,
    /// How it is doing.
    pub state: ConnectionState,
    /// Why it is blocked or closed, or why it had to be opened again.
    pub reason: Option<Reason>,
    /// The entities that could not be declared over it.
    pub misfits: Vec<Misfit>,
}

/// An entity that could not be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The entity.
    pub entity: Entity,
    /// What the broker says, and the remedy.
    pub reason: Reason,
}

/// What a misfit is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    /// An exchange.
    Exchange(Arc<str>),
    /// A queue.
    Queue(Arc<str>),
    /// What the delay queues that consumers share have in common.
    SharedDelayQueues,
}

/// One consumer of the plan.
#[derive(Debug, Clone)]
pub struct ConsumerStatus {
    /// Its name.
    pub consumer: Arc<str>,
    /// The name of its table: another one where its queue was discovered.
    pub table: Arc<str>,
    /// The pattern by which its queue was discovered.
    pub pattern: Option<Arc<str>>,
    /// The queue that it consumes.
    pub queue: Arc<str>,
    /// The component that handles what comes.
    pub component: Arc<str>,
    /// The connection that it consumes over.
    pub connection: Arc<str>,
    /// Whether the queue is a stream, whose messages stay in it.
    pub is_stream: bool,
    /// The most deliveries, or batches, that it handles at once.
    pub most_workers: u16,
    /// The bounds of its `scale`; `None` without, and before it has been started.
    pub scale: Option<ScaleStatus>,
    /// Why it does not consume; `None` while it does.
    pub waiting: Option<Reason>,
    /// The hosts that consume its queue.
    pub placement: Placement,
    /// It is subscribed, and another host seems to consume, as this says.
    pub standby: Option<Reason>,
    /// The time since its last delivery, none while one is in flight; `None` where none has come since it subscribed.
    pub idle: Option<Duration>,
    /// The pause; `None` while it is not paused.
    pub paused: Option<Pause>,
    /// Deliveries that it has kept for a while, because something they need is unavailable; `None` if there are
    /// none.
    pub kept: Option<Kept>,
    /// Deliveries that wait in the host because their key is at its limit; `None` if there are none.
    pub limited: Option<Limited>,
    /// Who works for it; none before it has been started.
    pub crew: Option<CrewStatus>,
    /// The messages in its queues; empty where the broker was not asked.
    pub queues: Vec<QueueDepth>,
}

/// A table with `queues`.
#[derive(Debug, Clone)]
pub struct DiscoveryStatus {
    /// Its name.
    pub table: Arc<str>,
    /// The pattern.
    pub pattern: Arc<str>,
    /// The connection over which queues are looked for.
    pub connection: Arc<str>,
    /// How many queues have a consumer.
    pub queues: usize,
    /// Queues that match, and have none.
    pub left_out: Vec<LeftOut>,
    /// When the queues of the broker were last listed as a whole.
    pub looked: Option<SystemTime>,
    /// Whether the broker tells at once of queues that come and go.
    pub hears: bool,
    /// Since when they cannot be listed, and why; what is consumed stays consumed.
    pub failing: Option<(SystemTime, Reason)>,
}

/// One schedule of the plan.
#[derive(Debug, Clone)]
pub struct ScheduleStatus {
    /// Its name.
    pub schedule: Arc<str>,
    /// The connection that it publishes over.
    pub connection: Arc<str>,
    /// `active` where this host fires, `standby` where another one does, `failing` where the message cannot be
    /// published, `waiting` where the schedule's queue cannot be used.
    pub state: &'static str,
    /// The next firing, in the schedule's time zone.
    pub next: Option<String>,
    /// The last one; the host that fires knows it.
    pub last: Option<String>,
    /// Why it fails or waits.
    pub reason: Option<Reason>,
}

impl ScheduleStatus {
    /// Whether it fires, here or on another host.
    pub fn is_up(&self) -> bool {
        matches!(self.state, "active" | "standby")
    }
}

/// The hosts of a group, as one of them sees it.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// `host.group`.
    pub group: Arc<str>,
    /// The id of this host among the members.
    pub this: String,
    /// Why the others cannot be asked; `None` while they can.
    pub away: Option<Reason>,
    /// Every host that is there, in the order of their names.
    pub reports: Vec<Report>,
}

/// The messages that wait in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: Arc<str>,
    /// What it is for the consumer.
    pub purpose: QueuePurpose,
    /// How many messages wait in it, or why that is unknown.
    pub messages: Result<u32, Reason>,
}

/// A queue that the consumers of a connection share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedQueue {
    /// The connection.
    pub connection: Arc<str>,
    /// The messages in it. A delay queue that there is none of is missing.
    pub depth: QueueDepth,
}

/// Deliveries that are kept in the host, unacknowledged, until something works again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How many.
    pub deliveries: usize,
    /// Why the oldest one is kept.
    pub reason: Arc<str>,
    /// Since when that one is.
    pub since: SystemTime,
    /// Whether the consumer takes nothing more meanwhile.
    pub holds_back: bool,
}

/// Deliveries that wait in the host because their key is at its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// How many.
    pub deliveries: usize,
    /// Whether they have filled the prefetch for a while, so that hardly any of other keys come.
    pub fills_the_prefetch: bool,
    /// The keys with the most of them.
    pub keys: Vec<LimitedKey>,
}

/// Deliveries of one key that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitedKey {
    /// The value of the key of `concurrency_by`.
    pub concurrency: Option<String>,
    /// The value of the key of `rate_by`.
    pub rate: Option<String>,
    /// How many.
    pub deliveries: usize,
}

impl From<&Line> for LimitedKey {
    fn from(line: &Line) -> Self {
        Self {
            concurrency: line.keys.concurrency.as_ref().map(by_key::shown),
            rate: line.keys.rate.as_ref().map(by_key::shown),
            deliveries: line.deliveries,
        }
    }
}

/// The workers of a consumer, and what they did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrewStatus {
    /// Deliveries, or batches, that can be handled at once now.
    pub workers: u16,
    /// Those that there are to be.
    pub wanted: u16,
    /// Waiting messages, if they are measured: for a consumer with `scale`.
    pub waiting: Option<u64>,
    /// The workers that the rules of `scale` asked for at the last look, however many may be; `None` if they asked for
    /// no number.
    pub asked: Option<u64>,
    /// Since the host started.
    pub deliveries: DeliveryCounts,
}

/// The bounds of a consumer with `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleStatus {
    /// Those that hold.
    pub now: Bounds,
    /// Those of hive.toml.
    pub written: Bounds,
}

/// A pause of a consumer.
#[derive(Debug, Clone)]
pub struct Pause {
    /// The cause of the pause.
    pub by: PausedBy,
    /// The same in words, and what ends it.
    pub reason: Arc<str>,
    /// Since when.
    pub since: SystemTime,
}

/// One component of the plan.
#[derive(Debug, Clone)]
pub struct ComponentStatus {
    /// Its name.
    pub component: Arc<str>,
    /// The version that serves.
    pub version: Version,
    /// A version on trial beside it.
    pub canary: Option<CanaryStatus>,
    /// A version that gets a copy of each delivery.
    pub shadow: Option<ShadowStatus>,
    /// The last shadow that ended.
    pub last_shadow: Option<Arc<LastShadow>>,
    /// The decision over the last canary that was judged.
    pub decision: Option<Decision>,
    /// The version that a roll-back returns to.
    pub before: Option<Version>,
    /// Each import with its grant, or with the key that would grant it.
    pub access: Vec<(String, String)>,
    /// Where it may publish.
    pub publications: String,
}

/// A canary on trial.
#[derive(Debug, Clone)]
pub struct CanaryStatus {
    /// The version on trial.
    pub version: Version,
    /// Of a hundred deliveries, those that it gets.
    pub percent: f64,
    /// The number of deliveries after which it is judged.
    pub wanted: u32,
    /// The results so far.
    pub tally: Tally,
}

/// A shadow.
#[derive(Debug, Clone)]
pub struct ShadowStatus {
    /// The version that gets copies.
    pub version: Version,
    /// After how many deliveries there is a report.
    pub rule: ShadowRule,
    /// What came of the copies so far.
    pub account: Account,
}

impl Status {
    /// Whether every consumer that is wanted consumes, and can publish: a link for publications
    /// that the broker has blocked is one that works, and a consumer that is paused is not wanted. Before the queues
    /// of the broker were listed once, it is unknown which consumers are wanted.
    pub fn is_ready(&self) -> bool {
        self.missing().next().is_none()
            && self.links.iter().all(LinkStatus::is_up)
            && self.schedules.iter().all(ScheduleStatus::is_up)
            && self.discoveries.iter().all(|one| one.looked.is_some())
    }

    /// The consumers that are wanted and are not there. One whose queue was discovered and has been deleted since is not
    /// wanted any more.
    pub fn missing(&self) -> impl Iterator<Item = &ConsumerStatus> {
        let consumers = self.consumers.iter();
        let waiting = consumers.filter(|consumer| consumer.state() == "waiting");
        waiting.filter(|consumer| !consumer.is_let_go())
    }

    /// The consumers that keep deliveries, each with what for.
    pub fn keeping(&self) -> impl Iterator<Item = (&ConsumerStatus, &Kept)> {
        let consumers = self.consumers.iter();
        consumers.filter_map(|consumer| Some((consumer, consumer.kept.as_ref()?)))
    }

    /// The consumers that stand by for another host, each with what is known of it.
    pub fn standing_by(&self) -> impl Iterator<Item = (&ConsumerStatus, &Reason)> {
        let consumers = self.consumers.iter();
        let standing_by = consumers.filter(|consumer| consumer.stands_by());
        standing_by.filter_map(|consumer| Some((consumer, consumer.standby.as_ref()?)))
    }

    /// How many consumers consume.
    pub fn consuming(&self) -> usize {
        let consumers = self.consumers.iter();
        consumers
            .filter(|consumer| consumer.state() == "consuming")
            .count()
    }

    /// The consumers that are paused, each with its pause.
    pub fn paused(&self) -> impl Iterator<Item = (&ConsumerStatus, &Pause)> {
        let consumers = self.consumers.iter();
        consumers.filter_map(|consumer| Some((consumer, consumer.paused.as_ref()?)))
    }
}

impl ConsumerStatus {
    /// `consuming`, `standby`, `waiting` or `paused`.
    pub fn state(&self) -> &'static str {
        match (&self.paused, &self.waiting) {
            (Some(_), _) => "paused",
            (None, Some(_)) => "waiting",
            (None, None) if self.standby.is_some() => "standby",
            (None, None) => "consuming",
        }
    }

    /// Whether its queue was discovered and is not there any more: the next listing ends it.
    fn is_let_go(&self) -> bool {
        let reason = self.waiting.as_ref();
        let is_gone = reason.is_some_and(|reason| reason.code == Some(Code::EntityMissing));
        is_gone && self.pattern.is_some()
    }

    /// Whether it only waits for another host to go.
    pub fn stands_by(&self) -> bool {
        self.standby.is_some() && self.waiting.is_none() && self.paused.is_none()
    }
}

impl LinkStatus {
    /// Whether the connection is there.
    pub fn is_up(&self) -> bool {
        matches!(self.state, ConnectionState::Open | ConnectionState::Blocked)
    }
}

#[cfg(test)]
impl ConsumerStatus {
    /// The consumer `orders`, which consumes.
    pub(crate) fn of_orders() -> Self {
        Self {
            consumer: "orders".into(),
            table: "orders".into(),
            pattern: None,
            queue: "orders.created".into(),
            component: "orders".into(),
            connection: "main".into(),
            is_stream: false,
            most_workers: 1,
            scale: None,
            waiting: None,
            placement: Placement::Every,
            standby: None,
            idle: None,
            kept: None,
            limited: None,
            crew: None,
            paused: None,
            queues: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(waiting: Option<&str>, state: ConnectionState) -> Status {
        Status {
            links: vec![LinkStatus {
                connection: "main".into(),
                role: Role::Publish,
                state,
                reason: None,
                misfits: Vec::new(),
            }],
            consumers: vec![ConsumerStatus {
                waiting: waiting.map(Reason::from),
                ..ConsumerStatus::of_orders()
            }],
            discoveries: Vec::new(),
            schedules: Vec::new(),
            shared_queues: Vec::new(),
            components: Vec::new(),
        }
    }

    #[test]
    fn ready_is_every_consumer_and_every_connection() {
        assert!(status(None, ConnectionState::Open).is_ready());
        assert!(status(None, ConnectionState::Blocked).is_ready());
        assert!(!status(None, ConnectionState::Closed).is_ready());
        assert!(!status(None, ConnectionState::Connecting).is_ready());
        let waiting = status(Some("the queue is not there"), ConnectionState::Open);
        assert!(!waiting.is_ready());
        assert_eq!(waiting.missing().count(), 1);
    }

    #[test]
    fn ready_is_one_listing_of_queues_and_a_later_one_may_fail() {
        let mut status = status(None, ConnectionState::Open);
        let failing = Some((SystemTime::UNIX_EPOCH, Reason::from("it does not answer")));
        status.discoveries = vec![DiscoveryStatus {
            table: "tenants".into(),
            pattern: "tenant.*".into(),
            connection: "main".into(),
            queues: 0,
            left_out: Vec::new(),
            looked: None,
            hears: false,
            failing,
        }];
        assert!(!status.is_ready());
        status.discoveries[0].looked = Some(SystemTime::UNIX_EPOCH);
        assert!(status.is_ready());
    }

    #[test]
    fn a_discovered_queue_that_is_gone_is_not_missing() {
        let mut status = status(None, ConnectionState::Open);
        let consumer = &mut status.consumers[0];
        consumer.waiting = Some(Reason {
            text: "no queue".into(),
            code: Some(Code::EntityMissing),
        });
        assert!(!status.is_ready());
        status.consumers[0].pattern = Some("tenant.*".into());
        assert_eq!((status.missing().count(), status.consuming()), (0, 0));
        assert!(status.is_ready());
        // Whatever else it waits for is missed.
        status.consumers[0].waiting = Some(Reason {
            text: "no right".into(),
            code: Some(Code::NoRight),
        });
        assert_eq!(status.missing().count(), 1);
    }

    #[test]
    fn what_is_paused_is_not_missing() {
        let mut status = status(Some("it was paused"), ConnectionState::Open);
        status.consumers[0].paused = Some(Pause {
            by: PausedBy::Hand,
            reason: "somebody paused it".into(),
            since: SystemTime::UNIX_EPOCH,
        });
        assert!(status.is_ready());
        assert_eq!(status.paused().count(), 1);
    }

    #[test]
    fn what_stands_by_is_not_missing_and_a_pause_counts_first() {
        let mut status = status(None, ConnectionState::Open);
        status.consumers[0].standby = Some("another host consumes".into());
        assert!(status.is_ready());
        assert_eq!(status.standing_by().count(), 1);
        status.consumers[0].paused = Some(Pause {
            by: PausedBy::Hand,
            reason: "somebody paused it".into(),
            since: SystemTime::UNIX_EPOCH,
        });
        assert_eq!(status.standing_by().count(), 0);
    }
}
