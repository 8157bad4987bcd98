//! Limits of each key: `concurrency_by` and `rate_by`.
//!
//! A delivery whose key is at its limit waits here, without a worker, so that workers continue with other keys. It is
//! unacknowledged: if the host dies, or its channel does, the broker redelivers it. Which delivery goes next is
//! decided by a [`Room`], pure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_amqp::{Acks, Delivery};
use hive_core::by_key::{KeyValue, Limits, MOST_RATES, Room};
use hive_core::holding::LONGEST_HOLD;
use hive_telemetry::ConsumerTelemetry;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::order::Turn;
use crate::status::{Limited, LimitedKey};

/// How often the deliveries that wait are looked at, for those that have waited too long.
pub(super) const LOOKED_AT: Duration = Duration::from_secs(1);

/// Shorter floods are no news.
const REPORTED_AFTER: Duration = Duration::from_secs(3);

/// The most keys that the status names.
const MOST_SHOWN: usize = 10;

/// The limits of one consumer, and the deliveries that wait for them.
#[derive(Debug)]
pub struct ByKey {
    limits: Limits,
    state: Mutex<State>,
    /// A delivery may be able to go.
    changed: Notify,
    telemetry: Arc<ConsumerTelemetry>,
}

#[derive(Debug)]
struct State {
    room: Room<Limitable>,
    stand: Stand,
    /// The channel of the one that arrived last.
    channel: Option<Acks>,
    /// Since when those that wait fill the prefetch, and whether that was reported.
    full: Option<(Instant, bool)>,
}

/// Whether deliveries may wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Open,
    /// The consumer is paused.
    Closed,
    /// The host drains.
    Left,
}

/// A delivery that waits, or that has just arrived.
#[derive(Debug)]
pub(super) struct Limitable {
    pub(super) delivery: Box<Delivery>,
    /// Where its key is kept in order.
    pub(super) turn: Option<Turn>,
}

/// The right of one delivery to be handled, of those that its key has. Dropped, it is another one's.
#[derive(Debug)]
pub(super) struct Place {
    by_key: Arc<ByKey>,
    key: KeyValue,
}

impl ByKey {
    /// `None` for a consumer without limits.
    pub(super) fn of(limits: Limits, telemetry: &Arc<ConsumerTelemetry>) -> Option<Arc<Self>> {
        if limits.is_none() {
            return None;
        }
        let state = State {
            room: Room::new(&limits, MOST_RATES),
            stand: Stand::Open,
            channel: None,
            full: None,
        };
        Some(Arc::new(Self {
            limits,
            state: Mutex::new(state),
            changed: Notify::new(),
            telemetry: Arc::clone(telemetry),
        }))
    }

    /// A delivery has arrived. It is given back if no limit applies to it; otherwise it comes out of [`ByKey::take`].
    pub(super) fn arrive(&self, mut one: Limitable) -> Option<Limitable> {
        let Some(keys) = self.limits.keys_of(&one.delivery.envelope) else {
            return Some(one);
        };
        let mut state = self.lock();
        let stale = state.stale_beside(&one);
        match state.stand {
            Stand::Open => {
                one.delivery.settlement.park();
                state.room.arrive(keys, one, Instant::now().into_std());
                self.told(&state);
                drop(state);
            }
            // It arrived as the consumer was paused, and goes back with the rest.
            Stand::Closed => {
                drop(state);
                one.give_up();
            }
            Stand::Left => {
                drop(state);
                one.go_back();
            }
        }
        stale.into_iter().for_each(Limitable::give_up);
        None
    }

    /// A delivery that may be handled now. Its channel may be gone meanwhile.
    pub(super) fn take(self: &Arc<Self>) -> Option<(Limitable, Option<Place>)> {
        let mut state = self.lock();
        let (mut one, place) = state.room.take(Instant::now().into_std())?;
        one.delivery.settlement.unpark();
        self.told(&state);
        drop(state);
        let place = place.map(|key| Place {
            by_key: Arc::clone(self),
            key,
        });
        Some((one, place))
    }

