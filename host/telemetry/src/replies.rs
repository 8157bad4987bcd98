//! What is counted of replies to requests.

use std::sync::Arc;

use prometheus::IntCounter;

use super::meters::Meters;

/// The meters of the replies that come over one connection.
#[derive(Debug, Clone)]
pub struct RepliesTelemetry {
    connection: Arc<str>,
    dropped: IntCounter,
}

impl RepliesTelemetry {
    pub(super) fn new(meters: &Meters, connection: &Arc<str>) -> Self {
        Self {
            connection: Arc::clone(connection),
            dropped: meters.replies_dropped.with_label_values(&[&**connection]),
        }
    }

    /// The connection that they come over.
    pub fn connection(&self) -> &str {
        &self.connection
    }

    /// A reply came that no request waits for.
    pub fn dropped(&self, correlation_id: Option<&str>) {
        self.dropped.inc();
        let connection = &*self.connection;
        tracing::debug!(%connection, ?correlation_id, "a reply that no request waits for was dropped");
    }
}
