//! What `test` and `invoke` call: a component, or the routes of a consumer.

use std::sync::Arc;

use hive_contracts::Contract;
use hive_core::message::Envelope;
use hive_routes::Routes;
use hive_sandbox::{Call, Generation, Handed, Measured};
use tokio::time::Instant;

/// A component that is loaded, or routes.
pub(super) enum Callee {
    Component(Box<Generation>),
    Routes(Arc<Routes>),
}

impl Callee {
    /// Whether it can be handed a delivery by itself.
    pub(super) fn takes_single(&self) -> bool {
        match self {
            Self::Component(generation) => generation.takes_single(),
            Self::Routes(_) => true,
        }
    }

    /// Whether it can be handed many at once. Routes take each by itself.
    pub(super) fn takes_batches(&self) -> bool {
        match self {
            Self::Component(generation) => generation.takes_batches(),
            Self::Routes(_) => false,
        }
    }

    /// Why it takes no batches.
    pub(super) fn without_batches(&self) -> &'static str {
        match self {
            Self::Component(_) => "it exports no hive:consumer/batch-handler",
            Self::Routes(_) => "routes take messages one by one",
        }
    }

    /// One call under the contract of a consumer, with its time and, for a component, its memory. What does not match is
    /// not handed over.
    pub(super) async fn measure(
        &self,
        contract: Option<&Contract>,
        call: &Call<'_>,
        handed: Handed<'_>,
    ) -> Measured {
        let Some(contract) = contract else {
            return self.decide(call, handed).await;
        };
        let begun = Instant::now();
        let (admitted, is_batch) = match handed {
            Handed::One(one) => (contract.admit_all(&[one]), false),
            Handed::Batch(batch) => (contract.admit_all(batch), true),
        };
        let measured = match &admitted.handed()[..] {
            [] => Measured {
                outcomes: Vec::new(),
                took: begun.elapsed(),
                memory: None,
            },
            [one] if !is_batch => self.decide(call, Handed::One(one)).await,
            batch => self.decide(call, Handed::Batch(batch)).await,
        };
        Measured {
            outcomes: admitted.outcomes(measured.outcomes),
            ..measured
        }
    }

    async fn decide(&self, call: &Call<'_>, handed: Handed<'_>) -> Measured {
        let routes = match self {
            Self::Component(generation) => return generation.measure(call, handed).await,
            Self::Routes(routes) => routes,
        };
        let begun = Instant::now();
        let answer = |one: &Envelope| routes.answer(one);
        let outcomes = match handed {
            Handed::One(one) => vec![answer(one)],
            Handed::Batch(batch) => batch.iter().map(|one| answer(one)).collect(),
        };
        Measured {
            outcomes,
            took: begun.elapsed(),
            memory: None,
        }
    }

    /// Lets idle instances stop.
    pub(super) async fn drain(&self) {
        if let Self::Component(generation) = self {
            generation.drain().await;
        }
    }
}
