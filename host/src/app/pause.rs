//! Pausing and resuming consumers by hand.

use std::sync::Arc;

use hive_core::nearest;

use super::running::{Consuming, Running};
use crate::control::{Answer, Done, Refusal};
use crate::pipeline::Flow;

impl Running {
    /// Carries out [`crate::control::Command::Pause`].
    pub(super) fn pause(&self, consumer: &str) -> Answer {
        let changed = self.flow(consumer)?.pause();
        Ok(Done::Paused { changed })
    }

    /// Carries out [`crate::control::Command::Resume`].
    pub(super) fn resume(&self, consumer: &str) -> Answer {
        let changed = self.flow(consumer)?.resume();
        Ok(Done::Resumed { changed })
    }

    pub(super) fn flow(&self, consumer: &str) -> Result<&Arc<Flow>, Refusal> {
        Ok(&self.consuming(consumer)?.crewed.flow)
    }

    /// The consumer of this name.
    pub(super) fn consuming(&self, consumer: &str) -> Result<&Consuming, Refusal> {
        self.consumers.get(consumer).ok_or_else(|| {
            let names = self.consumers.keys().map(|name| &**name);
            let advice = nearest::advice(consumer, names, "the consumers are");
            Refusal::Unknown(format!("there is no consumer {consumer:?}; {advice}"))
        })
    }
}
