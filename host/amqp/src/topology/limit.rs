//! The delivery limit of a quorum queue: what Hive declares, and its effect.
//!
//! RabbitMQ 4.0 and later drop a message that was returned more than 20 times if nothing else is declared, and
//! accept -1 for no limit. Before 4.0, declaring nothing means no limit, and -1 means that the first return
//! drops the message. So the same wish needs a different declaration for each.

use hive_config::plan::{Argument, Arguments};

use crate::wire::frame::BrokerVersion;

/// The argument of a declaration.
pub(super) const X_DELIVERY_LIMIT: &str = "x-delivery-limit";

/// The limit from RabbitMQ 4.0 on, if neither an argument nor a policy sets one.
const DEFAULT: i64 = 20;

/// The limit of a queue: as declared, or as a broker understands the declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Nothing is dropped.
    Unlimited,
    /// A message is dropped at the return after this many.
    Returns(i64),
}

impl Limit {
    /// The limit that `[queues.NAME]` asks for; no limit if it sets none.
    pub(super) fn wanted(arguments: &Arguments) -> Self {
        match integer(arguments) {
            Some(limit @ 0..) => Self::Returns(limit),
            Some(_) | None => Self::Unlimited,
        }
    }

    /// The limit on `broker` for a queue with this argument, if no policy sets another.
    pub(super) fn held(argument: Option<i64>, broker: BrokerVersion) -> Self {
        let has_default = broker >= BrokerVersion::DELIVERY_LIMIT;
        match argument {
            Some(limit @ 0..) => Self::Returns(limit),
            Some(_) if has_default => Self::Unlimited,
            // Before 4.0 no count is below it.
            Some(_) => Self::Returns(0),
            None if has_default => Self::Returns(DEFAULT),
            None => Self::Unlimited,
        }
    }

    /// The argument that says so to `broker`, if one is needed. A broker of an unknown version is sent
    /// none: what means no limit to one would drop everything on another.
    pub(super) fn argument(self, broker: Option<BrokerVersion>) -> Option<i64> {
        let has_default = broker.is_some_and(|broker| broker >= BrokerVersion::DELIVERY_LIMIT);
        match self {
            Self::Unlimited => has_default.then_some(-1),
            Self::Returns(limit) => Some(limit),
        }
    }

    /// Whether a policy gives a queue with this argument the limit: a policy and an argument are joined,
    /// and the lower limit of two holds.
    pub(super) fn can_be_a_policy(self, argument: Option<i64>, broker: BrokerVersion) -> bool {
        match (self, argument) {
            (Self::Unlimited, None) => broker >= BrokerVersion::DELIVERY_LIMIT,
            (Self::Unlimited, Some(_)) => false,
            (Self::Returns(_), None) => true,
            (Self::Returns(_), Some(..0)) => broker >= BrokerVersion::DELIVERY_LIMIT,
            (Self::Returns(limit), Some(argument)) => limit < argument,
        }
    }

    /// As `delivery_limit` of hive.toml and `delivery-limit` of a policy have it.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            Self::Returns(limit) => limit,
        }
    }
}

/// The argument, if the broker would accept it.
pub(super) fn integer(arguments: &Arguments) -> Option<i64> {
    arguments.iter().find_map(|(name, value)| match value {
        Argument::Integer(limit) if name == X_DELIVERY_LIMIT => Some(*limit),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> BrokerVersion {
        BrokerVersion::parse(text).expect("a version")
    }

    #[test]
    fn no_limit_is_said_in_the_way_of_each_broker() {
        let none = Limit::wanted(&Arguments::new());
        let minus_one = Limit::wanted(&vec![(X_DELIVERY_LIMIT.to_owned(), Argument::Integer(-1))]);
        for limit in [none, minus_one] {
            assert_eq!(limit.argument(Some(version("4.3.6"))), Some(-1));
            assert_eq!(limit.argument(Some(version("4.0.5"))), Some(-1));
            assert_eq!(limit.argument(Some(version("3.13.7"))), None);
            assert_eq!(limit.argument(Some(version("3.10.8"))), None);
            assert_eq!(limit.argument(None), None);
        }
    }

    #[test]
    fn a_limit_is_sent_as_it_is() {
        let five = vec![(X_DELIVERY_LIMIT.to_owned(), Argument::Integer(5))];
        let limit = Limit::wanted(&five);
        for broker in [Some(version("4.3.6")), Some(version("3.10.8")), None] {
            assert_eq!(limit.argument(broker), Some(5));
        }
    }

    #[test]
    fn what_holds_on_each_broker() {
        let (old, new) = (version("3.10.8"), version("4.0.5"));
        for (argument, before, from_4_0) in [
            (None, Limit::Unlimited, Limit::Returns(20)),
            (Some(-1), Limit::Returns(0), Limit::Unlimited),
            (Some(5), Limit::Returns(5), Limit::Returns(5)),
        ] {
            assert_eq!(Limit::held(argument, old), before, "{argument:?}");
            assert_eq!(Limit::held(argument, new), from_4_0, "{argument:?}");
        }
    }

    #[test]
    fn a_policy_lowers_a_limit_and_lifts_none() {
        let (old, new) = (version("3.10.8"), version("4.0.5"));
        assert!(Limit::Unlimited.can_be_a_policy(None, new));
        assert!(!Limit::Unlimited.can_be_a_policy(None, old));
        assert!(!Limit::Unlimited.can_be_a_policy(Some(5), new));
        assert!(Limit::Returns(5).can_be_a_policy(None, old));
        assert!(Limit::Returns(5).can_be_a_policy(Some(-1), new));
        assert!(!Limit::Returns(5).can_be_a_policy(Some(-1), old));
        assert!(Limit::Returns(5).can_be_a_policy(Some(6), new));
        assert!(!Limit::Returns(5).can_be_a_policy(Some(4), new));
    }
}
