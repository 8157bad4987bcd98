//! In which order a consumer's deliveries are handled, how often, and when they stop.

use std::time::Duration;

use hive_core::message_key::Key;

use crate::diff::differing::Show;
use crate::keys::{Shape, words};
use crate::units;

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
    /// Later deliveries of the same key wait for the retry.
    Hold,
    /// Later deliveries of the same key do not wait for the retry.
    Pass,
}

words!(OrderedRetry { Hold = "hold", Pass = "pass" });

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

impl Show for RatePlan {
    fn show(&self, _: &Shape) -> String {
        let Self { limit, per, burst } = *self;
        format!("{:?} with a burst of {burst}", units::show_rate(limit, per))
    }
}
