//! Carries out a disposition in the safe order: what a delivery causes is confirmed by the broker
//! first, the delivery is acknowledged last.
//!
//! A crash between any two steps leaves the delivery unacknowledged, so the broker hands it out
//! again: at worst something is published twice, never is it lost.

mod copies;
mod publications;
mod reply;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{
    Connection, EnsureFault, Fate, Outgoing, Publisher, Settled, Unpublishable, WayBack,
};
use hive_config::plan::ConsumerPlan;
use hive_core::message::Attempt;
use hive_core::policy::{Disposition, Failure, Performance, Published};
use hive_lifecycle::Tasks;
use hive_lifecycle::failpoint;
use hive_otlp::{Sending, Settled as Ended};
use hive_store::StoreFault;
use hive_telemetry::{
    ConsumerTelemetry, DeliveryKept, DeliverySettled, Exit, Fact, Failed, KeptFor,
};

use self::copies::Wait;
use super::held::{Held, Label};
use super::keeping::{Keeping, NotKept, Trouble};
use super::recall::{Memory, Recall};
use super::services::Common;
use super::traced;
use crate::ledger::{Fresh, Known, Ledger};
use crate::tail::{self, Tail};

/// The length of the reported error over which a stream is read no further, in bytes.
const LONGEST_STOP_REASON: usize = 300;

/// How long a copy stays in a delay queue that is there only because every other way back is counted.
const DETOUR_DELAY: Duration = Duration::from_secs(30);

/// The way out of one consumer.
pub(super) struct Settler {
    pub(super) plan: Arc<ConsumerPlan>,
    connection: Arc<Connection>,
    publisher: Publisher,
    /// The published keys, if `publish_dedup` is on.
    published: Option<Arc<Ledger>>,
    keeping: Arc<Keeping>,
    recall: Arc<Recall>,
    telemetry: Arc<ConsumerTelemetry>,
    pub(super) tail: Tail,
    tasks: Tasks,
}

/// How far a disposition was carried out. What is done is not done again when the rest is tried again, and
/// what was prepared is published as it was, with the same ids.
#[derive(Default)]
struct SoFar {
    /// By what each publication is known, where `publish_dedup` asks for it.
    known: Option<Vec<Option<Known>>>,
    /// Publications that are not confirmed yet, each with its index among all; none before they were
    /// prepared.
    outgoing: Option<Vec<(usize, Outgoing)>>,
    /// The spans of the publications, where there are spans.
    sending: Vec<Sending>,
    /// This many publications are on their way through a queue that delays them.
    detoured: usize,
    /// Those whose way was made again, by their index, since the broker refused them.
    ensured: BTreeSet<usize>,
    fresh: Option<Fresh>,
    /// The copy for the dead-letter queue is there.
    is_copied: bool,
}

/// Why a disposition could not be carried out.
enum Setback {
    /// The component asked for a publication that cannot be: its own fault.
    Unpublishable(String),
    /// A copy of the message cannot be published: nothing but the dead-letter queue is left.
    Uncopyable(String),
    /// The broker refused it, or did not answer: not the message's fault.
    Away(String),
    /// The store did not.
    Store(String),
    /// The publisher was stopped, and what it had is gone with it.
    Stopped(String),
}

/// The step after a setback.
enum Next {
    /// Carry out another disposition.
    Do(Disposition),
    /// Carry out the same disposition again when it may work.
    Again(Trouble),
    /// The message cannot leave, for this reason.
    SetAside(String),
    /// This host cannot settle the delivery; it goes back to the queue.
    GiveBack(String),
}

