//! For how long a call has computed: [`Computing`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often a running component is asked whether its time is up. An endless loop is cut off this
/// much late at most.
pub(super) const CLOCK_TICK: Duration = Duration::from_millis(2);

/// For how long a call has computed, and not waited for a host function or for its turn.
#[derive(Debug)]
pub(super) struct Computing {
    so_far: Duration,
    pub(super) resumed: Arc<Resumed>,
}

/// When a call went on after others had their turn.
#[derive(Debug)]
pub(super) struct Resumed {
    base: Instant,
    /// Since then.
    nanos: AtomicU64,
}

impl Computing {
    /// Of an instance that is made now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            so_far: Duration::ZERO,
            resumed: Arc::new(Resumed {
                base: now,
                nanos: AtomicU64::new(0),
            }),
        }
    }

    /// A call begins.
    pub(super) fn begins(&mut self, now: Instant) {
        self.so_far = Duration::ZERO;
        self.resumed.set(now);
    }

    /// The clock ticks and the call runs. What ran all the time since the look before has its tick soon; after a longer
    /// time it has waited for a host function meanwhile.
    pub(super) fn looked_at(&mut self, now: Instant) -> Duration {
        let ran = self.resumed.until(now);
        if ran <= 2 * CLOCK_TICK {
            self.so_far += ran;
        }
        self.so_far
    }
}

impl Resumed {
    /// It goes on now.
    pub(super) fn set(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.base).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Relaxed);
    }

    fn until(&self, now: Instant) -> Duration {
        let resumed = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        now.saturating_duration_since(self.base)
            .saturating_sub(resumed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_between_two_looks_does_not_compute() {
        let mut now = Instant::now();
        let mut computing = Computing::new(now);
        computing.begins(now);
        now += CLOCK_TICK;
        assert_eq!(computing.looked_at(now), CLOCK_TICK);
        // It has its turn again after others, and asks a host function.
        now += Duration::from_millis(50);
        computing.resumed.set(now);
        now += Duration::from_millis(300);
        assert_eq!(computing.looked_at(now), CLOCK_TICK);
        computing.resumed.set(now);
        now += CLOCK_TICK;
        assert_eq!(computing.looked_at(now), 2 * CLOCK_TICK);
        computing.begins(now);
        assert_eq!(computing.looked_at(now), Duration::ZERO);
    }
}
