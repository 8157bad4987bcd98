//! Carries out a disposition in the safe order: what a delivery causes is confirmed by the broker
//! first, the delivery is acknowledged last.
//!
//! A crash between any two steps leaves the delivery unacknowledged, so the broker hands it out
//! again: at worst something is published twice, never is it lost.

mod reply;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::held::{Held, Label};
use crate::amqp::{
    Connection, DeadLetterNote, Delivery, EnsureFault, Outgoing, PublishFault, Publisher, Settled,
    Unpublishable,
};
use crate::config::plan::ConsumerPlan;
use crate::failpoint;
use crate::lifecycle::Tasks;
use crate::message::{Attempt, Publication};
use crate::policy::{self, Disposition, Failure, REQUEUE_PAUSE};
use crate::telemetry::{ConsumerTelemetry, DeliverySettled, Exit};

/// The way out of one consumer.
pub(super) struct Settler {
    plan: ConsumerPlan,
    connection: Arc<Connection>,
    publisher: Publisher,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

/// What kept a disposition from being carried out.
enum Setback {
    /// The component asked for a publication that cannot be: its own fault.
    Unpublishable(String),
    /// A copy of the message cannot be published: nothing but the dead-letter queue is left.
    Uncopyable(String),
    /// The broker did not take it, or did not answer: nobody's fault.
    Broker(String),
}

impl Settler {
    pub(super) fn new(
        plan: &ConsumerPlan,
        connection: &Arc<Connection>,
        telemetry: &Arc<ConsumerTelemetry>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            plan: plan.clone(),
            connection: Arc::clone(connection),
            publisher: connection.publisher(&plan.name, tasks),
            telemetry: Arc::clone(telemetry),
            tasks: tasks.clone(),
        }
    }

    /// Carries out `disposition`, and then whatever becomes of it where the broker won't have it.
    pub(super) async fn settle(self: Arc<Self>, held: Held, mut disposition: Disposition) {
        while let Err(setback) = self.carry_out(&held.delivery, &disposition).await {
            let attempt = held.delivery.envelope.attempt;
            disposition = self.after(setback, disposition, attempt);
        }
        self.conclude(held, &disposition);
    }

    /// The last step of a delivery that was handled: nothing it caused is unconfirmed.
    pub(super) fn acknowledge(&self, held: Held) {
        self.answer(held, Exit::Acked { publications: 0 });
    }

    /// Everything but the last step, which is the answer to the broker.
    async fn carry_out(
        &self,
        delivery: &Delivery,
        disposition: &Disposition,
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

    /// What to do when the disposition could not be carried out.
    fn after(&self, setback: Setback, disposition: Disposition, attempt: Attempt) -> Disposition {
        match (setback, disposition) {
            (Setback::Unpublishable(error), _) => {
                policy::decide_unpublishable(error, attempt, &self.plan.retry)
            }
            (Setback::Uncopyable(reason), Disposition::RetryAfter { mut failure, .. }) => {
                failure.error = format!("{}; it cannot be retried: {reason}", failure.error);
                Disposition::DeadLetter(failure)
            }
            (Setback::Uncopyable(reason) | Setback::Broker(reason), _) => Disposition::Requeue {
                pause: REQUEUE_PAUSE,
                reason,
            },
        }
    }

    /// Publishes what the component asked for, in its order, and waits for every confirmation.
    async fn publish(
        &self,
        delivery: &Delivery,
        publications: &[Publication],
    ) -> Result<(), Setback> {
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        let mut outgoing = Vec::with_capacity(publications.len());
        for (index, publication) in publications.iter().enumerate() {
            let message_id = format!("{identity}-{index}");
            outgoing.push(
                self.outgoing(publication, &message_id)
                    .await
                    .map_err(|setback| match setback {
                        Setback::Unpublishable(reason) => {
                            Setback::Unpublishable(describe(publications, index, &reason))
                        }
                        other => other,
                    })?,
            );
        }
        let confirmation = self.publisher.publish(outgoing).await;
        failpoint::reached("publish.submitted");
        let (index, reason) = match confirmation.await {
            Ok(()) => {
                failpoint::reached("publish.confirmed");
                return Ok(());
            }
            Err(PublishFault::Unroutable { index, text }) => {
                (index, format!("no queue takes it ({text})"))
            }
            Err(PublishFault::Refused { index, text }) => {
                (index, format!("the broker refuses it ({text})"))
            }
            Err(fault) => return Err(Setback::Broker(fault.to_string())),
        };
        if let Some(delay) = publications[index].delay {
            // Somebody deleted what it goes through, which is not the component's fault.
            self.connection
                .ensure_delaying_exchange(&publications[index].exchange, delay)
                .await?;
            return Err(Setback::Broker(describe(publications, index, &reason)));
        }
        Err(Setback::Unpublishable(describe(
            publications,
            index,
            &reason,
        )))
    }

    /// A publication as it goes out: at once, or through a queue that holds it for its delay.
    async fn outgoing(
        &self,
        publication: &Publication,
        message_id: &str,
    ) -> Result<Outgoing, Setback> {
        let limits = self.connection.publish_limits();
        let outgoing = Outgoing::publication(publication, message_id, &limits)
            .map_err(|Unpublishable(reason)| Setback::Unpublishable(reason))?;
        match publication.delay {
            None => Ok(outgoing),
            Some(delay) => {
                let exchange = &publication.exchange;
                let detour = self.connection.delaying_exchange(exchange, delay).await?;
                Ok(outgoing.by_way_of(detour))
            }
        }
    }

    /// Puts a copy that carries the next attempt's number in the delay queue.
    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), Setback> {
        let queue = self.connection.delay_queue(&self.plan.queue, delay).await?;
        let copy = Outgoing::retry_copy(
            &delivery.original,
            delivery.envelope.message.body.clone(),
            &queue,
            delivery.envelope.attempt.next(),
            &self.connection.publish_limits(),
        )?;
        if self.copy_arrives(copy.clone()).await? {
            failpoint::reached("retry.confirmed");
            return Ok(());
        }
        // Somebody deleted the queue.
        self.connection
            .ensure_delay_queue(&self.plan.queue, delay)
            .await?;
        self.copy_must_arrive(copy).await
    }

