//! Deliveries that stay in the host while something they need is unavailable: [`Keeping`].
//!
//! A broker that does not take a publication, a store that does not answer, an instance that cannot be made:
//! none of it is the message's fault, and giving the message back would only bring it here again. Some brokers
//! count that, and drop a message that was returned too often. So it stays here, unacknowledged, and the failed
//! step is retried with growing pauses. It holds no worker, only a place in the prefetch.
//!
//! While the store is down the whole consumer takes no further deliveries: their effects could not be
//! remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hive_amqp::Subscription;
use hive_core::holding::LONGEST_HOLD;
use hive_lifecycle::Tasks;
use hive_telemetry::{ConsumerTelemetry, DeliveryKept, KeptFor};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::held::Held;
use super::services::Common;
use crate::status::Kept;

/// The pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Shorter disturbances appear only in the log.
const REPORTED_AFTER: Duration = Duration::from_secs(3);

/// The deliveries of one consumer that are kept.
pub struct Keeping {
    /// Lent by the pipeline.
    subscription: Arc<Subscription>,
    kept: Mutex<Register>,
    /// The store has answered a request.
    store_works: Notify,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

#[derive(Default)]
struct Register {
    entries: BTreeMap<u64, Entry>,
    /// How many of them wait for the store.
    for_the_store: usize,
    last: u64,
}

struct Entry {
    since: (Instant, SystemTime),
    trouble: Trouble,
}

/// The reason why a delivery is kept.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The broker or the host could not continue.
    Away(String),
    /// The store could not.
    Store(String),
    /// The broker takes no copy of the message, and never will. It is not tried again.
    SetAside(String),
}

/// How often something was tried again for one delivery. Dropped, it is not kept any more.
#[derive(Default)]
pub(super) struct Patience {
    tries: u32,
    place: Option<Place>,
}

/// One entry of the register.
struct Place {
    keeping: Arc<Keeping>,
    number: u64,
}

/// Why a delivery is kept no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotKept {
    /// Its channel is gone, or is about to be closed: the broker hands it out again by itself.
    ComesAgain,
    /// It was kept for as long as the broker lets anybody keep one.
    TooLong,
}

impl Trouble {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Away(reason) | Self::Store(reason) | Self::SetAside(reason) => reason,
        }
    }

    fn is_the_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

impl Keeping {
    pub(super) fn new(common: &Common<'_>) -> Arc<Self> {
        Arc::new(Self {
            subscription: Arc::clone(common.subscription),
            kept: Mutex::default(),
            store_works: Notify::new(),
            telemetry: Arc::clone(common.telemetry),
            tasks: common.services.tasks.clone(),
        })
    }

    /// Keeps a delivery until what failed is to be tried again.
    pub(super) async fn wait(
        self: &Arc<Self>,
        held: &mut Held,
        trouble: Trouble,
    ) -> Result<(), NotKept> {
        let pause = match &trouble {
            Trouble::SetAside(_) => None,
            _ => Some(pause(held.patience.tries, rand::random())),
        };
        let left = LONGEST_HOLD.saturating_sub(held.in_hand.elapsed());
        let is_the_last = pause.is_none_or(|pause| pause > left);
        DeliveryKept {
            delivery: &held.label(),
            attempt: held.delivery.envelope.attempt.get(),
            reason: KeptFor::Trouble {
                reason: trouble.reason(),
                is_first: held.patience.tries == 0,
            },
            delay: pause.unwrap_or(left).min(left),
        }
        .emit(&self.telemetry);
        let is_the_store = trouble.is_the_store();
        held.patience.tries = held.patience.tries.saturating_add(1);
        match &held.patience.place {
            Some(place) => self.change(place.number, trouble),
            None => held.patience.place = Some(self.enter(trouble)),
        }
        tokio::select! {
            biased;
            () = self.tasks.drain().cancelled() => Err(NotKept::ComesAgain),
            () = held.delivery.settlement.unwanted() => Err(NotKept::ComesAgain),
            () = self.store_works.notified(), if is_the_store => Ok(()),
            () = tokio::time::sleep(pause.unwrap_or(left).min(left)) => match is_the_last {
                true => Err(NotKept::TooLong),
                false => Ok(()),
            },
        }
    }

    /// The kept deliveries, if it has lasted for a while.
    pub fn status(&self) -> Option<Kept> {
        let kept = self.lock();
        let oldest = kept.entries.values().min_by_key(|entry| entry.since.0)?;
        (oldest.since.0.elapsed() >= REPORTED_AFTER).then(|| Kept {
            deliveries: kept.entries.len(),
            reason: oldest.trouble.reason().into(),
            since: oldest.since.1,
            holds_back: kept.for_the_store > 0,
        })
    }

    fn enter(self: &Arc<Self>, trouble: Trouble) -> Place {
        let mut kept = self.lock();
        kept.last += 1;
        let number = kept.last;
        kept.for_the_store += usize::from(trouble.is_the_store());
        let since = (Instant::now(), SystemTime::now());
        kept.entries.insert(number, Entry { since, trouble });
        self.told(&kept);
        Place {
            keeping: Arc::clone(self),
            number,
        }
    }

    fn change(&self, number: u64, trouble: Trouble) {
        let mut kept = self.lock();
        let is_the_store = trouble.is_the_store();
        if let Some(entry) = kept.entries.get_mut(&number) {
            let before = std::mem::replace(&mut entry.trouble, trouble);
            kept.for_the_store += usize::from(is_the_store);
            kept.for_the_store -= usize::from(before.is_the_store());
        }
        self.told(&kept);
    }

    fn leave(&self, number: u64) {
        let mut kept = self.lock();
        let gone = kept.entries.remove(&number);
        let was_for_the_store = gone.is_some_and(|entry| entry.trouble.is_the_store());
        kept.for_the_store -= usize::from(was_for_the_store);
        self.told(&kept);
        drop(kept);
        if was_for_the_store {
            // It works again, or its state is unknown; one more try costs little.
            self.store_works.notify_waiters();
        }
    }

    /// Under the lock, so that the last word is the latest.
    fn told(&self, kept: &Register) {
        self.telemetry.keeps(kept.entries.len());
        self.subscription.hold_back(kept.for_the_store > 0);
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Patience {
    /// The obstacle is gone.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keeping.leave(self.number);
    }
}

/// The pause after this many tries, for a `draw` from 0 to 1. Half of it is random, so that deliveries that
/// failed together are not retried together.
fn pause(tries: u32, draw: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << tries.min(16));
    let longest = doubled.min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + draw.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_half_a_minute_and_are_drawn() {
        assert_eq!(pause(0, 1.0), FIRST_PAUSE);
        assert_eq!(pause(0, 0.0), FIRST_PAUSE / 2);
        assert_eq!(pause(3, 1.0), Duration::from_secs(8));
        for tries in [5, 6, 100, u32::MAX] {
            assert_eq!(pause(tries, 1.0), LONGEST_PAUSE);
        }
    }
}
