//! The end of a message in plain words, with what the words are made from as data.
//!
//! Only what is written on the message is told. Of the attempts, the last failure alone is: a copy keeps no other.

use serde_json::{Map, Value, json};

use super::{BrokersEntry, Death, GroupKey, Waits, guest_stack, top_frame};
use crate::codes::Code;
use crate::moments::of_seconds;
use crate::policy::FailureClass;

/// What is known of a message's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// One after the other in time, each a sentence or two.
    pub sentences: Vec<String>,
    /// Who put it where it is: `hive` or `broker`; `None` for a copy that waits.
    pub by: Option<&'static str>,
    /// The code of the failure.
    pub code: Option<Code>,
    /// The calls of the component, from the innermost.
    pub stack: Vec<String>,
    /// The innermost call that is not the language's own.
    pub top_frame: Option<String>,
    /// The group that it belongs to.
    pub group: GroupKey,
}

/// Tells the end of a message, or what a copy that `waits` failed with. `None` for a message that neither died nor waits.
pub fn story(death: &Death, waits: Option<Waits>) -> Option<Story> {
    if death.reason().is_none() && waits.is_none() {
        return None;
    }
    let stack = guest_stack(death.error.as_deref().unwrap_or_default());
    let class = death.class.as_deref();
    let code = class
        .and_then(FailureClass::from_word)
        .map(FailureClass::code);
    let by = match (class, &death.broker_reason, waits) {
        (_, _, Some(_)) => None,
        (Some(_), _, None) => Some("hive"),
        (None, Some(_), None) => Some("broker"),
        (None, None, None) => None,
    };
    let mut sentences = Vec::new();
    sentences.extend(published(death));
    let mut entries = death.brokers_entries();
    // The broker puts the latest first.
    entries.reverse();
    if by == Some("broker") {
        sentences.extend(entries.iter().map(moved));
    } else {
        sentences.extend(attempts(death, waits));
        sentences.extend(failure(death, code));
        sentences.extend(top_frame(&stack).map(|frame| format!("It failed in {frame}.")));
        sentences.extend(end(death, waits, by));
        sentences.extend(entries.iter().map(moved));
    }
    if let Some(code) = code {
        let code = code.as_str();
        sentences.push(format!("`hive-host explain {code}` says what to do."));
    }
    Some(Story {
        sentences,
        by,
        code,
        top_frame: top_frame(&stack).map(str::to_owned),
        stack,
        group: GroupKey::of(death),
    })
}

impl Story {
    /// Adds it to the record of an end as JSON.
    pub fn put(&self, end: &mut Map<String, Value>) {
        end.insert("group".into(), json!(self.group.to_string()));
        if let Some(by) = self.by {
            end.insert("dead-lettered-by".into(), by.into());
        }
        if let Some(code) = self.code {
            end.insert("code".into(), code.as_str().into());
        }
        if let Some(frame) = &self.top_frame {
            end.insert("top-frame".into(), frame.as_str().into());
            end.insert("stack".into(), json!(self.stack));
        }
        end.insert("story".into(), json!(self.sentences));
    }
}

fn published(death: &Death) -> Option<String> {
    let to = match death.exchange.as_deref()? {
        "" => "the default exchange".to_owned(),
        exchange => format!("exchange {exchange:?}"),
    };
    let with = death.routing_key.as_ref();
    let with = with.map(|key| format!(" with routing key {key:?}"));
    Some(format!(
        "It was published to {to}{}.",
        with.unwrap_or_default()
    ))
}

/// Who tried it, and how often.
fn attempts(death: &Death, waits: Option<Waits>) -> Option<String> {
    let attempts = death.attempts?;
    let who = death.consumer.as_ref().map_or_else(
        || "A consumer".to_owned(),
        |consumer| format!("Consumer {consumer:?}"),
    );
    let queue = death.queue.as_ref();
    let from = queue.map_or(String::new(), |queue| format!(" from queue {queue:?}"));
    let of = waits.and_then(|waits| waits.of);
    let of = of.map_or(String::new(), |of| format!(" of {of} times"));
    Some(match attempts {
        0 => format!("{who} took it{from} and did not fail on it yet."),
        1 if of.is_empty() => format!("{who} took it{from} and tried it once."),
        attempts if of.is_empty() => format!(
            "{who} took it{from} and tried it {attempts} times. Attempts 1 to {} failed; only the last failure is \
             written on it.",
            attempts - 1
        ),
        attempts => format!("{who} took it{from} and tried it {attempts}{of}."),
    })
}

/// The last failure.
fn failure(death: &Death, code: Option<Code>) -> Option<String> {
    let class = death.class.as_deref()?;
    let code = code.map_or(String::new(), |code| format!(" ({})", code.as_str()));
    let attempt = match death.attempts {
        Some(attempts @ 1..) => format!("Attempt {attempts}"),
        _ => "It".to_owned(),
    };
    let error = death.error.as_deref().unwrap_or_default();
    let error = match error.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(": {}", line.trim()),
        None => ", without a text".to_owned(),
    };
    Some(format!("{attempt} failed with class {class}{code}{error}"))
}

/// How it got where it is.
fn end(death: &Death, waits: Option<Waits>, by: Option<&str>) -> Option<String> {
    let at =
        |time: Option<u64>| time.map_or(String::new(), |time| format!(" at {}", of_seconds(time)));
    if let Some(waits) = waits {
        let since = at(death.time);
        let delay = death.time.zip(waits.due);
        let delay = delay.map(|(since, due)| due.saturating_sub(since));
        let delay = delay.map_or(String::new(), |delay| format!(" of {}", length(delay)));
        let due = waits
            .due
            .map_or(String::new(), |due| format!(", until {}", of_seconds(due)));
        return Some(format!(
            "Its delay{delay} began{since}{due}; then attempt {} begins.",
            waits.attempt
        ));
    }
    (by == Some("hive")).then(|| format!("Hive dead-lettered it{}.", at(death.time)))
}

