//! One delivery from top to bottom: the file to read first.
//!
//! A consumer has as many workers as its `concurrency`. Each takes the delivery that `admission`
//! lets in next, lends it to an instance of the component, lets the policy decide what the outcome
//! means, and hands it to `settle`, which carries that out in the order that loses nothing.

mod admission;
mod claim;
mod held;
mod settle;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use crate::amqp::{Connection, ConsumerWatch};
use crate::config::plan::ConsumerPlan;
use crate::failpoint;
use crate::guest::{Call, Slot};
use crate::ledger::{Ledger, Ledgers};
use crate::lifecycle::Tasks;
use crate::policy::{self, Disposition, Outcome};
use crate::telemetry::{ConsumerTelemetry, DeliveryAbandoned, Telemetry};
use futures_util::FutureExt;

use self::admission::Admission;
use self::held::Held;
use self::settle::Settler;

/// One consumer of the plan, at work.
pub struct Pipeline {
    plan: ConsumerPlan,
    slot: Arc<Slot>,
    admission: Admission,
    ledger: Option<Arc<Ledger>>,
    settler: Arc<Settler>,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

impl Pipeline {
    /// Joins a queue and a component.
    pub fn new(
        plan: &ConsumerPlan,
        connection: &Arc<Connection>,
        slot: Arc<Slot>,
        ledgers: Ledgers,
        (tasks, telemetry): (&Tasks, &Telemetry),
    ) -> Arc<Self> {
        let telemetry = Arc::new(telemetry.consumer(&plan.name, &plan.component));
        Arc::new(Self {
            plan: plan.clone(),
            slot,
            admission: Admission::new(connection.subscribe(plan, tasks), &telemetry),
            ledger: ledgers.deliveries,
            settler: Arc::new(Settler::new(
                plan,
                connection,
                ledgers.publications,
                (&telemetry, tasks),
            )),
            telemetry,
            tasks: tasks.clone(),
        })
    }

    /// Tells whether its consumer consumes.
    pub fn watch(&self) -> ConsumerWatch {
        self.admission.watch()
    }

    /// Starts the workers.
    pub fn start(self: &Arc<Self>) {
        for _ in 0..self.plan.concurrency {
            let pipeline = Arc::clone(self);
            self.tasks.spawn_work(async move {
                // A fault of the host in one delivery must not leave its consumer a worker short; the
                // delivery was dropped unsettled, and comes again when the channel closes.
                while AssertUnwindSafe(pipeline.work()).catch_unwind().await.is_err() {
                    tracing::error!(
                        consumer = &*pipeline.plan.name,
                        "a worker panicked, which is a fault of the host; it goes on with the next delivery"
                    );
                }
            });
        }
    }

    /// Handles one delivery after the other until the host drains.
    async fn work(self: &Arc<Self>) {
        while let Some(held) = self.admission.next().await {
            self.handle(held).await;
        }
    }

    /// One delivery, from its arrival until it is settled or on its way to be.
    async fn handle(self: &Arc<Self>, held: Held) {
        failpoint::reached("delivery.received");
        if let Some(held) = self.claimed(held).await {
            self.call(held).await;
        }
    }

    /// Has the component handle a delivery that is no repeat, and settles it.
    async fn call(self: &Arc<Self>, held: Held) {
        // Held to the end of the call: a swap never changes code under a delivery.
        let generation = self.slot.deal();
        let label = held.label();
        let call = Call {
            consumer: &self.plan.name,
            delivery: &label,
        };
        let answer = generation.handle(&call, &held.delivery.envelope);
        let Some(outcome) = self.unless_abandoned(&held, answer).await else {
            return;
        };
        self.telemetry.answered(&held.in_hand);
        failpoint::reached("delivery.handled");
        if !matches!(outcome, Outcome::HostFault(_)) {
            let handled = matches!(outcome, Outcome::Handled(_));
            self.slot.saw(&generation, handled);
        }
        let attempt = held.delivery.envelope.attempt;
        match policy::decide(outcome, attempt, &self.plan.retry) {
            Disposition::Ack if held.lease.is_none() => self.settler.acknowledge(held),
            disposition => self.settle(held, disposition),
        }
    }

    /// Settles aside whatever the broker has to confirm first, while the worker goes on.
    fn settle(self: &Arc<Self>, held: Held, disposition: Disposition) {
        let settler = Arc::clone(&self.settler);
        let mut settling = Box::pin(settler.settle(held, disposition));
        // Polled once here, so that what it publishes is in line behind what this worker published
        // before: confirmations overlap, the order stays.
        if settling.as_mut().now_or_never().is_none() {
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
    async fn unless_abandoned<T>(&self, held: &Held, work: impl Future<Output = T>) -> Option<T> {
        let done = self.tasks.unless_abandoned(pin!(work)).await;
        if done.is_none() {
            DeliveryAbandoned {
                delivery: &held.label().to_string(),
                after: held.in_hand.elapsed(),
            }
            .emit(&self.telemetry);
        }
        done
    }
}
