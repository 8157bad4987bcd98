//! What came of a case against what it expects: every difference, with its place and both values. Pure.

use std::fmt::Write as _;

use hive_config::cases::{AnswerMatch, BodyMatch, HeaderMatch, MessageMatch, TextMatch};
use hive_core::json::{base64, from_base64};
use regex::Regex;
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

/// A longer value is cut where it is shown.
const SHOWN: usize = 600;

/// Something that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The place in the answer, as in `publications[0].routing-key`.
    pub(super) place: String,
    /// What differs, in one line or several.
    pub(super) words: String,
}

/// Every difference so far.
pub(super) type Differences = Vec<Difference>;

pub(super) fn differs(place: &str, words: impl Into<String>) -> Difference {
    Difference {
        place: place.to_owned(),
        words: words.into(),
    }
}

/// `text` as a reader may see it, on one line and not at any length.
pub(super) fn shown(text: &str) -> String {
    let (beginning, mark) = cut(text);
    format!("{beginning:?}{mark}")
}

pub(super) fn shown_json(value: &Value) -> String {
    let text = value.to_string();
    let (beginning, mark) = cut(&text);
    format!("{beginning}{mark}")
}

/// The part of a text that is shown, and the mark of a cut.
fn cut(text: &str) -> (&str, &'static str) {
    let end = text.floor_char_boundary(SHOWN);
    (&text[..end], if end < text.len() { "…" } else { "" })
}

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

/// The place of a key within another place; the outermost is "".
pub(super) fn within(at: &str, key: &str) -> String {
    match at {
        "" => key.to_owned(),
        _ => format!("{at}.{key}"),
    }
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
            Some(got) => json(expected, got, Whole::Yes, &place, &mut found),
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
            json(expected, got, Whole::Yes, place, &mut found);
            found
        }
        (HeaderMatch::Is(expected), None) => {
            let words = format!("expected {}, got no such header", shown_json(expected));
            vec![differs(place, words)]
        }
    }
}

/// The bytes of a message's body.
fn body_of(message: &Value) -> Vec<u8> {
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    match (text("body"), text("body-base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => from_base64(text).unwrap_or_default(),
        (None, None) => Vec::new(),
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
            json(expected, &got, whole, at, &mut found);
            found
        }
        Err(difference) => vec![difference],
    };
    match expected {
        BodyMatch::Is(expected) if expected == got => Vec::new(),
        BodyMatch::Is(expected) => {
            match (std::str::from_utf8(expected), std::str::from_utf8(got)) {
                (Ok(expected), Ok(got)) => vec![differs(at, texts(expected, got))],
                _ => {
                    let (expected, got) = (base64(expected), base64(got));
                    let words = format!("as base64: {}", texts(&expected, &got));
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

/// Whether a value must be equal, or have at least what is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// Every place where two JSON values differ.
fn json(expected: &Value, got: &Value, whole: Whole, at: &str, found: &mut Differences) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (key, expected) in expected {
                let place = within(at, key);
                match got.get(key) {
                    Some(got) => json(expected, got, whole, &place, found),
                    None => found.push(differs(
                        &place,
                        format!("expected {}, got nothing", shown_json(expected)),
                    )),
                }
            }
            for (key, got) in got {
                if whole == Whole::Yes && !expected.contains_key(key) {
                    let words = format!("expected nothing, got {}", shown_json(got));
                    found.push(differs(&within(at, key), words));
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                let words = format!(
                    "expected {} elements, got {}: {}",
                    expected.len(),
                    got.len(),
                    shown_json(&Value::from(got.clone()))
                );
                found.push(differs(at, words));
            }
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                json(expected, got, whole, &format!("{at}[{index}]"), found);
            }
        }
        (Value::String(expected), Value::String(got)) if expected != got => {
            found.push(differs(at, texts(expected, got)));
        }
        _ if same(expected, got) => {}
        _ => {
            let words = format!("expected {}, got {}", shown_json(expected), shown_json(got));
            found.push(differs(at, words));
        }
    }
}

/// 1 and 1.0 are one number in JSON.
fn same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() != other.is_f64() => {
            one.as_f64() == other.as_f64()
        }
        _ => expected == got,
    }
}

/// How two texts differ: line by line where they have several.
fn texts(expected: &str, got: &str) -> String {
    if !expected.contains('\n') && !got.contains('\n') {
        return format!("expected {}, got {}", shown(expected), shown(got));
    }
    let mut words = "- expected, + got".to_owned();
    let diff = TextDiff::from_lines(expected, got);
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let line = change.value().trim_end_matches('\n');
        write!(words, "\n{sign} {line}").expect("a String takes all");
    }
    words
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
        TextMatch::Is(expected) => vec![differs(place, texts(expected, got))],
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
    json(kept, got, Whole::Yes, "snapshot", &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    fn differences(expected: Value, got: Value, whole: Whole) -> Vec<String> {
        let mut found = Differences::new();
        json(&expected, &got, whole, "body", &mut found);
        let found = found.into_iter();
        found
            .map(|one| format!("{}: {}", one.place, one.words))
            .collect()
    }

    #[test]
    fn every_place_that_differs_is_named() {
        let expected = value!({"id": 1, "lines": [{"cents": 1350}, {"cents": 2}], "gone": true});
        let got = value!({"id": 1.0, "lines": [{"cents": 1300}, {"cents": 2}], "new": null});
        assert_eq!(
            differences(expected, got, Whole::Yes),
            [
                "body.gone: expected true, got nothing",
                "body.lines[0].cents: expected 1350, got 1300",
                "body.new: expected nothing, got null",
            ]
        );
    }

    #[test]
    fn a_subset_may_miss_keys_and_no_elements() {
        let got = value!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        let subset = value!({"a": {"c": 2}, "list": [1, 2]});
        assert!(differences(subset, got.clone(), Whole::No).is_empty());
        let short = value!({"list": [1]});
        assert_eq!(
            differences(short, got, Whole::No),
            ["body.list: expected 1 elements, got 2: [1,2]"]
        );
    }

    #[test]
    fn texts_of_several_lines_are_shown_line_by_line() {
        let words = texts("a\nb\n", "a\nc\n");
        assert_eq!(words, "- expected, + got\n  a\n- b\n+ c");
        assert_eq!(texts("x", "y"), "expected \"x\", got \"y\"");
    }

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
