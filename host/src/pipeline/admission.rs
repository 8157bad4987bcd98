//! The step between a subscription and its workers: which delivery is handled next, and when.
//!
//! A delivery passes the order of its key first (`order`), and then the limits of its keys (`by_key`): what waits for
//! an earlier one of its key takes no place of a limit.
//!
//! A consumer without order, limits and a rate is not slowed by it: its workers wait at the subscription
//! itself. Otherwise one of them holds the receive turn at a time, as there, and chooses for all.

use std::sync::Arc;

use hive_amqp::{Delivery, Lead, Subscription};
use hive_core::rate::Bucket;
use hive_lifecycle::Tasks;
use hive_telemetry::ConsumerTelemetry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::by_key::{ByKey, Limitable, Place};
use super::flow::Flow;
use super::held::{Held, Label};
use super::keeping::Patience;
use super::order::Order;
use super::services::Common;
use crate::tail::Notes;

/// Lets deliveries in, one at a time for each worker that is free.
pub(super) struct Admission {
    flow: Arc<Flow>,
    order: Option<Arc<Order>>,
    by_key: Option<Arc<ByKey>>,
    /// Held by the worker with the receive turn. `None` if there is no rate.
    bucket: Mutex<Option<Bucket>>,
    /// Whether anything is to be chosen or waited for here.
    is_plain: bool,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

impl Admission {
    pub(super) fn new(
        common: &Common<'_>,
        flow: &Arc<Flow>,
        order: Option<Arc<Order>>,
        by_key: Option<Arc<ByKey>>,
    ) -> Self {
        let rate = common.plan.rate;
        let bucket = rate.map(|rate| Bucket::new(&rate, Instant::now().into_std()));
        Self {
            flow: Arc::clone(flow),
            is_plain: order.is_none() && by_key.is_none() && bucket.is_none(),
            order,
            by_key,
            bucket: Mutex::new(bucket),
            telemetry: Arc::clone(common.telemetry),
            tasks: common.services.tasks.clone(),
        }
    }

    /// The limits of each key.
    pub(super) fn by_key(&self) -> Option<&Arc<ByKey>> {
        self.by_key.as_ref()
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
            let one = Limitable {
                delivery: self.next_live(subscription, lead).await?,
                turn: None,
            };
            return Some(self.hold(one, None));
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
        let (one, place) = self.choose(subscription).await?;
        if let Some(bucket) = &mut *bucket {
            bucket.take(Instant::now().into_std());
        }
        Some(self.hold(one, place))
    }

    async fn choose(&self, subscription: &Subscription) -> Option<(Limitable, Option<Place>)> {
        if self.order.is_none() && self.by_key.is_none() {
            let delivery = self.next_live(subscription, &mut Lead::default()).await?;
            return Some((
                Limitable {
                    delivery,
                    turn: None,
                },
                None,
            ));
        }
        loop {
            // Before anything that is still to arrive: all that waits is older.
            if let Some(next) = self.waiting() {
                return Some(next);
            }
            let mut lead = Lead::default();
            tokio::select! {
                biased;
                () = self.changed() => {}
                delivery = self.next_live(subscription, &mut lead) => {
                    if let Some(next) = self.arrived(delivery?) {
                        return Some(next);
                    }
                }
            }
        }
    }

    /// A delivery that waits in the host and may be handled now.
    fn waiting(&self) -> Option<(Limitable, Option<Place>)> {
        if let Some(next) = self.allowed() {
            return Some(next);
        }
        let order = self.order.as_ref()?;
        while let Some((delivery, turn)) = order.take() {
            let one = Limitable {
                delivery,
                turn: Some(turn),
            };
            if !one.delivery.settlement.is_live() {
                one.give_up();
                self.flow.missed();
                continue;
            }
            if let Some(next) = self.limited(one) {
                return Some(next);
            }
        }
        None
    }

    /// A delivery that may be handled now that this one has arrived.
    fn arrived(&self, delivery: Box<Delivery>) -> Option<(Limitable, Option<Place>)> {
        let (delivery, turn) = match &self.order {
            None => (delivery, None),
            Some(order) => order.arrive(delivery)?,
        };
        self.limited(Limitable { delivery, turn })
    }

    /// A delivery that may be handled now that the order has let this one go.
    fn limited(&self, one: Limitable) -> Option<(Limitable, Option<Place>)> {
        match &self.by_key {
            None => Some((one, None)),
            Some(by_key) => match by_key.arrive(one) {
                Some(unlimited) => Some((unlimited, None)),
                None => self.allowed(),
            },
        }
    }

    /// A delivery that the limits of its keys let go.
    fn allowed(&self) -> Option<(Limitable, Option<Place>)> {
        let by_key = self.by_key.as_ref()?;
        loop {
            let (one, place) = by_key.take()?;
            if one.delivery.settlement.is_live() {
                return Some((one, place));
            }
            one.give_up();
            self.flow.missed();
        }
    }

    /// Resolves when one that waits may be handled.
    async fn changed(&self) {
        let ordered = async {
            match &self.order {
                Some(order) => order.changed().await,
                None => std::future::pending().await,
            }
        };
        let allowed = async {
            match &self.by_key {
                Some(by_key) => by_key.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ordered => {}
            () = allowed => {}
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
    pub(super) fn hold(&self, one: Limitable, place: Option<Place>) -> Held {
        let Limitable { delivery, turn } = one;
        let attempt = delivery.envelope.attempt.get();
        let in_hand = self.telemetry.arrived(&Label::of(&delivery), attempt);
        Held {
            delivery,
            in_hand,
            lease: None,
            patience: Patience::default(),
            watched: self.flow.watched(),
            place,
            turn,
            watcher: None,
            trace: None,
            notes: Notes::None,
        }
    }
}
