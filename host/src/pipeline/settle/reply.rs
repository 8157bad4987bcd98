//! The answer to whoever waits for one, when the delivery ends in the dead-letter queue.

use super::{Setback, Settler};
use crate::amqp::{Confirmation, DeadLetterNote, Delivery, Outgoing, PublishFault, Unpublishable};
use crate::pipeline::held::Label;
use crate::telemetry::FailureReplied;

/// A reply on its way.
pub(super) struct Replying<'a> {
    delivery: &'a Delivery,
    sent: Result<Confirmation, String>,
}

impl Settler {
    /// Hands the reply to the publisher, in line behind the dead letter; none where the consumer does not
    /// reply, or nobody asked for one.
    pub(super) async fn reply<'a>(
        &self,
        delivery: &'a Delivery,
        note: DeadLetterNote<'_>,
    ) -> Option<Replying<'a>> {
        if !self.plan.reply_on_failure {
            return None;
        }
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        let limits = self.connection.publish_limits();
        let id = format!("{identity}-failure");
        let reply = Outgoing::failure_reply(&delivery.original, note, &id, &limits)?;
        let sent = match reply {
            Ok(reply) => Ok(self.publisher.publish(vec![reply]).await),
            Err(Unpublishable(reason)) => Err(reason),
        };
        Some(Replying { delivery, sent })
    }

    /// Waits until the broker has the reply. One that it will not have is told of and given up: the
    /// message is in the dead-letter queue, and would be there once more for each further try.
    pub(super) async fn replied(&self, reply: Replying<'_>) -> Result<(), Setback> {
        let Replying { delivery, sent } = reply;
        let refused = match sent {
            Err(reason) => Some(reason),
            Ok(confirmation) => match confirmation.await {
                Ok(()) => None,
                Err(fault) if fault.is_its_own() || fault == PublishFault::Nacked => {
                    Some(fault.to_string())
                }
                Err(fault) => return Err(Setback::Broker(fault.to_string())),
            },
        };
        let properties = &delivery.envelope.message.properties;
        FailureReplied {
            delivery: &Label {
                message_id: properties.message_id.as_deref(),
                tag: delivery.settlement.tag(),
            },
            reply_to: properties.reply_to.as_deref().unwrap_or_default(),
            refused: refused.as_deref(),
        }
        .emit(&self.telemetry);
        Ok(())
    }
}
