//! Memory for the bodies of deliveries in flight: a budget of the host, and one of a consumer.
//!
//! A body takes its part before it is read, and gives it back when the delivery is dropped. What has no part yet is not
//! read: the screen stops in front of it (`screen`), and the broker waits with what comes behind.
//!
//! Small bodies are not counted. There are many of them, each would cost time, and a prefetch of them is little.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use hive_telemetry::BodiesInFlight;
use tokio_util::sync::CancellationToken;

/// A body of at most so many bytes is not counted: 256 of them are 1 MiB.
pub(crate) const NOT_COUNTED: u64 = 4 << 10;

/// The budget of a host, shared by its connections.
#[derive(Debug)]
pub(crate) struct InFlight {
    most: u64,
    state: Mutex<State>,
    telemetry: Option<BodiesInFlight>,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// Those who wait for more room.
    waiting: Vec<Waker>,
}

/// What the bodies of one consumer take of that, on whichever of its channels they came.
#[derive(Debug)]
pub(crate) struct Share {
    of_host: Arc<InFlight>,
    taken: AtomicU64,
    /// The budget of the consumer, if it has one of its own.
    most: Option<u64>,
}

/// The part of one body. Dropped, it is another one's.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: u64,
    share: Arc<Share>,
}

/// Whose budget has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Consumers,
    Hosts,
}

impl InFlight {
    /// A budget of so many bytes.
    pub(crate) fn new(most: u64, telemetry: BodiesInFlight) -> Self {
        Self {
            most,
            state: Mutex::default(),
            telemetry: Some(telemetry),
        }
    }

    /// The most bytes.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Has `waker` woken when there is more room, or less is wanted.
    pub(crate) fn wake(&self, waker: &Waker) {
        self.lock().wait(waker);
    }

    /// Wakes all who wait: less is wanted.
    fn wake_all(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn has_room(&self, state: &State, bytes: u64) -> bool {
        state.taken == 0 || state.taken.saturating_add(bytes) <= self.most
    }

    /// Under the lock, so that the last word is the latest.
    fn told(&self, state: &State) {
        if let Some(telemetry) = &self.telemetry {
            telemetry.are(state.taken);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, waker: &Waker) {
        // A connection asks again whenever it has something to write.
        if !self.waiting.iter().any(|other| other.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }
}

impl Share {
    /// What a consumer with a budget of `most` bytes takes of that of its host.
    pub(crate) fn new(of_host: &Arc<InFlight>, most: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            of_host: Arc::clone(of_host),
            taken: AtomicU64::new(0),
            most,
        })
    }

    /// Takes a part, if there is room. One body alone always has room, however large it is.
    fn take(self: &Arc<Self>, bytes: u64) -> Result<Part, Full> {
        let mut state = self.of_host.lock();
        if !self.has_room(bytes) {
            return Err(Full::Consumers);
        }
        if !self.of_host.has_room(&state, bytes) {
            return Err(Full::Hosts);
        }
        state.taken += bytes;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.of_host.told(&state);
        Ok(Part {
            bytes,
            share: Arc::clone(self),
        })
    }

    /// Resolves when there is room for so many bytes. They are not taken by that.
    pub(crate) async fn room_for(&self, bytes: u64) {
        poll_fn(|context| {
            let mut state = self.of_host.lock();
            if self.has_room(bytes) && self.of_host.has_room(&state, bytes) {
                return Poll::Ready(());
            }
            state.wait(context.waker());
            Poll::Pending
        })
        .await;
    }

    fn has_room(&self, bytes: u64) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        taken == 0
            || self
                .most
                .is_none_or(|most| taken.saturating_add(bytes) <= most)
    }
}

