//! `[consumers.NAME.dedup]` and `publish_dedup`.

use std::time::Duration;

use crate::message_key::Key;

/// By what a message is known to have been dealt with, and how long that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupPlan {
    /// Where the key of a message stands.
    pub key: Key,
    /// How long it is remembered after it was dealt with; none for ever.
    pub period: Option<Duration>,
    /// Keys that are remembered at once; the oldest goes for a new one. At least 1.
    pub max_keys: u64,
}
