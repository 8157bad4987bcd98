//! The answer of `/v1/status`: what the host is doing at this moment.

use hive_core::moments;
use hive_telemetry::DeliveryCounts;
use serde::Serialize;

use super::{
    BoundsView, ComponentView, DiscoveryView, KeptView, Link, PauseView, ReasonView, ScheduleView,
    Shows,
};
use crate::admin::Sources;
use crate::status::{
    ConsumerStatus, CrewStatus, Limited, LimitedKey, QueueDepth, ScaleStatus, SharedQueue, Status,
};

#[derive(Debug, Serialize)]
pub(in crate::admin) struct StatusView<'a> {
    host: HostView<'a>,
    connections: Vec<Link<'a>>,
    consumers: Vec<ConsumerView<'a>>,
    /// The consumers with `queues`.
    discoveries: Vec<DiscoveryView<'a>>,
    schedules: Vec<ScheduleView<'a>>,
    /// The queues in which retries of several consumers wait.
    shared_queues: Vec<SharedQueueView<'a>>,
    components: Vec<ComponentView<'a>>,
}

/// The host itself.
#[derive(Debug, Serialize)]
struct HostView<'a> {
    name: &'a str,
    version: &'static str,
    /// Where the hive.toml is, for a client that may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    process: u32,
    /// RFC 3339, in UTC.
    since: String,
    uptime_seconds: u64,
}

impl<'a> HostView<'a> {
    fn of(sources: &'a Sources, shows_files: bool) -> Self {
        // Zero where the clock was set back since.
        let uptime = sources.since.elapsed().unwrap_or_default();
        Self {
            name: &sources.identity.host,
            version: env!("CARGO_PKG_VERSION"),
            file: shows_files.then(|| sources.identity.file.to_string_lossy().into_owned()),
            process: std::process::id(),
            since: moments::to_the_millisecond(sources.since),
            uptime_seconds: uptime.as_secs(),
        }
    }
}

/// A consumer, in `/v1/consumers` and in `/v1/status`.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct ConsumerView<'a> {
    consumer: &'a str,
    queue: &'a str,
    component: &'a str,
    connection: &'a str,
    consuming: bool,
    /// `consuming`, `standby`, `waiting` or `paused`.
    state: &'static str,
    /// Why it waits or stands by.
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
    /// Why it is paused.
    #[serde(flatten)]
    pause: Option<PauseView<'a>>,
    /// Deliveries that are kept in the host until something works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeptView<'a>>,
    /// Deliveries that wait in the host because their key is at its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<LimitedView<'a>>,
    #[serde(flatten)]
    crew: Option<CrewView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<ScaleView>,
    /// Its own queue, and those for its retries and its dead letters.
    queues: Vec<QueueView<'a>>,
}

#[derive(Debug, Serialize)]
struct LimitedView<'a> {
    deliveries: usize,
    /// Whether hardly any deliveries of other keys come.
    fills_the_prefetch: bool,
    /// Those with the most deliveries.
    keys: Vec<LimitedKeyView<'a>>,
}

#[derive(Debug, Serialize)]
struct LimitedKeyView<'a> {
    /// The value of the key of `concurrency_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency_by: Option<&'a str>,
    /// The value of the key of `rate_by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_by: Option<&'a str>,
    deliveries: usize,
}

impl<'a> From<&'a Limited> for LimitedView<'a> {
    fn from(limited: &'a Limited) -> Self {
        Self {
            deliveries: limited.deliveries,
            fills_the_prefetch: limited.fills_the_prefetch,
            keys: limited.keys.iter().map(LimitedKeyView::from).collect(),
        }
    }
}

impl<'a> From<&'a LimitedKey> for LimitedKeyView<'a> {
    fn from(key: &'a LimitedKey) -> Self {
        Self {
            concurrency_by: key.concurrency.as_deref(),
            rate_by: key.rate.as_deref(),
            deliveries: key.deliveries,
        }
    }
}

#[derive(Debug, Serialize)]
struct QueueView<'a> {
    queue: &'a str,
    /// `consumed`, `delay`, `dead_letter` or `lost`.
    purpose: &'static str,
    /// Messages that wait at the broker; null if that is unknown.
    messages: Option<u32>,
    /// Why it is unknown.
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
}

