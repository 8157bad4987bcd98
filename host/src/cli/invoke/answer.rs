//! A component's answer or failure, for people and for scripts.

use std::fmt::Write as _;

use hive_core::escape;
use hive_core::json::write_action;
use hive_core::message::{Action, Attempt, Publication, Retry};
use hive_core::policy::{self, Disposition, Failure, Outcome, RetryPolicy};
use serde_json::{Map, Value};

use crate::cli::parts::{body, headers, properties};

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
pub(in crate::cli) enum Answer {
    /// The component works, and says what is to be done.
    Action(Action),
    /// The component failed.
    Failure { class: &'static str, error: String },
}

impl Answer {
    pub(in crate::cli) fn of(outcome: Outcome) -> Self {
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

    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Failure { .. })
    }

    /// An action as docs/message-format.md has it, or a failure with its class and its error.
    pub(in crate::cli) fn object(&self) -> Map<String, Value> {
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

    /// Writes the answer as text for people.
    pub(super) fn write(&self, text: &mut String) {
        match self {
            Self::Action(Action::Ack) => text.push_str("ack\n"),
            Self::Action(Action::Publish(publications)) => {
                writeln!(text, "publish {}", publications.len()).expect("a String takes all");
                publications.iter().for_each(|one| publication(one, text));
            }
            Self::Action(Action::Retry(Retry { reason, delay })) => {
                let delay = delay.map_or(String::new(), |delay| format!(" after {delay:?}"));
                told(&format!("retry{delay}"), reason, text);
            }
            Self::Action(Action::Reject(reason)) => told("reject", reason, text),
            Self::Failure { class, error } => told(&format!("failed ({class})"), error, text),
        }
    }
}

/// All lines of it: a traceback has many.
fn told(what: &str, reason: &str, text: &mut String) {
    let mut lines = reason.lines();
    let first = escape::lines(lines.next().unwrap_or_default());
    writeln!(text, "{what}: {first}").expect("a String takes all");
    for line in lines {
        writeln!(text, "  {}", escape::lines(line)).expect("a String takes all");
    }
}

fn publication(publication: &Publication, text: &mut String) {
    let Publication {
        exchange,
        routing_key,
        message,
        mandatory,
        delay,
    } = publication;
    let mut put = |name: &str, value: &str| {
        writeln!(text, "  {name:<18} {}", escape::line(value)).expect("a String takes all");
    };
    match exchange.as_str() {
        "" => put("to queue", &format!("{routing_key:?}")),
        _ => put(
            "to exchange",
            &format!("{exchange:?} with routing key {routing_key:?}"),
        ),
    }
    if !mandatory {
        put("mandatory", "false");
    }
    if let Some(delay) = delay {
        put("delay", &format!("{delay:?}"));
    }
    for (name, value) in properties(&message.properties) {
        put(name, &value);
    }
    for (_, header) in headers(&message.properties) {
        put("header", &header);
    }
    body(&message.body, text);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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

    #[test]
    fn an_error_of_many_lines_is_told_whole_and_moves_no_cursor() {
        let mut text = String::new();
        let error = "ValueError: no\n  File \"a.py\", line 3\n\u{1b}[2J".to_owned();
        let class = "error";
        Answer::Failure { class, error }.write(&mut text);
        assert_eq!(
            text,
            "failed (error): ValueError: no\n    File \"a.py\", line 3\n  \\u{1b}[2J\n"
        );
    }
}