/// An entry of `x-death` in words.
fn moved(entry: &BrokersEntry) -> String {
    let why = match entry.reason.as_deref() {
        Some("rejected") => "a consumer refused it (rejected)".to_owned(),
        Some("expired") => "its time there was over (expired)".to_owned(),
        Some("maxlen") => "the queue was full (maxlen)".to_owned(),
        Some("delivery_limit") => {
            "it had come back to the queue more often than the queue allows (delivery_limit)"
                .to_owned()
        }
        Some(other) => format!("the reason it gives is {other:?}"),
        None => "it gives no reason".to_owned(),
    };
    let queue = &entry.queue;
    let (often, when) = match entry.count {
        Some(count @ 2..) => (format!(" {count} times"), ", the first time at "),
        _ => (String::new(), " at "),
    };
    let when = entry
        .time
        .map_or(String::new(), |time| format!("{when}{}", of_seconds(time)));
    format!("The broker moved it out of queue {queue:?}{often}{when}: {why}.")
}

/// A length of time in the two units that say most of it.
fn length(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        if left >= unit && parts.len() < 2 {
            parts.push(format!("{} {name}", left / unit));
            left %= unit;
        }
    }
    match parts.is_empty() {
        true => "less than 1 s".to_owned(),
        false => parts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_dead_letter_of_the_host_is_told_from_its_publication_to_its_end() {
        let death = Death {
            class: text("trap"),
            error: text("no tea; wasm trap: unreachable in abort < price (lib.rs:12)"),
            attempts: Some(16),
            time: Some(1_700_000_000),
            consumer: text("orders"),
            queue: text("orders.created"),
            exchange: text("shop"),
            routing_key: text("order.web"),
            ..Death::default()
        };
        let told = story(&death, None).unwrap();
        assert_eq!(
            told.sentences,
            [
                "It was published to exchange \"shop\" with routing key \"order.web\".",
                "Consumer \"orders\" took it from queue \"orders.created\" and tried it 16 times. Attempts 1 to 15 \
                 failed; only the last failure is written on it.",
                "Attempt 16 failed with class trap (HIVE-0402): no tea; wasm trap: unreachable in abort < price \
                 (lib.rs:12)",
                "It failed in price (lib.rs:12).",
                "Hive dead-lettered it at 2023-11-14T22:13:20Z.",
                "`hive-host explain HIVE-0402` says what to do.",
            ]
        );
        assert_eq!((told.by, told.code), (Some("hive"), Some(Code::Trapped)));
        assert_eq!(told.top_frame.as_deref(), Some("price (lib.rs:12)"));
        let mut end = Map::new();
        told.put(&mut end);
        assert_eq!(end["code"], "HIVE-0402");
        assert_eq!(end["stack"], json!(["abort", "price (lib.rs:12)"]));
        assert_eq!(end["story"].as_array().map(Vec::len), Some(6));
    }

    #[test]
    fn the_brokers_record_is_told_in_words_from_its_first_entry() {
        let death = Death {
            broker_reason: text("delivery_limit"),
            time: Some(1_700_000_000),
            queue: text("orders"),
            exchange: text(""),
            routing_key: text("orders"),
            history: text(
                r#"[{"queue": "orders", "reason": "delivery_limit", "count": 1, "time": 1700000000},
                    {"queue": "waiting", "reason": "expired", "count": 3, "time": 1600000000},
                    {"queue": "other", "reason": "odd"}]"#,
            ),
            ..Death::default()
        };
        let told = story(&death, None).unwrap();
        assert_eq!(told.by, Some("broker"));
        assert_eq!(
            told.sentences,
            [
                "It was published to the default exchange with routing key \"orders\".",
                "The broker moved it out of queue \"other\": the reason it gives is \"odd\".",
                "The broker moved it out of queue \"waiting\" 3 times, the first time at 2020-09-13T12:26:40Z: its \
                 time there was over (expired).",
                "The broker moved it out of queue \"orders\" at 2023-11-14T22:13:20Z: it had come back to the queue \
                 more often than the queue allows (delivery_limit).",
            ]
        );
    }

    #[test]
    fn a_copy_that_waits_says_how_long_and_for_what() {
        let death = Death {
            class: text("retry"),
            error: text("\n  no price yet\nof tea"),
            attempts: Some(2),
            time: Some(1_700_000_000),
            consumer: text("orders"),
            ..Death::default()
        };
        let waits = Waits {
            attempt: 3,
            of: Some(16),
            due: Some(1_700_000_000 + 3_725),
        };
        assert_eq!(
            story(&death, Some(waits)).unwrap().sentences,
            [
                "Consumer \"orders\" took it and tried it 2 of 16 times.",
                "Attempt 2 failed with class retry (HIVE-0407): no price yet",
                "Its delay of 1 h 2 min began at 2023-11-14T22:13:20Z, until 2023-11-14T23:15:25Z; then attempt 3 \
                 begins.",
                "`hive-host explain HIVE-0407` says what to do.",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        assert_eq!(story(&Death::default(), None), None);
        let strange = Death {
            class: text("odd"),
            attempts: Some(1),
            ..Death::default()
        };
        assert_eq!(
            story(&strange, None).unwrap().sentences,
            [
                "A consumer took it and tried it once.",
                "Attempt 1 failed with class odd, without a text",
                "Hive dead-lettered it.",
            ]
        );
    }

    #[test]
    fn lengths_have_two_units() {
        assert_eq!(length(0), "less than 1 s");
        assert_eq!(length(59), "59 s");
        assert_eq!(length(90_061), "1 d 1 h");
    }
}