#[derive(Debug, Serialize)]
struct SharedQueueView<'a> {
    connection: &'a str,
    #[serde(flatten)]
    queue: QueueView<'a>,
}

#[derive(Debug, Serialize)]
struct CrewView {
    workers: u16,
    workers_wanted: u16,
    /// Waiting messages; null if they are not measured, or unknown.
    waiting: Option<u64>,
    in_flight: u64,
    /// Deliveries since the host started, by the way they left.
    deliveries: DeliveriesView,
}

/// The bounds of a consumer with `scale`.
#[derive(Debug, Serialize)]
struct ScaleView {
    #[serde(flatten)]
    now: BoundsView,
    /// Whether an operator has set them.
    by_hand: bool,
    /// Those of hive.toml.
    written: BoundsView,
}

impl From<ScaleStatus> for ScaleView {
    fn from(ScaleStatus { now, written }: ScaleStatus) -> Self {
        Self {
            now: now.into(),
            by_hand: now != written,
            written: written.into(),
        }
    }
}

#[derive(Debug, Serialize)]
struct DeliveriesView {
    acked: u64,
    retried: u64,
    dead_lettered: u64,
    requeued: u64,
    duplicate: u64,
    skipped: u64,
    stopped: u64,
}

impl<'a> StatusView<'a> {
    pub(in crate::admin) fn of(status: &'a Status, sources: &'a Sources, shows: Shows) -> Self {
        Self {
            host: HostView::of(sources, shows.files),
            connections: status.links.iter().map(Link::from).collect(),
            consumers: status.consumers.iter().map(ConsumerView::from).collect(),
            discoveries: status.discoveries.iter().map(DiscoveryView::from).collect(),
            schedules: status.schedules.iter().map(ScheduleView::from).collect(),
            shared_queues: status
                .shared_queues
                .iter()
                .map(SharedQueueView::from)
                .collect(),
            components: status
                .components
                .iter()
                .map(|component| ComponentView::of(component, shows))
                .collect(),
        }
    }
}

impl<'a> From<&'a ConsumerStatus> for ConsumerView<'a> {
    fn from(status: &'a ConsumerStatus) -> Self {
        let pause = status.paused.as_ref();
        let waiting = status.waiting.as_ref().filter(|_| pause.is_none());
        let standby = status.standby.as_ref().filter(|_| status.stands_by());
        let state = status.state();
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            component: &status.component,
            connection: &status.connection,
            consuming: state == "consuming",
            state,
            reason: waiting.or(standby).map(ReasonView::from),
            pause: pause.map(PauseView::from),
            kept: status.kept.as_ref().map(KeptView::from),
            limited: status.limited.as_ref().map(LimitedView::from),
            crew: status.crew.map(CrewView::from),
            scale: status.scale.map(ScaleView::from),
            queues: status.queues.iter().map(QueueView::from).collect(),
        }
    }
}

impl<'a> From<&'a QueueDepth> for QueueView<'a> {
    fn from(depth: &'a QueueDepth) -> Self {
        Self {
            queue: &depth.queue,
            purpose: depth.purpose.as_str(),
            messages: depth.messages.as_ref().ok().copied(),
            reason: depth.messages.as_ref().err().map(ReasonView::from),
        }
    }
}

impl<'a> From<&'a SharedQueue> for SharedQueueView<'a> {
    fn from(shared: &'a SharedQueue) -> Self {
        Self {
            connection: &shared.connection,
            queue: QueueView::from(&shared.depth),
        }
    }
}

impl From<CrewStatus> for CrewView {
    fn from(status: CrewStatus) -> Self {
        let DeliveryCounts {
            in_flight,
            acked,
            retried,
            dead_lettered,
            requeued,
            duplicate,
            skipped,
            stopped,
        } = status.deliveries;
        Self {
            workers: status.workers,
            workers_wanted: status.wanted,
            waiting: status.waiting,
            in_flight,
            deliveries: DeliveriesView {
                acked,
                retried,
                dead_lettered,
                requeued,
                duplicate,
                skipped,
                stopped,
            },
        }
    }
}
