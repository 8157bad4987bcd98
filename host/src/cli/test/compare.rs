//! What came of a case against what it expects: every difference, with its place and both values. Pure.

use std::fmt::Write as _;

use hive_config::cases::{AnswerMatch, BodyMatch, HeaderMatch, MessageMatch, TextMatch};
pub(super) use hive_core::difference::{
    Difference, Differences, differs, shown, shown_json, within,
};
use hive_core::difference::{Sides, Whole, body_of};
use hive_core::json::base64;
use regex::Regex;
use serde_json::{Map, Value};

/// An expectation, and what came.
const SIDES: Sides = Sides {
    one: "expected",
    other: "got",
};

/// An answer, in the form of `hive-host invoke --json`, against the expectation.
pub(super) fn answer(expected: &AnswerMatch, got: &Map<String, Value>, at: &str) -> Differences {
    let text = |key: &str| got.get(key).and_then(Value::as_str);
    let wanted = match (&expected.action, &expected.failure) {
        (Some(action), _) => Some(("action", action.as_str())),
        (None, Some(class)) => Some(("failure", class.as_str())),
        (None, None) => None,
    };
    let is_wanted = match wanted {
        Some((key, value)) => text(key) == Some(value),
        None => expected.error.is_some() == got.contains_key("failure"),
    };
    if !is_wanted {
        let wanted = match wanted {
            Some((key, value)) => format!("the {key} {value:?}"),
            None if expected.error.is_some() => "a failure".to_owned(),
            None => "an action".to_owned(),
        };
        let (place, words) = (within(at, "answer"), told(got));
        return vec![differs(&place, format!("expected {wanted}, got {words}"))];
    }
    let mut found = Differences::new();
    for (key, expected) in [("reason", &expected.reason), ("error", &expected.error)] {
        if let Some(expected) = expected {
            found.extend(text_at(expected, got.get(key), &within(at, key)));
        }
    }
    if let Some(delay) = expected.delay {
        let expected = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let got = got.get("delay-ms");
        if got.and_then(Value::as_u64) != Some(expected) {
            let words = format!("expected {expected} ms, got {}", or_none(got));
            found.push(differs(&within(at, "delay"), words));
        }
    }
    if let Some(expected) = &expected.publications {
        let none = Vec::new();
        let got = got.get("publications").and_then(Value::as_array);
        found.extend(messages(
            expected,
            got.unwrap_or(&none),
            &within(at, "publications"),
        ));
    }
    found
}

/// An answer in a few words.
fn told(got: &Map<String, Value>) -> String {
    let text = |key: &str| got.get(key).and_then(Value::as_str);
    if let Some(class) = text("failure") {
        let error = text("error").unwrap_or_default();
        return format!("the failure {class:?}: {}", shown(error));
    }
    let action = text("action").unwrap_or_default();
    match text("reason") {
        Some(reason) => format!("the action {action:?}, reason {}", shown(reason)),
        None => format!("the action {action:?}"),
    }
}

fn or_none(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), shown_json)
}

/// Messages in their order.
pub(super) fn messages(expected: &[MessageMatch], got: &[Value], at: &str) -> Differences {
    let mut found = Differences::new();
    if expected.len() != got.len() {
        let mut words = format!("expected {}, got {}", expected.len(), got.len());
        for message in got {
            write!(words, "\n{}", shown_json(message)).expect("a String takes all");
        }
        found.push(differs(at, words));
    }
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        found.extend(message(expected, got, &format!("{at}[{index}]")));
    }
    found
}

/// A message in the form of docs/message-format.md.
pub(super) fn message(expected: &MessageMatch, got: &Value, at: &str) -> Differences {
    let mut found = Differences::new();
    for (key, expected) in &expected.texts {
        found.extend(text_at(expected, got.get(*key), &within(at, key)));
    }
    for (key, expected) in &expected.values {
        let place = within(at, key);
        match got.get(*key) {
            Some(got) => SIDES.json(expected, got, Whole::Yes, &place, &mut found),
            None => found.push(differs(
                &place,
                format!("expected {}, got nothing", shown_json(expected)),
            )),
        }
    }
    for (name, expected) in &expected.headers {
        let got = got.get("headers").and_then(|headers| headers.get(name));
        let place = format!("{}.{name}", within(at, "headers"));
        found.extend(header(expected, got, &place));
    }
    if let Some(expected) = &expected.body {
        found.extend(body(expected, &body_of(got), &within(at, "body")));
    }
    found
}

fn header(expected: &HeaderMatch, got: Option<&Value>, place: &str) -> Differences {
    match (expected, got) {
        (HeaderMatch::Absent, None) => Vec::new(),
        (HeaderMatch::Absent, Some(got)) => {
            vec![differs(
                place,
                format!("expected no such header, got {got}"),
            )]
        }
        (HeaderMatch::Text(expected), got) => text_at(expected, got, place),
        (HeaderMatch::Is(expected), Some(got)) => {
            let mut found = Differences::new();
            SIDES.json(expected, got, Whole::Yes, place, &mut found);
            found
        }
        (HeaderMatch::Is(expected), None) => {
            let words = format!("expected {}, got no such header", shown_json(expected));
            vec![differs(place, words)]
        }
    }
}

