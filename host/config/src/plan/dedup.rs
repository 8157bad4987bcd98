//! `[consumers.NAME.dedup]` and `publish_dedup`.

use std::time::Duration;

use hive_core::message_key::Key;

/// How a message is recognised as handled, and how long that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupPlan {
    /// Where the key of a message stands.
    pub key: Key,
    /// How long a key is remembered after it was handled; `None` for ever.
    pub period: Option<Duration>,
    /// Keys that are remembered at once; the oldest goes for a new one. At least 1.
    pub max_keys: u64,
}
