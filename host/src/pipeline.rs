//! One delivery from top to bottom: the file to read first.
//!
//! A consumer has as many workers as its `concurrency`, or as its `scale` asks for at the moment. Each
//! takes the delivery that `admission` lets in next (or a `batch` of them), lends it to an instance of
//! the component, lets the policy decide what the outcome means, and hands it to `settle`, which carries
//! that out in the order that loses nothing.

mod admission;
mod batch;
mod breaker;
mod bucket;
mod claim;
mod crew;
mod flow;
mod held;
mod leading;
mod order;
mod progress;
mod scaler;
mod settle;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use crate::amqp::Connection;
use crate::config::plan::ConsumerPlan;
use crate::failpoint;
use crate::guest::{Call, Generation, Slot};
use crate::ledger::{Ledger, Ledgers};
use crate::lifecycle::Tasks;
use crate::policy::{self, Disposition, Outcome, REQUEUE_PAUSE};
use crate::store::Store;
use crate::telemetry::{ConsumerTelemetry, DeliveryAbandoned, Telemetry};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;

use self::admission::Admission;
use self::batch::Batches;
pub use self::crew::Roster;
use self::crew::{Crew, Seat};
pub use self::flow::Flow;
use self::held::Held;
use self::leading::Leading;
use self::progress::Progress;
use self::settle::Settler;

/// One consumer of the plan, at work.
pub struct Pipeline {
    plan: Arc<ConsumerPlan>,
    slot: Arc<Slot>,
    connection: Arc<Connection>,
    admission: Admission,
    ledger: Option<Arc<Ledger>>,
    settler: Arc<Settler>,
    /// Where it reads a stream.
    progress: Option<Arc<Progress>>,
    /// None: the component is handed single deliveries.
    batches: Option<Batches>,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

impl Pipeline {
    /// Joins a queue and a component. `store` has what outlives the host.
    pub fn new(
        plan: &Arc<ConsumerPlan>,
        connection: &Arc<Connection>,
        slot: Arc<Slot>,
        store: &Arc<dyn Store>,
        (tasks, whole): (&Tasks, &Telemetry),
    ) -> Arc<Self> {
        let batches = Batches::of(plan, whole);
        let telemetry = Arc::new(whole.consumer(&plan.name, &plan.component));
        let admission = Admission::new(plan, connection, &telemetry, tasks);
        let ledgers = Ledgers::of(plan, connection.vhost(), store, tasks, |of| {
            whole.ledger(&plan.name, of)
        });
        Arc::new(Self {
            plan: Arc::clone(plan),
            slot,
            connection: Arc::clone(connection),
            progress: Progress::of(
                (plan, connection.vhost()),
                admission.subscription(),
                store,
                (tasks, whole),
            ),
            admission,
            ledger: ledgers.deliveries,
            settler: Arc::new(Settler::new(
                plan,
                connection,
                ledgers.publications,
                (&telemetry, tasks),
            )),
            batches,
            telemetry,
            tasks: tasks.clone(),
        })
    }

    /// Pauses it, and tells whether it consumes.
    pub fn flow(&self) -> &Arc<Flow> {
        self.admission.flow()
    }

    /// What is told of its deliveries.
    pub fn telemetry(&self) -> &Arc<ConsumerTelemetry> {
        &self.telemetry
    }

    /// Starts the workers, and what scales them; tells how many there are.
    pub fn start(self: &Arc<Self>) -> watch::Receiver<Roster> {
        if let Some(progress) = &self.progress {
            progress.start(&self.slot);
        }
        if self.plan.pause_on.is_some() {
            let keeping_time = Arc::clone(self.flow()).keep_time(self.tasks.clone());
            self.tasks.spawn_service(keeping_time);
        }
        let pipeline = Arc::clone(self);
        let crew = Crew::new(
            move |seat| Box::pin(Arc::clone(&pipeline).work(seat)),
            &self.slot,
            &self.telemetry,
            &self.tasks,
        );
        let Some(plan) = self.plan.scale.clone() else {
            crew.resize(self.plan.concurrency);
            return crew.roster();
        };
        crew.resize(plan.min);
        let roster = crew.roster();
        let drain = self.tasks.drain().clone();
        let scaling = scaler::scale(plan, Arc::clone(self), crew);
        self.tasks.spawn_service(async move {
            tokio::select! {
                () = drain.cancelled() => {}
                () = scaling => {}
            }
        });
        roster
    }

