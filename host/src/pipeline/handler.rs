//! What decides over a delivery: a component in its sandbox, or routes.

use std::sync::Arc;

use hive_contracts::Contract;
use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use hive_core::version::Version;
use hive_routes::Routes;
use hive_sandbox::{Call, Generation, Observed, Slot};

/// What decides over the deliveries of one consumer.
#[derive(Clone)]
pub enum Handler {
    /// A component, by its place: a swap puts other code there.
    Component(Arc<Slot>),
    /// Routes. A reload that changes them makes the consumer anew.
    Routes(Arc<Routes>),
}

/// What decides over one delivery, held to the end of the call: a swap never changes code under a delivery.
pub(super) enum Dealt {
    Component(Arc<Generation>),
    Routes(Arc<Routes>),
}

impl Handler {
    /// The place of the component, if there is one.
    pub(super) fn slot(&self) -> Option<&Arc<Slot>> {
        match self {
            Self::Component(slot) => Some(slot),
            Self::Routes(_) => None,
        }
    }

    pub(super) fn deal(&self) -> Dealt {
        match self {
            Self::Component(slot) => Dealt::Component(slot.deal()),
            Self::Routes(routes) => Dealt::Routes(Arc::clone(routes)),
        }
    }

    /// A call begins. Somebody wants a copy of it, if the component has a shadow.
    pub(super) fn observe(&self, dealt: &Dealt) -> Option<Observed> {
        match (self, dealt) {
            (Self::Component(slot), Dealt::Component(generation)) => slot.observe(generation),
            _ => None,
        }
    }

    /// Notes what became of a delivery; a canary is judged by it.
    pub(super) fn saw(&self, dealt: &Dealt, handled: bool) {
        if let (Self::Component(slot), Dealt::Component(generation)) = (self, dealt) {
            slot.saw(generation, handled);
        }
    }
}

impl Dealt {
    /// The version of the component; `None` for routes.
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::Component(generation) => Some(generation.version()),
            Self::Routes(_) => None,
        }
    }

    /// What comes of a delivery under the contract of its consumer.
    pub(super) async fn handle(
        &self,
        contract: Option<&Contract>,
        call: &Call<'_>,
        envelope: &Envelope,
    ) -> Outcome {
        let Some(contract) = contract else {
            return self.decide(call, envelope).await;
        };
        match contract.admit(envelope) {
            Ok(admitted) => contract.release(self.decide(call, &admitted).await),
            Err(reason) => Outcome::Unmatched(reason),
        }
    }

    /// The same for a batch, with one outcome for each. What does not match is left out of the call.
    pub(super) async fn handle_batch(
        &self,
        contract: Option<&Contract>,
        call: &Call<'_>,
        envelopes: &[&Envelope],
    ) -> Vec<Outcome> {
        let Some(contract) = contract else {
            return self.decide_batch(call, envelopes).await;
        };
        let admitted = contract.admit_all(envelopes);
        let decided = match &admitted.handed()[..] {
            [] => Vec::new(),
            handed => self.decide_batch(call, handed).await,
        };
        admitted.outcomes(decided)
    }

    async fn decide(&self, call: &Call<'_>, envelope: &Envelope) -> Outcome {
        match self {
            Self::Component(generation) => generation.handle(call, envelope).await,
            Self::Routes(routes) => routes.answer(envelope),
        }
    }

    /// A consumer with routes has no batches; each would be answered by itself.
    async fn decide_batch(&self, call: &Call<'_>, envelopes: &[&Envelope]) -> Vec<Outcome> {
        match self {
            Self::Component(generation) => generation.handle_batch(call, envelopes).await,
            Self::Routes(routes) => envelopes.iter().map(|one| routes.answer(one)).collect(),
        }
    }
}
