//! What the links of a connection have logged about a broker that is away: both meet it, and one line says it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_telemetry::Role;
use tokio::time::Instant;

/// How often a failure that continues is logged again.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(60);

/// Shared by the links of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outage(Mutex<Option<Line>>);

/// The last line.
#[derive(Debug)]
struct Line {
    by: Role,
    reason: String,
    at: Instant,
}

impl Outage {
    /// Whether a link logs its failure: not if the other link has just logged the same one.
    pub(super) fn is_news(&self, by: Role, reason: &str, now: Instant) -> bool {
        let mut last = self.last();
        let is_said = last.as_ref().is_some_and(|line| {
            line.by != by && line.reason == reason && now.duration_since(line.at) < TELL_EVERY
        });
        if !is_said {
            *last = Some(Line {
                by,
                reason: reason.to_owned(),
                at: now,
            });
        }
        !is_said
    }

    /// A link is open: the next failure is another one.
    pub(super) fn is_over(&self) {
        *self.last() = None;
    }

    fn last(&self) -> MutexGuard<'_, Option<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_links_log_one_line_a_minute() {
        let outage = Outage::default();
        let start = Instant::now();
        let says = |by, reason, after| outage.is_news(by, reason, start + after);
        let second = Duration::from_secs(1);
        assert!(says(Role::Consume, "refused", Duration::ZERO));
        assert!(!says(Role::Publish, "refused", second));
        assert!(says(Role::Publish, "reset", second * 2));
        assert!(!says(Role::Consume, "reset", second * 3));
        assert!(says(Role::Consume, "reset", TELL_EVERY + second * 2));
        assert!(!says(Role::Publish, "reset", TELL_EVERY + second * 3));
        outage.is_over();
        assert!(says(Role::Publish, "reset", TELL_EVERY + second * 4));
    }
}
