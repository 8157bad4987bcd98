//! Pausing and resuming consumers by hand.

use std::sync::Arc;

use hive_core::nearest;

use super::running::Running;
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
        match self.consumers.get(consumer) {
            Some(consuming) => Ok(&consuming.crewed.flow),
            None => {
                let names = self.consumers.keys().map(|name| &**name);
                let advice = nearest::advice(consumer, names, "the consumers are");
                Err(Refusal::Unknown(format!(
                    "there is no consumer {consumer:?}; {advice}"
                )))
            }
        }
    }
}
