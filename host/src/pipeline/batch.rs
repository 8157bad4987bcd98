//! Batches: deliveries gathered by size and time, handed over in one call, settled one by one.
//!
//! One worker gathers at a time, so that a batch holds consecutive deliveries; once it is due the next worker
//! gathers while this one has its batch handled. With `batch.by` a batch holds consecutive deliveries of one key, and
//! the batches of all keys are gathered side by side: what one gatherer leaves behind is the next one's. Gathered
//! deliveries are unacknowledged: they go back as they came if the host stops, or if their channel dies, before the
//! component has seen them.

mod gathering;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::join_all;
use hive_amqp::{Acks, Lead};
use hive_config::plan::ConsumerPlan;
use hive_core::by_key::value_of;
use hive_core::message_key::Key;
use hive_core::policy::Outcome;
use hive_lifecycle::failpoint;
use hive_otlp::Handling;
use hive_sandbox::{Call, Observed};
use hive_telemetry::{
    BatchAnswered, BatchGivenBack, BatchHanded, BatchReason, BatchTelemetry, Telemetry,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use self::gathering::{Gathering, Which};
use super::crew::Seat;
use super::held::{Held, Label};
use super::keeping::Trouble;
use super::{Ended, Pipeline, shadowing};

/// State shared by the workers of a consumer with batches.
pub(super) struct Batches {
    /// `batch.by`.
    by: Option<Key>,
    /// Held by the worker whose turn it is to gather.
    turn: Mutex<Gathered>,
    telemetry: BatchTelemetry,
}

/// What was gathered so far.
struct Gathered {
    batches: Gathering<Held>,
    /// The channel of the last one.
    channel: Option<Acks>,
}

impl Batches {
    /// `None` for a consumer without batches.
    pub(super) fn of(plan: &ConsumerPlan, telemetry: &Telemetry) -> Option<Self> {
        let rule = plan.batch.as_ref()?;
        Some(Self {
            by: rule.by.clone(),
            turn: Mutex::new(Gathered {
                batches: Gathering::new(rule.size, rule.wait),
                channel: None,
            }),
            telemetry: telemetry.batches(&plan.name, &plan.table, plan.handler.name()),
        })
    }

    /// Whether there is a batch for each key.
    pub(super) fn are_by_key(&self) -> bool {
        self.by.is_some()
    }

    async fn turn(&self) -> Option<MutexGuard<'_, Gathered>> {
        Some(self.turn.lock().await)
    }

    /// The next batch that is not to wait any longer.
    fn due(&self, gathered: &Gathered) -> Option<(Which, BatchReason)> {
        if let Some(due) = gathered.batches.due(Instant::now()) {
            return Some(due);
        }
        // All that the broker gives out waits here for more that cannot come. Whatever else is in flight would make room.
        let (parked, prefetch) = gathered.channel.as_ref()?.parked();
        let stands_still = self.are_by_key() && parked >= usize::from(prefetch);
        let fullest = gathered.batches.fullest().filter(|_| stands_still)?;
        Some((fullest, BatchReason::Prefetch))
    }

    /// Adds a delivery to those of its key.
    fn add(&self, gathered: &mut Gathered, mut held: Held) {
        let mut which = None;
        if let Some(by) = &self.by {
            which = value_of(by, &held.delivery.envelope);
            held.delivery.settlement.park();
        }
        gathered.batches.add(which, held, Instant::now());
    }
}

impl Gathered {
    /// Takes a batch that is to be handled.
    fn take(&mut self, which: &Which) -> Vec<Held> {
        let mut batch = self.batches.take(which);
        for held in &mut batch {
            held.delivery.settlement.unpark();
        }
        batch
    }

    /// Drops what cannot be settled any more, if there is any: the broker hands it out again.
    fn drop_stale(&mut self) -> bool {
        let deliveries = self.batches.keep(|held| held.delivery.settlement.is_live());
        if deliveries > 0 {
            tracing::debug!(
                deliveries,
                "the channel of an unfinished batch is gone; its deliveries are dropped here"
            );
        }
        deliveries > 0
    }

    /// A delivery has come. Those of another channel, which it may repeat, are dropped if that is gone.
    fn comes(&mut self, held: &Held) {
        let settlement = &held.delivery.settlement;
        let channel = self.channel.as_ref();
        if channel.is_none_or(|channel| !channel.are_of(settlement)) {
            self.drop_stale();
            self.channel = Some(settlement.acks());
        }
    }
}

impl Pipeline {
    /// Handles one batch after the other, until the host drains or this worker is not needed any more. A worker
    /// that gathers stays, because gathered deliveries must not be dropped; then another one leaves.
    pub(super) async fn work_in_batches(self: &Arc<Self>, batches: &Batches, seat: &mut Seat) {
        while let Some(turn) = seat.next(pin!(batches.turn())).await {
            let Some(batch) = self.gather(batches, turn).await else {
                return;
            };
            let _toiling = seat.toil(batch.len());
            // Those of one batch came over one channel, or the call is lost on the older one alone.
            if let Some(acks) = batch.last().map(|held| held.delivery.settlement.acks()) {
                let call = self.call_with_batch(batches, batch);
                self.quarantine.among_others(acks, call).await;
            }
        }
    }

