//! How much memory the requests in the host take: a budget for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a request takes beside its body, about: its head, its task, its place at the publisher.
const OF_EACH: u64 = 4096;

/// The budget. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    most: u64,
    taken: Arc<AtomicU64>,
}

/// The part of one request, which it gives back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Memory,
    size: u64,
}

impl Memory {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// A share for a request whose body is still to come; `None` if there is no room.
    pub(crate) fn share(&self) -> Option<Share> {
        let mut share = Share {
            of: self.clone(),
            size: 0,
        };
        share.grow(OF_EACH).then_some(share)
    }
}

impl Share {
    /// Takes so many bytes more. False if they are not there; then none is taken.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let room = |taken: u64| {
            taken
                .checked_add(bytes)
                .filter(|taken| *taken <= self.of.most)
        };
        let taken = self
            .of
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        if taken.is_ok() {
            self.size += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_never_above_the_budget() {
        let memory = Memory::new(3 * OF_EACH);
        let mut one = memory.share().unwrap();
        assert!(one.grow(OF_EACH));
        let two = memory.share().unwrap();
        assert!(memory.share().is_none());
        assert!(!one.grow(1));
        drop(two);
        assert!(one.grow(OF_EACH));
        drop(one);
        assert_eq!(memory.taken.load(Ordering::Relaxed), 0);
    }
}
