//! What a consumer's keys mean together.

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
        let Self { size, wait } = *self;
        format!("{{ size = {size}, wait = {:?} }}", units::show(wait))
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
