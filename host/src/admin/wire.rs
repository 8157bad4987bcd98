//! The JSON that the admin server writes.

mod delivery;
mod demand;
mod hosts;
mod shadow;
mod status;
mod topology;

use hive_core::canary::{Decision, Tally, Verdict};
use hive_core::codes::{Code, Reason};
use hive_core::moments;
use hive_core::scaling::Bounds;
use serde::Serialize;

pub(super) use self::delivery::DeliveryView;
pub(super) use self::demand::DemandView;
pub(super) use self::hosts::{FromAllView, GroupView};
use self::shadow::{LastShadowView, ShadowView};
pub(super) use self::status::{ConsumerView, StatusView};
pub(super) use self::topology::TopologyView;
use crate::control::Done;
use crate::status::{
    CanaryStatus, ComponentStatus, ConsumerStatus, DiscoveryStatus, Kept, LinkStatus, Pause,
    ScheduleStatus, Status, Version,
};

/// The queues that a view names as left out.
const MOST_LEFT_OUT: usize = 100;

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness<'a> {
    ready: bool,
    consumers: Counts,
    /// The consumers that are wanted and are not there.
    missing: Vec<Missing<'a>>,
    /// Consumers that take over when another host goes.
    standby: Vec<Missing<'a>>,
    /// Consumers that are paused.
    paused: Vec<Paused<'a>>,
    /// Those that keep deliveries in the host until something works again.
    keeping: Vec<Keeping<'a>>,
    /// The consumers with `queues`.
    discoveries: Vec<DiscoveryView<'a>>,
    /// The schedules.
    schedules: Vec<ScheduleView<'a>>,
    connections: Vec<Link<'a>>,
}

/// A consumer with `queues`.
#[derive(Debug, Serialize)]
pub(super) struct DiscoveryView<'a> {
    consumer: &'a str,
    /// The pattern.
    queues: &'a str,
    connection: &'a str,
    /// Queues that have a consumer.
    discovered: usize,
    /// When the queues of the broker were last listed, RFC 3339, in UTC; null if they never were.
    listed: Option<String>,
    /// Whether the broker tells at once of queues that come and go.
    events: bool,
    /// Since when they cannot be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Why they cannot be listed.
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
    /// Queues that match and have no consumer on account of the pattern.
    left_out: Vec<LeftOutView<'a>>,
}

/// A schedule.
#[derive(Debug, Serialize)]
pub(super) struct ScheduleView<'a> {
    schedule: &'a str,
    connection: &'a str,
    /// `active`, `standby`, `failing` or `waiting`.
    state: &'static str,
    /// RFC 3339, in the schedule's time zone.
    next: Option<&'a str>,
    /// The same; null on a host that stands by, and before the first firing.
    last: Option<&'a str>,
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
}

impl<'a> From<&'a ScheduleStatus> for ScheduleView<'a> {
    fn from(status: &'a ScheduleStatus) -> Self {
        Self {
            schedule: &status.schedule,
            connection: &status.connection,
            state: status.state,
            next: status.next.as_deref(),
            last: status.last.as_deref(),
            reason: status.reason.as_ref().map(ReasonView::from),
        }
    }
}

#[derive(Debug, Serialize)]
struct LeftOutView<'a> {
    queue: &'a str,
    reason: &'a str,
}

impl<'a> From<&'a DiscoveryStatus> for DiscoveryView<'a> {
    fn from(status: &'a DiscoveryStatus) -> Self {
        let failing = status.failing.as_ref();
        let left_out = status.left_out.iter().take(MOST_LEFT_OUT);
        Self {
            consumer: &status.table,
            queues: &status.pattern,
            connection: &status.connection,
            discovered: status.queues,
            listed: status.looked.map(moments::to_the_millisecond),
            events: status.hears,
            failing_since: failing.map(|(since, _)| moments::to_the_millisecond(*since)),
            reason: failing.map(|(_, reason)| ReasonView::from(reason)),
            left_out: left_out
                .map(|left_out| LeftOutView {
                    queue: &left_out.queue,
                    reason: &left_out.why,
                })
                .collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Keeping<'a> {
    consumer: &'a str,
    queue: &'a str,
    #[serde(flatten)]
    kept: KeptView<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct KeptView<'a> {
    deliveries: usize,
    reason: &'a str,
    /// RFC 3339, in UTC.
    since: String,
}

#[derive(Debug, Serialize)]
struct Counts {
    wanted: usize,
    consuming: usize,
    standby: usize,
    paused: usize,
}

#[derive(Debug, Serialize)]
struct Paused<'a> {
    consumer: &'a str,
    queue: &'a str,
    #[serde(flatten)]
    pause: PauseView<'a>,
}

#[derive(Debug, Serialize)]
struct PauseView<'a> {
    /// `hand` or `failures`.
    by: &'a str,
    reason: &'a str,
    /// RFC 3339, in UTC.
    since: String,
}

