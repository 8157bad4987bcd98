//! The deliveries of one channel, from the screen to the consumer: [`Arrivals`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use crate::message::arrived::Arrived;

/// Deliveries that wait for their consumer. The prefetch bounds how many there are.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    waiting: Mutex<Waiting>,
    /// Of the one who takes them.
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Waiting {
    arrived: VecDeque<Arrived>,
    /// Nobody takes them any more.
    is_closed: bool,
}

impl Arrivals {
    /// One more. Its consumer is not woken by that: see [`Arrivals::wake`].
    pub(super) fn put(&self, arrived: Arrived) {
        let mut waiting = self.lock();
        if !waiting.is_closed {
            waiting.arrived.push_back(arrived);
        }
    }

    /// Wakes the consumer, once for all that came.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to take the deliveries of a channel. Once it is dropped, those that come are dropped too: the broker has
/// them back when the channel closes.
#[derive(Debug)]
pub(crate) struct Taker(Arc<Arrivals>);

impl Taker {
    pub(crate) fn new(arrivals: &Arc<Arrivals>) -> Self {
        Self(Arc::clone(arrivals))
    }

    /// Puts all that has arrived behind what is in `taken`.
    pub(crate) fn take(&self, taken: &mut VecDeque<Arrived>) {
        let mut waiting = self.0.lock();
        match taken.is_empty() {
            true => std::mem::swap(taken, &mut waiting.arrived),
            false => taken.append(&mut waiting.arrived),
        }
    }

    /// The same; ready once that is at least one.
    pub(crate) fn poll_take(
        &self,
        context: &mut Context<'_>,
        taken: &mut VecDeque<Arrived>,
    ) -> Poll<()> {
        // Before the look, so that none is missed that comes meanwhile.
        self.0.waker.register(context.waker());
        self.take(taken);
        match taken.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        let dropped = std::mem::take(&mut waiting.arrived);
        // Bodies may be large.
        drop(waiting);
        drop(dropped);
    }
}