impl Settler {
    /// `published` has the published keys.
    pub(super) fn new(
        common: &Common<'_>,
        published: Option<Arc<Ledger>>,
        keeping: &Arc<Keeping>,
        recall: &Arc<Recall>,
    ) -> Self {
        let Common { plan, services, .. } = common;
        let (connection, tasks) = (&services.connection, &services.tasks);
        Self {
            plan: Arc::clone(plan),
            connection: Arc::clone(connection),
            publisher: connection.publisher(&plan.name, &plan.table, tasks),
            published,
            keeping: Arc::clone(keeping),
            recall: Arc::clone(recall),
            telemetry: Arc::clone(common.telemetry),
            tail: services.tail.clone(),
            tasks: tasks.clone(),
        }
    }

    /// Carries out `disposition`, and then whatever becomes of it where the broker won't have it.
    pub(super) async fn settle(self: Arc<Self>, mut held: Held, mut disposition: Disposition) {
        let mut so_far = SoFar::default();
        loop {
            held.judge(&disposition);
            if let Some(delay) = held.turn.as_ref().and_then(|turn| turn.keeps(&disposition)) {
                return self.keep(held, &disposition, delay);
            }
            // The broker hands it out again, and all that is published for it now would be published once
            // more then. One that was deleted with its queue will not come again.
            if is_published_again(&held, &disposition)
                && held.delivery.settlement.fate().await == Some(Fate::ComesAgain)
            {
                return self.comes_again(held);
            }
            let carried_out = self.carry_out(&held, &mut disposition, &mut so_far).await;
            let Err(setback) = carried_out else {
                // Its channel was lost meanwhile, so that it cannot be acknowledged.
                if held.delivery.settlement.fate().await == Some(Fate::ComesAgain) {
                    self.recall.note_mark(&held.delivery);
                }
                return self.conclude(held, &disposition);
            };
            let attempt = held.delivery.envelope.attempt;
            match self.after(setback, &disposition, attempt) {
                Next::Do(other) => {
                    disposition = other;
                    so_far = SoFar::default();
                    held.patience.over();
                }
                Next::Again(trouble) => {
                    let reason = trouble.reason().to_owned();
                    if let Err(not_kept) = self.keeping.wait(&mut held, trouble).await {
                        return self.kept_no_longer(held, not_kept, &reason).await;
                    }
                }
                Next::SetAside(reason) => return self.set_aside(held, reason).await,
                Next::GiveBack(reason) => {
                    return self.answer(held, Exit::Requeued { reason: &reason });
                }
            }
        }
    }

    /// The end of a delivery that was kept in the host, and is not any more.
    pub(super) async fn kept_no_longer(&self, held: Held, why: NotKept, reason: &str) {
        match why {
            NotKept::ComesAgain => self.comes_again(held),
            NotKept::TooLong => {
                if self.connection.way_back(&self.plan.queue) == WayBack::Copy
                    && !held.delivery.settlement.is_of_a_stream()
                {
                    let delivery = &held.delivery;
                    let wait = Wait {
                        attempt: delivery.envelope.attempt,
                        delay: DETOUR_DELAY,
                        jitter: false,
                        class: None,
                        error: reason,
                    };
                    match self.copy_for(&held, wait).await {
                        Ok(()) => return self.answer(held, Exit::Detoured { reason }),
                        Err(setback) => Fact::DetourFailed {
                            consumer: &self.plan.name,
                            delivery: &held.label(),
                            reason: setback.reason(),
                        }
                        .emit(),
                    }
                }
                self.answer(held, Exit::Requeued { reason });
            }
        }
    }

    /// Keeps a message in the host whose copies the broker refuses, so that it can neither be retried nor
    /// dead-lettered. It is not handled again: when it has to go back, it is known as it comes again.
    pub(super) async fn set_aside(&self, mut held: Held, reason: String) {
        let why = self
            .keeping
            .wait(&mut held, Trouble::SetAside(reason.clone()))
            .await;
        let memory = Memory::SetAside(reason.clone());
        self.recall.note(&held.delivery, memory);
        match why {
            Ok(()) | Err(NotKept::TooLong) => self.answer(held, Exit::Requeued { reason: &reason }),
            Err(NotKept::ComesAgain) => self.comes_again(held),
        }
    }