#[derive(Debug, Serialize)]
struct Missing<'a> {
    consumer: &'a str,
    queue: &'a str,
    connection: &'a str,
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Link<'a> {
    connection: &'a str,
    role: &'a str,
    state: &'a str,
    #[serde(flatten)]
    reason: Option<ReasonView<'a>>,
}

#[derive(Debug, Serialize)]
struct ReasonView<'a> {
    reason: &'a str,
    /// For `hive-host explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl<'a> From<&'a Status> for Readiness<'a> {
    fn from(status: &'a Status) -> Self {
        let missing: Vec<_> = status.missing().map(Missing::from).collect();
        let paused: Vec<_> = status.paused().map(Paused::from).collect();
        let standby: Vec<_> = status.standing_by().map(Missing::from).collect();
        Self {
            ready: status.is_ready(),
            consumers: Counts {
                wanted: status.consumers.len(),
                consuming: status.consuming(),
                standby: standby.len(),
                paused: paused.len(),
            },
            missing,
            standby,
            paused,
            keeping: status.keeping().map(Keeping::from).collect(),
            discoveries: status.discoveries.iter().map(DiscoveryView::from).collect(),
            schedules: status.schedules.iter().map(ScheduleView::from).collect(),
            connections: status.links.iter().map(Link::from).collect(),
        }
    }
}

impl<'a> From<&'a ConsumerStatus> for Missing<'a> {
    fn from(status: &'a ConsumerStatus) -> Self {
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            connection: &status.connection,
            reason: status.waiting.as_ref().map(ReasonView::from),
        }
    }
}

impl<'a> From<(&'a ConsumerStatus, &'a Pause)> for Paused<'a> {
    fn from((status, pause): (&'a ConsumerStatus, &'a Pause)) -> Self {
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            pause: pause.into(),
        }
    }
}

impl<'a> From<(&'a ConsumerStatus, &'a Reason)> for Missing<'a> {
    fn from((status, why): (&'a ConsumerStatus, &'a Reason)) -> Self {
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            connection: &status.connection,
            reason: Some(why.into()),
        }
    }
}

impl<'a> From<(&'a ConsumerStatus, &'a Kept)> for Keeping<'a> {
    fn from((status, kept): (&'a ConsumerStatus, &'a Kept)) -> Self {
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            kept: kept.into(),
        }
    }
}

impl<'a> From<&'a Kept> for KeptView<'a> {
    fn from(kept: &'a Kept) -> Self {
        Self {
            deliveries: kept.deliveries,
            reason: &kept.reason,
            since: moments::to_the_millisecond(kept.since),
        }
    }
}

impl<'a> From<&'a Pause> for PauseView<'a> {
    fn from(pause: &'a Pause) -> Self {
        Self {
            by: pause.by.as_str(),
            reason: &pause.reason,
            since: moments::to_the_millisecond(pause.since),
        }
    }
}

impl<'a> From<&'a LinkStatus> for Link<'a> {
    fn from(status: &'a LinkStatus) -> Self {
        Self {
            connection: &status.connection,
            role: status.role.as_str(),
            state: status.state.as_str(),
            reason: status.reason.as_ref().map(ReasonView::from),
        }
    }
}

impl<'a> From<&'a Reason> for ReasonView<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self {
            reason: &reason.text,
            code: reason.code.map(Code::as_str),
        }
    }
}

/// What the client may learn beside the state of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shows {
    /// Where the files of this host are.
    pub(super) files: bool,
    /// What messages contain.
    pub(super) bodies: bool,
}

/// A component, in `/v1/components`.
#[derive(Debug, Serialize)]
pub(super) struct ComponentView<'a> {
    component: &'a str,
    #[serde(flatten)]
    version: VersionView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<CanaryView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowView<'a>>,
    /// The last shadow that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_shadow: Option<LastShadowView<'a>>,
    /// The last canary that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_canary: Option<DecisionView>,
    /// What a roll-back returns to.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<VersionView<'a>>,
    /// What it imports, each with the grant, or with the key that would grant it.
    imports: Vec<ImportView<'a>>,
    /// Where it may publish.
    publishes: &'a str,
}

#[derive(Debug, Serialize)]
struct ImportView<'a> {
    import: &'a str,
    granted: &'a str,
}

#[derive(Debug, Serialize)]
pub(crate) struct VersionView<'a> {
    generation: u64,
    sha256: &'a str,
    /// RFC 3339, in UTC.
    since: String,
}

#[derive(Debug, Serialize)]
struct CanaryView<'a> {
    #[serde(flatten)]
    version: VersionView<'a>,
    percent: f64,
    /// Deliveries after which it is judged.
    wanted: u32,
    #[serde(flatten)]
    counts: CountsView,
}

/// Deliveries while a canary was on trial: those of the canary, and those of the current version.
#[derive(Debug, Serialize)]
struct CountsView {
    deliveries: u32,
    failed: u32,
    current_deliveries: u32,
    current_failed: u32,
}

/// The decision over a canary, with the counts that decided.
#[derive(Debug, Serialize)]
struct DecisionView {
    generation: u64,
    promoted: bool,
    /// Whether an operator decided, and not the counts.
    by_hand: bool,
    #[serde(flatten)]
    counts: CountsView,
}

