//! What comes on one channel, from the screen to the one who takes it: [`Arrivals`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Deliveries that wait for their consumer, or answers for their publisher. The prefetch bounds how many there are, or how
/// much is published without an answer.
#[derive(Debug)]
pub(crate) struct Arrivals<T> {
    waiting: Mutex<Waiting<T>>,
    /// Of the one who takes them.
    waker: AtomicWaker,
}

#[derive(Debug)]
struct Waiting<T> {
    arrived: VecDeque<T>,
    /// Nobody takes them any more.
    is_closed: bool,
}

impl<T> Default for Arrivals<T> {
    fn default() -> Self {
        let waiting = Waiting {
            arrived: VecDeque::new(),
            is_closed: false,
        };
        Self {
            waiting: Mutex::new(waiting),
            waker: AtomicWaker::new(),
        }
    }
}

impl<T> Arrivals<T> {
    /// One more. Who takes it is not woken by that: see [`Arrivals::wake`].
    pub(super) fn put(&self, arrived: T) {
        let mut waiting = self.lock();
        if !waiting.is_closed {
            waiting.arrived.push_back(arrived);
        }
    }

    /// Wakes the one who takes them, once for all that came.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to take what comes on a channel. Once it is dropped, what comes is dropped too: deliveries the broker has
/// back when the channel closes, and an answer that nobody waits for says nothing.
#[derive(Debug)]
pub(crate) struct Taker<T>(Arc<Arrivals<T>>);

impl<T> Taker<T> {
    pub(crate) fn new(arrivals: &Arc<Arrivals<T>>) -> Self {
        Self(Arc::clone(arrivals))
    }

    /// Puts all that has arrived behind what is in `taken`.
    pub(crate) fn take(&self, taken: &mut VecDeque<T>) {
        let mut waiting = self.0.lock();
        match taken.is_empty() {
            true => std::mem::swap(taken, &mut waiting.arrived),
            false => taken.append(&mut waiting.arrived),
        }
    }

    /// The same; ready once that is at least one.
    pub(crate) fn poll_take(&self, context: &mut Context<'_>, taken: &mut VecDeque<T>) -> Poll<()> {
        // Before the look, so that none is missed that comes meanwhile.
        self.0.waker.register(context.waker());
        self.take(taken);
        match taken.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        let dropped = std::mem::take(&mut waiting.arrived);
        // Bodies may be large.
        drop(waiting);
        drop(dropped);
    }
}
