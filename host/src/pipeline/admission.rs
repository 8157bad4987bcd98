//! The step between a subscription and its workers: which delivery is handled next, and when.
//!
//! A consumer without order and without a rate is not slowed by it: its workers wait at the subscription
//! itself. Otherwise one of them holds the receive turn at a time, as there, and chooses for all.

use std::sync::Arc;

use hive_amqp::{Delivery, Lead, Subscription};
use hive_core::rate::Bucket;
use hive_lifecycle::Tasks;
use hive_telemetry::ConsumerTelemetry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::flow::Flow;
use super::held::{Held, Label};
use super::keeping::Patience;
use super::order::{Order, Turn};
use super::services::Common;

/// Lets deliveries in, one at a time for each worker that is free.
pub(super) struct Admission {
    flow: Arc<Flow>,
    order: Option<Arc<Order>>,
    /// Held by the worker with the receive turn. `None` if there is no rate.
    bucket: Mutex<Option<Bucket>>,
    /// Whether anything is to be chosen or waited for here.
    is_plain: bool,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

impl Admission {
    pub(super) fn new(common: &Common<'_>, flow: &Arc<Flow>, order: Option<Arc<Order>>) -> Self {
        let rate = common.plan.rate;
        let bucket = rate.map(|rate| Bucket::new(&rate, Instant::now().into_std()));
        Self {
            flow: Arc::clone(flow),
            is_plain: order.is_none() && bucket.is_none(),
            order,
            bucket: Mutex::new(bucket),
            telemetry: Arc::clone(common.telemetry),
            tasks: common.services.tasks.clone(),
        }
    }

    /// The next delivery of `subscription`; `None` once the host drains. Any number of workers may wait here, and
    /// dropping the future loses no delivery. `lead` is that of the subscription; if there is a choice to make, no worker
    /// keeps it.
    pub(super) async fn next<'a>(
        &self,
        subscription: &'a Subscription,
        lead: &mut Lead<'a>,
    ) -> Option<Held> {
        if self.is_plain {
            return Some(self.hold(self.next_live(subscription, lead).await?, None));
        }
        tokio::select! {
            biased;
            () = self.tasks.drain().cancelled() => None,
            held = self.lead(subscription) => held,
        }
    }

    async fn lead(&self, subscription: &Subscription) -> Option<Held> {
        let mut bucket = self.bucket.lock().await;
        if let Some(bucket) = &*bucket {
            tokio::time::sleep_until(bucket.next().into()).await;
        }
        let (delivery, turn) = self.choose(subscription).await?;
        if let Some(bucket) = &mut *bucket {
            bucket.take(Instant::now().into_std());
        }
        Some(self.hold(delivery, turn))
    }

    async fn choose(&self, subscription: &Subscription) -> Option<(Box<Delivery>, Option<Turn>)> {
        let Some(order) = &self.order else {
            return Some((
                self.next_live(subscription, &mut Lead::default()).await?,
                None,
            ));
        };
        loop {
            let mut lead = Lead::default();
            // Before anything that is still to arrive: all that waits is older.
            if let Some((delivery, turn)) = order.take() {
                if delivery.settlement.is_live() {
                    return Some((delivery, Some(turn)));
                }
                turn.give_up(&delivery);
                self.flow.missed();
                continue;
            }
            tokio::select! {
                biased;
                () = order.changed() => {}
                delivery = self.next_live(subscription, &mut lead) => if let Some(out) = order.arrive(delivery?) {
                    return Some(out);
                }
            }
        }
    }

    /// Settling any other cannot reach the broker any more, and it will be handed out again.
    async fn next_live<'a>(
        &self,
        subscription: &'a Subscription,
        lead: &mut Lead<'a>,
    ) -> Option<Box<Delivery>> {
        loop {
            let delivery = subscription.next(lead).await?;
            if delivery.settlement.is_live() {
                return Some(delivery);
            }
            self.flow.missed();
        }
    }

    /// From here on the delivery has a settlement duty.
    fn hold(&self, delivery: Box<Delivery>, turn: Option<Turn>) -> Held {
        let attempt = delivery.envelope.attempt.get();
        let in_hand = self.telemetry.arrived(&Label::of(&delivery), attempt);
        Held {
            delivery,
            in_hand,
            lease: None,
            patience: Patience::default(),
            watched: self.flow.watched(),
            turn,
            watcher: None,
            trace: None,
        }
    }
}
