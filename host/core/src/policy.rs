//! The decision about a delivery: an [`Outcome`] and an [`Attempt`] in, a [`Disposition`] out.
//!
//! Pure, so that every rule of the retry law can be read and tested here, with no broker and no clock.
//! `pipeline::settle` carries a disposition out, in the order that loses nothing.

mod consequences;
mod consumer;
mod schedule;

use std::fmt;
use std::time::Duration;

use crate::codes::Code;
use crate::message::{Action, Attempt, Publication, Retry};

pub use self::consequences::{Performance, Published};
pub use self::consumer::{AfterOverrun, ConsumerPolicy};
pub use self::schedule::{Schedule, jittered};

/// How one call of a component ended.
///
/// A component's failure is a value here and never an `Err`: it is expected, has a rule of its own, and each
/// kind is distinguished in the log and in the dead letter.
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
    /// The component asked for a publication that its `allow.publish` does not name, or that does not match its schema.
    NotAllowed(String),
    /// The message does not match the schema of its consumer, so no call was made.
    Unmatched(String),
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
    /// The schedule that the delays are those of; `None` if hive.toml names the delays. Those of a schedule have
    /// jitter.
    pub schedule: Option<Schedule>,
}

/// Why a delivery failed: its class, for logs, metrics and headers, and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// The error text of the component or the host. Not bounded yet.
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
    /// A publication is not allowed, could not be routed, or is refused by the broker.
    Publish,
    /// The host died several times while it handled the message alone.
    Crash,
    /// The message does not match the schema of its consumer.
    Schema,
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
            Self::Crash => "crash",
            Self::Schema => "schema",
        }
    }

    /// The class that this word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        const ALL: [FailureClass; 9] = [
            FailureClass::Retry,
            FailureClass::Rejected,
            FailureClass::Error,
            FailureClass::Trap,
            FailureClass::Timeout,
            FailureClass::Limit,
            FailureClass::Publish,
            FailureClass::Crash,
            FailureClass::Schema,
        ];
        ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl FailureClass {
    /// The error code, for `hive-host explain`.
    pub fn code(self) -> Code {
        match self {
            Self::Retry => Code::RetryAsked,
            Self::Rejected => Code::Rejected,
            Self::Error => Code::ComponentError,
            Self::Trap => Code::Trapped,
            Self::Timeout => Code::TimedOut,
            Self::Limit => Code::OverLimit,
            Self::Publish => Code::NotPublished,
            Self::Crash => Code::HostCrashed,
            Self::Schema => Code::Unmatched,
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The next step with a delivery.
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
        /// Whether the delay may be a part shorter, so that not all messages of an outage come back at once.
        jitter: bool,
        /// The failure.
        failure: Failure,
    },
    /// Put it in the dead-letter queue.
    DeadLetter(Failure),
    /// Pass over it: a message of a stream, which can neither leave it nor be put into it again.
    Skip(Failure),
    /// Read no further than this message of a stream, until an operator has changed something.
    Stop(Failure),
    /// Keep it in the host, unacknowledged, and try the same attempt again there: giving it back would
    /// be counted against the message, and only bring it here again.
    Keep {
        /// Why the host could not continue.
        reason: String,
    },
}

/// The retry law. Only the component's own faults spend its retries.
pub fn decide(outcome: Outcome, attempt: Attempt, policy: &RetryPolicy) -> Disposition {
    let (failure, asked_delay) = match outcome {
        Outcome::Handled(publications) if publications.is_empty() => return Disposition::Ack,
        Outcome::Handled(publications) => return Disposition::Publish(publications),
        Outcome::HostFault(reason) => {
            return Disposition::Keep { reason };
        }
        Outcome::Rejected(reason) => {
            return Disposition::DeadLetter(Failure::new(FailureClass::Rejected, reason));
        }
        Outcome::Unmatched(reason) => {
            return Disposition::DeadLetter(Failure::new(FailureClass::Schema, reason));
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
        Outcome::NotAllowed(error) => (Failure::new(FailureClass::Publish, error), None),
    };
    retry_or_dead_letter(failure, asked_delay, attempt, policy)
}

/// The decision about a publication that the broker refused: the component named an exchange, a routing key or
/// a property that cannot work, so it spends a retry like any other failure.
fn decide_unpublishable(error: String, attempt: Attempt, policy: &RetryPolicy) -> Disposition {
    retry_or_dead_letter(
        Failure::new(FailureClass::Publish, error),
        None,
        attempt,
        policy,
    )
}

/// An attempt that the broker cut short is one that is spent, as is one that `timeout` cut short. `Err` if it was the
/// last one.
fn decide_overrun(overran: Attempt, policy: &RetryPolicy) -> Result<Attempt, Failure> {
    if overran.retries_spent() < policy.limit {
        return Ok(overran.next());
    }
    Err(Failure::new(
        FailureClass::Timeout,
        "handling it took longer than the broker's consumer timeout (`consumer_timeout`), which takes a \
         delivery back; a shorter `timeout` of the component ends such a call before",
    ))
}

/// The treatment of a message of a stream that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The consumer stops in front of it.
    Stop,
    /// The message is skipped.
    Skip,
    /// A copy goes to the dead-letter queue, and the stream is read on.
    DeadLetter,
}

/// The same for a message of a stream: one that failed cannot be retried into it, where everybody
/// else would read it again.
fn in_a_stream(disposition: Disposition, on_error: OnError) -> Disposition {
    let failure = match disposition {
        Disposition::RetryAfter { failure, .. } | Disposition::DeadLetter(failure) => failure,
        other => return other,
    };
    match on_error {
        OnError::Stop => Disposition::Stop(failure),
        OnError::Skip => Disposition::Skip(failure),
        OnError::DeadLetter => Disposition::DeadLetter(failure),
    }
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
        // What a component asks for is never cut short.
        jitter: asked_delay.is_none() && policy.schedule.is_some(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(limit: u32, seconds: &[u64]) -> RetryPolicy {
        RetryPolicy {
            limit,
            delays: seconds.iter().copied().map(Duration::from_secs).collect(),
            schedule: None,
        }
    }

    fn attempt(number: u32) -> Attempt {
        Attempt::new(number).expect("tests count from 1")
    }

    /// The delays of every retry until the message is dead-lettered.
    fn delays_until_dead(policy: &RetryPolicy) -> Vec<u64> {
        let mut delays = Vec::new();
        let mut attempt = Attempt::FIRST;
        while let Disposition::RetryAfter { delay, .. } =
            decide(Outcome::Failed("no".into()), attempt, policy)
        {
            delays.push(delay.as_secs());
            attempt = attempt.next();
        }
        delays
    }

    #[test]
    fn delays_are_used_in_the_order_written_and_the_last_repeats() {
        assert_eq!(
            delays_until_dead(&policy(5, &[5, 15, 30])),
            [5, 15, 30, 30, 30]
        );
        assert_eq!(delays_until_dead(&policy(2, &[30, 5, 1])), [30, 5]);
    }

    #[test]
    fn a_limit_of_one_is_two_deliveries_and_of_none_is_one() {
        assert_eq!(delays_until_dead(&policy(1, &[10])), [10]);
        assert!(delays_until_dead(&policy(0, &[10])).is_empty());
    }

    #[test]
    fn success_acks_or_publishes() {
        let publication = Publication {
            exchange: String::new(),
            routing_key: "q".into(),
            message: crate::message::Message::default(),
            mandatory: true,
            delay: None,
        };
        let policy = policy(3, &[1]);
        assert_eq!(
            decide(Outcome::Handled(vec![]), Attempt::FIRST, &policy),
            Disposition::Ack
        );
        assert_eq!(
            decide(
                Outcome::Handled(vec![publication.clone()]),
                Attempt::FIRST,
                &policy
            ),
            Disposition::Publish(vec![publication])
        );
    }

    #[test]
    fn a_delay_asked_for_wins_over_the_policy_but_not_over_the_limit() {
        let asked = |delay| {
            Outcome::RetryAsked(Retry {
                reason: "not yet".into(),
                delay,
            })
        };
        let policy = policy(1, &[10]);
        let delay = Some(Duration::from_millis(1500));
        assert!(matches!(
            decide(asked(delay), attempt(1), &policy),
            Disposition::RetryAfter { delay, .. } if delay == Duration::from_millis(1500)
        ));
        assert!(matches!(
            decide(asked(None), attempt(1), &policy),
            Disposition::RetryAfter { delay, .. } if delay == Duration::from_secs(10)
        ));
        assert!(matches!(
            decide(asked(delay), attempt(2), &policy),
            Disposition::DeadLetter(Failure {
                class: FailureClass::Retry,
                ..
            })
        ));
    }

    #[test]
    fn each_kind_of_failure_keeps_its_class() {
        let cases = [
            (Outcome::Failed("x".into()), FailureClass::Error),
            (Outcome::Trapped("x".into()), FailureClass::Trap),
            (
                Outcome::TimedOut(Duration::from_secs(5)),
                FailureClass::Timeout,
            ),
            (Outcome::OverLimit("x".into()), FailureClass::Limit),
            (Outcome::Rejected("x".into()), FailureClass::Rejected),
        ];
        for (outcome, class) in cases {
            match decide(outcome, Attempt::FIRST, &policy(0, &[1])) {
                Disposition::DeadLetter(failure) => assert_eq!(failure.class, class),
                other => panic!("expected a dead letter, got {other:?}"),
            }
        }
    }

    #[test]
    fn what_overran_is_tried_up_to_the_limit_and_dead_lettered_then() {
        let policy = policy(1, &[1]);
        assert_eq!(decide_overrun(attempt(1), &policy), Ok(attempt(2)));
        let spent = decide_overrun(attempt(2), &policy).unwrap_err();
        assert_eq!(spent.class, FailureClass::Timeout);
    }

    fn any_publication() -> impl Strategy<Value = Publication> {
        (".*", ".*", any::<bool>()).prop_map(|(exchange, routing_key, mandatory)| Publication {
            exchange,
            routing_key,
            message: crate::message::Message::default(),
            mandatory,
            delay: None,
        })
    }

    /// A limit and an attempt, as often as not within a step of one another.
    fn any_stage() -> impl Strategy<Value = (u32, u32)> {
        (any::<u32>(), any::<u32>(), -1i64..=2).prop_flat_map(|(limit, other, step)| {
            let near = (i64::from(limit) + step).clamp(1, u32::MAX.into());
            let near = u32::try_from(near).expect("it was clamped");
            (Just(limit), prop_oneof![Just(near), Just(other.max(1))])
        })
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Handled(vec![])),
            proptest::collection::vec(any_publication(), 1..4).prop_map(Outcome::Handled),
            ".*".prop_map(Outcome::Failed),
            ".*".prop_map(Outcome::Rejected),
            ".*".prop_map(Outcome::Trapped),
            ".*".prop_map(Outcome::OverLimit),
            ".*".prop_map(Outcome::HostFault),
            any::<u32>().prop_map(|ms| Outcome::TimedOut(Duration::from_millis(ms.into()))),
            (".*", proptest::option::of(any::<u32>())).prop_map(|(reason, ms)| {
                Outcome::RetryAsked(Retry {
                    reason,
                    delay: ms.map(|ms| Duration::from_millis(ms.into())),
                })
            }),
        ]
    }

    #[test]
    fn nothing_is_retried_into_a_stream_and_nothing_else_changes() {
        let failure = || Failure::new(FailureClass::Error, "no");
        let delay = Duration::from_secs(1);
        let retry = || Disposition::RetryAfter {
            delay,
            jitter: false,
            failure: failure(),
        };
        for (on_error, expected) in [
            (OnError::Stop, Disposition::Stop(failure())),
            (OnError::Skip, Disposition::Skip(failure())),
            (OnError::DeadLetter, Disposition::DeadLetter(failure())),
        ] {
            assert_eq!(in_a_stream(retry(), on_error), expected);
            let dead = Disposition::DeadLetter(failure());
            assert_eq!(in_a_stream(dead, on_error), expected);
            assert_eq!(in_a_stream(Disposition::Ack, on_error), Disposition::Ack);
            let keep = Disposition::Keep {
                reason: "the broker is away".into(),
            };
            assert_eq!(in_a_stream(keep.clone(), on_error), keep);
        }
    }

    proptest! {
        #[test]
        fn the_hosts_own_faults_spend_no_retry(reason in ".*", (limit, number) in any_stage()) {
            let disposition = decide(
                Outcome::HostFault(reason.clone()),
                attempt(number),
                &policy(limit, &[1]),
            );
            let expected = Disposition::Keep { reason };
            prop_assert_eq!(disposition, expected);
        }

        #[test]
        fn no_outcome_is_retried_past_the_limit(
            outcome in any_outcome(), (limit, number) in any_stage(),
        ) {
            let disposition = decide(outcome, attempt(number), &policy(limit, &[1, 2]));
            if matches!(disposition, Disposition::RetryAfter { .. }) {
                prop_assert!(number <= limit);
            }
        }

        #[test]
        fn a_failure_is_retried_up_to_the_limit_and_dead_lettered_after_it(
            error in ".*", (limit, number) in any_stage(),
        ) {
            let policy = policy(limit, &[1]);
            let unpublishable = decide_unpublishable(error.clone(), attempt(number), &policy);
            for (disposition, class) in [
                (decide(Outcome::Failed(error.clone()), attempt(number), &policy), FailureClass::Error),
                (unpublishable, FailureClass::Publish),
            ] {
                let failure = Failure::new(class, error.clone());
                let expected = match number <= limit {
                    true => Disposition::RetryAfter { delay: Duration::from_secs(1), jitter: false, failure },
                    false => Disposition::DeadLetter(failure),
                };
                prop_assert_eq!(disposition, expected);
            }
        }

        #[test]
        fn delays_are_those_written_in_their_order_and_then_the_last(
            seconds in proptest::collection::vec(0u64..100_000, 1..6),
            limit in 0u32..20,
        ) {
            let last = seconds.last().copied().expect("there is one");
            let expected: Vec<u64> =
                seconds.iter().copied().chain(std::iter::repeat(last)).take(limit as usize).collect();
            prop_assert_eq!(delays_until_dead(&policy(limit, &seconds)), expected);
        }

        /// Only a handled delivery is acknowledged directly, and all of its publications are sent with it.
        #[test]
        fn no_outcome_yields_loss(outcome in any_outcome(), (limit, number) in any_stage()) {
            let disposition = decide(outcome.clone(), attempt(number), &policy(limit, &[1]));
            match outcome {
                Outcome::Handled(publications) if publications.is_empty() => {
                    prop_assert_eq!(disposition, Disposition::Ack);
                }
                Outcome::Handled(publications) => {
                    prop_assert_eq!(disposition, Disposition::Publish(publications));
                }
                _ => {
                    let is_kept = matches!(
                        disposition,
                        Disposition::RetryAfter { .. }
                            | Disposition::DeadLetter(_)
                            | Disposition::Keep { .. }
                    );
                    prop_assert!(is_kept, "{disposition:?}");
                }
            }
        }
    }
}
