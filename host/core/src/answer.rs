//! A component's answer or failure, as those see it who compare it or read it. Pure.

use serde_json::{Map, Value};

use crate::json::write_action;
use crate::message::{Action, Attempt};
use crate::policy::{self, Disposition, Failure, Outcome, RetryPolicy};

/// A policy without retries, so that each failure shows its class.
const NO_RETRIES: RetryPolicy = RetryPolicy {
    limit: 0,
    delays: Vec::new(),
    schedule: None,
};

/// The class of a problem outside the component.
const HOST: &str = "host";

/// The end of one delivery.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// The component works, and says what is to be done.
    Action(Action),
    /// The component failed.
    Failure {
        /// The class of the failure.
        class: &'static str,
        /// The error in words.
        error: String,
    },
}

impl Answer {
    /// The answer that an outcome is.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::RetryAsked(retry) => return Self::Action(Action::Retry(retry)),
            Outcome::Rejected(reason) => return Self::Action(Action::Reject(reason)),
            _ => {}
        }
        match policy::decide(outcome, Attempt::FIRST, &NO_RETRIES) {
            Disposition::Ack => Self::Action(Action::Ack),
            Disposition::Publish(publications) => Self::Action(Action::Publish(publications)),
            Disposition::RetryAfter { failure, .. }
            | Disposition::DeadLetter(failure)
            | Disposition::Skip(failure)
            | Disposition::Stop(failure) => {
                let Failure { class, error } = failure;
                let class = class.as_str();
                Self::Failure { class, error }
            }
            Disposition::Keep { reason } => Self::Failure {
                class: HOST,
                error: reason,
            },
        }
    }

    /// Whether the component, or something outside of it, failed.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failure { .. })
    }

    /// An action as docs/message-format.md has it, or a failure with its class and its error.
    pub fn object(&self) -> Map<String, Value> {
        match self {
            Self::Action(action) => match write_action(action) {
                Value::Object(object) => object,
                other => Map::from_iter([("action".to_owned(), other)]),
            },
            Self::Failure { class, error } => Map::from_iter([
                ("failure".to_owned(), Value::from(*class)),
                ("error".to_owned(), Value::from(error.as_str())),
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Retry;

    #[test]
    fn a_wish_is_an_action_and_a_fault_has_its_class() {
        let retry = Retry {
            reason: "later".into(),
            delay: Some(Duration::from_secs(1)),
        };
        let asked = Answer::of(Outcome::RetryAsked(retry.clone()));
        assert_eq!(asked, Answer::Action(Action::Retry(retry)));
        assert_eq!(
            Answer::of(Outcome::Handled(vec![])),
            Answer::Action(Action::Ack)
        );
        let classes = [
            (Outcome::Failed("x".into()), "error"),
            (Outcome::Trapped("x".into()), "trap"),
            (Outcome::TimedOut(Duration::ZERO), "timeout"),
            (Outcome::OverLimit("x".into()), "limit"),
            (Outcome::NotAllowed("x".into()), "publish"),
            (Outcome::HostFault("x".into()), "host"),
        ];
        for (outcome, wanted) in classes {
            let answer = Answer::of(outcome);
            assert!(answer.is_failure());
            assert_eq!(answer.object()["failure"], wanted);
        }
    }
}
