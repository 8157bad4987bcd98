//! How deliveries go back to their queue so that the broker does not count it against them. Pure.
//!
//! A quorum queue of RabbitMQ 4.0 and later drops a message that came back too often: more than 20 times,
//! where nothing else is set. What counts differs:
//!
//! | given back by | 3.10 | 4.0 | 4.3 |
//! |---|---|---|---|
//! | a closed channel or connection | no | yes | yes |
//! | `basic.nack` with requeue | no | yes | no |
//! | `basic.reject` with requeue | no | yes | yes |
//!
//! Classic queues count nothing, and in a stream nothing is ever refused.

use hive_config::plan::QueueKind;

use crate::wire::frame::BrokerVersion;

/// How the unsettled deliveries of a channel go back when the channel is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtTheEnd {
    /// With the channel. That keeps the order of the queue.
    Close,
    /// It is refused before the channel is closed.
    Refuse,
}

/// How one delivery goes back while its channel stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayBack {
    /// It is refused.
    Refuse,
    /// As a copy with the same attempt, through a delay queue, since every other way is counted.
    Copy,
}

/// For a channel that consumes from a queue of `broker`.
pub(crate) fn at_the_end(broker: Option<BrokerVersion>) -> AtTheEnd {
    match broker {
        Some(version) if version >= BrokerVersion::UNCOUNTED_NACK => AtTheEnd::Refuse,
        _ => AtTheEnd::Close,
    }
}

/// For a delivery from a queue of `broker`, whose kind is known if hive.toml declares it.
pub(crate) fn way_back(broker: Option<BrokerVersion>, kind: Option<QueueKind>) -> WayBack {
    let Some(version) = broker else {
        // A broker that hides its version. A copy is right on each.
        return WayBack::Copy;
    };
    let counts_all =
        (BrokerVersion::DELIVERY_LIMIT..BrokerVersion::UNCOUNTED_NACK).contains(&version);
    match (counts_all, kind) {
        (false, _) | (true, Some(QueueKind::Classic | QueueKind::Stream)) => WayBack::Refuse,
        (true, Some(QueueKind::Quorum) | None) => WayBack::Copy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_channel_holds_is_refused_only_where_that_counts_less_than_closing() {
        for (version, expected) in [
            ("3.10.8", AtTheEnd::Close),
            ("4.0.5", AtTheEnd::Close),
            ("4.2.1", AtTheEnd::Close),
            ("4.3.6", AtTheEnd::Refuse),
            ("5.0.0", AtTheEnd::Refuse),
        ] {
            assert_eq!(at_the_end(BrokerVersion::parse(version)), expected);
        }
        assert_eq!(at_the_end(None), AtTheEnd::Close);
    }

    #[test]
    fn one_delivery_goes_back_as_a_copy_only_where_every_other_way_is_counted() {
        let way = |version, kind| way_back(BrokerVersion::parse(version), kind);
        for version in ["3.10.8", "4.3.6"] {
            assert_eq!(way(version, Some(QueueKind::Quorum)), WayBack::Refuse);
            assert_eq!(way(version, None), WayBack::Refuse);
        }
        assert_eq!(way("4.0.5", Some(QueueKind::Quorum)), WayBack::Copy);
        assert_eq!(way("4.0.5", None), WayBack::Copy);
        assert_eq!(way("4.0.5", Some(QueueKind::Classic)), WayBack::Refuse);
        assert_eq!(way_back(None, Some(QueueKind::Classic)), WayBack::Copy);
    }
}