    /// The next batch that is due. `None` once the host drains: the deliveries gathered by then went back.
    async fn gather(
        self: &Arc<Self>,
        batches: &Batches,
        mut gathered: MutexGuard<'_, Gathered>,
    ) -> Option<Vec<Held>> {
        loop {
            if let Some((which, reason)) = batches.due(&gathered) {
                if gathered.drop_stale() {
                    continue;
                }
                let batch = gathered.take(&which);
                let size = batch.len();
                BatchHanded { size, reason }.emit(&batches.telemetry);
                return Some(batch);
            }
            let mut lead = Lead::default();
            let next = self.admission.next(&self.subscription, &mut lead);
            let next = match gathered.batches.deadline() {
                None => next.await,
                // Dropped in its wait it has lost no delivery.
                Some(deadline) => match timeout_at(deadline, next).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            lead.give_up();
            let Some(held) = next else {
                self.give_back(batches, gathered.batches.take_all());
                return None;
            };
            // Before anything is claimed for this one.
            gathered.comes(&held);
            // A batch excludes repeats, deliveries that wait for another one of their key, and suspects.
            if let Some(held) = self.taken(held).await
                && let Some(held) = self.unsuspected(held).await
            {
                batches.add(&mut gathered, held);
            }
        }
    }

    /// Once the host drains, gives back what was gathered and left behind while every worker has a batch.
    pub(super) async fn give_back_what_is_left(self: Arc<Self>) {
        self.tasks.drain().cancelled().await;
        if let Some(batches) = &self.batches {
            let mut gathered = batches.turn.lock().await;
            self.give_back(batches, gathered.batches.take_all());
        }
    }

    /// At once, and no retry spent: others may be waiting for them.
    fn give_back(&self, batches: &Batches, pending: Vec<Held>) {
        if pending.is_empty() {
            return;
        }
        let size = pending.len();
        BatchGivenBack { size }.emit(&batches.telemetry);
        for held in pending {
            self.settler.give_back(held);
        }
    }

    /// Makes one call for all of them, and then settles each delivery on its own.
    pub(super) async fn call_with_batch(self: &Arc<Self>, batches: &Batches, mut batch: Vec<Held>) {
        failpoint::reached("batch.gathered");
        // One generation for the whole batch, held to the end of the call.
        let dealt = self.handler.deal();
        let observed = self.handler.observe(&dealt);
        let trace = self.traced_batch(&mut batch);
        if let Some(first) = batch.first_mut() {
            first.hears();
        }
        let envelopes: Vec<_> = batch.iter().map(|held| &held.delivery.envelope).collect();
        let Some(first) = batch.first() else {
            return;
        };
        let label = BatchLabel {
            size: batch.len(),
            first: first.label(),
        };
        let call = Call {
            consumer: &self.plan.name,
            delivery: &label,
            trace: trace.as_ref().map(Handling::carried),
            requester: Some(&self.requester),
            heard: first.heard(),
            notes: observed.as_ref().and_then(Observed::notes),
        };
        let began = Instant::now();
        let answer = dealt.handle_batch(self.plan.schema.as_deref(), &call, &envelopes);
        let ended = self.unless_cut(&batch, pin!(answer)).await;
        let size = batch.len();
        for held in &mut batch {
            held.called(began, &dealt, Some(size));
        }
        let outcomes = match ended {
            Ended::Done(outcomes) => outcomes,
            Ended::Abandoned => return,
            Ended::PassedOn => {
                for held in batch {
                    self.settler.comes_again(held);
                }
                return;
            }
            Ended::Overran(timeout) => return self.overran(batch, began.elapsed(), timeout),
        };
        if let Some(trace) = trace {
            trace.answered();
        }
        let took = began.elapsed();
        BatchAnswered { took }.emit(&batches.telemetry);
        if let Some(reason) = not_made(&outcomes) {
            return self.together_later(batch, reason);
        }
        if let Some(observed) = observed {
            shadowing::copy(observed, &self.plan, &batch, &outcomes, took);
        }
        // In their order, so that what they publish is in order too.
        for (held, outcome) in batch.into_iter().zip(outcomes) {
            self.conclude(held, outcome, &dealt);
            // A large batch lets others work in between.
            consume_budget().await;
        }
    }

    /// Keeps a batch until its call may work, and makes the call again with all that are still there: one by one they
    /// would be as many calls as deliveries, to something that is short of strength already.
    fn together_later(self: &Arc<Self>, batch: Vec<Held>, reason: String) {
        let pipeline = Arc::clone(self);
        self.tasks.spawn_calls(async move {
            let kept = batch
                .into_iter()
                .map(|held| pipeline.kept(held, Trouble::Away(reason.clone())));
            let kept = join_all(kept).await;
            let batch: Vec<_> = kept.into_iter().flatten().collect();
            let acks = batch.last().map(|held| held.delivery.settlement.acks());
            if let (Some(batches), Some(acks)) = (&pipeline.batches, acks) {
                let call = Box::pin(pipeline.call_with_batch(batches, batch));
                pipeline.quarantine.among_others(acks, call).await;
            }
        });
    }
}

/// Why the host could not make the call, where that holds for the whole batch.
fn not_made(outcomes: &[Outcome]) -> Option<String> {
    let mut reasons = outcomes.iter().map(|outcome| match outcome {
        Outcome::HostFault(reason) => Some(reason),
        _ => None,
    });
    let first = reasons.next()??.clone();
    reasons.all(|reason| reason.is_some()).then_some(first)
}

/// The name of a batch in log lines.
struct BatchLabel<'a> {
    size: usize,
    first: Label<'a>,
}

impl fmt::Display for BatchLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch of {} from {}", self.size, self.first)
    }
}
