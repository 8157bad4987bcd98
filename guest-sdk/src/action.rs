//! Building an action, and inspecting one in tests.

use std::fmt::Display;
use std::time::Duration;

use crate::publication::milliseconds;
use crate::{Action, Publication, Retry};

impl Action {
    /// Done: the delivery is acknowledged.
    pub fn ack() -> Self {
        Self::Ack
    }

    /// Publish these, in this order; the host acknowledges the delivery when the broker has confirmed
    /// all of them.
    pub fn publish(publications: impl IntoIterator<Item = Publication>) -> Self {
        Self::Publish(publications.into_iter().collect())
    }

    /// Not now: the delivery comes again after the delay of the consumer's retry policy.
    pub fn retry(reason: impl Display) -> Self {
        Self::Retry(Retry {
            reason: reason.to_string(),
            delay_ms: None,
        })
    }

    /// Not now: the delivery comes again after `delay`, in whole milliseconds.
    pub fn retry_after(reason: impl Display, delay: Duration) -> Self {
        Self::Retry(Retry {
            reason: reason.to_string(),
            delay_ms: Some(milliseconds(delay)),
        })
    }

    /// Never: the delivery is dead-lettered now, for this reason.
    pub fn reject(reason: impl Display) -> Self {
        Self::Reject(reason.to_string())
    }

    /// Whether the action only acknowledges.
    pub fn is_ack(&self) -> bool {
        matches!(self, Self::Ack)
    }

    /// The publications; empty for every other action.
    pub fn publications(&self) -> &[Publication] {
        match self {
            Self::Publish(publications) => publications,
            _ => &[],
        }
    }

    /// The retry, if the action is one.
    pub fn as_retry(&self) -> Option<&Retry> {
        match self {
            Self::Retry(retry) => Some(retry),
            _ => None,
        }
    }

    /// The reason of the rejection, if the action is one.
    pub fn as_reject(&self) -> Option<&str> {
        match self {
            Self::Reject(reason) => Some(reason),
            _ => None,
        }
    }
}

impl From<Publication> for Action {
    fn from(publication: Publication) -> Self {
        Self::publish([publication])
    }
}
