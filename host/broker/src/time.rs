//! Time as the broker counts it: milliseconds since 1970, given to every decision from outside.

use std::time::Duration;

/// An instant on the broker's clock, which can be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(u64);

impl Time {
    /// The instant at these milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Seconds since 1970, as AMQP's timestamps are.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    pub(crate) const fn after_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        self.after_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) const fn before_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}
