//! Batches: deliveries gathered by size and time, handed over in one call, settled one by one.
//!
//! One worker gathers at a time, so that a batch holds consecutive deliveries; once it is due the next worker
//! gathers while this one has its batch handled. Gathered deliveries are unacknowledged and held by the
//! gatherer only: they go back as they came if the host stops, or if their channel dies, before the component
//! has seen them.

mod gathering;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use hive_amqp::Lead;
use hive_config::plan::{BatchPlan, ConsumerPlan};
use hive_lifecycle::failpoint;
use hive_otlp::Handling;
use hive_sandbox::Call;
use hive_telemetry::{BatchAnswered, BatchGivenBack, BatchHanded, BatchTelemetry, Telemetry};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use self::gathering::Gathering;
use super::crew::Seat;
use super::held::{Held, Label};
use super::{Ended, Pipeline};

/// State shared by the workers of a consumer with batches.
pub(super) struct Batches {
    rule: BatchPlan,
    /// Whose turn it is to gather.
    turn: Mutex<()>,
    telemetry: BatchTelemetry,
}

impl Batches {
    /// `None` for a consumer without batches.
    pub(super) fn of(plan: &ConsumerPlan, telemetry: &Telemetry) -> Option<Self> {
        Some(Self {
            rule: plan.batch?,
            turn: Mutex::new(()),
            telemetry: telemetry.batches(&plan.name, &plan.table, plan.handler.name()),
        })
    }

    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        Some(self.turn.lock().await)
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
        _turn: MutexGuard<'_, ()>,
    ) -> Option<Vec<Held>> {
        let mut gathering = Gathering::new(batches.rule);
        loop {
            if let Some(reason) = gathering.due(Instant::now()) {
                if drop_stale(&mut gathering) {
                    continue;
                }
                let batch = gathering.take();
                let size = batch.len();
                BatchHanded { size, reason }.emit(&batches.telemetry);
                return Some(batch);
            }
            let mut lead = Lead::default();
            let next = self.admission.next(&self.subscription, &mut lead);
            let next = match gathering.deadline() {
                None => next.await,
                // Dropped in its wait it has lost no delivery.
                Some(deadline) => match timeout_at(deadline, next).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            lead.give_up();
            let Some(held) = next else {
                self.give_back(batches, gathering.take());
                return None;
            };
            // Before anything is claimed for this one, which may be one of those, come again.
            if gathering.last().is_some_and(is_stale) {
                drop_stale(&mut gathering);
            }
            // A batch excludes repeats, deliveries that wait for another one of their key, and suspects.
            if let Some(held) = self.taken(held).await
                && let Some(held) = self.unsuspected(held).await
            {
                gathering.add(held, Instant::now());
            }
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
        let trace = self.traced_batch(&mut batch);
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
        };
        let began = Instant::now();
        let answer = dealt.handle_batch(self.plan.schema.as_deref(), &call, &envelopes);
        let ended = self.unless_cut(&batch, pin!(answer)).await;
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
        // In their order, so that what they publish is in order too.
        for (held, outcome) in batch.into_iter().zip(outcomes) {
            self.conclude(held, outcome, &dealt);
            // A large batch lets others work in between.
            consume_budget().await;
        }
    }
}

/// Whether a delivery cannot be settled any more: its channel is gone.
fn is_stale(held: &Held) -> bool {
    !held.delivery.settlement.is_live()
}

/// Drops what cannot be settled any more, if there is any: the broker hands it out again.
fn drop_stale(gathering: &mut Gathering<Held>) -> bool {
    let deliveries = gathering.keep(|held| !is_stale(held));
    if deliveries > 0 {
        tracing::debug!(
            deliveries,
            "the channel of an unfinished batch is gone; its deliveries are dropped here"
        );
    }
    deliveries > 0
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
