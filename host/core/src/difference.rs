//! How two JSON values or two texts differ: every place, with both values in words. Pure.

use std::fmt::Write as _;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::json::from_base64;

/// A longer value is cut where it is shown.
const SHOWN: usize = 600;

/// Something that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The place in the answer, as in `publications[0].routing-key`.
    pub place: String,
    /// What differs, in one line or several.
    pub words: String,
}

/// Every difference so far.
pub type Differences = Vec<Difference>;

/// What the two values are called in words.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    /// The first one, as in "expected".
    pub one: &'static str,
    /// The second one, as in "got".
    pub other: &'static str,
}

/// Whether a value must be equal, or have at least what the first one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// Equal.
    Yes,
    /// Keys of the second one that the first one does not have are no difference.
    No,
}

/// A difference at this place.
pub fn differs(place: &str, words: impl Into<String>) -> Difference {
    Difference {
        place: place.to_owned(),
        words: words.into(),
    }
}

/// `text` as a reader may see it, on one line and not at any length.
pub fn shown(text: &str) -> String {
    let (beginning, mark) = cut(text, SHOWN);
    format!("{beginning:?}{mark}")
}

/// The same for a value.
pub fn shown_json(value: &Value) -> String {
    let text = value.to_string();
    let (beginning, mark) = cut(&text, SHOWN);
    format!("{beginning}{mark}")
}

/// The part of a text that is shown, at most so many bytes, and the mark of a cut.
pub(crate) fn cut(text: &str, longest: usize) -> (&str, &'static str) {
    let end = text.floor_char_boundary(longest);
    (&text[..end], if end < text.len() { "…" } else { "" })
}

/// The place of a key within another place; the outermost is "".
pub fn within(at: &str, key: &str) -> String {
    match at {
        "" => key.to_owned(),
        _ => format!("{at}.{key}"),
    }
}

/// The bytes of the body of a message in the form of docs/message-format.md.
pub fn body_of(message: &Value) -> Vec<u8> {
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    match (text("body"), text("body-base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => from_base64(text).unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

impl Sides {
    /// Every place where two JSON values differ.
    pub fn json(
        &self,
        one: &Value,
        other: &Value,
        whole: Whole,
        at: &str,
        found: &mut Differences,
    ) {
        match (one, other) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, one) in one {
                    let place = within(at, key);
                    match other.get(key) {
                        Some(other) => self.json(one, other, whole, &place, found),
                        None => {
                            let words = self.both(&shown_json(one), "nothing");
                            found.push(differs(&place, words));
                        }
                    }
                }
                for (key, other) in other {
                    if whole == Whole::Yes && !one.contains_key(key) {
                        let words = self.both("nothing", &shown_json(other));
                        found.push(differs(&within(at, key), words));
                    }
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    let words = format!(
                        "{} {} elements, {} {}: {}",
                        self.one,
                        one.len(),
                        self.other,
                        other.len(),
                        shown_json(&Value::from(other.clone()))
                    );
                    found.push(differs(at, words));
                }
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    self.json(one, other, whole, &format!("{at}[{index}]"), found);
                }
            }
            (Value::String(one), Value::String(other)) if one != other => {
                found.push(differs(at, self.texts(one, other)));
            }
            _ if same(one, other) => {}
            _ => {
                let words = self.both(&shown_json(one), &shown_json(other));
                found.push(differs(at, words));
            }
        }
    }

    /// How two texts differ: line by line where they have several.
    pub fn texts(&self, one: &str, other: &str) -> String {
        if !one.contains('\n') && !other.contains('\n') {
            return self.both(&shown(one), &shown(other));
        }
        let mut words = format!("- {}, + {}", self.one, self.other);
        let diff = TextDiff::from_lines(one, other);
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

    fn both(&self, one: &str, other: &str) -> String {
        format!("{} {one}, {} {other}", self.one, self.other)
    }
}

/// 1 and 1.0 are one number in JSON.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(first), Value::Number(second)) if first.is_f64() != second.is_f64() => {
            first.as_f64() == second.as_f64()
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    const SIDES: Sides = Sides {
        one: "expected",
        other: "got",
    };

    fn differences(expected: Value, got: Value, whole: Whole) -> Vec<String> {
        let mut found = Differences::new();
        SIDES.json(&expected, &got, whole, "body", &mut found);
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
        let words = SIDES.texts("a\nb\n", "a\nc\n");
        assert_eq!(words, "- expected, + got\n  a\n- b\n+ c");
        assert_eq!(SIDES.texts("x", "y"), "expected \"x\", got \"y\"");
    }
}
