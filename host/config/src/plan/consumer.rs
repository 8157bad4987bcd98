//! What a consumer's keys mean together.

use hive_core::by_key::Limits;
use hive_core::policy::ConsumerPolicy;

use super::{BatchPlan, ConsumerPlan, PauseOnPlan};
use crate::diff::differing::Show;
use crate::keys::Shape;
use crate::units;

impl ConsumerPlan {
    /// What it does about a delivery, by the kind of its queue.
    pub fn policy(&self) -> ConsumerPolicy<'_> {
        ConsumerPolicy {
            retry: &self.retry,
            on_error: self.stream.as_ref().map(|stream| stream.on_error),
        }
    }

    /// The limits of each key.
    pub fn limits(&self) -> Limits {
        Limits {
            concurrency: self.concurrency_by.clone(),
            rate: self.rate_by.clone(),
        }
    }

    /// Whether some of its deliveries wait in the host for a reason of their own, while it needs others: for their key
    /// to be below its limit, or for the rest of their batch.
    pub fn parks_deliveries(&self) -> bool {
        let is_by_key = self.batch.as_ref().is_some_and(|batch| batch.by.is_some());
        is_by_key || !self.limits().is_none()
    }

    /// The prefetch as a reload shows it.
    pub(crate) fn shown_prefetch(&self) -> String {
        match self.prefetch == self.least_prefetch {
            true => self.prefetch.to_string(),
            false => format!("up to {}", self.prefetch),
        }
    }
}

impl Show for BatchPlan {
    fn show(&self, _: &Shape) -> String {
        let Self { size, wait, by } = self;
        let wait = units::show(*wait);
        match by {
            None => format!("{{ size = {size}, wait = {wait:?} }}"),
            Some(by) => {
                format!(
                    "{{ size = {size}, wait = {wait:?}, by = {:?} }}",
                    by.to_string()
                )
            }
        }
    }
}

impl Show for PauseOnPlan {
    fn show(&self, _: &Shape) -> String {
        let Self {
            failure_ratio,
            of_last,
            pause,
        } = *self;
        format!("{failure_ratio} of {of_last} for {:?}", units::show(pause))
    }
}
