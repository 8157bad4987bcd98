//! Carries out a disposition in the safe order: what a delivery causes is confirmed by the broker
//! first, the delivery is acknowledged last.
//!
//! A crash between any two steps leaves the delivery unacknowledged, so the broker hands it out
//! again: at worst something is published twice, never is it lost.

mod reply;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hive_telemetry::{ConsumerTelemetry, DeliveryKept, DeliverySettled, Exit, KeptFor};

use super::breaker::Verdict;
use super::held::{Held, Label};
use super::keeping::{Keeping, NotKept, Trouble};
use super::recall::{Memory, Recall};
use crate::amqp::{
    Connection, DeadLetterNote, Delivery, EnsureFault, Fate, Outgoing, PublishFault, Publisher,
    Settled, Unconfirmed, Unpublishable, WayBack,
};
use crate::config::plan::ConsumerPlan;
use crate::failpoint;
use crate::ledger::{Fresh, Known, Ledger};
use crate::lifecycle::Tasks;
use crate::message::{Attempt, Publication};
use crate::policy::{self, Disposition, Failure};
use crate::store::StoreFault;

/// The length of the reported error over which a stream is read no further, in bytes.
const LONGEST_REASON: usize = 300;

/// How long a copy stays in a delay queue that is there only because every other way back is counted.
const DETOUR: Duration = Duration::from_secs(30);

/// The way out of one consumer.
pub(super) struct Settler {
    plan: Arc<ConsumerPlan>,
    connection: Arc<Connection>,
    publisher: Publisher,
    /// The published keys, if `publish_dedup` is on.
    published: Option<Arc<Ledger>>,
    keeping: Arc<Keeping>,
    recall: Arc<Recall>,
    telemetry: Arc<ConsumerTelemetry>,
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
    /// Another disposition.
    Do(Disposition),
    /// The same again, when it may work.
    Again(Trouble),
    /// The message cannot leave, for this reason.
    SetAside(String),
    /// Nothing can be done for it here.
    GiveBack(String),
}

