//! What becomes of a delivery: an [`Outcome`] and an [`Attempt`] in, a [`Disposition`] out.
//!
//! Pure, so that every rule of the retry law can be read and tested here, with no broker and no
//! clock. Carrying a disposition out, in the order that loses nothing, is `pipeline::settle`'s.

use std::fmt;
use std::time::Duration;

use crate::message::{Action, Attempt, Publication, Retry};

/// How long a delivery waits at the host before it goes back to its queue through no fault of
/// its own. Long enough not to spin against a broker in trouble, short enough not to be noticed.
pub const REQUEUE_PAUSE: Duration = Duration::from_secs(1);

/// How one call of a component ended.
///
/// A component's failure is a value here and never an `Err`: it is an expected thing with a rule
/// of its own, and each kind can be told from the others in the log and in the dead letter.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was handled; these publications come of it, often none.
    Handled(Vec<Publication>),
    /// The component asked to see it again.
    RetryAsked(Retry),
    /// The component never wants to see it again, for this reason.
    Rejected(String),
    /// The component answered with an error.
    Failed(String),
    /// The instance trapped: a panic, an unreachable, an access out of bounds.
    Trapped(String),
    /// The call ran longer than its component's `timeout`.
    TimedOut(Duration),
    /// The call went over a limit of the sandbox: memory, size of the answer.
    OverLimit(String),
    /// The host could not make the call. Not the component's fault, so no retry is spent.
    HostFault(String),
}

impl From<Action> for Outcome {
    fn from(action: Action) -> Self {
        match action {
            Action::Ack => Self::Handled(Vec::new()),
            Action::Publish(publications) => Self::Handled(publications),
            Action::Retry(retry) => Self::RetryAsked(retry),
            Action::Reject(reason) => Self::Rejected(reason),
        }
    }
}

/// A consumer's `[consumers.NAME.retry]`, as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries before the message is dead-lettered; 0 dead-letters at the first failure.
    pub limit: u32,
    /// The delay before each retry; the last one repeats. Never empty.
    pub delays: Vec<Duration>,
}

impl RetryPolicy {
    /// The delay before the retry that follows `attempt`.
    fn delay_after(&self, attempt: Attempt) -> Duration {
        let index = attempt.retries_spent() as usize;
        *self
            .delays
            .get(index)
            .or_else(|| self.delays.last())
            .expect("a retry policy has at least one delay")
    }
}

/// Why a delivery failed: its class, as told in logs, metrics and headers, and the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// What the component or the host said about it. Not bounded yet.
    pub error: String,
}

/// The kinds of failure that end in a retry or in the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The component asked for one retry too many.
    Retry,
    /// The component rejected the message.
    Rejected,
    /// The component answered with an error.
    Error,
    /// The instance trapped.
    Trap,
    /// The call ran too long.
    Timeout,
    /// A limit of the sandbox was hit.
    Limit,
    /// A publication could not be routed, or the broker refuses it.
    Publish,
}

impl FailureClass {
    /// The word for logs, metrics and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Rejected => "rejected",
            Self::Error => "error",
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do with a delivery now.
#[derive(Debug, Clone, PartialEq)]
pub enum Disposition {
    /// Acknowledge it.
    Ack,
    /// Publish these, and acknowledge it once all are confirmed. Never empty.
    Publish(Vec<Publication>),
    /// Hand it over again after `delay`.
    RetryAfter {
        /// How long it stays in a delay queue.
        delay: Duration,
        /// What went wrong.
        failure: Failure,
    },
    /// Put it in the dead-letter queue.
    DeadLetter(Failure),
    /// Give it back to its queue after a pause; the same attempt is tried again.
    Requeue {
        /// How long it is held first.
        pause: Duration,
        /// Why the host could not go on.
        reason: String,
    },
}

/// The retry law. Only the component's own faults spend its retries.
pub fn decide(outcome: Outcome, attempt: Attempt, policy: &RetryPolicy) -> Disposition {
    let (failure, asked_delay) = match outcome {
        Outcome::Handled(publications) if publications.is_empty() => return Disposition::Ack,
        Outcome::Handled(publications) => return Disposition::Publish(publications),
        Outcome::HostFault(reason) => {
            return Disposition::Requeue {
                pause: REQUEUE_PAUSE,
                reason,
            };
        }
        Outcome::Rejected(reason) => {
            return Disposition::DeadLetter(Failure::new(FailureClass::Rejected, reason));
        }
        Outcome::RetryAsked(retry) => {
            (Failure::new(FailureClass::Retry, retry.reason), retry.delay)
        }
        Outcome::Failed(error) => (Failure::new(FailureClass::Error, error), None),
        Outcome::Trapped(error) => (Failure::new(FailureClass::Trap, error), None),
        Outcome::TimedOut(after) => (
            Failure::new(
                FailureClass::Timeout,
                format!("the call ran longer than its timeout of {after:?}"),
            ),
            None,
        ),
        Outcome::OverLimit(error) => (Failure::new(FailureClass::Limit, error), None),
    };
    retry_or_dead_letter(failure, asked_delay, attempt, policy)
}

/// What follows a publication that the broker would not take: the component named an exchange,
/// a routing key or a property that cannot work, so it spends a retry like any other failure.
pub fn decide_unpublishable(error: String, attempt: Attempt, policy: &RetryPolicy) -> Disposition {
    retry_or_dead_letter(
        Failure::new(FailureClass::Publish, error),
        None,
        attempt,
        policy,
    )
}

fn retry_or_dead_letter(
    failure: Failure,
    asked_delay: Option<Duration>,
    attempt: Attempt,
    policy: &RetryPolicy,
) -> Disposition {
    if attempt.retries_spent() >= policy.limit {
        return Disposition::DeadLetter(failure);
    }
    Disposition::RetryAfter {
        delay: asked_delay.unwrap_or_else(|| policy.delay_after(attempt)),
        failure,
    }
}

impl Failure {
    /// A failure of `class`, in these words.
    pub fn new(class: FailureClass, error: impl Into<String>) -> Self {
        Self {
            class,
            error: error.into(),
        }
    }
}
