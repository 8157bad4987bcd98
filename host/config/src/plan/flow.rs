//! In which order a consumer's deliveries are handled, how often, and when they stop.

use std::time::Duration;

use hive_core::message_key::Key;

/// `ordered_by` and `ordered_retry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderingPlan {
    /// Deliveries with one key are handled one at a time and in order.
    pub by: Key,
    /// The behaviour of later messages of a key while an earlier one waits for its retry.
    pub retry: OrderedRetry,
}

/// `ordered_retry = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedRetry {
    /// They wait.
    Hold,
    /// They pass it.
    Pass,
}

impl OrderedRetry {
    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Pass => "pass",
        }
    }
}

/// `rate = …`: how often deliveries are handed to the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePlan {
    /// So many, at least 1,
    pub limit: u32,
    /// in this time.
    pub per: Duration,
    /// How many may go at once after a time with fewer; at least 1.
    pub burst: u32,
}

/// `pause_on = { … }`: when a consumer stops by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PauseOnPlan {
    /// The share of failures, above 0 and up to 1,
    pub failure_ratio: f64,
    /// among this many of the last deliveries; at least 1.
    pub of_last: u16,
    /// `for`: until one delivery is tried.
    pub pause: Duration,
}
