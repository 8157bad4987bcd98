//! The attempts of messages that were held for another try and then had to go back to their queue,
//! which hands them out as they were published. Pure.

use std::collections::{HashMap, VecDeque};

use crate::amqp::Fingerprint;
use crate::message::Attempt;

/// How many are remembered; the oldest goes first. A consumer holds no more than its prefetch, of
/// which few fail at one time.
const MOST: usize = 4096;

/// Attempts by what the messages are known by.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    next: HashMap<Fingerprint, Attempt>,
    /// In the order in which they were noted; an entry that was taken may still stand here.
    noted: VecDeque<Fingerprint>,
}

impl Attempts {
    /// Whether nothing is remembered, so that nobody needs to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// The message of this fingerprint is to be tried as this attempt next.
    pub(super) fn note(&mut self, fingerprint: Fingerprint, next: Attempt) {
        if self.next.insert(fingerprint, next).is_none() {
            self.noted.push_back(fingerprint);
        }
        while self.noted.len() > MOST {
            let Some(oldest) = self.noted.pop_front() else {
                break;
            };
            self.next.remove(&oldest);
        }
    }

    /// The attempt that this message has come to, which is forgotten then.
    pub(super) fn take(&mut self, fingerprint: &Fingerprint) -> Option<Attempt> {
        let attempt = self.next.remove(fingerprint)?;
        if self.next.is_empty() {
            self.noted.clear();
        }
        Some(attempt)
    }
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
    fn an_attempt_is_remembered_until_it_is_made() {
        let mut attempts = Attempts::default();
        assert!(attempts.is_empty());
        attempts.note(known_by(1), Attempt::FIRST.next());
        attempts.note(known_by(1), Attempt::FIRST.next().next());
        assert_eq!(attempts.take(&known_by(2)), None);
        assert_eq!(attempts.take(&known_by(1)).map(Attempt::get), Some(3));
        assert_eq!(attempts.take(&known_by(1)), None);
        assert!(attempts.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut attempts = Attempts::default();
        for number in 0..=MOST {
            attempts.note(known_by(number), Attempt::FIRST.next());
        }
        assert_eq!(attempts.take(&known_by(0)), None);
        assert!(attempts.take(&known_by(1)).is_some());
        assert!(attempts.take(&known_by(MOST)).is_some());
        assert!(attempts.noted.len() <= MOST);
    }
}
