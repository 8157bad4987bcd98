//! Calls: a generation hands deliveries to its instances, and keeps those that can serve again.

use hive_core::message::Envelope;
use hive_core::policy::Outcome;

use super::generation::Generation;
use super::pooled::Pooled;
use crate::capability::publish;
use crate::instance::call::Call;

impl Generation {
    /// Hands a delivery to an instance.
    ///
    /// Dropping the future abandons the call and the instance with it.
    pub async fn handle(&self, call: &Call<'_>, envelope: &Envelope) -> Outcome {
        let _turn = self.turn().await;
        let mut instance = match self.take().await {
            Ok(instance) => instance,
            Err(outcome) => return outcome,
        };
        let ended = instance
            .handle(call, envelope, &self.template.grants.plan)
            .await;
        self.checked(self.end(instance, ended))
    }

    /// Hands a batch to an instance, in one call; gives an outcome for each delivery, in their order.
    ///
    /// An action is the failure or the success of its delivery alone; a call that does not answer each
    /// delivery is the failure of all of them. Dropping the future abandons the call and the instance
    /// with it.
    pub async fn handle_batch(&self, call: &Call<'_>, batch: &[&Envelope]) -> Vec<Outcome> {
        let _turn = self.turn().await;
        let mut instance = match self.take().await {
            Ok(instance) => instance,
            Err(outcome) => return vec![outcome; batch.len()],
        };
        let ended = instance
            .handle_batch(call, batch, &self.template.grants.plan)
            .await;
        let outcomes = self.end(instance, ended).into_iter();
        outcomes.map(|outcome| self.checked(outcome)).collect()
    }

    /// Keeps an instance that has answered; any other one is dropped.
    pub(super) fn end<T>(&self, instance: Pooled, ended: Result<T, T>) -> T {
        match ended {
            Ok(answered) => {
                self.give_back(instance);
                answered
            }
            Err(failed) => {
                self.template.grants.telemetry.trapped();
                failed
            }
        }
    }

    /// A publication that is not allowed is a failure of the component.
    pub(super) fn checked(&self, outcome: Outcome) -> Outcome {
        publish::checked(
            outcome,
            &self.template.grants.plan,
            &self.template.grants.telemetry,
        )
    }
}
