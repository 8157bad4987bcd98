//! `--where`: conditions on a dead letter, all of which have to hold.

use std::time::{Duration, SystemTime};

use hive_config::units;
use hive_core::dead::GroupKey;
use hive_core::message::FieldValue;

use super::Numbered;
use super::when::{moment, seconds};
use hive_core::nearest;

/// Every field, with what it means; the first word is its name.
pub const FIELDS: &[(&str, &str)] = &[
    ("reason", "the class of the failure, or the broker's reason"),
    ("class", "the class, only of a host's dead letters"),
    ("error", "the error text; = means ~ here"),
    ("queue", "the queue in which it failed"),
    ("consumer", "the consumer that failed on it"),
    ("exchange", "the exchange it was published to"),
    ("routing-key", "the routing key it was published with"),
    ("message-id", "the property"),
    ("correlation-id", "the property"),
    ("type", "the property"),
    ("app-id", "the property"),
    ("content-type", "the property"),
    ("header:NAME", "a header of the message"),
    ("body", "the body, if it is text; = means ~ here"),
    (
        "identity",
        "what tells it from others, as the admin server lists it",
    ),
    ("attempts", "how often it was tried"),
    ("number", "its position in the queue, from 1"),
    ("before", "it died before this moment"),
    ("after", "it died at or after this moment"),
    ("older", "it died longer ago than this, as in 1h"),
    ("newer", "it died within this time"),
];

const TIMES: [&str; 4] = ["before", "after", "older", "newer"];

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Contains,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text {
        field: String,
        operator: Operator,
        value: String,
    },
    Before(u64),
    After(u64),
    Older(Duration),
    Newer(Duration),
    Group(GroupKey),
}

/// Conditions that all have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Condition>);

impl Condition {
    /// Parses a condition such as `reason=error`, `class!=timeout`, `error~refused`, `older=1h`.
    ///
    /// # Errors
    ///
    /// In words: no operator, an unknown field, a value of the wrong kind.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (field, operator, value) = split(text).ok_or_else(|| {
            "write FIELD=VALUE, FIELD!=VALUE or FIELD~VALUE (contains), as in reason=error"
                .to_owned()
        })?;
        let is_header = field
            .strip_prefix("header:")
            .is_some_and(|name| !name.is_empty());
        let is_field = FIELDS.iter().any(|(name, _)| *name == field) && field != "header:NAME";
        if !is_header && !is_field {
            let names = FIELDS.iter().map(|(name, _)| *name);
            let advice = nearest::advice(field, names, "the fields are");
            return Err(format!("there is no field `{field}`; {advice}"));
        }
        if TIMES.contains(&field) {
            return match operator {
                Operator::Is => time(field, value).map(Self),
                _ => Err(format!("`{field}` takes = alone")),
            };
        }
        Ok(Self(Kind::Text {
            field: field.to_owned(),
            operator,
            value: value.to_owned(),
        }))
    }

    /// Only messages of the group with this key.
    ///
    /// # Errors
    ///
    /// In words: it is no key.
    pub fn group(key: &str) -> Result<Self, String> {
        let group = GroupKey::parse(key).ok_or_else(|| {
            "a group's key is ten hexadecimal digits; `hive-host dead group` prints them".to_owned()
        })?;
        Ok(Self(Kind::Group(group)))
    }

    fn holds(&self, dead: &Numbered, now: SystemTime) -> bool {
        let died = dead.letter.death.time;
        let age = died
            .zip(seconds(now))
            .map(|(died, now)| now.saturating_sub(died));
        match &self.0 {
            Kind::Before(moment) => died.is_some_and(|died| died < *moment),
            Kind::After(moment) => died.is_some_and(|died| died >= *moment),
            Kind::Older(limit) => age.is_some_and(|age| age > limit.as_secs()),
            Kind::Group(key) => GroupKey::of(&dead.letter.death) == *key,
            Kind::Newer(limit) => age.is_some_and(|age| age <= limit.as_secs()),
            Kind::Text {
                field,
                operator,
                value,
            } => {
                let found = of_letter(field, dead);
                match operator {
                    Operator::Is => found.is_some_and(|found| is(field, &found, value)),
                    Operator::IsNot => !found.is_some_and(|found| is(field, &found, value)),
                    Operator::Contains => found.is_some_and(|found| found.contains(value)),
                }
            }
        }
    }
}

impl Filter {
    /// Makes a filter that all of these conditions must meet.
    pub fn new(conditions: Vec<Condition>) -> Self {
        Self(conditions)
    }

    /// Whether it asks what is in a message: its body or a header.
    pub fn asks_content(&self) -> bool {
        let fields = self.0.iter().filter_map(|Condition(kind)| match kind {
            Kind::Text { field, .. } => Some(field),
            _ => None,
        });
        fields
            .into_iter()
            .any(|field| field == "body" || field.starts_with("header:"))
    }

