//! What a consumer knows of messages that are about to come again: [`Recall`].
//!
//! A message that is handled for longer than the broker's consumer timeout is taken back and delivered
//! again as it was published, without any trace of the attempt. One whose copy the broker refuses can
//! leave the host in no way but back to its queue. Neither may be handled for ever, so both are
//! remembered here, by what the message is, until it comes again. A host that ends forgets them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::amqp::{Delivery, Fingerprint};
use crate::message::Attempt;

/// How many messages are remembered; the oldest goes first. A consumer holds no more than its prefetch,
/// of which few end like this.
const MOST: usize = 4096;

/// RabbitMQ's consumer timeout, unless it is configured otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What is known of the messages of one consumer.
#[derive(Debug)]
pub(super) struct Recall {
    state: Mutex<State>,
    /// So that nobody computes what a message is known by for nothing.
    is_empty: AtomicBool,
}

#[derive(Debug)]
struct State {
    memories: HashMap<Fingerprint, Memory>,
    /// In the order in which they were noted; one that was taken may still stand here.
    noted: VecDeque<Fingerprint>,
    /// The broker's consumer timeout is no longer than this.
    timeout: Duration,
}

/// What is known of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Memory {
    /// This attempt took longer than the broker's consumer timeout.
    Overran(Attempt),
    /// The broker takes no copy of it, for this reason.
    SetAside(String),
}

impl Default for Recall {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                memories: HashMap::new(),
                noted: VecDeque::new(),
                timeout: DEFAULT_TIMEOUT,
            }),
            is_empty: AtomicBool::new(true),
        }
    }
}

impl Recall {
    /// Notes what is to be known when this message comes again.
    pub(super) fn note(&self, delivery: &Delivery, memory: Memory) {
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        state.note(fingerprint, memory);
        self.is_empty.store(false, Ordering::Relaxed);
    }

    /// What is known of a message that was delivered, which is forgotten then.
    pub(super) fn take(&self, delivery: &Delivery) -> Option<Memory> {
        if self.is_empty.load(Ordering::Relaxed) || !delivery.envelope.redelivered {
            return None;
        }
        let fingerprint = fingerprint(delivery);
        let mut state = self.lock();
        let memory = state.take(&fingerprint);
        self.is_empty
            .store(state.memories.is_empty(), Ordering::Relaxed);
        memory
    }

    /// Whether a call is the reason that the broker's consumer timeout has passed, which is no longer than
    /// `timeout`. A delivery waits for its call too, and not every version of the broker tells the
    /// timeout, so whatever took at least half of it is taken for the reason.
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
    fn note(&mut self, fingerprint: Fingerprint, memory: Memory) {
        if self.memories.insert(fingerprint, memory).is_none() {
            self.noted.push_back(fingerprint);
        }
        while self.noted.len() > MOST {
            let Some(oldest) = self.noted.pop_front() else {
                break;
            };
            self.memories.remove(&oldest);
        }
    }

    fn take(&mut self, fingerprint: &Fingerprint) -> Option<Memory> {
        let memory = self.memories.remove(fingerprint)?;
        if self.memories.is_empty() {
            self.noted.clear();
        }
        Some(memory)
    }
}

fn fingerprint(delivery: &Delivery) -> Fingerprint {
    let body = &delivery.envelope.message.body;
    delivery.original.fingerprint(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a message of this number is known by.
    fn known_by(number: usize) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        fingerprint[..8].copy_from_slice(&(number as u64).to_be_bytes());
        fingerprint
    }

    #[test]
    fn a_message_is_remembered_until_it_comes_again_and_the_oldest_is_forgotten_first() {
        let recall = Recall::default();
        let mut state = recall.lock();
        for number in 0..=MOST {
            state.note(known_by(number), Memory::Overran(Attempt::FIRST));
        }
        assert_eq!(state.take(&known_by(0)), None);
        let latest = known_by(MOST);
        assert_eq!(state.take(&latest), Some(Memory::Overran(Attempt::FIRST)));
        assert_eq!(state.take(&latest), None);
        state.note(known_by(1), Memory::SetAside("too large".into()));
        assert_eq!(
            state.take(&known_by(1)),
            Some(Memory::SetAside("too large".into()))
        );
    }

    #[test]
    fn a_call_is_blamed_that_took_half_of_the_shortest_timeout_known() {
        let seconds = Duration::from_secs;
        let recall = Recall::default();
        // A channel that lived for days tells nothing; the default is half an hour.
        assert!(!recall.is_the_reason(seconds(60), seconds(1_000_000)));
        assert!(recall.is_the_reason(seconds(15 * 60), seconds(1_000_000)));
        // One that lived for a minute tells that the timeout is no longer.
        assert!(!recall.is_the_reason(seconds(2), seconds(60)));
        assert!(recall.is_the_reason(seconds(30), seconds(60)));
        assert!(recall.is_the_reason(seconds(30), seconds(1_000)));
    }
}
