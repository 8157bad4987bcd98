//! Whether two versions have answered the same, and where not.

use serde_json::Value;

use crate::answer::Answer;
use crate::difference::{Differences, Sides, Whole, differs, shown};
use crate::message::{Action, Publication, Retry};
use crate::policy::{FailureClass, Outcome};

const SIDES: Sides = Sides {
    one: "current",
    other: "new",
};

/// Larger bodies are compared byte by byte, and not shown: a difference of texts takes its time.
const LARGEST: usize = 64 << 10;

/// The beginning of a body in words.
const BEGINNING: usize = 100;

/// Where two outcomes differ; none if they are the same.
///
/// Bodies that are JSON are compared as values: the order of keys is no difference. The words of a trap, a timeout and a
/// limit are none either: they name functions and addresses of the code.
pub(super) fn differences(current: &Outcome, new: &Outcome) -> Differences {
    if current == new {
        return Differences::new();
    }
    let mut answers = [current, new].map(|outcome| Answer::of(outcome.clone()));
    let [one, other] = answers.each_ref().map(kind);
    if one != other {
        return vec![differs("answer", format!("current {one}, new {other}"))];
    }
    let mut found = bodies(&mut answers);
    let [mut current, mut new] = answers.map(|answer| Value::Object(answer.object()));
    let class = current.get("failure").cloned();
    if class.is_some() && class.as_ref() == new.get("failure") && is_of_the_code(&class) {
        for answer in [&mut current, &mut new] {
            if let Value::Object(answer) = answer {
                answer.remove("error");
            }
        }
    }
    SIDES.json(&current, &new, Whole::Yes, "", &mut found);
    found
}

/// What an answer is, in a word.
fn kind(answer: &Answer) -> String {
    match answer {
        Answer::Action(Action::Ack) => "ack".to_owned(),
        Answer::Action(Action::Publish(_)) => "publish".to_owned(),
        Answer::Action(Action::Retry(_)) => "retry".to_owned(),
        Answer::Action(Action::Reject(_)) => "reject".to_owned(),
        Answer::Failure { class, .. } => format!("failed ({class})"),
    }
}

/// Whether the error of this class has words that differ from one build of the code to the next.
fn is_of_the_code(class: &Option<Value>) -> bool {
    let class = class.as_ref().and_then(Value::as_str);
    matches!(
        class.and_then(FailureClass::from_word),
        Some(FailureClass::Trap | FailureClass::Timeout | FailureClass::Limit)
    )
}

/// Where bodies of publications differ. Those that are compared here are taken off.
fn bodies(answers: &mut [Answer; 2]) -> Differences {
    let mut found = Differences::new();
    let [
        Answer::Action(Action::Publish(current)),
        Answer::Action(Action::Publish(new)),
    ] = answers
    else {
        return found;
    };
    for (index, (current, new)) in current.iter_mut().zip(new).enumerate() {
        let at = format!("publications[{index}].body");
        let (one, other) = (&mut current.message.body, &mut new.message.body);
        if one == other {
            // Nothing to show.
        } else if one.len().max(other.len()) > LARGEST {
            let same = one.iter().zip(other.iter()).take_while(|(a, b)| a == b);
            let words = format!(
                "current {} bytes, new {} bytes; the first difference is at byte {}",
                one.len(),
                other.len(),
                same.count()
            );
            found.push(differs(&at, words));
        } else if let (Ok(one), Ok(other)) =
            (serde_json::from_slice(one), serde_json::from_slice(other))
        {
            SIDES.json(&one, &other, Whole::Yes, &at, &mut found);
        } else {
            continue;
        }
        one.clear();
        other.clear();
    }
    found
}

/// An outcome in words.
pub(super) fn words(outcome: &Outcome) -> String {
    match Answer::of(outcome.clone()) {
        Answer::Action(Action::Ack) => "ack".to_owned(),
        Answer::Action(Action::Publish(publications)) => {
            let all: Vec<_> = publications.iter().take(3).map(publication).collect();
            format!("publish {}: {}", publications.len(), all.join("; "))
        }
        Answer::Action(Action::Retry(Retry { reason, delay })) => {
            let delay = delay.map_or(String::new(), |delay| format!(" after {delay:?}"));
            format!("retry{delay}: {reason}")
        }
        Answer::Action(Action::Reject(reason)) => format!("reject: {reason}"),
        Answer::Failure { class, error } => format!("failed ({class}): {error}"),
    }
}

fn publication(publication: &Publication) -> String {
    let Publication {
        exchange,
        routing_key,
        message,
        ..
    } = publication;
    let to = match exchange.as_str() {
        "" => format!("to queue {routing_key:?}"),
        _ => format!("to exchange {exchange:?} with routing key {routing_key:?}"),
    };
    let beginning = &message.body[..message.body.len().min(BEGINNING)];
    let body = match std::str::from_utf8(&message.body) {
        Ok(text) => shown(&text[..text.floor_char_boundary(BEGINNING)]),
        Err(_) if beginning.is_empty() => String::new(),
        Err(_) => format!("{} bytes", message.body.len()),
    };
    format!("{to} {body}")
}
