//! Single values: strings with their variables filled in, numbers, durations, sizes.

use std::time::Duration;

use hive_core::codes::Code;
use hive_core::nearest;
use toml::de::DeValue;

use super::{Place, Reader, integer, kind};
use crate::files;
use crate::keys::Shape;
use crate::redact;
use crate::units;
use crate::written::{Node, Value};

impl Reader<'_> {
    pub(super) fn scalar(&mut self, value: &DeValue<'_>, shape: &Shape, place: Place) -> Node {
        match (shape, value) {
            (Shape::Boolean, DeValue::Boolean(value)) => place.holding(Value::Boolean(*value)),
            (Shape::Integer(min, max), DeValue::Integer(literal)) => {
                self.ranged(integer(literal), &literal.to_string(), (*min, *max), place)
            }
            (Shape::Offset, DeValue::Integer(literal)) => {
                let number = integer(literal);
                self.ranged(number, &literal.to_string(), (0, i64::MAX), place)
            }
            (Shape::Ratio, DeValue::Integer(_) | DeValue::Float(_)) => self.ratio(value, place),
            (Shape::Secret, value) => self.secret(value, place),
            (Shape::Verbatim, DeValue::String(text)) => {
                place.holding(Value::Text(text.to_string()))
            }
            (
                Shape::Duration(..) | Shape::DurationOr(..) | Shape::Size(_),
                DeValue::Integer(_) | DeValue::Float(_),
            ) => self.unitless(value, shape, place),
            (_, DeValue::String(text)) if shape.wants_text() => match self.fill(text, &place) {
                Some(text) => self.text(text, shape, place),
                None => place.holding(Value::Faulty),
            },
            (_, value) => self.wrong_type(value, shape.wanted(), place),
        }
    }

    /// A string that is never shown, and may be kept in a file of its own.
    fn secret(&mut self, value: &DeValue<'_>, place: Place) -> Node {
        self.faults.secret(place.span.clone());
        let DeValue::String(text) = value else {
            return self.refuse(
                Code::WrongType,
                "must be a string",
                "write a string here",
                place,
            );
        };
        let Some(text) = self.fill(text, &place) else {
            return place.holding(Value::Faulty);
        };
        let Some(path) = text.strip_prefix("file:") else {
            return place.holding(Value::Text(text));
        };
        match files::read_text(&self.source.directory().join(path)) {
            Ok(secret) => {
                let secret = files::without_mark(&secret).trim_end_matches(['\r', '\n']);
                place.holding(Value::Text(secret.into()))
            }
            Err(error) => {
                let message = format!("cannot read the file that it names: {error}");
                self.refuse(
                    Code::FileUnreadable,
                    message,
                    "name a readable file, relative to this one",
                    place,
                )
            }
        }
    }

    /// The text with its variables replaced; `None` if one of them has a fault.
    pub(super) fn fill(&mut self, text: &str, place: &Place) -> Option<String> {
        let faults = match super::interpolate(text, self.environment) {
            Ok(filled) => {
                self.faults.filled(place.span.clone(), filled.variables);
                return Some(filled.text);
            }
            Err(faults) => faults,
        };
        for fault in faults {
            self.refuse(fault.code, fault.message, fault.remedy, place.clone());
        }
        None
    }

    fn text(&mut self, text: String, shape: &Shape, place: Place) -> Node {
        match shape {
            Shape::Name if text.is_empty() || text.len() > super::LONGEST_NAME => {
                let message = format!("must be 1 to 255 bytes long, not {}", text.len());
                self.refuse(
                    Code::BadName,
                    message,
                    "give it a name of that length",
                    place,
                )
            }
            Shape::Name if super::has_control(&text) => {
                let message = format!("has control characters: {text:?}");
                self.refuse(Code::BadName, message, super::CONTROL_REMEDY, place)
            }
            Shape::Choice(words) if !words.contains(&text.as_str()) => {
                let message = format!("cannot be {}", redact::quote(&text));
                let remedy = nearest::advice(&text, words.iter().copied(), "choose one of");
                self.refuse(Code::UnknownChoice, message, remedy, place)
            }
            Shape::Duration(min, max) => self.duration(&text, (*min, *max), place),
            Shape::DurationOr(word, min, max) if text != *word => {
                self.duration(&text, (*min, *max), place)
            }
            Shape::Size(min) => self.size(&text, *min, place),
            _ => place.holding(Value::Text(text)),
        }
    }

    fn duration(&mut self, text: &str, (min, max): (u64, u64), place: Place) -> Node {
        let longest = Duration::from_millis(max);
        match units::duration(text) {
            None => {
                let message = format!("is not a duration: {}", redact::quote(text));
                let remedy = "write whole numbers with a unit (ms, s, m, h, d), largest first, \
                              as in \"250ms\" or \"1m30s\"";
                self.refuse(Code::BadUnit, message, remedy, place)
            }
            Some(read) if read > longest => {
                let message = format!("is too long: {}", redact::quote(text));
                let remedy = format!("write at most \"{}\"", units::show(longest));
                self.refuse(Code::OutOfRange, message, remedy, place)
            }
            Some(read) if read < Duration::from_millis(min) => {
                let message = match read.is_zero() {
                    true => format!("must not be zero, as {} is", redact::quote(text)),
                    false => format!("is too short: {}", redact::quote(text)),
                };
                let shortest = units::show(Duration::from_millis(min));
                self.refuse(
                    Code::OutOfRange,
                    message,
                    format!("write at least \"{shortest}\""),
                    place,
                )
            }
            Some(read) => place.holding(Value::Duration(read)),
        }
    }

    fn size(&mut self, text: &str, min: u64, place: Place) -> Node {
        match units::size(text) {
            None => {
                let message = format!("is not a size: {}", redact::quote(text));
                let remedy = "write a whole number with a unit (B, kB, KiB, MB, MiB, GB, GiB), \
                              as in \"64MiB\"";
                self.refuse(Code::BadUnit, message, remedy, place)
            }
            Some(bytes) if bytes < min => {
                let message = format!("is too small: {}", redact::quote(text));
                self.refuse(
                    Code::OutOfRange,
                    message,
                    format!("write at least \"{}KiB\"", min / 1024),
                    place,
                )
            }
            Some(bytes) => place.holding(Value::Size(bytes)),
        }
    }

    fn ranged(
        &mut self,
        read: Option<i64>,
        literal: &str,
        (min, max): (i64, i64),
        place: Place,
    ) -> Node {
        let remedy = match max {
            i64::MAX => format!("write an integer of at least {min}"),
            _ => format!("write an integer from {min} to {max}"),
        };
        match read {
            Some(0) if min == 1 => self.refuse(Code::OutOfRange, "must not be 0", remedy, place),
            Some(value) if (min..=max).contains(&value) => place.holding(Value::Integer(value)),
            _ => {
                let message = format!("is out of range: {}", redact::short(literal));
                self.refuse(Code::OutOfRange, message, remedy, place)
            }
        }
    }

    fn ratio(&mut self, value: &DeValue<'_>, place: Place) -> Node {
        let read = match value {
            DeValue::Integer(literal) => integer(literal).map(|value| value as f64),
            DeValue::Float(literal) => literal.as_str().parse().ok(),
            _ => None,
        };
        match read {
            Some(ratio) if ratio > 0.0 && ratio <= 1.0 => place.holding(Value::Ratio(ratio)),
            _ => {
                let message = format!("must be above 0 and at most 1, got {}", kind(value));
                let remedy = "write a number above 0 and up to 1, as in 0.5 for a half";
                self.refuse(Code::OutOfRange, message, remedy, place)
            }
        }
    }

    /// A number where a duration or a size is wanted: the unit is missing.
    fn unitless(&mut self, value: &DeValue<'_>, shape: &Shape, place: Place) -> Node {
        let message = format!("has no unit: it is {}", kind(value));
        let remedy = match (shape, value) {
            (Shape::Duration(..) | Shape::DurationOr(..), DeValue::Integer(n)) => {
                format!("write \"{n}s\" for seconds, or \"{n}ms\" for milliseconds")
            }
            (Shape::Duration(..) | Shape::DurationOr(..), _) => {
                "write a string such as \"1s500ms\"".to_owned()
            }
            (_, DeValue::Integer(n)) => format!("write \"{n}B\" for bytes, or use KiB, MiB or GiB"),
            _ => "write a string such as \"64MiB\"".to_owned(),
        };
        self.refuse(Code::BadUnit, message, remedy, place)
    }
}

