//! The reply to a waiting requester, when the delivery is dead-lettered.

use hive_amqp::{DeadLetterNote, Outgoing, PublishFault, Unpublishable};
use hive_telemetry::FailureReplied;

use super::{Setback, Settler};
use crate::pipeline::held::Held;

impl Settler {
    /// Sends a reply, if the consumer replies and the message asked for one, and waits until the broker has it.
    ///
    /// A reply that the broker refuses is logged and given up: the message is in the dead-letter queue, and
    /// each further try would put it there once more.
    pub(super) async fn reply(&self, held: &Held, note: DeadLetterNote<'_>) -> Result<(), Setback> {
        if !self.plan.reply_on_failure {
            return Ok(());
        }
        let delivery = &held.delivery;
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        let limits = self.connection.publish_limits();
        let id = format!("{identity}-failure");
        let refused = match Outgoing::failure_reply(&delivery.original, note, &id, &limits) {
            None => return Ok(()),
            Some(Err(Unpublishable(reason))) => Some(reason),
            Some(Ok(reply)) => match self.publisher.publish(vec![reply]).await.await {
                Ok(()) => None,
                Err(fault) if fault.is_its_own() || fault == PublishFault::Nacked => {
                    Some(fault.to_string())
                }
                Err(fault) => return Err(Setback::Away(fault.to_string())),
            },
        };
        let properties = &delivery.envelope.message.properties;
        FailureReplied {
            delivery: &held.label(),
            reply_to: properties.reply_to.as_deref().unwrap_or_default(),
            refused: refused.as_deref(),
        }
        .emit(&self.telemetry);
        Ok(())
    }
}
