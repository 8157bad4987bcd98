//! Copies of a message: in a delay queue for its retry, in the dead-letter queue at its end.

use std::time::Duration;

use hive_amqp::{DeadLetterNote, Delivery, Outgoing, PublishFault, RetryNote};
use hive_core::message::Attempt;
use hive_core::moments;
use hive_core::policy::{Failure, FailureClass, jittered};
use hive_lifecycle::failpoint;

use super::{Setback, Settler, SoFar};
use crate::pipeline::held::Held;

/// What a copy in a delay queue waits for, and why.
pub(super) struct Wait<'a> {
    pub(super) attempt: Attempt,
    pub(super) delay: Duration,
    /// Whether the copy may leave its queue a part earlier.
    pub(super) jitter: bool,
    /// `None` where no retry is spent.
    pub(super) class: Option<FailureClass>,
    pub(super) error: &'a str,
}

impl Settler {
    /// Puts a copy in the delay queue that says what it waits for.
    pub(super) async fn copy_for(&self, held: &Held, wait: Wait<'_>) -> Result<(), Setback> {
        let delivery = &held.delivery;
        let Wait {
            attempt,
            delay,
            jitter,
            class,
            error,
        } = wait;
        let among = self.plan.delay_queues;
        let queue = self.connection.delay_queue(&self.plan.queue, delay, among);
        let queue = queue.await?;
        let wait = match jitter {
            true => jittered(queue.delay, rand::random()),
            false => queue.delay,
        };
        let copy = Outgoing::retry_copy(
            &delivery.original,
            delivery.envelope.message.body.clone(),
            &queue,
            RetryNote {
                consumer: &self.plan.name,
                attempt,
                limit: self.plan.retry.limit,
                class,
                error,
                time: moments::now(),
                wait,
                trace: held.traceparent(),
            },
            &self.connection.publish_limits(),
        )?;
        if self.copy_arrives(copy.clone()).await? {
            failpoint::reached("retry.confirmed");
            return Ok(());
        }
        // The queue was deleted.
        self.connection
            .ensure_delay_queue(&self.plan.queue, delay, among)
            .await?;
        self.copy_must_arrive(copy).await
    }

    /// Puts a copy that says what went wrong in the dead-letter queue.
    pub(super) async fn dead_letter(
        &self,
        held: &Held,
        failure: &Failure,
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        let delivery = &held.delivery;
        let note = DeadLetterNote {
            consumer: &self.plan.name,
            attempt: delivery.envelope.attempt,
            failure,
            time: moments::now(),
            trace: held.traceparent(),
        };
        if !so_far.is_copied {
            self.bury(delivery, note).await?;
            so_far.is_copied = true;
            failpoint::reached("dead.confirmed");
        }
        // Not in one breath with the copy: a connection that the reply costs must not cost the copy's
        // confirmation, or it would be there twice.
        self.reply(held, note).await
    }

    async fn bury(&self, delivery: &Delivery, note: DeadLetterNote<'_>) -> Result<(), Setback> {
        let copy = Outgoing::dead_letter(
            &delivery.original,
            delivery.envelope.message.body.clone(),
            &self.plan.dead_letter,
            note,
            &self.connection.publish_limits(),
        )?;
        if self.copy_arrives(copy.clone()).await? {
            return Ok(());
        }
        self.connection
            .ensure_dead_letter_queue(&self.plan.dead_letter)
            .await?;
        self.copy_must_arrive(copy).await
    }

    /// Publishes a copy; false if its queue, or the exchange in front of that, is not there.
    async fn copy_arrives(&self, copy: Outgoing) -> Result<bool, Setback> {
        match self.publisher.publish(vec![copy]).await.await {
            Ok(()) => Ok(true),
            Err(PublishFault::Unroutable { .. }) => Ok(false),
            Err(PublishFault::Refused { text, .. }) if text.starts_with("404") => Ok(false),
            // A fault of the copy itself, unless only the operator can mend it.
            Err(PublishFault::Refused { text, .. }) if !is_a_lack_of_rights(&text) => Err(
                Setback::Uncopyable(format!("the broker refuses its copy ({text})")),
            ),
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
}

/// Whether the broker refuses everything that this user publishes there (403).
fn is_a_lack_of_rights(words: &str) -> bool {
    words.starts_with("403")
}
