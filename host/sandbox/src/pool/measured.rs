//! A single call with its time and memory, for tools that run a component without a broker.

use std::time::Duration;

use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use tokio::time::Instant;

use super::generation::Generation;
use crate::instance::call::Call;

/// The input of one call.
#[derive(Debug, Clone, Copy)]
pub enum Handed<'a> {
    /// A delivery, to the handler.
    One(&'a Envelope),
    /// Several, to the batch handler.
    Batch(&'a [&'a Envelope]),
}

impl Handed<'_> {
    fn deliveries(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Batch(batch) => batch.len(),
        }
    }
}

/// The result of a call.
#[derive(Debug)]
pub struct Measured {
    /// One for each delivery, in their order.
    pub outcomes: Vec<Outcome>,
    /// From the request for an instance to the answer, including the creation of the instance if a new one was
    /// made.
    pub took: Duration,
    /// Bytes of all memories of the instance after the call; `None` if it did not start.
    pub memory: Option<u64>,
}

impl Generation {
    /// Whether the component exports the handler of single deliveries.
    pub fn takes_single(&self) -> bool {
        self.template.takes_single()
    }

    /// Whether it exports the handler of batches.
    pub fn takes_batches(&self) -> bool {
        self.template.takes_batches()
    }

    /// The same as [`Generation::handle`] and [`Generation::handle_batch`], measured.
    pub async fn measure(&self, call: &Call<'_>, handed: Handed<'_>) -> Measured {
        let begun = Instant::now();
        let mut instance = match self.take().await {
            Ok(instance) => instance,
            Err(outcome) => {
                return Measured {
                    outcomes: vec![outcome; handed.deliveries()],
                    took: begun.elapsed(),
                    memory: None,
                };
            }
        };
        let ended = match handed {
            Handed::One(envelope) => {
                let outcome = instance
                    .handle(call, envelope, &self.template.grants.plan)
                    .await;
                outcome.map(|one| vec![one]).map_err(|one| vec![one])
            }
            Handed::Batch(batch) => {
                instance
                    .handle_batch(call, batch, &self.template.grants.plan)
                    .await
            }
        };
        let (took, memory) = (begun.elapsed(), instance.memory());
        let outcomes = self.end(instance, ended).into_iter();
        Measured {
            outcomes: outcomes.map(|outcome| self.checked(outcome)).collect(),
            took,
            memory: Some(memory),
        }
    }
}
