//! The broker's clock: it runs with the machine's or stands still, and can be turned forward either way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::Time;

/// How the clock of a broker moves while no test turns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// The clock runs with that of the machine.
    #[default]
    Running,
    /// Not at all: only [`Broker::turn`](crate::Broker::turn) moves it, so that a test decides what has
    /// expired and what has not.
    Still,
}

#[derive(Debug)]
pub(crate) struct Clock {
    begun: Instant,
    base: Time,
    pub(crate) pace: Pace,
    turned: Duration,
}

impl Clock {
    pub(crate) fn new(pace: Pace) -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            begun: Instant::now(),
            base: Time::default().after(since),
            pace,
            turned: Duration::ZERO,
        }
    }

    pub(crate) fn now(&self) -> Time {
        let passed = match self.pace {
            Pace::Running => self.begun.elapsed(),
            Pace::Still => Duration::ZERO,
        };
        self.base.after(passed.saturating_add(self.turned))
    }

    pub(crate) fn turn(&mut self, by: Duration) {
        self.turned = self.turned.saturating_add(by);
    }
}
