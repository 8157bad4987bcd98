//! The attempts of messages that were held for another try and then had to go back to their queue,
//! which hands them out as they were published. Pure.

use std::collections::{HashMap, VecDeque};

use crate::message::Attempt;

/// How many are remembered; the oldest goes first. A consumer holds no more than its prefetch, of
/// which few fail at one time.
const MOST: usize = 4096;

/// Attempts by the identity of the message.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    next: HashMap<String, Attempt>,
    /// In the order in which they were noted; an entry that was taken may still stand here.
    noted: VecDeque<String>,
}

impl Attempts {
    /// Whether nothing is remembered, so that nobody needs to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// The message of this identity is to be tried as this attempt next.
    pub(super) fn note(&mut self, identity: String, next: Attempt) {
        if self.next.insert(identity.clone(), next).is_none() {
            self.noted.push_back(identity);
        }
        while self.noted.len() > MOST {
            let Some(oldest) = self.noted.pop_front() else {
                break;
            };
            self.next.remove(&oldest);
        }
    }

    /// The attempt that this message has come to, which is forgotten then.
    pub(super) fn take(&mut self, identity: &str) -> Option<Attempt> {
        let attempt = self.next.remove(identity)?;
        if self.next.is_empty() {
            self.noted.clear();
        }
        Some(attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_remembered_until_it_is_made() {
        let mut attempts = Attempts::default();
        assert!(attempts.is_empty());
        attempts.note("a".to_owned(), Attempt::FIRST.next());
        attempts.note("a".to_owned(), Attempt::FIRST.next().next());
        assert_eq!(attempts.take("b"), None);
        assert_eq!(attempts.take("a").map(Attempt::get), Some(3));
        assert_eq!(attempts.take("a"), None);
        assert!(attempts.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut attempts = Attempts::default();
        for number in 0..=MOST {
            attempts.note(number.to_string(), Attempt::FIRST.next());
        }
        assert_eq!(attempts.take("0"), None);
        assert!(attempts.take("1").is_some());
        assert!(attempts.take(&MOST.to_string()).is_some());
        assert!(attempts.noted.len() <= MOST);
    }
}
