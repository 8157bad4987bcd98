//! The answer of `/v1/status`: what the host is doing at this moment.

use hive_telemetry::DeliveryCounts;
use serde::Serialize;

use super::{ComponentView, KeptView, Link, PauseView};
use crate::status::{ConsumerStatus, CrewStatus, Status};

#[derive(Debug, Serialize)]
pub(in crate::admin) struct StatusView<'a> {
    connections: Vec<Link<'a>>,
    consumers: Vec<ConsumerView<'a>>,
    components: Vec<ComponentView<'a>>,
}

/// One of `/v1/consumers`, and of the whole.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct ConsumerView<'a> {
    consumer: &'a str,
    queue: &'a str,
    component: &'a str,
    connection: &'a str,
    consuming: bool,
    /// `consuming`, `waiting` or `paused`.
    state: &'static str,
    /// Why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Why it is paused.
    #[serde(flatten)]
    pause: Option<PauseView<'a>>,
    /// Deliveries that are kept in the host until something works again.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<KeptView<'a>>,
    #[serde(flatten)]
    crew: Option<CrewView>,
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

impl<'a> From<&'a Status> for StatusView<'a> {
    fn from(status: &'a Status) -> Self {
        Self {
            connections: status.links.iter().map(Link::from).collect(),
            consumers: status.consumers.iter().map(ConsumerView::from).collect(),
            components: status.components.iter().map(ComponentView::from).collect(),
        }
    }
}

impl<'a> From<&'a ConsumerStatus> for ConsumerView<'a> {
    fn from(status: &'a ConsumerStatus) -> Self {
        let pause = status.paused.as_ref();
        let waiting = status.waiting.as_deref().filter(|_| pause.is_none());
        let state = match (pause, waiting) {
            (Some(_), _) => "paused",
            (None, Some(_)) => "waiting",
            (None, None) => "consuming",
        };
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            component: &status.component,
            connection: &status.connection,
            consuming: state == "consuming",
            state,
            reason: waiting,
            pause: pause.map(PauseView::from),
            kept: status.kept.as_ref().map(KeptView::from),
            crew: status.crew.map(CrewView::from),
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
