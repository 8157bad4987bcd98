//! Whether a consumer consumes, as it is reported.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hive_config::plan::QueueKind;
use hive_core::codes::Reason;
use tokio::sync::watch;

use crate::consume::acks::sink::AckSink;
use crate::link::{LinkState, Snapshot};
use crate::topology::stays_away;

/// How a subscription stands, by itself: its link may know better.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Waiting(Reason),
    Consuming(Weak<AckSink>),
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
        let down = match &link.state {
            LinkState::Open | LinkState::Blocked(_) => None,
            LinkState::Connecting(Some(reason)) | LinkState::Closed(reason) => Some(reason.clone()),
            LinkState::Connecting(None) => Some("the connection is being opened".into()),
            LinkState::Ended => Some("the connection has ended".into()),
        };
        if let Some(reason) = down {
            return ConsumerState::Waiting(reason);
        }
        match &*self.standing.borrow() {
            Standing::Waiting(reason) => ConsumerState::Waiting(reason.clone()),
            // Its channel may be gone, and every worker too busy to have noticed.
            Standing::Consuming(sink) => match sink.upgrade().filter(|sink| sink.is_alive()) {
                Some(sink) if sink.stands_by() => ConsumerState::Standby(self.why_standby(&link)),
                Some(_) => ConsumerState::Consuming,
                None => ConsumerState::Waiting(
                    "its channel is gone; it subscribes again when a worker is free".into(),
                ),
            },
        }
    }

    /// The time since its last delivery, none while one is in flight; `None` where none has come since it subscribed.
    pub fn idle(&self) -> Option<Duration> {
        match &*self.standing.borrow() {
            Standing::Consuming(sink) => sink.upgrade()?.idle(),
            Standing::Waiting(_) => None,
        }
    }

    fn why_standby(&self, link: &Snapshot) -> Reason {
        let broker = link.session.as_ref().and_then(|session| session.broker());
        let kind = match self.kind {
            Some(QueueKind::Classic) => Some("classic"),
            Some(QueueKind::Quorum | QueueKind::Stream) | None => None,
        };
        let stays = stays_away(kind, broker).map_or_else(String::new, |why| format!("; {why}"));
        let nothing = "the broker has given it nothing for a minute: another host consumes, or no message has come";
        format!("{nothing}{stays}").into()
    }
}
