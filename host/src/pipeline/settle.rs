//! Carries out a disposition in the safe order: what a delivery causes is confirmed by the broker
//! first, the delivery is acknowledged last.
//!
//! A crash between any two steps leaves the delivery unacknowledged, so the broker hands it out
//! again: at worst something is published twice, never is it lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::amqp::{
    Connection, DeadLetterNote, Delivery, Original, Outgoing, PublishFault, Publisher, Settled,
};
use crate::config::plan::ConsumerPlan;
use crate::lifecycle::Tasks;
use crate::message::{Envelope, Publication};
use crate::policy::{self, Disposition, Failure, FailureClass, REQUEUE_PAUSE, RetryPolicy};
use crate::telemetry::{DeliverySettled, Exit};

/// The way out of one consumer.
pub struct Settler {
    plan: ConsumerPlan,
    connection: Arc<Connection>,
    publisher: Publisher,
    tasks: Tasks,
}

/// What kept a disposition from being carried out.
enum Setback {
    /// The component asked for a publication that cannot be: its own fault.
    Unpublishable(String),
    /// The broker did not take it, or did not answer: nobody's fault.
    Broker(String),
}

impl Settler {
    /// The way out of the consumer of this plan.
    pub fn new(plan: ConsumerPlan, connection: Arc<Connection>, tasks: &Tasks) -> Self {
        Self {
            publisher: connection.publisher(&plan.name),
            plan,
            connection,
            tasks: tasks.clone(),
        }
    }

    /// The consumer's retry policy.
    pub fn retry_policy(&self) -> &RetryPolicy {
        &self.plan.retry
    }

    /// Carries out `disposition`, and then whatever becomes of it if the broker won't have it.
    pub async fn settle(
        self: Arc<Self>,
        delivery: Delivery,
        mut disposition: Disposition,
        begun: Instant,
    ) {
        loop {
            let Err(setback) = self.carry_out(&delivery, &mut disposition).await else {
                break;
            };
            disposition = self.after(setback, &delivery.envelope);
        }
        self.conclude(delivery, disposition, begun);
    }

    /// Everything but the last step, which is the answer to the broker.
    async fn carry_out(
        &self,
        delivery: &Delivery,
        disposition: &mut Disposition,
    ) -> Result<(), Setback> {
        match disposition {
            Disposition::Ack => Ok(()),
            Disposition::Publish(publications) => self.publish(delivery, publications).await,
            Disposition::RetryAfter { delay, .. } => self.retry(delivery, *delay).await,
            Disposition::DeadLetter(failure) => self.dead_letter(delivery, failure).await,
            Disposition::Requeue { pause, .. } => {
                self.pause(*pause).await;
                Ok(())
            }
        }
    }

    /// Publishes what the component asked for, in its order, and waits for every confirmation.
    async fn publish(
        &self,
        delivery: &Delivery,
        publications: &[Publication],
    ) -> Result<(), Setback> {
        let identity = delivery.identity();
        let outgoing = publications
            .iter()
            .enumerate()
            .map(|(index, publication)| {
                Outgoing::publication(publication, &identity, index)
                    .map_err(|fault| Setback::Unpublishable(describe(index, publication, &fault)))
            })
            .collect::<Result<Vec<_>, _>>()?;
        match self.publisher.publish(outgoing).await.await {
            Ok(()) => Ok(()),
            Err(fault) => Err(match fault.culprit() {
                Some(index) => {
                    Setback::Unpublishable(describe(index, &publications[index], &fault))
                }
                None => Setback::Broker(fault.to_string()),
            }),
        }
    }

    /// Puts a copy with the next attempt's number in the delay queue.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), Setback> {
        let queue = self.connection.delay_queue(&self.plan.queue, delay);
        self.publish_copy(&queue, || {
            Outgoing::retry_copy(
                &delivery.original,
                &delivery.envelope,
                &queue,
                delivery.envelope.attempt.next(),
            )
        })
        .await
    }

    /// Puts a copy that says what went wrong in the dead-letter queue.
    async fn dead_letter(&self, delivery: &Delivery, failure: &Failure) -> Result<(), Setback> {
        todo_note(delivery, failure);
        Ok(())
    }

    /// What to do when the disposition could not be carried out.
    fn after(&self, setback: Setback, envelope: &Envelope) -> Disposition {
        match setback {
            Setback::Unpublishable(error) => {
                policy::decide_unpublishable(error, envelope.attempt, &self.plan.retry)
            }
            Setback::Broker(reason) => Disposition::Requeue {
                pause: REQUEUE_PAUSE,
                reason,
            },
        }
    }

    /// Holds a delivery that is to go back, unless the host is stopping: then it goes at once.
    async fn pause(&self, pause: Duration) {
        let stopping = self.tasks.drain().cancelled();
        // Either way the delivery goes back; which came first does not matter.
        let _elapsed_or_stopping = tokio::time::timeout(pause, stopping).await;
    }
}
