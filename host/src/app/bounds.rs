//! Setting how many workers a consumer with `scale` may have, until it is started again.

use std::sync::Arc;

use hive_core::codes::{Code, Coded};
use hive_core::scaling::{Bounds, BoundsFault, NewBounds};

use super::running::Running;
use crate::control::{Done, Refusal};
use crate::pipeline::ScaleBounds;

/// Bounds that nothing is known to refuse any more.
pub(super) struct ReadyBounds {
    of: Arc<ScaleBounds>,
    bounds: Bounds,
}

impl Running {
    /// Finds out whether a consumer can have these bounds; without any, those of hive.toml.
    pub(super) fn bounds_ready(
        &self,
        consumer: &str,
        to: Option<NewBounds>,
    ) -> Result<ReadyBounds, Refusal> {
        let Some(of) = &self.consuming(consumer)?.crewed.bounds else {
            return Err(Refusal::Conflict(format!(
                "consumer {consumer:?} has no `scale`, so its number of workers is fixed; give it \
                 [consumers.{consumer:?}.scale] in hive.toml and reload"
            )));
        };
        let bounds = match to {
            Some(new) => of.with(new).map_err(|fault| refusal(consumer, fault))?,
            None => of.written(),
        };
        Ok(ReadyBounds {
            of: Arc::clone(of),
            bounds,
        })
    }
}

impl ReadyBounds {
    /// Carries out [`crate::control::Command::Rescale`].
    pub(super) fn set(&self) -> Done {
        let before = self.of.now();
        self.of.set(self.bounds);
        Done::Rescaled {
            before,
            after: self.bounds,
            written: self.of.written(),
        }
    }
}

fn refusal(consumer: &str, fault: BoundsFault) -> Refusal {
    let text = format!("consumer {consumer:?}: {fault}");
    Refusal::Faulty(Coded::new(Code::CrossedBounds, text))
}
