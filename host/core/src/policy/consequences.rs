//! What follows from an outcome or a disposition besides its delivery: for the breaker, the canary, the lane of its
//! key, and a redelivery. Matched without a `_` arm, so that a new variant has an answer to each.

use std::time::Duration;

use super::{Disposition, FailureClass, Outcome};

/// How one delivery ended, as far as its component is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performance {
    /// It was handled, or the message itself was at fault.
    Well,
    /// The component failed.
    Failed,
    /// Nothing is known of the component: the host or the broker was in trouble.
    Unknown,
}

/// What a disposition publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Nothing.
    Nothing,
    /// What the component asked for.
    Publications,
    /// A copy of the message.
    Copy,
}

impl Outcome {
    /// Whether the component has handled the delivery; `None` if it could not show it, since no call was made.
    pub fn is_handled(&self) -> Option<bool> {
        match self {
            Self::Handled(_) => Some(true),
            Self::RetryAsked(_)
            | Self::Rejected(_)
            | Self::Failed(_)
            | Self::Trapped(_)
            | Self::TimedOut(_)
            | Self::OverLimit(_)
            | Self::NotAllowed(_) => Some(false),
            Self::HostFault(_) | Self::Unmatched(_) => None,
        }
    }
}

impl Disposition {
    /// What it says of the component; `None` for a success, which is only known once it is carried out.
    pub fn performance(&self) -> Option<Performance> {
        match self {
            Self::Ack | Self::Publish(_) => None,
            Self::RetryAfter { .. } => Some(Performance::Failed),
            Self::DeadLetter(failure) | Self::Skip(failure) | Self::Stop(failure) => {
                Some(match failure.class {
                    FailureClass::Rejected => Performance::Well,
                    // No call was made.
                    FailureClass::Schema => Performance::Unknown,
                    FailureClass::Retry
                    | FailureClass::Error
                    | FailureClass::Trap
                    | FailureClass::Timeout
                    | FailureClass::Limit
                    | FailureClass::Publish
                    | FailureClass::Crash => Performance::Failed,
                })
            }
            Self::Keep { .. } => Some(Performance::Unknown),
        }
    }

    /// The delay before the next attempt, if there is to be one.
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::RetryAfter { delay, .. } => Some(*delay),
            Self::Ack
            | Self::Publish(_)
            | Self::DeadLetter(_)
            | Self::Skip(_)
            | Self::Stop(_)
            | Self::Keep { .. } => None,
        }
    }

    /// What it publishes before the delivery is acknowledged.
    pub fn published(&self) -> Published {
        match self {
            Self::Publish(_) => Published::Publications,
            Self::RetryAfter { .. } | Self::DeadLetter(_) => Published::Copy,
            Self::Ack | Self::Skip(_) | Self::Stop(_) | Self::Keep { .. } => Published::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Failure;
    use super::*;

    #[test]
    fn a_message_at_fault_does_not_count_against_its_component() {
        let dead = |class| Disposition::DeadLetter(Failure::new(class, "no")).performance();
        assert_eq!(dead(FailureClass::Rejected), Some(Performance::Well));
        assert_eq!(dead(FailureClass::Schema), Some(Performance::Unknown));
        assert_eq!(dead(FailureClass::Trap), Some(Performance::Failed));
        let kept = Disposition::Keep {
            reason: "the broker is away".into(),
        };
        assert_eq!(kept.performance(), Some(Performance::Unknown));
        assert_eq!(Disposition::Ack.performance(), None);
    }

    #[test]
    fn a_call_that_was_not_made_shows_nothing() {
        assert_eq!(Outcome::Handled(vec![]).is_handled(), Some(true));
        assert_eq!(Outcome::Rejected("no".into()).is_handled(), Some(false));
        assert_eq!(Outcome::HostFault("full".into()).is_handled(), None);
        assert_eq!(Outcome::Unmatched("no".into()).is_handled(), None);
    }
}
