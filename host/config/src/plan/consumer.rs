//! What a consumer's keys mean together.

use hive_core::policy::{Disposition, in_a_stream};

use super::{BatchPlan, ConsumerPlan, PauseOnPlan};
use crate::diff::differing::Show;
use crate::keys::Shape;
use crate::units;

impl ConsumerPlan {
    /// The disposition for a message by the kind of its queue: the retry policy's `disposition`, or `on_error`
    /// for a stream.
    pub fn on_its_queue(&self, disposition: Disposition) -> Disposition {
        match &self.stream {
            Some(stream) => in_a_stream(disposition, stream.on_error),
            None => disposition,
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