impl Shape {
    fn wants_text(&self) -> bool {
        use Shape::{Choice, Duration, DurationOr, Form, Name, Offset, Size, Text, TextOrTexts};
        matches!(
            self,
            Text | Name
                | Choice(_)
                | Form(_)
                | Duration(..)
                | DurationOr(..)
                | Size(_)
                | TextOrTexts
                | Offset
        )
    }

    /// The kind of value of this shape, in the words of the file.
    pub(crate) fn wanted(&self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Integer(..) => "an integer",
            Self::Ratio => "a number above 0 and up to 1",
            Self::Text
            | Self::Name
            | Self::Secret
            | Self::Choice(_)
            | Self::Form(_)
            | Self::Verbatim => "a string",
            Self::TextOrTexts => "a string or an array of strings",
            Self::DurationOr(..) => "a string such as \"1h\"",
            Self::Offset => "a number or a string",
            Self::Duration(..) => "a string such as \"10s\"",
            Self::Size(_) => "a string such as \"64MiB\"",
            Self::List(_) => "an array",
            Self::Short(..) => "a string or a table",
            Self::Table(_) | Self::Named(_) | Self::Arguments | Self::Texts | Self::Each(_) => {
                "a table"
            }
            Self::Json => "a value",
            Self::MainFile => "nothing",
        }
    }
}
