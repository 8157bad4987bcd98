//! In which order a consumer's deliveries are handled, how often, and when they stop.

use hive_core::message_key::Key;
use hive_core::rate::RatePlan;

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

impl Show for RatePlan {
    fn show(&self, _: &Shape) -> String {
        let Self { limit, per, burst } = *self;
        format!("{:?} with a burst of {burst}", units::show_rate(limit, per))
    }
}
