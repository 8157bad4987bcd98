//! What the admin server writes, as it stands in JSON.

use serde::Serialize;

use crate::status::{ConsumerStatus, LinkStatus, Status};

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness<'a> {
    ready: bool,
    consumers: Counts,
    /// The consumers that are wanted and are not there.
    missing: Vec<Missing<'a>>,
    connections: Vec<Link<'a>>,
}

#[derive(Debug, Serialize)]
struct Counts {
    wanted: usize,
    consuming: usize,
}

#[derive(Debug, Serialize)]
struct Missing<'a> {
    consumer: &'a str,
    queue: &'a str,
    connection: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct Link<'a> {
    connection: &'a str,
    role: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> From<&'a Status> for Readiness<'a> {
    fn from(status: &'a Status) -> Self {
        let missing: Vec<_> = status.missing().map(Missing::from).collect();
        let wanted = status.consumers.len();
        Self {
            ready: status.is_ready(),
            consumers: Counts {
                wanted,
                consuming: wanted - missing.len(),
            },
            missing,
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
            reason: status.waiting.as_deref().unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a LinkStatus> for Link<'a> {
    fn from(status: &'a LinkStatus) -> Self {
        Self {
            connection: &status.connection,
            role: status.role,
            state: status.state,
            reason: status.reason.as_deref(),
        }
    }
}
