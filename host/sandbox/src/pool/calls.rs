//! Calls: a generation hands deliveries to its instances, and keeps those that can serve again.

use std::time::Duration;

use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use tokio::time::Instant;

use super::generation::Generation;
use crate::capability::publish;
use crate::instance::call::Call;
use crate::instance::work::{Batch, Single, Work};

/// The input of one call.
#[derive(Debug, Clone, Copy)]
pub enum Handed<'a> {
    /// A delivery, to the handler.
    One(&'a Envelope),
    /// Several, to the batch handler.
    Batch(&'a [&'a Envelope]),
}

/// The result of a call.
#[derive(Debug)]
pub struct Measured {
    /// The outcome of each delivery, in the order of the deliveries.
    pub outcomes: Vec<Outcome>,
    /// From the request for an instance to the answer, including the creation of the instance if a new one was
    /// made.
    pub took: Duration,
    /// Bytes of all memories of the instance after the call; `None` if it did not start.
    pub memory: Option<u64>,
}

/// The outcomes of a call, and the memory of its instance as in [`Measured`].
struct Called<T> {
    outcomes: T,
    memory: Option<u64>,
}

impl Generation {
    /// Hands a delivery to an instance.
    ///
    /// Dropping the future abandons the call and the instance with it.
    pub async fn handle(&self, call: &Call<'_>, envelope: &Envelope) -> Outcome {
        self.call(call, Single(envelope)).await.outcomes
    }

    /// Hands a batch to an instance, in one call; gives an outcome for each delivery, in their order.
    ///
    /// An action is the failure or the success of its delivery alone; a call that does not answer each
    /// delivery is the failure of all of them. Dropping the future abandons the call and the instance
    /// with it.
    pub async fn handle_batch(&self, call: &Call<'_>, batch: &[&Envelope]) -> Vec<Outcome> {
        self.call(call, Batch(batch)).await.outcomes
    }

    /// The same as [`Generation::handle`] and [`Generation::handle_batch`] with its time and memory, for tools
    /// that run a component without a broker.
    pub async fn measure(&self, call: &Call<'_>, handed: Handed<'_>) -> Measured {
        let begun = Instant::now();
        let Called { outcomes, memory } = match handed {
            Handed::One(envelope) => {
                let Called { outcomes, memory } = self.call(call, Single(envelope)).await;
                let outcomes = vec![outcomes];
                Called { outcomes, memory }
            }
            Handed::Batch(batch) => self.call(call, Batch(batch)).await,
        };
        Measured {
            outcomes,
            took: begun.elapsed(),
            memory,
        }
    }

    /// Has an instance do `work`. One that has answered is kept; any other one is dropped.
    async fn call<W: Work>(&self, call: &Call<'_>, work: W) -> Called<W::Outcomes> {
        let _turn = self.turn().await;
        let mut instance = match self.take().await {
            Ok(instance) => instance,
            Err(outcome) => {
                return Called {
                    outcomes: work.of_each(outcome),
                    memory: None,
                };
            }
        };
        let grants = &self.template.grants;
        let ended = instance.call(call, &work, &grants.plan).await;
        let memory = Some(instance.memory());
        let outcomes = match ended {
            Ok(answered) => {
                self.give_back(instance);
                answered
            }
            Err(failed) => {
                drop(instance);
                grants.telemetry.trapped();
                failed
            }
        };
        // A publication that is not allowed is a failure of the component.
        let checked = |outcome| publish::checked(outcome, &grants.plan, &grants.telemetry);
        Called {
            outcomes: W::change(outcomes, checked),
            memory,
        }
    }
}
