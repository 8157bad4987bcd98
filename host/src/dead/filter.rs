//! `--where`: conditions on a dead letter, all of which have to hold.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hive_config::units;
use hive_core::dead::GroupKey;

use super::Numbered;
use super::when::{moment, seconds};
use crate::conditions::{Comparison, Field, of_message};

/// Every field, with what it means.
pub const FIELDS: &[Field] = &[
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

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Text(Comparison),
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
        let comparison = Comparison::parse(text, FIELDS)?;
        let field = comparison.field();
        if TIMES.contains(&field) {
            return time(field, comparison.bound()?).map(Self);
        }
        Ok(Self(Kind::Text(comparison)))
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
            Kind::Text(comparison) => {
                comparison.holds(of_letter(comparison.field(), dead).as_deref())
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
        let mut kinds = self.0.iter().map(|Condition(kind)| kind);
        kinds.any(|kind| matches!(kind, Kind::Text(comparison) if comparison.asks_content()))
    }

    /// Whether every message passes it.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, dead: &Numbered, now: SystemTime) -> bool {
        self.0.iter().all(|condition| condition.holds(dead, now))
    }
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

fn of_letter<'a>(field: &str, dead: &'a Numbered) -> Option<Cow<'a, str>> {
    let death = &dead.letter.death;
    let of_death = match field {
        "reason" => return death.reason().map(Cow::Borrowed),
        "class" => &death.class,
        "error" => &death.error,
        "queue" => &death.queue,
        "consumer" => &death.consumer,
        "exchange" => &death.exchange,
        "routing-key" => &death.routing_key,
        "attempts" => return death.attempts.map(|attempts| attempts.to_string().into()),
        "identity" => return Some(dead.letter.identity().into()),
        "number" => return Some(dead.number.to_string().into()),
        _ => return of_message(field, &dead.letter.delivery.envelope.message),
    };
    of_death.as_deref().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Condition::parse(text).expect_err("it means nothing")
    }

    #[test]
    fn what_means_nothing_is_answered() {
        assert!(fault("reasn=error").contains("did you mean `reason`"));
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
