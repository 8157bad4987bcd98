//! When a channel last delivered something, by which a host that only stands by is told from the one that consumes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A queue with messages gives its active consumer one within this time.
const RECENT: Duration = Duration::from_secs(60);

/// The moment of the last delivery of a channel.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Milliseconds since the channel began, and 1; 0 before the first delivery.
    last: AtomicU64,
}

impl Activity {
    /// A delivery has come, at this age of the channel.
    pub(super) fn note(&self, age: Duration) {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.last
            .store(milliseconds.saturating_add(1), Ordering::Relaxed);
    }

    /// The time since the last one, at this age of the channel; `None` before the first.
    pub(super) fn idle(&self, age: Duration) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(age.saturating_sub(Duration::from_millis(last)))
    }

    /// Whether the last one came not long before this age.
    pub(super) fn is_recent(&self, age: Duration) -> bool {
        self.idle(age).is_some_and(|idle| idle < RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_counts_for_a_minute() {
        let activity = Activity::default();
        let at = Duration::from_secs;
        assert!(!activity.is_recent(at(0)), "before the first");
        assert_eq!(activity.idle(at(0)), None);
        activity.note(at(0));
        assert!(activity.is_recent(at(59)));
        assert!(!activity.is_recent(at(60)));
        activity.note(at(100));
        assert!(activity.is_recent(at(159)));
        assert_eq!(activity.idle(at(159)), Some(at(59)));
    }
}
