//! Carries out a disposition in the safe order: what a delivery causes is confirmed by the broker
//! first, the delivery is acknowledged last.
//!
//! A crash between any two steps leaves the delivery unacknowledged, so the broker hands it out
//! again: at worst something is published twice, never is it lost.

mod reply;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::breaker::Verdict;
use super::held::{Held, Label};
use crate::amqp::{
    Connection, DeadLetterNote, Delivery, EnsureFault, Outgoing, PublishFault, Publisher, Settled,
    Unpublishable,
};
use crate::config::plan::ConsumerPlan;
use crate::failpoint;
use crate::ledger::Ledger;
use crate::lifecycle::Tasks;
use crate::message::{Attempt, Publication};
use crate::policy::{self, Disposition, Failure, REQUEUE_PAUSE};
use crate::store::StoreFault;
use crate::telemetry::{ConsumerTelemetry, DeliveryKept, DeliverySettled, Exit, KeptFor};

/// How much is told of the error over which a stream is read no further, in bytes.
const LONGEST_REASON: usize = 300;

/// The way out of one consumer.
pub(super) struct Settler {
    plan: Arc<ConsumerPlan>,
    connection: Arc<Connection>,
    publisher: Publisher,
    /// What was published, where `publish_dedup` asks for it.
    published: Option<Arc<Ledger>>,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

/// What kept a disposition from being carried out.
enum Setback {
    /// The component asked for a publication that cannot be: its own fault.
    Unpublishable(String),
    /// A copy of the message cannot be published: nothing but the dead-letter queue is left.
    Uncopyable(String),
    /// The broker or the store did not take it, or did not answer: nobody's fault.
    Away(String),
}

impl Settler {
    pub(super) fn new(
        plan: &Arc<ConsumerPlan>,
        connection: &Arc<Connection>,
        published: Option<Arc<Ledger>>,
        (telemetry, tasks): (&Arc<ConsumerTelemetry>, &Tasks),
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            connection: Arc::clone(connection),
            publisher: connection.publisher(&plan.name, tasks),
            published,
            telemetry: Arc::clone(telemetry),
            tasks: tasks.clone(),
        }
    }

    /// Carries out `disposition`, and then whatever becomes of it where the broker won't have it.
    pub(super) async fn settle(self: Arc<Self>, mut held: Held, mut disposition: Disposition) {
        loop {
            held.judge(&disposition);
            if let Some(delay) = held.turn.as_ref().and_then(|turn| turn.keeps(&disposition)) {
                return self.keep(held, &disposition, delay);
            }
            match self.carry_out(&held, &mut disposition).await {
                Ok(()) => return self.conclude(held, &disposition),
                Err(setback) => {
                    let attempt = held.delivery.envelope.attempt;
                    disposition = self.after(setback, disposition, attempt);
                }
            }
        }
    }

    /// The last step of a delivery that was handled: nothing it caused is unconfirmed.
    pub(super) fn acknowledge(&self, held: Held) {
        self.answer(held, Exit::Acked { publications: 0 });
    }

    /// The only step of a delivery whose key was handled before.
    pub(super) fn pass_over(&self, held: Held) {
        self.answer(held, Exit::Duplicate);
    }

    /// The end of a delivery that the component never saw.
    pub(super) fn give_back(&self, held: Held) {
        self.answer(held, Exit::GivenBack);
    }

