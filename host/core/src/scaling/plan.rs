//! `scale = { … }`: how many deliveries of a consumer are handled at once, by what its queue asks for.

use std::time::Duration;

/// `[consumers.NAME.scale]`. At least one of the two rules is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePlan {
    /// Never fewer workers; at least 1.
    pub min: u16,
    /// Never more; at least `min`.
    pub max: u16,
    /// One worker per this many waiting messages; at least 1.
    pub messages_per_instance: Option<u32>,
    /// So many workers that the last message that waits is begun within this time; not zero.
    pub target_wait: Option<Duration>,
    /// The time between two looks at the queue.
    pub every: Duration,
}
