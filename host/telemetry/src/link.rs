//! What is told of a link: one connection to a broker, of one role.

use std::fmt;
use std::time::Duration;

use prometheus::IntCounter;

use super::meters::Meters;

/// What one link tells.
#[derive(Debug)]
pub struct LinkTelemetry {
    name: String,
    reconnects: IntCounter,
}

impl LinkTelemetry {
    pub(super) fn new(meters: &Meters, connection: &str, role: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reconnects: meters.reconnects.with_label_values(&[connection, role]),
        }
    }

    /// It is open; `again` when it had been open before.
    pub fn connected(&self, again: bool) {
        if again {
            self.reconnects.inc();
        }
        tracing::info!(link = self.name, "connected");
    }

    /// The broker takes no publications.
    pub fn blocked(&self, reason: &str) {
        tracing::warn!(
            link = self.name,
            %reason,
            "the broker takes no publications for now; they wait"
        );
    }

    /// The broker takes publications again.
    pub fn unblocked(&self) {
        tracing::info!(link = self.name, "the broker takes publications again");
    }

    /// It was open, and is not any more.
    pub fn lost(&self, reason: &str, pause: Duration) {
        tracing::warn!(
            link = self.name,
            %reason,
            ?pause,
            "connection lost; connecting again"
        );
    }

    /// A host of several did not answer.
    pub fn trying_next_host(&self, fault: &dyn fmt::Display) {
        tracing::info!(link = self.name, %fault, "trying the next host");
    }

    /// It cannot be opened now, and waiting helps. `since` is how long that has been so.
    pub fn unreachable(&self, reason: &str, pause: Duration, since: Option<Duration>) {
        match since {
            None => tracing::warn!(
                link = self.name,
                %reason,
                ?pause,
                "cannot connect; trying until it works"
            ),
            Some(since) => {
                tracing::warn!(link = self.name, %reason, ?since, "still not connected");
            }
        }
    }

    /// It cannot be opened until somebody changes something. `since` is how long that has been so.
    pub fn refused(&self, reason: &str, pause: Duration, since: Option<Duration>) {
        match since {
            None => tracing::error!(
                link = self.name,
                %reason,
                ?pause,
                "cannot connect until this is changed; trying again slowly"
            ),
            Some(since) => {
                tracing::error!(link = self.name, %reason, ?since, "still cannot connect");
            }
        }
    }

    /// Something is not at the broker as the plan has it. `waiting` are the queues that are not
    /// consumed because of it.
    pub fn mismatch(&self, reason: &dyn fmt::Display, waiting: &[&str]) {
        tracing::error!(
            link = self.name,
            %reason,
            ?waiting,
            "cannot declare this, and does not consume these queues until it can; trying again slowly"
        );
    }

    /// Everything is at the broker as the plan has it, after it was not.
    pub fn declared(&self) {
        tracing::info!(link = self.name, "everything is declared now");
    }
}
