//! The waits for deliveries on one channel: [`Waits`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Numbers the waits, so that two looks can tell whether one wait lasted from one to the other. One worker waits at
/// a time.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    begun: AtomicU64,
    goes_on: AtomicBool,
}

impl Waits {
    /// A worker begins to wait for a delivery; none is buffered.
    pub(crate) fn begin(&self) -> Wait<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.goes_on.store(true, Ordering::Release);
        Wait(self)
    }

    /// The number of the wait that goes on.
    pub(super) fn current(&self) -> Option<u64> {
        let goes_on = self.goes_on.load(Ordering::Acquire);
        goes_on.then(|| self.begun.load(Ordering::Relaxed))
    }
}

/// A wait, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Wait<'a>(&'a Waits);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.goes_on.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seen_while_it_lasts_and_differs_from_the_next() {
        let waits = Waits::default();
        assert_eq!(waits.current(), None);
        let first = waits.begin();
        let seen = waits.current();
        assert!(seen.is_some());
        assert_eq!(waits.current(), seen);
        drop(first);
        assert_eq!(waits.current(), None);
        let _second = waits.begin();
        assert_ne!(waits.current(), seen);
    }
}
