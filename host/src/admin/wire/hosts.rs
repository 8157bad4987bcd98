//! The answer of `/v1/hosts`.

use hive_core::group::{self, ConsumerState, QueueView, Report};
use serde::Serialize;

use super::ReasonView;
use crate::status::GroupStatus;

#[derive(Debug, Serialize)]
pub(in crate::admin) struct GroupView<'a> {
    group: &'a str,
    /// Why the other hosts cannot be asked.
    #[serde(flatten)]
    away: Option<ReasonView<'a>>,
    hosts: Vec<HostView<'a>>,
    queues: Vec<PlacedView>,
}

#[derive(Debug, Serialize)]
struct HostView<'a> {
    host: &'a str,
    version: &'a str,
    /// Whether it is the host that answers.
    this: bool,
    /// Whether it answered in time; what it would have said is missing otherwise.
    answered: bool,
    #[serde(flatten)]
    state: Option<StateView<'a>>,
}

#[derive(Debug, Serialize)]
struct StateView<'a> {
    uptime_seconds: u64,
    consumers: Vec<ConsumerView<'a>>,
}

#[derive(Debug, Serialize)]
struct ConsumerView<'a> {
    consumer: &'a str,
    queue: &'a str,
    connection: &'a str,
    /// `every` or `single`.
    placement: &'static str,
    /// `consuming`, `standby`, `waiting` or `paused`.
    state: &'a str,
    /// Since its last delivery; null where there was none since it subscribed.
    idle_ms: Option<u64>,
}

/// A queue that one host at a time consumes.
#[derive(Debug, Serialize)]
struct PlacedView {
    connection: String,
    queue: String,
    home: String,
    /// Null where no host was given a message within the last minute.
    active: Option<String>,
    hosts: Vec<AtHostView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct AtHostView {
    host: String,
    state: String,
}

impl<'a> From<&'a GroupStatus> for GroupView<'a> {
    fn from(status: &'a GroupStatus) -> Self {
        let reports = &status.reports;
        Self {
            group: &status.group,
            away: status.away.as_ref().map(ReasonView::from),
            hosts: reports
                .iter()
                .map(|report| HostView::of(report, &status.this))
                .collect(),
            queues: group::queues(reports)
                .into_iter()
                .map(PlacedView::from)
                .collect(),
        }
    }
}

impl<'a> HostView<'a> {
    fn of(report: &'a Report, this: &str) -> Self {
        let Report { member, state } = report;
        Self {
            host: &member.host,
            version: &member.version,
            this: member.id == this,
            answered: state.is_some(),
            state: state.as_ref().map(|state| StateView {
                uptime_seconds: state.uptime,
                consumers: state.consumers.iter().map(ConsumerView::from).collect(),
            }),
        }
    }
}

impl<'a> From<&'a ConsumerState> for ConsumerView<'a> {
    fn from(state: &'a ConsumerState) -> Self {
        Self {
            consumer: &state.consumer,
            queue: &state.queue,
            connection: &state.connection,
            placement: match state.is_single {
                true => "single",
                false => "every",
            },
            state: &state.state,
            idle_ms: state.idle,
        }
    }
}

impl From<QueueView> for PlacedView {
    fn from(view: QueueView) -> Self {
        let hosts = view.hosts.into_iter();
        Self {
            connection: view.connection,
            queue: view.queue,
            home: view.home,
            active: view.active,
            hosts: hosts
                .map(|(host, state)| AtHostView { host, state })
                .collect(),
            note: view.note,
        }
    }
}