/// The answer to a command that was carried out.
#[derive(Debug, Serialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub(crate) enum DoneView<'a> {
    Swapped {
        before: VersionView<'a>,
        after: VersionView<'a>,
    },
    OnTrial {
        current: VersionView<'a>,
        canary: VersionView<'a>,
    },
    Shadowed {
        current: VersionView<'a>,
        shadow: VersionView<'a>,
    },
    ShadowDropped {
        current: VersionView<'a>,
        shadow: VersionView<'a>,
    },
    Promoted {
        before: VersionView<'a>,
        after: VersionView<'a>,
    },
    TrialEnded {
        current: VersionView<'a>,
        canary: VersionView<'a>,
    },
    Unchanged {
        current: VersionView<'a>,
    },
    Reloaded {
        changes: &'a [String],
    },
    Paused {
        changed: bool,
    },
    Resumed {
        changed: bool,
    },
    Rescaled {
        before: BoundsView,
        after: BoundsView,
        written: BoundsView,
    },
}

/// The bounds of `scale`.
#[derive(Debug, Serialize)]
pub(crate) struct BoundsView {
    min: u16,
    max: u16,
}

impl From<Bounds> for BoundsView {
    fn from(Bounds { min, max }: Bounds) -> Self {
        Self { min, max }
    }
}

/// The answer to one that was not.
#[derive(Debug, Serialize)]
pub(super) struct ErrorView {
    error: String,
    /// The error code, for `hive-host explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl ErrorView {
    pub(super) fn new(code: impl Into<Option<Code>>, error: impl ToString) -> Self {
        Self {
            error: error.to_string(),
            code: code.into().map(Code::as_str),
        }
    }
}

impl<'a> From<&'a Version> for VersionView<'a> {
    fn from(version: &'a Version) -> Self {
        Self {
            generation: version.generation,
            sha256: &version.sha256,
            since: moments::to_the_millisecond(version.since),
        }
    }
}

impl<'a> ComponentView<'a> {
    pub(super) fn of(status: &'a ComponentStatus, shows: Shows) -> Self {
        Self {
            component: &status.component,
            version: (&status.version).into(),
            canary: status.canary.as_ref().map(CanaryView::from),
            shadow: status
                .shadow
                .as_ref()
                .map(|shadow| ShadowView::new(shadow, shows.bodies)),
            last_shadow: status
                .last_shadow
                .as_deref()
                .map(|last| LastShadowView::new(last, shows.bodies)),
            last_canary: status.decision.map(DecisionView::from),
            before: status.before.as_ref().map(VersionView::from),
            imports: status
                .access
                .iter()
                .map(|(import, granted)| ImportView { import, granted })
                .collect(),
            publishes: &status.publications,
        }
    }
}

impl<'a> From<&'a CanaryStatus> for CanaryView<'a> {
    fn from(status: &'a CanaryStatus) -> Self {
        Self {
            version: (&status.version).into(),
            percent: status.percent,
            wanted: status.wanted,
            counts: status.tally.into(),
        }
    }
}

impl From<Decision> for DecisionView {
    fn from(decision: Decision) -> Self {
        Self {
            generation: decision.generation,
            promoted: decision.verdict == Verdict::Promote,
            by_hand: decision.by_hand,
            counts: decision.tally.into(),
        }
    }
}

impl From<Tally> for CountsView {
    fn from(Tally { canary, current }: Tally) -> Self {
        Self {
            deliveries: canary.deliveries,
            failed: canary.failed,
            current_deliveries: current.deliveries,
            current_failed: current.failed,
        }
    }
}

impl<'a> From<&'a Done> for DoneView<'a> {
    fn from(done: &'a Done) -> Self {
        match done {
            Done::Swapped { before, after } => Self::Swapped {
                before: before.into(),
                after: after.into(),
            },
            Done::OnTrial { current, canary } => Self::OnTrial {
                current: current.into(),
                canary: canary.into(),
            },
            Done::Shadowed { current, shadow } => Self::Shadowed {
                current: current.into(),
                shadow: shadow.into(),
            },
            Done::ShadowDropped { current, shadow } => Self::ShadowDropped {
                current: current.into(),
                shadow: shadow.into(),
            },
            Done::Promoted { before, after } => Self::Promoted {
                before: before.into(),
                after: after.into(),
            },
            Done::TrialEnded { current, canary } => Self::TrialEnded {
                current: current.into(),
                canary: canary.into(),
            },
            Done::Unchanged { current } => Self::Unchanged {
                current: current.into(),
            },
            Done::Reloaded { changes } => Self::Reloaded { changes },
            Done::Paused { changed } => Self::Paused { changed: *changed },
            Done::Resumed { changed } => Self::Resumed { changed: *changed },
            Done::Rescaled {
                before,
                after,
                written,
            } => Self::Rescaled {
                before: (*before).into(),
                after: (*after).into(),
                written: (*written).into(),
            },
        }
    }
}
