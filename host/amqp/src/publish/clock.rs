//! The time that publications wait: [`Clock`].

use std::time::Duration;

use tokio::time::Instant;

/// Counts the time in which the broker might have confirmed something. It stands still while an alarm blocks the
/// connection, which is neither a fault nor progress.
#[derive(Debug)]
pub(super) struct Clock {
    shows: Duration,
    looked: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            shows: Duration::ZERO,
            looked: Instant::now(),
        }
    }

    /// What it shows. The time since it was looked at the last time counts unless it stood still.
    pub(super) fn look(&mut self, stood_still: bool) -> Duration {
        let now = Instant::now();
        if !stood_still {
            self.shows += now.saturating_duration_since(self.looked);
        }
        self.looked = now;
        self.shows
    }

    /// So much of the time since then does not count.
    pub(super) fn leave_out(&mut self, time: Duration) {
        self.looked += time;
    }
}
