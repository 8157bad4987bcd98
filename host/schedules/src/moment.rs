//! A point in time, whatever the zone.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since 1970 in UTC; negative before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// This many milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the beginning of 1970, as a message carries them.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// This much later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How long it is from `earlier` to this; zero if that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let millis = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// The nearest one that jiff knows: it ends with the year 9999.
    pub(crate) fn timestamp(self) -> Timestamp {
        let nearest = match self.0 < 0 {
            true => Timestamp::MIN,
            false => Timestamp::MAX,
        };
        Timestamp::from_millisecond(self.0).unwrap_or(nearest)
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(millis(since)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

impl fmt::Display for Moment {
    /// In UTC, to the second: `2026-11-29T03:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
        utc.fmt(f)
    }
}

fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_has_its_moments_too() {
        let hours = Duration::from_secs(6 * 3600);
        let never_set = Moment::from(UNIX_EPOCH - hours);
        assert_eq!(never_set.millis(), -21_600_000);
        assert_eq!(never_set.to_string(), "1969-12-31T18:00:00Z");
        assert_eq!(never_set.seconds(), 0);
        assert_eq!(never_set.after(hours), Moment::from(UNIX_EPOCH));
    }

    #[test]
    fn the_end_of_time_is_no_end_of_the_program() {
        let last = Moment::from_millis(i64::MAX);
        assert_eq!(last.after(Duration::MAX), last);
        assert!(last.to_string().starts_with("9999-"));
        assert_eq!(last.since(last.after(Duration::MAX)), Duration::ZERO);
    }
}