/// A body against its expectation.
pub(super) fn body(expected: &BodyMatch, got: &[u8], at: &str) -> Differences {
    let value = || match serde_json::from_slice::<Value>(got) {
        Ok(value) => Ok(value),
        Err(error) => {
            let text = shown(&String::from_utf8_lossy(got));
            Err(differs(at, format!("is no JSON ({error}): {text}")))
        }
    };
    let compared = |expected: &Value, whole: Whole| match value() {
        Ok(got) => {
            let mut found = Differences::new();
            SIDES.json(expected, &got, whole, at, &mut found);
            found
        }
        Err(difference) => vec![difference],
    };
    match expected {
        BodyMatch::Is(expected) if expected == got => Vec::new(),
        BodyMatch::Is(expected) => {
            match (std::str::from_utf8(expected), std::str::from_utf8(got)) {
                (Ok(expected), Ok(got)) => vec![differs(at, SIDES.texts(expected, got))],
                _ => {
                    let (expected, got) = (base64(expected), base64(got));
                    let words = format!("as base64: {}", SIDES.texts(&expected, &got));
                    vec![differs(at, words)]
                }
            }
        }
        BodyMatch::Json(expected) => compared(expected, Whole::Yes),
        BodyMatch::Subset(expected) => compared(expected, Whole::No),
        BodyMatch::Matches(regex) => {
            let got = String::from_utf8_lossy(got);
            matched(regex, &got, at)
        }
        BodyMatch::Schema(validator) => match value() {
            Ok(got) => {
                let errors = validator.iter_errors(&got);
                let found = errors.map(|error| {
                    let place = format!("{at}{}", error.instance_path.as_str());
                    differs(&place, error.to_string())
                });
                found.collect()
            }
            Err(difference) => vec![difference],
        },
    }
}

fn text_at(expected: &TextMatch, got: Option<&Value>, place: &str) -> Differences {
    match got {
        Some(Value::String(got)) => text(expected, got, place),
        other => {
            let words = format!("expected {}, got {}", wanted(expected), or_none(other));
            vec![differs(place, words)]
        }
    }
}

fn text(expected: &TextMatch, got: &str, place: &str) -> Differences {
    match expected {
        TextMatch::Is(expected) if expected == got => Vec::new(),
        TextMatch::Is(expected) => vec![differs(place, SIDES.texts(expected, got))],
        TextMatch::Contains(part) if got.contains(part.as_str()) => Vec::new(),
        TextMatch::Contains(_) => {
            let words = format!("expected {}, got {}", wanted(expected), shown(got));
            vec![differs(place, words)]
        }
        TextMatch::Matches(regex) => matched(regex, got, place),
    }
}

fn matched(regex: &Regex, got: &str, place: &str) -> Differences {
    match regex.is_match(got) {
        true => Vec::new(),
        false => {
            let words = format!("expected a match of /{regex}/, got {}", shown(got));
            vec![differs(place, words)]
        }
    }
}

/// Whether a text is as expected.
pub(super) fn holds(expected: &TextMatch, got: &str) -> bool {
    text(expected, got, "").is_empty()
}

/// An expectation of a text, in words.
pub(super) fn wanted(expected: &TextMatch) -> String {
    match expected {
        TextMatch::Is(text) => shown(text),
        TextMatch::Contains(part) => format!("a text with {}", shown(part)),
        TextMatch::Matches(regex) => format!("a match of /{regex}/"),
    }
}

/// Two snapshots: the one that is kept, and what came now.
pub(super) fn snapshots(kept: &Value, got: &Value) -> Differences {
    let mut found = Differences::new();
    SIDES.json(kept, got, Whole::Yes, "snapshot", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn another_action_is_told_with_its_reason_and_nothing_else() {
        let expected = AnswerMatch {
            action: Some("publish".into()),
            publications: Some(Vec::new()),
            ..AnswerMatch::default()
        };
        let got = value!({"action": "reject", "reason": "no order"});
        let found = answer(&expected, got.as_object().unwrap(), "");
        assert_eq!(
            found,
            [differs(
                "answer",
                "expected the action \"publish\", got the action \"reject\", reason \"no order\""
            )]
        );
    }

    #[test]
    fn a_failure_is_a_difference_unless_it_is_expected() {
        let got = value!({"failure": "trap", "error": "boom"});
        let got = got.as_object().unwrap();
        assert_eq!(answer(&AnswerMatch::default(), got, "").len(), 1);
        let expected = AnswerMatch {
            error: Some(TextMatch::Contains("oo".into())),
            ..AnswerMatch::default()
        };
        assert!(answer(&expected, got, "").is_empty());
        let acked = value!({"action": "ack"});
        assert_eq!(answer(&expected, acked.as_object().unwrap(), "").len(), 1);
    }
}