/// Without a budget, and untold: where nothing is consumed.
impl Default for InFlight {
    fn default() -> Self {
        Self {
            most: u64::MAX,
            state: Mutex::default(),
            telemetry: None,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Share { of_host, taken, .. } = &*self.share;
        let waiting = {
            let mut state = of_host.lock();
            taken.fetch_sub(self.bytes, Ordering::Relaxed);
            state.taken -= self.bytes;
            of_host.told(&state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The bodies of one channel: which are on their way, and whether more are to come.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    /// Set for a channel that consumes; the bodies of others are not counted.
    counted: OnceLock<Arc<Share>>,
    on_the_way: Mutex<OnTheWay>,
    /// Cancelled when there was no room for one.
    full: CancellationToken,
}

#[derive(Debug, Default)]
struct OnTheWay {
    /// The parts of those that were let in and not taken yet, by delivery tag.
    parts: BTreeMap<u64, Part>,
    stand: Stand,
}

/// Whether more is let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stand {
    #[default]
    Open,
    /// There was no room for a body of this length. What is behind it in the queue must not go before it.
    Full(u64),
    /// Nobody takes the deliveries any more.
    Unwanted,
}

/// What becomes of a delivery that is about to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is read.
    LetIn,
    /// It has to wait for room.
    Waits,
    /// It is read past: the broker has it back when the channel closes.
    LeftOut,
}

impl Bodies {
    /// From now on they are counted, as those of this consumer.
    pub(crate) fn count(&self, share: &Arc<Share>) {
        // A channel begins to consume once.
        self.counted.get_or_init(|| Arc::clone(share));
    }

    /// A delivery with a body of so many bytes is about to be read.
    pub(crate) fn arrives(&self, tag: u64, bytes: u64) -> Arrival {
        let Some(share) = self.counted.get() else {
            return Arrival::LetIn;
        };
        let mut on_the_way = self.lock();
        if on_the_way.stand != Stand::Open {
            return Arrival::LeftOut;
        }
        match share.take(bytes) {
            Ok(part) => {
                on_the_way.parts.insert(tag, part);
                Arrival::LetIn
            }
            // Nothing else on the connection is to wait for the workers of one consumer.
            Err(Full::Consumers) => {
                self.fill(&mut on_the_way, bytes);
                Arrival::LeftOut
            }
            Err(Full::Hosts) => Arrival::Waits,
        }
    }

    /// The part of a delivery that was let in, for as long as its body is in memory. `None` for a small one.
    pub(crate) fn part_of(&self, tag: u64, length: usize) -> Option<Part> {
        (length as u64 > NOT_COUNTED)
            .then(|| self.lock().parts.remove(&tag))
            .flatten()
    }

    /// A body of this length has waited for room for too long.
    pub(crate) fn are_full(&self, bytes: u64) {
        let mut on_the_way = self.lock();
        if on_the_way.stand == Stand::Open {
            self.fill(&mut on_the_way, bytes);
        }
    }

    fn fill(&self, on_the_way: &mut OnTheWay, bytes: u64) {
        on_the_way.stand = Stand::Full(bytes);
        self.full.cancel();
    }

    /// Nobody takes the deliveries any more: those that were let in are dropped, and no more are let in.
    pub(crate) fn are_unwanted(&self) {
        let Some(share) = self.counted.get() else {
            return;
        };
        let parts = {
            let mut on_the_way = self.lock();
            on_the_way.stand = Stand::Unwanted;
            std::mem::take(&mut on_the_way.parts)
        };
        drop(parts);
        share.of_host.wake_all();
    }

    /// Resolves when there was no room for a body; the result is its length. Never, once nobody wants them.
    pub(crate) async fn full(&self) -> u64 {
        self.full.cancelled().await;
        let stand = self.lock().stand;
        match stand {
            Stand::Full(bytes) => bytes,
            Stand::Open | Stand::Unwanted => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, OnTheWay> {
        self.on_the_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn budget(most: u64) -> Arc<InFlight> {
        Arc::new(InFlight {
            most,
            ..InFlight::default()
        })
    }

    fn bodies(of_host: &Arc<InFlight>, most: Option<u64>) -> Bodies {
        bodies_of(&Share::new(of_host, most))
    }

    fn bodies_of(share: &Arc<Share>) -> Bodies {
        let bodies = Bodies::default();
        bodies.count(share);
        bodies
    }

    #[test]
    fn a_body_waits_until_another_is_dropped() {
        let share = Share::new(&budget(10 * MIB), None);
        let bodies = bodies_of(&share);
        assert_eq!(bodies.arrives(1, 8 * MIB), Arrival::LetIn);
        assert_eq!(bodies.arrives(2, 8 * MIB), Arrival::Waits);
        assert!(share.room_for(8 * MIB).now_or_never().is_none());
        let part = bodies.part_of(1, 8 << 20);
        assert_eq!(bodies.arrives(2, 8 * MIB), Arrival::Waits);
        drop(part);
        assert!(share.room_for(8 * MIB).now_or_never().is_some());
        assert_eq!(bodies.arrives(2, 8 * MIB), Arrival::LetIn);
    }

    #[test]
    fn one_that_is_larger_than_the_budget_comes_alone() {
        let of_host = budget(MIB);
        let bodies = bodies(&of_host, Some(MIB));
        assert_eq!(bodies.arrives(1, 100 * MIB), Arrival::LetIn);
        assert_eq!(bodies.arrives(2, MIB), Arrival::LeftOut, "its own budget");
        drop(bodies);
        assert_eq!(of_host.lock().taken, 0);
    }

    #[test]
    fn the_channels_of_a_consumer_have_one_budget() {
        let share = Share::new(&budget(100 * MIB), Some(10 * MIB));
        let (old, new) = (bodies_of(&share), bodies_of(&share));
        assert_eq!(old.arrives(1, 8 * MIB), Arrival::LetIn);
        let in_hand = old.part_of(1, 8 << 20);
        assert!(share.room_for(8 * MIB).now_or_never().is_none());
        assert_eq!(new.arrives(1, 8 * MIB), Arrival::LeftOut);
        drop(in_hand);
        assert!(share.room_for(8 * MIB).now_or_never().is_some());
    }

    #[test]
    fn behind_one_without_room_nothing_is_let_in() {
        let of_host = budget(10 * MIB);
        let bodies = bodies(&of_host, None);
        assert_eq!(bodies.arrives(1, 8 * MIB), Arrival::LetIn);
        assert!(bodies.full().now_or_never().is_none());
        bodies.are_full(8 * MIB);
        assert_eq!(bodies.full().now_or_never(), Some(8 * MIB));
        drop(bodies.part_of(1, 8 << 20));
        assert_eq!(bodies.arrives(3, MIB), Arrival::LeftOut);
    }

    #[test]
    fn what_nobody_takes_any_more_makes_room_at_once() {
        let of_host = budget(10 * MIB);
        let (gone, stays) = (bodies(&of_host, None), bodies(&of_host, None));
        assert_eq!(gone.arrives(1, 8 * MIB), Arrival::LetIn);
        assert_eq!(stays.arrives(1, 8 * MIB), Arrival::Waits);
        gone.are_unwanted();
        assert_eq!(stays.arrives(1, 8 * MIB), Arrival::LetIn);
        assert_eq!(gone.arrives(2, 1), Arrival::LeftOut);
    }

    #[test]
    fn what_no_consumer_has_is_not_counted() {
        assert_eq!(Bodies::default().arrives(1, u64::MAX), Arrival::LetIn);
    }
}
