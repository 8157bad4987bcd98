//! The broker's version, by which Hive decides what to ask of it.

use std::fmt;

/// A broker's version, as far as it decides what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerVersion {
    major: u32,
    minor: u32,
}

impl BrokerVersion {
    /// The first with quorum queues.
    pub(crate) const QUORUM_QUEUES: Self = Self { major: 3, minor: 8 };
    /// The first whose quorum queues count a delivery that is lost with its channel, and not one that is
    /// refused with `basic.nack`.
    pub(crate) const UNCOUNTED_NACK: Self = Self { major: 4, minor: 3 };
    /// The first that cancels a consumer which leaves a message unacknowledged for too long; those before
    /// close its channel.
    pub(crate) const CANCELS_SLOW_CONSUMERS: Self = Self { major: 4, minor: 3 };
    /// The first version whose quorum queues drop messages that were delivered often, unless a queue says
    /// otherwise.
    pub(crate) const DELIVERY_LIMIT: Self = Self { major: 4, minor: 0 };
    /// The first whose quorum queues make the consumer of the highest priority the single active one, whenever it
    /// comes. Those before keep the first one until it goes.
    pub(crate) const ACTIVE_BY_PRIORITY: Self = Self { major: 4, minor: 0 };
    /// The first whose quorum queues take the consumer timeout as an argument of the consumer.
    pub(crate) const TIMEOUT_OF_CONSUMER: Self = Self { major: 4, minor: 3 };
    /// The first that closes a connection over a small `frame_max`, without a word.
    pub(crate) const LARGER_FRAMES: Self = Self { major: 4, minor: 1 };
    /// The first whose quorum queues dead-letter at least once.
    pub(crate) const AT_LEAST_ONCE: Self = Self {
        major: 3,
        minor: 10,
    };

    /// From "3.10.8" or the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['.', '-', '+']).map(str::parse);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next()?.ok()?;
        Some(Self { major, minor })
    }
}

impl fmt::Display for BrokerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
