//! What is told of a link: one connection to a broker, of one role.

use std::fmt;
use std::time::Duration;

use prometheus::IntCounter;

use super::facts::Fact;
use super::meters::Meters;
use super::words::Role;

/// What one link tells.
#[derive(Debug)]
pub struct LinkTelemetry {
    name: String,
    reconnects: IntCounter,
}

impl LinkTelemetry {
    pub(super) fn new(meters: &Meters, connection: &str, role: Role, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reconnects: meters
                .reconnects
                .with_label_values(&[connection, role.as_str()]),
        }
    }

    /// It is open; `again` when it had been open before.
    pub fn connected(&self, again: bool) {
        if again {
            self.reconnects.inc();
        }
        Fact::LinkConnected { link: &self.name }.emit();
    }

    /// The broker takes no publications.
    pub fn blocked(&self, reason: &str) {
        let link = &*self.name;
        Fact::LinkBlocked { link, reason }.emit();
    }

    /// The broker takes publications again.
    pub fn unblocked(&self) {
        Fact::LinkUnblocked { link: &self.name }.emit();
    }

    /// The connection was open and is lost.
    pub fn lost(&self, code: Option<&str>, reason: &str, pause: Duration) {
        let link = &*self.name;
        Fact::LinkLost {
            link,
            code,
            reason,
            pause,
        }
        .emit();
    }

    /// A host of several did not answer.
    pub fn trying_next_host(&self, fault: &dyn fmt::Display) {
        let link = &*self.name;
        Fact::LinkTriesNextHost { link, fault }.emit();
    }

    /// It cannot be opened now, and waiting helps. `since` is how long that has been so.
    pub fn unreachable(&self, code: &str, reason: &str, pause: Duration, since: Option<Duration>) {
        let link = &*self.name;
        match since {
            None => Fact::LinkUnreachable {
                link,
                code,
                reason,
                pause,
            },
            Some(since) => Fact::LinkStillUnreachable {
                link,
                code,
                reason,
                since,
            },
        }
        .emit();
    }

    /// It cannot be opened until somebody changes something. `since` is how long that has been so.
    pub fn refused(&self, code: &str, reason: &str, pause: Duration, since: Option<Duration>) {
        let link = &*self.name;
        match since {
            None => Fact::LinkRefused {
                link,
                code,
                reason,
                pause,
            },
            Some(since) => Fact::LinkStillRefused {
                link,
                code,
                reason,
                since,
            },
        }
        .emit();
    }

    /// Something is not at the broker as the plan has it. `waiting` are the queues that are not
    /// consumed because of it.
    pub fn mismatch(&self, code: &str, reason: &dyn fmt::Display, waiting: &[&str]) {
        let link = &*self.name;
        Fact::TopologyMismatch {
            link,
            code,
            reason,
            waiting,
        }
        .emit();
    }

    /// Everything is at the broker as the plan has it, after it was not.
    pub fn declared(&self) {
        Fact::TopologyDeclared { link: &self.name }.emit();
    }
}
