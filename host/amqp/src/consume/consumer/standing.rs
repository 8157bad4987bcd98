//! Whether a consumer consumes, as it is reported.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hive_config::plan::QueueKind;
use hive_core::codes::Reason;
use tokio::sync::watch;

use crate::consume::acks::sink::AckSink;
use crate::link::{LinkState, Snapshot};
use crate::session::{Session, SharedSession};
use crate::topology::stays_away;
use crate::wire::frame::BrokerVersion;

/// How a subscription stands, by itself: its link may know better.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Waiting(Reason),
    Consuming {
        sink: Weak<AckSink>,
        on: Weak<Session>,
    },
}

impl Standing {
    /// The channel that consumes, and its session, which may be a further one that outlives the link's first.
    fn alive(&self) -> Option<(Arc<AckSink>, SharedSession)> {
        let Self::Consuming { sink, on } = self else {
            return None;
        };
        let session = on.upgrade().filter(|on| !on.over().is_cancelled())?;
        let sink = sink.upgrade().filter(|sink| sink.is_alive())?;
        Some((sink, session))
    }
}

/// Whether a consumer consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerState {
    /// The broker hands out deliveries to it.
    Consuming,
    /// It is subscribed, for when the host that consumes goes: the broker gives it nothing, as this says.
    Standby(Reason),
    /// It does not, for this reason; it is tried again.
    Waiting(Reason),
}

impl ConsumerState {
    /// Whether the broker knows of the consumer.
    pub fn is_subscribed(&self) -> bool {
        matches!(self, Self::Consuming | Self::Standby(_))
    }
}

/// Reports whether a consumer consumes, at any time.
#[derive(Debug, Clone)]
pub struct ConsumerWatch {
    pub(super) queue: Arc<str>,
    /// As hive.toml declares it.
    pub(super) kind: Option<QueueKind>,
    pub(super) link: watch::Receiver<Snapshot>,
    pub(super) standing: watch::Receiver<Standing>,
}

impl ConsumerWatch {
    /// How it is doing now.
    pub fn now(&self) -> ConsumerState {
        let link = self.link.borrow();
        if let Some(reason) = link.withheld.reason(&self.queue) {
            return ConsumerState::Waiting(reason);
        }
        let standing = self.standing.borrow();
        // Its channel may be gone, and every worker too busy to have noticed.
        if let Some((sink, session)) = standing.alive() {
            return match sink.stands_by() {
                true => ConsumerState::Standby(self.why_standby(session.broker())),
                false => ConsumerState::Consuming,
            };
        }
        let down = match &link.state {
            LinkState::Open | LinkState::Blocked(_) => None,
            LinkState::Connecting(Some(reason)) | LinkState::Closed(reason) => Some(reason.clone()),
            LinkState::Connecting(None) => Some("the connection is being opened".into()),
            LinkState::Ended => Some("the connection has ended".into()),
        };
        ConsumerState::Waiting(match (down, &*standing) {
            (Some(reason), _) => reason,
            (None, Standing::Waiting(reason)) => reason.clone(),
            (None, Standing::Consuming { .. }) => {
                "its channel is gone; it subscribes again when a worker is free".into()
            }
        })
    }

    /// The time since its last delivery, none while one is in flight; `None` where none has come since it subscribed.
    pub fn idle(&self) -> Option<Duration> {
        let (sink, _) = self.standing.borrow().alive()?;
        sink.idle()
    }

    fn why_standby(&self, broker: Option<BrokerVersion>) -> Reason {
        let kind = match self.kind {
            Some(QueueKind::Classic) => Some("classic"),
            Some(QueueKind::Quorum | QueueKind::Stream) | None => None,
        };
        let stays = stays_away(kind, broker).map_or_else(String::new, |why| format!("; {why}"));
        let nothing = "the broker has given it nothing for a minute: another host consumes, or no message has come";
        format!("{nothing}{stays}").into()
    }
}
