//! Whether a consumer consumes, as it is reported.

use std::sync::{Arc, Weak};

use hive_core::codes::Reason;
use tokio::sync::watch;

use crate::consume::acks::sink::AckSink;
use crate::link::{LinkState, Snapshot};

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
    /// It does not, for this reason; it is tried again.
    Waiting(Reason),
}

/// Reports whether a consumer consumes, at any time.
#[derive(Debug, Clone)]
pub struct ConsumerWatch {
    pub(super) queue: Arc<str>,
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
            Standing::Consuming(sink) if sink.upgrade().is_some_and(|sink| sink.is_alive()) => {
                ConsumerState::Consuming
            }
            Standing::Consuming(_) => ConsumerState::Waiting(
                "its channel is gone; it subscribes again when a worker is free".into(),
            ),
        }
    }
}
