//! What the host says at one moment.

use std::time::Duration;

use serde_json::Value;

/// The answers of the host at one moment.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Of `/v1/status`.
    pub status: Value,
    /// Of the deliveries of the consumer in detail, if they may be read.
    pub deliveries: Option<Value>,
    /// When, since some moment before.
    pub at: Duration,
}