    /// Puts a copy that says what went wrong in the dead-letter queue.
    async fn dead_letter(&self, delivery: &Delivery, failure: &Failure) -> Result<(), Setback> {
        let note = DeadLetterNote {
            consumer: &self.plan.name,
            attempt: delivery.envelope.attempt,
            failure,
            time: SystemTime::now(),
        };
        let copy = Outgoing::dead_letter(
            &delivery.original,
            delivery.envelope.message.body.clone(),
            &self.plan.dead_letter,
            note,
            &self.connection.publish_limits(),
        )?;
        if !self.copy_arrives(copy.clone()).await? {
            self.connection
                .ensure_dead_letter_queue(&self.plan.dead_letter)
                .await?;
            self.copy_must_arrive(copy).await?;
        }
        failpoint::reached("dead.confirmed");
        // Not in one breath with the copy: a connection that the reply costs must not cost the copy's
        // confirmation, or it would be there twice.
        self.reply(delivery, note).await
    }

    /// Publishes a copy; false if its queue is not there.
    async fn copy_arrives(&self, copy: Outgoing) -> Result<bool, Setback> {
        match self.publisher.publish(vec![copy]).await.await {
            Ok(()) => Ok(true),
            Err(PublishFault::Unroutable { .. }) => Ok(false),
            Err(fault) => Err(Setback::Broker(fault.to_string())),
        }
    }

    async fn copy_must_arrive(&self, copy: Outgoing) -> Result<(), Setback> {
        if self.copy_arrives(copy).await? {
            return Ok(());
        }
        Err(Setback::Broker(
            "its copy was returned by the broker, though the queue was declared just now".into(),
        ))
    }

    /// Holds a delivery that is to go back, unless the host is stopping: then it goes at once.
    async fn pause(&self, pause: Duration) {
        let stopping = self.tasks.drain().cancelled();
        // Either way the delivery goes back; which came first does not matter.
        let _elapsed_or_stopping = tokio::time::timeout(pause, stopping).await;
    }

    /// The last step, whichever way the delivery leaves.
    fn conclude(&self, held: Held, disposition: &Disposition) {
        let exit = match disposition {
            Disposition::Ack => Exit::Acked { publications: 0 },
            Disposition::Publish(publications) => Exit::Acked {
                publications: publications.len(),
            },
            Disposition::RetryAfter { delay, failure } => Exit::Retried {
                class: failure.class.as_str(),
                error: &failure.error,
                delay: *delay,
            },
            Disposition::DeadLetter(failure) => Exit::DeadLettered {
                class: failure.class.as_str(),
                error: &failure.error,
            },
            Disposition::Requeue { reason, .. } => Exit::Requeued { reason },
        };
        self.answer(held, exit);
    }

    /// Answers the broker, and tells of it.
    fn answer(&self, held: Held, exit: Exit<'_>) {
        let Held { delivery, in_hand } = held;
        let tag = delivery.settlement.tag();
        let settled = match exit {
            Exit::Requeued { .. } => delivery.settlement.requeue(),
            _ => delivery.settlement.ack(),
        };
        failpoint::reached("ack.queued");
        let envelope = &delivery.envelope;
        DeliverySettled {
            delivery: &Label {
                message_id: envelope.message.properties.message_id.as_deref(),
                tag,
            },
            attempt: envelope.attempt.get(),
            exit,
            acknowledged: settled == Settled::Done,
            took: in_hand.elapsed(),
        }
        .emit(&self.telemetry);
    }
}

/// Names a publication that cannot be.
fn describe(publications: &[Publication], index: usize, reason: &str) -> String {
    let publication = &publications[index];
    format!(
        "publication {} of {} to exchange {:?} with routing key {:?}: {reason}",
        index + 1,
        publications.len(),
        publication.exchange,
        publication.routing_key,
    )
}

impl From<Unpublishable> for Setback {
    fn from(Unpublishable(reason): Unpublishable) -> Self {
        Self::Uncopyable(reason)
    }
}

impl From<EnsureFault> for Setback {
    fn from(fault: EnsureFault) -> Self {
        Self::Broker(fault.to_string())
    }
}