    /// Everything but the last step, which is the answer to the broker. What is published moves out.
    async fn carry_out(&self, held: &Held, disposition: &mut Disposition) -> Result<(), Setback> {
        let delivery = &held.delivery;
        match disposition {
            Disposition::Ack => self.remember(held).await,
            Disposition::Publish(publications) => {
                self.publish(held, publications).await?;
                self.remember(held).await
            }
            Disposition::Skip(_) | Disposition::Stop(_) => Ok(()),
            Disposition::RetryAfter { delay, .. } => self.retry(delivery, *delay).await,
            Disposition::DeadLetter(failure) => self.dead_letter(held, failure).await,
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
                let decided = policy::decide_unpublishable(error, attempt, &self.plan.retry);
                self.plan.on_its_queue(decided)
            }
            (Setback::Uncopyable(reason), Disposition::RetryAfter { mut failure, .. }) => {
                failure.error = format!("{}; it cannot be retried: {reason}", failure.error);
                Disposition::DeadLetter(failure)
            }
            (Setback::Uncopyable(reason) | Setback::Away(reason), _) => Disposition::Requeue {
                pause: REQUEUE_PAUSE,
                reason,
            },
        }
    }

    /// Remembers that it was handled, once all that it caused is confirmed. The key of a delivery that
    /// was not is never remembered: it may come again, as a retry or out of the dead-letter queue.
    async fn remember(&self, held: &Held) -> Result<(), Setback> {
        if let Some(lease) = &held.lease {
            failpoint::reached("dedup.committing");
            lease.commit().await?;
            failpoint::reached("dedup.committed");
        }
        Ok(())
    }

    /// Publishes what the component asked for, in its order, and waits for every confirmation.
    async fn publish(&self, held: &Held, publications: &mut [Publication]) -> Result<(), Setback> {
        let delivery = &held.delivery;
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        // While the bodies, which may have the keys, are still there.
        let known: Option<Vec<_>> = self.published.as_ref().map(|published| {
            let numbered = publications.iter().enumerate();
            numbered
                .map(|(index, publication)| {
                    published.known_publication(publication, &format!("{identity}-{index}"))
                })
                .collect()
        });
        let mut outgoing = Vec::with_capacity(publications.len());
        for index in 0..publications.len() {
            let message_id = format!("{identity}-{index}");
            let one = self.outgoing(&mut publications[index], &message_id).await;
            outgoing.push(one.map_err(|setback| match setback {
                Setback::Unpublishable(reason) => {
                    Setback::Unpublishable(describe(publications, index, &reason))
                }
                other => other,
            })?);
        }
        let (Some(published), Some(known)) = (&self.published, known) else {
            return self
                .confirmed(publications, outgoing.into_iter().enumerate())
                .await;
        };
        let claiming = self
            .tasks
            .unless_abandoned(published.claim_publications(&known));
        let fresh = claiming.await.unwrap_or(Err(StoreFault::Closed))?;
        if fresh.repeats() > 0 {
            self.telemetry.suppressed(&held.label(), fresh.repeats());
        }
        let outgoing = outgoing.into_iter().enumerate();
        let outgoing = outgoing.filter(|(index, _)| fresh.is_fresh(*index));
        self.confirmed(publications, outgoing).await?;
        fresh.commit().await?;
        failpoint::reached("published.committed");
        Ok(())
    }

    /// Publishes these, each with its index among all, and waits for every confirmation.
    async fn confirmed(
        &self,
        publications: &[Publication],
        outgoing: impl Iterator<Item = (usize, Outgoing)>,
    ) -> Result<(), Setback> {
        let (indices, outgoing): (Vec<usize>, Vec<Outgoing>) = outgoing.unzip();
        if outgoing.is_empty() {
            return Ok(());
        }
        let confirmation = self.publisher.publish(outgoing).await;
        failpoint::reached("publish.submitted");
        let (index, reason) = match confirmation.await {
            Ok(()) => {
                failpoint::reached("publish.confirmed");
                return Ok(());
            }
            Err(PublishFault::Unroutable { index, text }) => {
                (indices[index], format!("no queue takes it ({text})"))
            }
            Err(PublishFault::Refused { index, text }) => {
                (indices[index], format!("the broker refuses it ({text})"))
            }
            Err(fault) => return Err(Setback::Away(fault.to_string())),
        };
        if let Some(delay) = publications[index].delay {
            // Somebody deleted what it goes through, which is not the component's fault.
            self.connection
                .ensure_delaying_exchange(&publications[index].exchange, delay)
                .await?;
            return Err(Setback::Away(describe(publications, index, &reason)));
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
        publication: &mut Publication,
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
    async fn dead_letter(&self, held: &Held, failure: &Failure) -> Result<(), Setback> {
        let delivery = &held.delivery;
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
        self.reply(held, note).await
    }

    /// Publishes a copy; false if its queue is not there.
    async fn copy_arrives(&self, copy: Outgoing) -> Result<bool, Setback> {
        match self.publisher.publish(vec![copy]).await.await {
            Ok(()) => Ok(true),
            Err(PublishFault::Unroutable { .. }) => Ok(false),
            Err(fault) => Err(Setback::Away(fault.to_string())),
        }
    }

    async fn copy_must_arrive(&self, copy: Outgoing) -> Result<(), Setback> {
        if self.copy_arrives(copy).await? {
            return Ok(());
        }
        Err(Setback::Away(
            "its copy was returned by the broker, though the queue was declared just now".into(),
        ))
    }

    /// Holds a delivery that is to go back, unless the host is stopping: then it goes at once.
    async fn pause(&self, pause: Duration) {
        let stopping = self.tasks.drain().cancelled();
        // Either way the delivery goes back; which came first does not matter.
        let _elapsed_or_stopping = tokio::time::timeout(pause, stopping).await;
    }

    /// Keeps a delivery in hand for another try, since those of its key must not overtake it. Where
    /// that is not possible any more it is left unsettled, and goes back in its place in the queue.
    fn keep(&self, mut held: Held, disposition: &Disposition, delay: Duration) {
        let attempt = held.delivery.envelope.attempt;
        let (reason, next) = match disposition {
            Disposition::RetryAfter { failure, .. } => {
                let reason = KeptFor::Retry {
                    class: failure.class.as_str(),
                    error: &failure.error,
                };
                (reason, attempt.next())
            }
            Disposition::Requeue { reason, .. } => (KeptFor::Trouble { reason }, attempt),
            other => unreachable!("only what is tried again is kept, and not {other:?}"),
        };
        DeliveryKept {
            delivery: &held.label(),
            attempt: attempt.get(),
            reason,
            delay,
        }
        .emit(&self.telemetry);
        held.delivery.envelope.attempt = next;
        let Held {
            delivery,
            in_hand,
            lease,
            watched,
            turn,
        } = held;
        drop((in_hand, lease, watched));
        if let Some(turn) = turn {
            turn.hold(delivery, delay);
        }
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
            Disposition::Skip(failure) => Exit::Skipped {
                class: failure.class.as_str(),
                error: &failure.error,
            },
            Disposition::Stop(failure) => Exit::Stopped {
                class: failure.class.as_str(),
                error: &failure.error,
            },
            Disposition::Requeue { reason, .. } => Exit::Requeued { reason },
        };
        self.answer(held, exit);
    }

    /// Answers the broker, and tells of it.
    fn answer(&self, held: Held, exit: Exit<'_>) {
        // The claim is held to the end: whoever waits for it finds what became of this one.
        let Held {
            delivery,
            in_hand,
            lease: _lease,
            watched,
            turn,
        } = held;
        let tag = delivery.settlement.tag();
        let is_handled = matches!(exit, Exit::Acked { .. });
        let settled = match exit {
            Exit::GivenBack | Exit::Requeued { .. } => delivery.settlement.requeue(),
            Exit::Stopped { class, error } => {
                let offset = delivery.envelope.stream_offset.unwrap_or_default();
                // Readiness shows it; the log has more.
                let error = &error[..error.floor_char_boundary(LONGEST_REASON)];
                let reason =
                    format!("it stopped at offset {offset} of the stream: {class}: {error}");
                delivery.settlement.stop(&reason)
            }
            _ => delivery.settlement.ack(),
        };
        failpoint::reached("ack.queued");
        let envelope = &delivery.envelope;
        DeliverySettled {
            delivery: &Label {
                message_id: envelope.message.properties.message_id.as_deref(),
                offset: envelope.stream_offset,
                tag,
            },
            attempt: envelope.attempt.get(),
            exit,
            acknowledged: settled == Settled::Done,
            took: in_hand.elapsed(),
        }
        .emit(&self.telemetry);
        if let (Some(watched), true) = (watched, is_handled) {
            watched.tell(Verdict::Well);
        }
        drop(turn);
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
        Self::Away(fault.to_string())
    }
}

impl From<StoreFault> for Setback {
    fn from(fault: StoreFault) -> Self {
        Self::Away(fault.to_string())
    }
}
