//! `batch = { … }` of a consumer, as meant.

use std::time::Duration;

/// When a batch is handed to the component: as soon as it is full, or old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Deliveries in a full batch; at least 1.
    pub size: u16,
    /// How long the first delivery of a batch that is not full waits for others.
    pub wait: Duration,
}
