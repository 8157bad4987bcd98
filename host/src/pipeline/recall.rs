//! What a consumer knows of messages that are about to come again: [`Recall`].
//!
//! A message that is handled for longer than the broker's consumer timeout is taken back and delivered
//! again as it was published, without any trace of the attempt. One whose copy the broker refuses can
//! leave the host in no way but back to its queue. Neither may be handled for ever, so both are
//! remembered here, by what the message is, until it comes again. A host that ends forgets them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_amqp::{Delivery, Fingerprint, Mark};
use hive_core::holding::CONSUMER_TIMEOUT;
use hive_core::message::Attempt;
use hive_core::recent::Recent;

/// How many messages are remembered: a consumer holds no more than its prefetch, and few of them end like
/// this.
pub(super) const MOST_REMEMBERED: usize = 4096;

/// The known facts about the messages of one consumer.
#[derive(Debug)]
pub(super) struct Recall {
    state: Mutex<State>,
    /// Saves the computation of a fingerprint while nothing is remembered.
    is_empty: AtomicBool,
}

#[derive(Debug)]
struct State {
    memories: Recent<Fingerprint, Memory>,
    /// The marks of deliveries that come again, by which the ids of their publications are made.
    marks: Recent<Fingerprint, Vec<Mark>>,
    /// The broker's consumer timeout is at most this.
    timeout: Duration,
}

/// The known fact about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Memory {
    /// This attempt took longer than the broker's consumer timeout.
    Overran(Attempt),
    /// The broker accepts no copy of it, for this reason.
    SetAside(String),
}

impl Recall {
    /// Nothing is known yet, but what the consumer asks the broker to wait for an answer.
    pub(super) fn new(ack_timeout: Option<Duration>) -> Self {
        Self {
            state: Mutex::new(State {
                memories: Recent::of(MOST_REMEMBERED),
                marks: Recent::of(MOST_REMEMBERED),
                timeout: ack_timeout.unwrap_or(CONSUMER_TIMEOUT),
            }),
            is_empty: AtomicBool::new(true),
        }
    }

    /// Notes what is to be known when this message comes again.
    pub(super) fn note(&self, delivery: &Delivery, memory: Memory) {
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        state.memories.note(fingerprint, memory);
        self.is_empty.store(false, Ordering::Relaxed);
    }

    /// Returns and forgets the fact about a delivered message.
    pub(super) fn take(&self, delivery: &Delivery) -> Option<Memory> {
        if !self.may_know(delivery) {
            return None;
        }
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        let memory = state.memories.take(&fingerprint);
        self.is_empty.store(state.is_empty(), Ordering::Relaxed);
        memory
    }

    /// Notes the mark of a delivery that was not acknowledged and comes again.
    pub(super) fn note_mark(&self, delivery: &Delivery) {
        let Some(mark) = delivery.original.drawn_mark() else {
            return;
        };
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        let mut marks = state.marks.take(&fingerprint).unwrap_or_default();
        if marks.len() < MOST_REMEMBERED {
            marks.push(mark);
        }
        state.marks.note(fingerprint, marks);
        self.is_empty.store(false, Ordering::Relaxed);
    }

    /// Gives a delivery that came again a mark that was noted of it, or of a message that is the same in
    /// everything: of such messages each may have the other's, as long as no two have one.
    pub(super) fn restore_mark(&self, delivery: &mut Delivery) {
        if !self.may_know(delivery) || delivery.original.drawn_mark().is_none() {
            return;
        }
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        let Some(mut marks) = state.marks.take(&fingerprint) else {
            return;
        };
        if let Some(mark) = marks.pop() {
            delivery.original.set_drawn_mark(mark);
        }
        if !marks.is_empty() {
            state.marks.note(fingerprint, marks);
        }
        self.is_empty.store(state.is_empty(), Ordering::Relaxed);
    }

    fn may_know(&self, delivery: &Delivery) -> bool {
        !self.is_empty.load(Ordering::Relaxed) && delivery.envelope.redelivered
    }

    /// Whether a call is the reason that the broker's consumer timeout has passed, which is at most `timeout`.
    /// A delivery waits for its call too, and not every version of the broker reports the timeout, so a call
    /// that took at least half of it counts as the reason.
    pub(super) fn is_the_reason(&self, called: Duration, timeout: Duration) -> bool {
        let mut state = self.lock();
        state.timeout = state.timeout.min(timeout);
        called >= state.timeout / 2
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.memories.is_empty() && self.marks.is_empty()
    }
}

fn fingerprint(delivery: &Delivery) -> Fingerprint {
    let body = &delivery.envelope.message.body;
    delivery.original.fingerprint(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_blamed_that_took_half_of_the_shortest_timeout_known() {
        let seconds = Duration::from_secs;
        let recall = Recall::new(None);
        // A channel that lived for days says nothing about the timeout; its default is half an hour.
        assert!(!recall.is_the_reason(seconds(60), seconds(1_000_000)));
        assert!(recall.is_the_reason(seconds(15 * 60), seconds(1_000_000)));
        // One that lived for a minute shows that the timeout is at most a minute.
        assert!(!recall.is_the_reason(seconds(2), seconds(60)));
        assert!(recall.is_the_reason(seconds(30), seconds(60)));
        assert!(recall.is_the_reason(seconds(30), seconds(1_000)));
    }
}