    /// Whether every message passes it.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, dead: &Numbered, now: SystemTime) -> bool {
        self.0.iter().all(|condition| condition.holds(dead, now))
    }
}

/// At the first operator, which no field has in its name.
fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find(['=', '~', '!'])?;
    let (field, rest) = text.split_at(at);
    let operators = [
        ("!=", Operator::IsNot),
        ("=", Operator::Is),
        ("~", Operator::Contains),
    ];
    operators
        .into_iter()
        .find_map(|(sign, operator)| Some((field, operator, rest.strip_prefix(sign)?)))
}

fn time(field: &str, value: &str) -> Result<Kind, String> {
    let at = || {
        moment(value).ok_or_else(|| {
            format!(
                "`{value}` is not a moment; write 2026-11-21T15:00:00Z, a date, or seconds since 1970"
            )
        })
    };
    let age = || {
        units::duration(value)
            .ok_or_else(|| format!("`{value}` is not a length of time; write 1h or 30m"))
    };
    Ok(match field {
        "before" => Kind::Before(at()?),
        "after" => Kind::After(at()?),
        "older" => Kind::Older(age()?),
        _ => Kind::Newer(age()?),
    })
}

/// Long texts are never known as a whole, so a part of them does.
fn is(field: &str, found: &str, value: &str) -> bool {
    match field {
        "error" | "body" => found.contains(value),
        _ => found == value,
    }
}

fn of_letter(field: &str, dead: &Numbered) -> Option<String> {
    let death = &dead.letter.death;
    let envelope = &dead.letter.delivery.envelope;
    let properties = &envelope.message.properties;
    match field {
        "reason" => death.reason().map(str::to_owned),
        "class" => death.class.clone(),
        "error" => death.error.clone(),
        "queue" => death.queue.clone(),
        "consumer" => death.consumer.clone(),
        "exchange" => death.exchange.clone(),
        "routing-key" => death.routing_key.clone(),
        "message-id" => properties.message_id.clone(),
        "correlation-id" => properties.correlation_id.clone(),
        "type" => properties.kind.clone(),
        "app-id" => properties.app_id.clone(),
        "content-type" => properties.content_type.clone(),
        "body" => std::str::from_utf8(&envelope.message.body)
            .ok()
            .map(str::to_owned),
        "attempts" => death.attempts.map(|attempts| attempts.to_string()),
        "identity" => Some(dead.letter.identity()),
        "number" => Some(dead.number.to_string()),
        _ => {
            let name = field.strip_prefix("header:")?;
            let mut headers = properties.headers.iter();
            let (_, value) = headers.find(|(other, _)| other == name)?;
            Some(as_text(value))
        }
    }
}

/// A header's value as one would write it in a condition.
fn as_text(value: &FieldValue) -> String {
    match value {
        FieldValue::Void => String::new(),
        FieldValue::Boolean(value) => value.to_string(),
        FieldValue::Integer(value) => value.to_string(),
        FieldValue::Double(value) => value.to_string(),
        FieldValue::Text(text) | FieldValue::Nested(text) => text.clone(),
        FieldValue::Bytes(bytes) => hive_core::json::base64(bytes),
        FieldValue::Timestamp(seconds) => seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Condition::parse(text).expect_err("it means nothing")
    }

    #[test]
    fn a_condition_is_split_at_its_first_operator() {
        assert_eq!(split("reason=a=b"), Some(("reason", Operator::Is, "a=b")));
        assert_eq!(
            split("error~a!=b"),
            Some(("error", Operator::Contains, "a!=b"))
        );
        assert_eq!(
            split("class!=trap"),
            Some(("class", Operator::IsNot, "trap"))
        );
        assert_eq!(split("header:x="), Some(("header:x", Operator::Is, "")));
        assert_eq!(split("reason"), None);
        assert_eq!(split("reason!a"), None);
    }

    #[test]
    fn what_means_nothing_is_answered() {
        assert!(fault("reasn=error").contains("did you mean `reason`"));
        assert!(fault("reason").contains("write FIELD=VALUE"));
        assert!(fault("header:=x").contains("no field"));
        assert!(fault("older~1h").contains("takes = alone"));
        assert!(fault("older=soon").contains("not a length of time"));
        assert!(fault("before=soon").contains("not a moment"));
        let fault = Condition::group("orders").expect_err("it is no key");
        assert!(fault.contains("ten hexadecimal digits"), "{fault}");
    }

    #[test]
    fn every_field_can_be_asked_for() {
        for (field, _) in FIELDS {
            let value = match *field {
                "before" | "after" => "2026-11-21",
                "older" | "newer" => "1h",
                _ => "x",
            };
            let condition = Condition::parse(&format!("{}={value}", field.replace("NAME", "x")));
            assert!(condition.is_ok(), "{field}: {condition:?}");
        }
    }
}
