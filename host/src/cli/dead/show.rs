//! `dead show`: everything of a message, for people and for scripts.

use std::fmt::Write as _;

use hive_core::dead::Death;
use hive_core::escape;
use hive_core::message::RESERVED;

use super::print::attempt;
use crate::cli::parts::{body, headers, properties};
use crate::dead::{Numbered, shown};

/// A whole message for people.
pub(super) fn whole(one: &Numbered, queue: &str) -> String {
    let mut text = format!("message {} of {}\n", one.number, escape::line(queue));
    let story = one.story();
    if let Some(story) = &story {
        for sentence in &story.sentences {
            writeln!(text, "  {}", escape::line(sentence)).expect("a String takes everything");
        }
        text.push('\n');
    }
    let mut put = |name: &str, value: &str| {
        writeln!(text, "  {name:<18} {}", escape::line(value)).expect("a String takes everything");
    };
    let Death {
        class,
        broker_reason,
        error,
        attempts,
        time,
        consumer,
        queue,
        exchange,
        routing_key,
        history,
    } = &one.letter.death;
    let number = |number: &Option<u64>| number.map(|number| number.to_string());
    let waiting = one.letter.waiting.as_ref();
    let (began, attempts) = match waiting {
        Some(_) => ("waits since", None),
        None => ("died", number(attempts)),
    };
    let facts = [
        ("due", waiting.and_then(|waiting| waiting.due).map(shown)),
        ("attempt", waiting.map(attempt)),
        (began, time.map(shown)),
        ("class", class.clone()),
        ("broker's reason", broker_reason.clone()),
        ("error", error.clone()),
        ("attempts", attempts),
        ("consumer", consumer.clone()),
        ("queue", queue.clone()),
        (
            "exchange",
            exchange.as_ref().map(|name| format!("{name:?}")),
        ),
        (
            "routing key",
            routing_key.as_ref().map(|key| format!("{key:?}")),
        ),
        ("x-death", history.clone()),
    ];
    let message = &one.letter.delivery.envelope.message;
    if let Some(story) = &story {
        put("group", &story.group.to_string());
        for call in &story.stack {
            put("called", call);
        }
    }
    if let Some(edit) = &one.letter.edit {
        put("edit of", &edit.identity);
    }
    for (name, fact) in facts {
        if let Some(fact) = fact {
            put(name, &fact);
        }
    }
    for (name, value) in properties(&message.properties) {
        put(name, &value);
    }
    for (name, header) in headers(&message.properties) {
        if !name.starts_with(RESERVED) {
            put("header", &header);
        }
    }
    body(&message.body, &mut text);
    text
}
