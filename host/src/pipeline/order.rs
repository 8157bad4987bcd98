//! Deliveries of one key one at a time and in order: `ordered_by`.
//!
//! Each key has a lane. The delivery that is being handled holds a [`Turn`] until it is settled, and those
//! behind it wait here, without a worker, so that workers continue with other keys. A delivery that will be
//! retried is kept here too, with its lane, because a message that goes back to its queue is overtaken by those
//! behind it. All waiting deliveries are unacknowledged: if the host dies, or its channel does, the broker
//! redelivers them in the order of the queue.

mod lanes;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hive_amqp::{Delivery, Fingerprint};
use hive_config::plan::{OrderedRetry, OrderingPlan};
use hive_core::holding::LONGEST_HOLD;
use hive_core::message::Attempt;
use hive_core::message_key::Key;
use hive_core::policy::Disposition;
use hive_core::recent::Recent;
use hive_telemetry::ConsumerTelemetry;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::lanes::{LaneKey, Lanes};
use super::recall::MOST_REMEMBERED;

/// The lanes of one consumer.
#[derive(Debug)]
pub(super) struct Order {
    by: Key,
    retry: OrderedRetry,
    lanes: Mutex<State>,
    /// A lane's turn has come, or will come at another time than was known.
    changed: Notify,
    telemetry: Arc<ConsumerTelemetry>,
}

#[derive(Debug)]
struct State {
    lanes: Lanes<Parked>,
    /// The attempts of messages that were held for another try and then went back to their queue, which
    /// hands them out as they were published.
    attempts: Recent<Fingerprint, Attempt>,
    is_open: bool,
}

/// A delivery that waits.
#[derive(Debug)]
struct Parked {
    delivery: Box<Delivery>,
    since: Instant,
}

/// The right to be handled, of one delivery of its key. Dropped, it is the next one's.
#[derive(Debug)]
pub(super) struct Turn {
    order: Arc<Order>,
    /// The lane; `None` once the delivery left it for another attempt.
    lane: Option<LaneKey>,
    /// When its delivery arrived.
    since: Instant,
}

impl Order {
    pub(super) fn new(plan: &OrderingPlan, telemetry: &Arc<ConsumerTelemetry>) -> Arc<Self> {
        Arc::new(Self {
            by: plan.by.clone(),
            retry: plan.retry,
            lanes: Mutex::new(State {
                lanes: Lanes::default(),
                attempts: Recent::of(MOST_REMEMBERED),
                is_open: true,
            }),
            changed: Notify::new(),
            telemetry: Arc::clone(telemetry),
        })
    }

    /// A delivery has arrived: it is to be handled now, or waits here. One without the key belongs
    /// to no order.
    pub(super) fn arrive(
        self: &Arc<Self>,
        delivery: Box<Delivery>,
    ) -> Option<(Box<Delivery>, Option<Turn>)> {
        let Some(key) = self.by.of(&delivery.envelope) else {
            return Some((delivery, None));
        };
        let parked = Parked {
            delivery,
            since: Instant::now(),
        };
        let mut state = self.lock();
        // It arrived as the consumer was paused, and goes back with the rest.
        if !state.is_open {
            return None;
        }
        let out = state.lanes.arrive(key, parked);
        self.told(&state);
        drop(state);
        let (delivery, turn) = self.hand_out(out?);
        Some((delivery, Some(turn)))
    }

    /// A delivery whose turn has come. Its channel may be gone meanwhile.
    pub(super) fn take(self: &Arc<Self>) -> Option<(Box<Delivery>, Turn)> {
        let mut state = self.lock();
        let taken = state.lanes.take(Instant::now())?;
        self.told(&state);
        drop(state);
        Some(self.hand_out(taken))
    }

    /// Waits until there may be something to take.
    pub(super) async fn changed(&self) {
        let next = self.lock().lanes.next_held();
        let changed = self.changed.notified();
        match next {
            None => changed.await,
            Some(at) => tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(at) => {}
            },
        }
    }

    /// From now on nothing is kept, because the consumer is paused: what waits here goes back to its
    /// queue when its channel closes, in the order of the queue.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_open = false;
        let given_up = state.lanes.clear();
        for parked in &given_up {
            state.remember(&parked.delivery);
        }
        self.told(&state);
        drop(state);
        drop(given_up);
    }

    /// The consumer resumes.
    pub(super) fn open(&self) {
        self.lock().is_open = true;
    }

    fn hand_out(self: &Arc<Self>, (lane, parked): (LaneKey, Parked)) -> (Box<Delivery>, Turn) {
        let Parked {
            mut delivery,
            since,
            ..
        } = parked;
        let envelope = &delivery.envelope;
        let mut state = self.lock();
        if envelope.redelivered && !state.attempts.is_empty() {
            // Nothing else says which one the broker hands out again.
            let fingerprint = delivery.original.fingerprint(&envelope.message.body);
            if let Some(attempt) = state.attempts.take(&fingerprint) {
                delivery.envelope.attempt = attempt.max(delivery.envelope.attempt);
            }
        }
        drop(state);
        let turn = Turn {
            order: Arc::clone(self),
            lane: Some(lane),
            since,
        };
        (delivery, turn)
    }

    fn told(&self, state: &State) {
        self.telemetry.waits_in_lanes(state.lanes.waiting());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.lanes.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl State {
    /// The broker redelivers it as it was published, which would start its attempts again.
    fn remember(&mut self, delivery: &Delivery) {
        let Delivery {
            envelope, original, ..
        } = delivery;
        if envelope.attempt > Attempt::FIRST {
            let fingerprint = original.fingerprint(&envelope.message.body);
            self.attempts.note(fingerprint, envelope.attempt);
        }
    }
}

impl Turn {
    /// Whether a delivery with this disposition is kept here, and for how long: what goes back to its
    /// queue, or through a delay queue, is overtaken by those behind it.
    pub(super) fn keeps(&self, disposition: &Disposition) -> Option<Duration> {
        if self.order.retry != OrderedRetry::Hold {
            return None;
        }
        let delay = disposition.retry_delay()?;
        let held = self.since.elapsed().checked_add(delay)?;
        (held <= LONGEST_HOLD).then_some(delay)
    }

    /// Keeps the delivery, and its lane with it, for another try after `delay`. While the consumer is
    /// paused it goes back to its queue instead.
    pub(super) fn hold(mut self, delivery: Box<Delivery>, delay: Duration) {
        let order = Arc::clone(&self.order);
        let mut state = order.lock();
        if !state.is_open {
            state.remember(&delivery);
            return;
        }
        let parked = Parked {
            delivery,
            since: self.since,
        };
        if let Some(lane) = self.lane.take() {
            state.lanes.hold(lane, parked, Instant::now() + delay);
        }
        order.told(&state);
        drop(state);
        order.changed.notify_one();
    }

    /// The delivery cannot be settled any more: the broker hands it out again, before those behind it.
    pub(super) fn give_up(self, delivery: &Delivery) {
        self.order.lock().remember(delivery);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.order.lock().lanes.release(&lane);
            self.order.changed.notify_one();
        }
    }
}