    /// Handles one delivery, or one batch, after the other, until the host drains or this worker is too
    /// many.
    async fn work(self: Arc<Self>, seat: &mut Seat) {
        if let Some(progress) = &self.progress
            && !progress.resume(self.admission.subscription()).await
        {
            return;
        }
        if let Some(batches) = &self.batches {
            return Box::pin(self.work_in_batches(batches, seat)).await;
        }
        let mut leading = Leading::default();
        loop {
            let next = self.admission.next(leading.lead());
            let Some(held) = seat.next(pin!(next)).await else {
                return;
            };
            let _toiling = seat.toil(1);
            let handling = async {
                if let Some(held) = self.taken(held).await {
                    self.call(held).await;
                }
            };
            leading.during(pin!(handling)).await;
        }
    }

    /// What stands between the arrival of a delivery and the call, which is the same for a single one
    /// and for one of a batch; none where it is not to be handled now.
    async fn taken(self: &Arc<Self>, held: Held) -> Option<Held> {
        failpoint::reached("delivery.received");
        if let Some(progress) = &self.progress
            && let Err(fault) = progress.begun().await
        {
            let disposition = Disposition::Requeue {
                pause: REQUEUE_PAUSE,
                reason: format!("the stream's offset cannot be kept: {fault}"),
            };
            self.settle(held, disposition);
            return None;
        }
        self.claimed(held).await
    }

    /// Has the component handle a delivery that is no repeat, and settles it. Where it takes batches,
    /// this one is a batch by itself.
    async fn call(self: &Arc<Self>, held: Held) {
        if let Some(batches) = &self.batches {
            return self.call_with_batch(batches, vec![held]).await;
        }
        // Held to the end of the call: a swap never changes code under a delivery.
        let generation = self.slot.deal();
        let label = held.label();
        let call = Call {
            consumer: &self.plan.name,
            delivery: &label,
        };
        let answer = generation.handle(&call, &held.delivery.envelope);
        let Some(outcome) = self.unless_abandoned([&held], pin!(answer)).await else {
            return;
        };
        self.telemetry.answered(&held.in_hand);
        self.conclude(held, outcome, &generation);
    }

    /// What follows from the component's answer to one delivery.
    fn conclude(self: &Arc<Self>, held: Held, outcome: Outcome, generation: &Arc<Generation>) {
        failpoint::reached("delivery.handled");
        if !matches!(outcome, Outcome::HostFault(_)) {
            let handled = matches!(outcome, Outcome::Handled(_));
            self.slot.saw(generation, handled);
        }
        let attempt = held.delivery.envelope.attempt;
        let disposition = policy::decide(outcome, attempt, &self.plan.retry);
        match self.plan.on_its_queue(disposition) {
            Disposition::Ack if held.lease.is_none() => self.settler.acknowledge(held),
            disposition => self.settle(held, disposition),
        }
    }

    /// Settles aside whatever the broker has to confirm first, while the worker goes on.
    fn settle(self: &Arc<Self>, held: Held, disposition: Disposition) {
        let settler = Arc::clone(&self.settler);
        let mut settling = Box::pin(settler.settle(held, disposition));
        // Polled once here, so that what it publishes is in line behind what this worker published
        // before: confirmations overlap, the order stays. Whatever the worker has done in its turn: one
        // that had to let others work first would not be in line yet.
        if unconstrained(settling.as_mut()).now_or_never().is_none() {
            // The channel closes with the subscription, so the subscription stays until then.
            let pipeline = Arc::clone(self);
            self.tasks.spawn_work(async move {
                settling.await;
                drop(pipeline);
            });
        }
    }

    /// None once the host wants its deliveries dropped where they stand: the broker hands them out
    /// again.
    async fn unless_abandoned<'a, T>(
        &self,
        in_hand: impl IntoIterator<Item = &'a Held>,
        work: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let done = self.tasks.unless_abandoned(work).await;
        if done.is_none() {
            for held in in_hand {
                DeliveryAbandoned {
                    delivery: &held.label().to_string(),
                    after: held.in_hand.elapsed(),
                }
                .emit(&self.telemetry);
            }
        }
        done
    }
}
