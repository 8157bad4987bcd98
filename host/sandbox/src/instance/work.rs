//! What an instance is given to do in one call: a delivery, or a batch of them.

use hive_core::message::Envelope;
use hive_core::policy::Outcome;

use super::bindings::contract::hive::consumer::types::Action;
use super::call::Function;
use super::convert;
use super::exports::{Exports, Handle, HandleBatch};

/// Deliveries for one call, and how they are handed to an instance.
pub(crate) trait Work: Sync {
    /// Why there is no call to make, where the component does not export it.
    const NOT_EXPORTED: &'static str;

    /// The component's answer.
    type Answer;

    /// An outcome for each delivery, in their order.
    type Outcomes: Send;

    /// How many there are.
    fn deliveries(&self) -> u64;

    /// The call, if the component exports it.
    fn function<'a>(
        &'a self,
        exports: &'a Exports,
    ) -> Option<impl Function<Answer = Result<Self::Answer, String>> + Send + 'a>;

    /// The outcomes of an answer. `Err` has those of one that exceeds a limit.
    fn outcomes(
        &self,
        answer: Self::Answer,
        max_publications: u32,
    ) -> Result<Self::Outcomes, Self::Outcomes>;

    /// Makes this outcome that of each delivery.
    fn of_each(&self, outcome: Outcome) -> Self::Outcomes;

    /// Changes each outcome.
    fn change(outcomes: Self::Outcomes, change: impl FnMut(Outcome) -> Outcome) -> Self::Outcomes;
}

/// A delivery, for the handler.
pub(crate) struct Single<'a>(pub(crate) &'a Envelope);

impl Work for Single<'_> {
    const NOT_EXPORTED: &'static str = "it exports no handler";

    type Answer = Action;

    type Outcomes = Outcome;

    fn deliveries(&self) -> u64 {
        1
    }

    fn function<'a>(
        &'a self,
        exports: &'a Exports,
    ) -> Option<impl Function<Answer = Result<Action, String>> + Send + 'a> {
        Some(Handle {
            handler: exports.handler.as_ref()?,
            envelope: self.0,
        })
    }

    fn outcomes(&self, answer: Action, max_publications: u32) -> Result<Outcome, Outcome> {
        convert::outcome(answer, max_publications)
    }

    fn of_each(&self, outcome: Outcome) -> Outcome {
        outcome
    }

    fn change(outcome: Outcome, mut change: impl FnMut(Outcome) -> Outcome) -> Outcome {
        change(outcome)
    }
}

/// A batch, for the batch handler.
pub(crate) struct Batch<'a>(pub(crate) &'a [&'a Envelope]);

impl Work for Batch<'_> {
    const NOT_EXPORTED: &'static str = "it exports no batch handler";

    type Answer = Vec<Action>;

    type Outcomes = Vec<Outcome>;

    fn deliveries(&self) -> u64 {
        self.0.len() as u64
    }

    fn function<'a>(
        &'a self,
        exports: &'a Exports,
    ) -> Option<impl Function<Answer = Result<Vec<Action>, String>> + Send + 'a> {
        Some(HandleBatch {
            handler: exports.batch_handler.as_ref()?,
            batch: self.0,
        })
    }

    fn outcomes(
        &self,
        answers: Vec<Action>,
        max_publications: u32,
    ) -> Result<Vec<Outcome>, Vec<Outcome>> {
        convert::outcomes(answers, self.0.len(), max_publications)
    }

    fn of_each(&self, outcome: Outcome) -> Vec<Outcome> {
        vec![outcome; self.0.len()]
    }

    fn change(outcomes: Vec<Outcome>, change: impl FnMut(Outcome) -> Outcome) -> Vec<Outcome> {
        outcomes.into_iter().map(change).collect()
    }
}