impl Settler {
    pub(super) fn new(
        plan: &Arc<ConsumerPlan>,
        connection: &Arc<Connection>,
        published: Option<Arc<Ledger>>,
        (keeping, recall): (&Arc<Keeping>, &Arc<Recall>),
        (telemetry, tasks): (&Arc<ConsumerTelemetry>, &Tasks),
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            connection: Arc::clone(connection),
            publisher: connection.publisher(&plan.name, tasks),
            published,
            keeping: Arc::clone(keeping),
            recall: Arc::clone(recall),
            telemetry: Arc::clone(telemetry),
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
                    let attempt = delivery.envelope.attempt;
                    match self.copy_for(delivery, attempt, DETOUR).await {
                        Ok(()) => return self.answer(held, Exit::Detoured { reason }),
                        Err(setback) => tracing::warn!(
                            consumer = %self.plan.name, delivery = %held.label(),
                            reason = setback.reason(),
                            "no copy can be kept elsewhere; the delivery goes back to its queue, which \
                             the broker counts"
                        ),
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
        let delivery = &held.delivery;
        match disposition {
            Disposition::Ack => self.remember(held).await,
            Disposition::Publish(publications) => {
                self.publish(held, publications, so_far).await?;
                self.remember(held).await
            }
            Disposition::Skip(_) | Disposition::Stop(_) => Ok(()),
            Disposition::RetryAfter { delay, .. } => {
                let next = delivery.envelope.attempt.next();
                self.copy_for(delivery, next, *delay).await
            }
            Disposition::DeadLetter(failure) => self.dead_letter(held, failure, so_far).await,
            Disposition::Keep { reason } => Err(Setback::Away(reason.clone())),
        }
    }

    /// The next step after the disposition could not be carried out.
    fn after(&self, setback: Setback, disposition: &Disposition, attempt: Attempt) -> Next {
        match (setback, disposition) {
            (Setback::Unpublishable(error), _) => {
                let decided = policy::decide_unpublishable(error, attempt, &self.plan.retry);
                Next::Do(self.plan.on_its_queue(decided))
            }
            (Setback::Uncopyable(reason), Disposition::RetryAfter { failure, .. }) => {
                let mut failure = failure.clone();
                failure.error = format!("{}; it cannot be retried: {reason}", failure.error);
                Next::Do(Disposition::DeadLetter(failure))
            }
            (Setback::Uncopyable(reason), _) => Next::SetAside(format!(
                "a message can neither be retried nor dead-lettered: {reason}"
            )),
            (Setback::Away(reason), _) => Next::Again(Trouble::Away(reason)),
            (Setback::Store(reason), _) => Next::Again(Trouble::Store(reason)),
            (Setback::Stopped(reason), _) => Next::GiveBack(reason),
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
    async fn publish(
        &self,
        held: &Held,
        publications: &mut [Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        if so_far.outgoing.is_none() {
            self.prepare(held, publications, so_far)?;
        }
        self.detour(publications, so_far).await?;
        if let (Some(published), Some(known), None) =
            (&self.published, &so_far.known, &so_far.fresh)
        {
            let claiming = self
                .tasks
                .unless_abandoned(published.claim_publications(known));
            let fresh = claiming.await.unwrap_or(Err(StoreFault::Closed))?;
            if fresh.repeats() > 0 {
                self.telemetry.suppressed(&held.label(), fresh.repeats());
            }
            if let Some(outgoing) = &mut so_far.outgoing {
                outgoing.retain(|(index, _)| fresh.is_fresh(*index));
            }
            so_far.fresh = Some(fresh);
        }
        self.confirmed(publications, so_far).await?;
        if let Some(fresh) = &so_far.fresh {
            fresh.commit().await?;
            failpoint::reached("published.committed");
        }
        Ok(())
    }

    /// Makes of each publication what goes out. Their bodies move.
    fn prepare(
        &self,
        held: &Held,
        publications: &mut [Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        let delivery = &held.delivery;
        let identity = delivery.original.identity(&delivery.envelope.message.body);
        // While the bodies, which may have the keys, are still there.
        so_far.known = self.published.as_ref().map(|published| {
            let numbered = publications.iter().enumerate();
            numbered
                .map(|(index, publication)| {
                    published.known_publication(publication, &format!("{identity}-{index}"))
                })
                .collect()
        });
        let limits = self.connection.publish_limits();
        let mut outgoing = Vec::with_capacity(publications.len());
        for index in 0..publications.len() {
            let message_id = format!("{identity}-{index}");
            let one = Outgoing::publication(&mut publications[index], &message_id, &limits);
            let one = one.map_err(|Unpublishable(reason)| {
                Setback::Unpublishable(describe(publications, index, &reason))
            })?;
            outgoing.push((index, one));
        }
        so_far.outgoing = Some(outgoing);
        Ok(())
    }

    /// Leads each publication that is to be delayed through a queue that holds it for its delay.
    async fn detour(
        &self,
        publications: &[Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        let Some(outgoing) = &mut so_far.outgoing else {
            return Ok(());
        };
        while let Some(publication) = publications.get(so_far.detoured) {
            if let Some(delay) = publication.delay {
                let detour = self.connection.delaying_exchange(publication, delay).await;
                let detour =
                    detour.map_err(|fault| blamed(publications, so_far.detoured, fault))?;
                let (_, one) = &mut outgoing[so_far.detoured];
                *one = one.clone().by_way_of(detour);
            }
            so_far.detoured += 1;
        }
        Ok(())
    }

    /// Publishes what is not confirmed yet, and waits for every confirmation.
    async fn confirmed(
        &self,
        publications: &[Publication],
        so_far: &mut SoFar,
    ) -> Result<(), Setback> {
        loop {
            let outgoing = std::mem::take(so_far.outgoing.get_or_insert_default());
            if outgoing.is_empty() {
                return Ok(());
            }
            let (indices, outgoing): (Vec<usize>, Vec<Outgoing>) = outgoing.into_iter().unzip();
            let confirmation = self.publisher.publish(outgoing).await;
            failpoint::reached("publish.submitted");
            let Err(Unconfirmed { fault, rest }) = confirmation.or_the_rest().await else {
                failpoint::reached("publish.confirmed");
                return Ok(());
            };
            let Some(rest) = rest else {
                return Err(Setback::Stopped(fault.to_string()));
            };
            let rest = rest.into_iter();
            so_far.outgoing = Some(rest.map(|(place, one)| (indices[place], one)).collect());
            let (index, reason) = match fault {
                PublishFault::Unroutable { index, text } => {
                    (indices[index], format!("no queue takes it ({text})"))
                }
                PublishFault::Refused { index, text } => {
                    (indices[index], format!("the broker refuses it ({text})"))
                }
                fault => return Err(Setback::Away(fault.to_string())),
            };
            match publications[index].delay {
                // Its exchange or queue may have been deleted, which is not the component's fault.
                Some(delay) if !so_far.ensured.contains(&index) => {
                    let made = (self.connection)
                        .ensure_delaying_exchange(&publications[index], delay)
                        .await;
                    let detour = made.map_err(|fault| blamed(publications, index, fault))?;
                    so_far.ensured.insert(index);
                    for (other, one) in so_far.outgoing.iter_mut().flatten() {
                        if *other == index {
                            *one = one.clone().by_way_of(detour.clone());
                        }
                    }
                }
                _ => {
                    let error = describe(publications, index, &reason);
                    return Err(Setback::Unpublishable(error));
                }
            }
        }
    }

    /// Puts a copy that carries the number of `attempt` in the delay queue.
    async fn copy_for(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        delay: Duration,
    ) -> Result<(), Setback> {
        let queue = self.connection.delay_queue(&self.plan.queue, delay).await?;
        let copy = Outgoing::retry_copy(
            &delivery.original,
            delivery.envelope.message.body.clone(),
            &queue,
            attempt,
            &self.connection.publish_limits(),
        )?;
        if self.copy_arrives(copy.clone()).await? {
            failpoint::reached("retry.confirmed");
            return Ok(());
        }
        // The queue was deleted.
        self.connection
            .ensure_delay_queue(&self.plan.queue, delay)
            .await?;
        self.copy_must_arrive(copy).await
    }

    /// Puts a copy that says what went wrong in the dead-letter queue.
    async fn dead_letter(
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
            time: SystemTime::now(),
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

    /// Publishes a copy; false if its queue is not there.
    async fn copy_arrives(&self, copy: Outgoing) -> Result<bool, Setback> {
        match self.publisher.publish(vec![copy]).await.await {
            Ok(()) => Ok(true),
            Err(PublishFault::Unroutable { .. }) => Ok(false),
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

    /// Keeps a delivery for another attempt, because later ones of its key must not overtake it. If that is not
    /// possible any more it is left unsettled, and goes back to its place in the queue.
    fn keep(&self, mut held: Held, disposition: &Disposition, delay: Duration) {
        let attempt = held.delivery.envelope.attempt;
        let Disposition::RetryAfter { failure, .. } = disposition else {
            unreachable!("only a retry waits for its time here, and not {disposition:?}");
        };
        let reason = KeptFor::Retry {
            class: failure.class.as_str(),
            error: &failure.error,
        };
        DeliveryKept {
            delivery: &held.label(),
            attempt: attempt.get(),
            reason,
            delay,
        }
        .emit(&self.telemetry);
        held.delivery.envelope.attempt = attempt.next();
        let Held {
            delivery,
            in_hand,
            lease,
            watched,
            patience,
            turn,
            watcher,
        } = held;
        drop((in_hand, lease, watched, patience));
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
            mut turn,
            watcher,
        } = held;
        drop(patience);
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
        let settled = match exit {
            Exit::Lost => {
                drop(delivery.settlement);
                Settled::Lost
            }
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
        if let Some(watcher) = watcher {
            watcher.tell(is_done);
        }
        drop(turn);
    }
}

/// The consequence if the queue for a delayed publication cannot be ensured.
fn blamed(publications: &[Publication], index: usize, fault: EnsureFault) -> Setback {
    match fault {
        EnsureFault::Impossible(reason) => {
            Setback::Unpublishable(describe(publications, index, &reason))
        }
        // As if it were published there at once.
        EnsureFault::Mismatch(mismatch) if mismatch.is_for_good() => {
            Setback::Unpublishable(describe(publications, index, &mismatch.to_string()))
        }
        fault => Setback::from(fault),
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
    match disposition {
        Disposition::Publish(_) => held.lease.is_none(),
        Disposition::RetryAfter { .. } | Disposition::DeadLetter(_) => true,
        _ => false,
    }
}

/// Whether the broker refuses everything that this user publishes there (403).
fn is_a_lack_of_rights(words: &str) -> bool {
    words.starts_with("403")
}