    /// Waits until there may be something to take.
    pub(super) async fn changed(&self) {
        let next = self.lock().room.next_token_at();
        let changed = self.changed.notified();
        match next {
            None => changed.await,
            Some(at) => tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(at.into()) => {}
            },
        }
    }

    /// Those that have waited for as long as the broker lets a delivery wait.
    pub(super) fn take_too_old(&self) -> Vec<Limitable> {
        let mut state = self.lock();
        let now = Instant::now().into_std();
        let is_too_old = |since| now.saturating_duration_since(since) >= LONGEST_HOLD;
        if !state
            .room
            .oldest()
            .is_some_and(|(_, since)| is_too_old(since))
        {
            return Vec::new();
        }
        let too_old = state.room.remove(|_, since| is_too_old(since));
        self.told(&state);
        drop(state);
        // What waited behind them may go.
        self.changed.notify_one();
        too_old
    }

    /// Reports it once if those that wait have filled the prefetch for a while: others are behind them in the queue.
    pub(super) fn watch_the_prefetch(&self) {
        let mut state = self.lock();
        let channel = state.channel.as_ref();
        let (limited, prefetch) = channel.map_or((0, 0), Acks::parked);
        let usual = usize::from(prefetch);
        // Between the two it stays as it was: it is full and not full in turns while one after the other goes.
        if limited * 2 < usual || limited == 0 {
            state.full = None;
        } else if limited >= usual - usual / 8 {
            let now = Instant::now();
            let (since, was_told) = *state.full.get_or_insert((now, false));
            if !was_told && now - since >= REPORTED_AFTER {
                state.full = Some((since, true));
                drop(state);
                self.telemetry.limited_fill_the_prefetch(limited, prefetch);
            }
        }
    }

    /// From now on none waits, because the consumer is paused: they go back to their queue when their channel closes.
    pub(super) fn close(&self) {
        self.stand(Stand::Closed)
            .into_iter()
            .for_each(Limitable::give_up);
    }

    /// The consumer resumes.
    pub(super) fn open(&self) {
        self.stand(Stand::Open);
    }

    /// The host drains: those that wait go back at once, since other hosts may have room for them.
    pub(super) fn leave(&self) {
        self.stand(Stand::Left)
            .into_iter()
            .for_each(Limitable::go_back);
    }

    /// Those that wait, and the keys that have the most of them; `None` if none waits.
    pub fn status(&self) -> Option<Limited> {
        let state = self.lock();
        let deliveries = state.room.waiting();
        let longest = state.room.longest(MOST_SHOWN);
        let fills_the_prefetch = state.full.is_some_and(|(_, was_told)| was_told);
        drop(state);
        (deliveries > 0).then(|| Limited {
            deliveries,
            fills_the_prefetch,
            keys: longest.iter().map(LimitedKey::from).collect(),
        })
    }

    /// Takes out all that wait, unless they may go on waiting.
    fn stand(&self, stand: Stand) -> Vec<Limitable> {
        let mut state = self.lock();
        if state.stand != Stand::Left {
            state.stand = stand;
        }
        if stand == Stand::Open {
            return Vec::new();
        }
        let all = state.room.remove(|_, _| true);
        self.told(&state);
        all
    }

    /// Under the lock, so that the last word is the latest.
    fn told(&self, state: &State) {
        self.telemetry.limited(state.room.waiting());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out those whose channel is gone, if this one comes over another: the broker hands them out again.
    fn stale_beside(&mut self, new: &Limitable) -> Vec<Limitable> {
        let settlement = &new.delivery.settlement;
        let channel = self.channel.as_ref();
        if channel.is_some_and(|channel| channel.are_of(settlement)) {
            return Vec::new();
        }
        self.channel = Some(settlement.acks());
        self.room
            .remove(|one, _| !one.delivery.settlement.is_live())
    }
}

impl Limitable {
    /// It cannot be settled any more, or is not to be: the broker hands it out again.
    pub(super) fn give_up(self) {
        if let Some(turn) = self.turn {
            turn.give_up(&self.delivery);
        }
    }

    /// One that is kept in order goes back with its channel, which keeps the order of the queue.
    fn go_back(self) {
        match self.turn {
            Some(turn) => turn.give_up(&self.delivery),
            None => {
                // Whether the broker hears of it or not, it hands it out again.
                let _settled_or_lost = self.delivery.settlement.requeue();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.by_key.lock().room.release(&self.key);
        self.by_key.changed.notify_one();
    }
}
