//! One delivery from top to bottom: the file to read first.
//!
//! A consumer has as many workers as its `concurrency`. Each takes a delivery off the consumer's
//! subscription, lends it to an instance of the component, lets the policy decide what the outcome
//! means, and hands it to [`settle`], which carries that out in the order that loses nothing.

pub mod settle;

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{self, Either, FutureExt};
use tokio::time::Instant;

use crate::amqp::{Delivery, Subscription};
use crate::guest::{Call, Slot};
use crate::lifecycle::Tasks;
use crate::policy;
use crate::telemetry::DeliveryAbandoned;

use settle::Settler;

/// One consumer of the plan, at work.
pub struct Pipeline {
    consumer: Arc<str>,
    component: Arc<str>,
    slot: Arc<Slot>,
    subscription: Subscription,
    settler: Arc<Settler>,
    tasks: Tasks,
}

impl Pipeline {
    /// Joins a subscription, a component and the way out.
    pub fn new(
        consumer: Arc<str>,
        component: Arc<str>,
        slot: Arc<Slot>,
        subscription: Subscription,
        settler: Settler,
        tasks: &Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            consumer,
            component,
            slot,
            subscription,
            settler: Arc::new(settler),
            tasks: tasks.clone(),
        })
    }

    /// Starts `concurrency` workers.
    pub fn start(self: &Arc<Self>, concurrency: u16) {
        for _ in 0..concurrency {
            let pipeline = Arc::clone(self);
            self.tasks.spawn_work(async move { pipeline.work().await });
        }
    }

    /// Handles one delivery after the other until the host drains.
    async fn work(&self) {
        let mut abandoned = pin!(self.tasks.abandon().cancelled());
        while let Some(delivery) = self.subscription.next().await {
            let begun = Instant::now();
            let label = delivery.label();
            let handled = pin!(self.handle(delivery, begun));
            if let Either::Right(_) = future::select(handled, abandoned.as_mut()).await {
                // The delivery was dropped unsettled, so the broker hands it out again.
                DeliveryAbandoned {
                    consumer: &self.consumer,
                    component: &self.component,
                    delivery: &label.to_string(),
                    after: begun.elapsed(),
                }
                .emit();
                return;
            }
        }
    }

    /// One delivery, from its arrival until it is settled or on its way to be.
    async fn handle(&self, delivery: Delivery, begun: Instant) {
        // Held to the end of the call: a swap never changes code under a delivery.
        let generation = self.slot.current();
        let call = Call {
            consumer: &self.consumer,
            delivery: delivery.label(),
        };
        let outcome = generation.handle(&call, &delivery.envelope).await;
        let disposition =
            policy::decide(outcome, delivery.envelope.attempt, self.settler.retry_policy());

        let mut settling = Box::pin(Arc::clone(&self.settler).settle(delivery, disposition, begun));
        // Polled once here, so that what it publishes is in line behind what this worker published
        // before; the confirmations are then waited for aside, while the worker goes on.
        if settling.as_mut().now_or_never().is_none() {
            self.tasks.spawn_work(settling);
        }
    }
}
