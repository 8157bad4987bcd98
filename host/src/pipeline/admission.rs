//! What stands between a subscription and the workers: which delivery is handled next, and when.

use std::sync::Arc;

use super::held::Held;
use crate::amqp::{ConsumerWatch, Subscription};
use crate::telemetry::ConsumerTelemetry;

/// Lets deliveries in, one at a time for each worker that is free.
pub(super) struct Admission {
    subscription: Subscription,
    telemetry: Arc<ConsumerTelemetry>,
}

impl Admission {
    pub(super) fn new(subscription: Subscription, telemetry: &Arc<ConsumerTelemetry>) -> Self {
        Self {
            subscription,
            telemetry: Arc::clone(telemetry),
        }
    }

    /// Where the deliveries come from.
    pub(super) fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// Tells whether the consumer consumes.
    pub(super) fn watch(&self) -> ConsumerWatch {
        self.subscription.watch()
    }

    /// The next delivery; none once the host drains. Any number of workers may wait here, and
    /// dropping the future loses no delivery.
    pub(super) async fn next(&self) -> Option<Held> {
        loop {
            let delivery = self.subscription.next().await?;
            // Settling any other cannot reach the broker any more, and it will be handed out again.
            if delivery.settlement.is_live() {
                return Some(Held {
                    delivery,
                    in_hand: self.telemetry.arrived(),
                    lease: None,
                });
            }
        }
    }
}