    /// The end of a delivery that is left to its channel: the broker hands it out again when that closes.
    pub(super) fn comes_again(&self, held: Held) {
        self.answer(held, Exit::Lost);
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
    async fn carry_out(
        &self,
        held: &Held,
        disposition: &mut Disposition,
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        match disposition {
            Disposition::Ack => self.remember(held).await,
            Disposition::Publish(publications) => {
                self.publish(held, publications, so_far).await?;
                self.remember(held).await
            }
            Disposition::Skip(_) | Disposition::Stop(_) => Ok(()),
            Disposition::RetryAfter {
                delay,
                jitter,
                failure,
            } => {
                let wait = Wait {
                    attempt: held.delivery.envelope.attempt.next(),
                    delay: *delay,
                    jitter: *jitter,
                    class: Some(failure.class),
                    error: &failure.error,
                };
                self.copy_for(held, wait).await
            }
            Disposition::DeadLetter(failure) => self.dead_letter(held, failure, so_far).await,
            Disposition::Keep { reason } => Err(Setback::Away(reason.clone())),
        }
    }

    /// The next step after the disposition could not be carried out.
    fn after(&self, setback: Setback, disposition: &Disposition, attempt: Attempt) -> Next {
        match setback {
            Setback::Unpublishable(error) => {
                Next::Do(self.plan.policy().decide_unpublishable(error, attempt))
            }
            Setback::Uncopyable(reason) => {
                match self.plan.policy().decide_uncopyable(&reason, disposition) {
                    Some(other) => Next::Do(other),
                    None => Next::SetAside(format!(
                        "a message can neither be retried nor dead-lettered: {reason}"
                    )),
                }
            }
            Setback::Away(reason) => Next::Again(Trouble::Away(reason)),
            Setback::Store(reason) => Next::Again(Trouble::Store(reason)),
            Setback::Stopped(reason) => Next::GiveBack(reason),
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

    /// Keeps a delivery for another attempt, because later ones of its key must not overtake it. If that is not
    /// possible any more it is left unsettled, and goes back to its place in the queue.
    fn keep(&self, mut held: Held, disposition: &Disposition, delay: Duration) {
        let attempt = held.delivery.envelope.attempt;
        let Disposition::RetryAfter { failure, .. } = disposition else {
            unreachable!("only a retry waits for its time here, and not {disposition:?}");
        };
        let reason = KeptFor::Retry(told(failure));
        DeliveryKept {
            delivery: &held.label(),
            attempt: attempt.get(),
            reason,
            delay,
        }
        .emit(&self.telemetry);
        self.show_kept(&held, failure, delay);
        held.delivery.envelope.attempt = attempt.next();
        let Held {
            delivery,
            in_hand,
            lease,
            watched,
            patience,
            place,
            turn,
            watcher,
            trace,
            notes: _,
        } = held;
        drop((in_hand, lease, watched, patience, place));
        if let Some(trace) = trace {
            trace.settled(Ended {
                operation: None,
                outcome: "retried",
                error: Some((failure.class.as_str(), &failure.error)),
            });
        }
        if let Some(watcher) = watcher {
            watcher.tell(true);
        }
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
            Disposition::RetryAfter { delay, failure, .. } => Exit::Retried {
                failure: told(failure),
                delay: *delay,
            },
            Disposition::DeadLetter(failure) => Exit::DeadLettered(told(failure)),
            Disposition::Skip(failure) => Exit::Skipped(told(failure)),
            Disposition::Stop(failure) => Exit::Stopped(told(failure)),
            // Such a one is never carried out: it is kept until it is another.
            Disposition::Keep { reason } => Exit::Requeued { reason },
        };
        self.answer(held, exit);
    }

    /// Answers the broker, and reports the settlement.
    fn answer(&self, held: Held, exit: Exit<'_>) {
        // The lease is held to the end: a delivery that waits for it then finds the result.
        let Held {
            delivery,
            in_hand,
            lease: _lease,
            watched,
            patience,
            place,
            mut turn,
            watcher,
            trace,
            notes,
        } = held;
        drop((patience, place));
        let tag = delivery.settlement.tag();
        let is_handled = matches!(exit, Exit::Acked { .. });
        if let (Exit::Lost, Some(turn)) = (&exit, turn.take()) {
            turn.give_up(&delivery);
        }
        if matches!(exit, Exit::Lost | Exit::Requeued { .. }) {
            self.recall.note_mark(&delivery);
        }
        // One that stops its stream is read again, and one that goes back comes again.
        let is_done = !matches!(
            exit,
            Exit::GivenBack | Exit::Requeued { .. } | Exit::Stopped { .. } | Exit::Lost
        );
        let told = trace.as_ref().map(|_| traced::settled(&exit));
        let settled = match exit {
            Exit::Lost => {
                drop(delivery.settlement);
                Settled::Lost
            }
            Exit::GivenBack | Exit::Requeued { .. } => delivery.settlement.requeue(),
            Exit::Stopped(Failed { class, error, .. }) => {
                let offset = delivery.envelope.stream_offset.unwrap_or_default();
                // Readiness shows it; the log has more.
                let error = &error[..error.floor_char_boundary(LONGEST_STOP_REASON)];
                let reason =
                    format!("it stopped at offset {offset} of the stream: {class}: {error}");
                delivery.settlement.stop(&reason)
            }
            _ => delivery.settlement.ack(),
        };
        failpoint::reached("ack.queued");
        if let (Some(trace), Some(told)) = (trace, told) {
            trace.settled(told);
        }
        let envelope = &delivery.envelope;
        let label = Label {
            message_id: envelope.message.properties.message_id.as_deref(),
            offset: envelope.stream_offset,
            tag,
        };
        let acknowledged = settled == Settled::Done;
        let took = in_hand.elapsed();
        if self.tail.is_watched() {
            self.tail.report(&tail::Settled {
                consumer: &self.plan.name,
                component: self.component(),
                delivery: &label,
                envelope,
                exit: &exit,
                acknowledged,
                kept: false,
                took,
                notes: &notes,
            });
        }
        DeliverySettled {
            delivery: &label,
            attempt: envelope.attempt.get(),
            exit,
            acknowledged,
            took,
        }
        .emit(&self.telemetry);
        if let (Some(watched), true) = (watched, is_handled) {
            watched.tell(Performance::Well);
        }
        if let Some(watcher) = watcher {
            watcher.tell(is_done);
        }
        drop(turn);
    }
}

impl From<Unpublishable> for Setback {
    fn from(Unpublishable(reason): Unpublishable) -> Self {
        Self::Uncopyable(reason)
    }
}

impl From<EnsureFault> for Setback {
    fn from(fault: EnsureFault) -> Self {
        match fault {
            EnsureFault::Impossible(reason) => Self::Unpublishable(reason),
            fault => Self::Away(fault.to_string()),
        }
    }
}

impl From<StoreFault> for Setback {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault.to_string())
    }
}

impl Setback {
    fn reason(&self) -> &str {
        match self {
            Self::Unpublishable(reason)
            | Self::Uncopyable(reason)
            | Self::Away(reason)
            | Self::Store(reason)
            | Self::Stopped(reason) => reason,
        }
    }
}

/// Whether what a disposition publishes is published once more if the delivery comes again. What was handled
/// with a claim on its key is not: the key is remembered, and the delivery passed over.
fn is_published_again(held: &Held, disposition: &Disposition) -> bool {
    match disposition.published() {
        Published::Publications => held.lease.is_none(),
        Published::Copy => true,
        Published::Nothing => false,
    }
}

/// A failure as facts tell it.
pub(super) fn told(failure: &Failure) -> Failed<'_> {
    Failed {
        class: failure.class.as_str(),
        code: failure.class.code().as_str(),
        error: &failure.error,
    }
}
