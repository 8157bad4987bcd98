//! `dead show`: everything of a message, for people and for scripts.

use std::fmt::Write as _;

use serde_json::Value;

use super::print::{cell, end};
use crate::amqp::Death;
use crate::dead::{Numbered, shown};
use crate::json::{base64, write_delivery, write_message};
use crate::message::{Message, Properties};

/// What begins with it is the host's bookkeeping, and shown by its meaning.
const BOOKKEEPING: &str = "x-hive-";

/// A whole message as JSON: a delivery, with what is known of its end.
pub(super) fn whole_json(one: &Numbered) -> Value {
    let mut delivery = one.letter.delivery.envelope.clone();
    let headers = &mut delivery.message.properties.headers;
    headers.retain(|(name, _)| !name.starts_with(BOOKKEEPING));
    let mut whole = write_delivery(&delivery);
    whole["dead"] = end(one);
    whole
}

/// A whole message for people.
pub(super) fn whole(one: &Numbered, queue: &str) -> String {
    let mut text = format!("message {} of {queue}\n", one.number);
    let mut put = |name: &str, value: &str| {
        writeln!(text, "  {name:<18} {}", cell(value, usize::MAX))
            .expect("a String takes everything");
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
    let facts = [
        ("died", time.map(shown)),
        ("class", class.clone()),
        ("broker's reason", broker_reason.clone()),
        ("error", error.clone()),
        ("attempts", number(attempts)),
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
    for (name, fact) in facts {
        if let Some(fact) = fact {
            put(name, &fact.replace('\n', " ⏎ "));
        }
    }
    for (name, value) in properties(&message.properties) {
        put(name, &value);
    }
    let headers = &message.properties.headers;
    for (name, value) in headers
        .iter()
        .filter(|(name, _)| !name.starts_with(BOOKKEEPING))
    {
        let one = write_message(&Message {
            properties: Properties {
                headers: vec![(name.clone(), value.clone())],
                ..Properties::default()
            },
            body: Vec::new(),
        });
        put("header", &format!("{name} = {}", one["headers"][name]));
    }
    body(&message.body, &mut text);
    text
}

/// The properties that are set.
fn properties(properties: &Properties) -> Vec<(&'static str, String)> {
    let Properties {
        content_type,
        content_encoding,
        headers: _,
        persistent,
        priority,
        correlation_id,
        reply_to,
        expiration,
        message_id,
        timestamp,
        kind,
        user_id,
        app_id,
    } = properties;
    let all = [
        ("message-id", message_id.clone()),
        ("content-type", content_type.clone()),
        ("content-encoding", content_encoding.clone()),
        ("correlation-id", correlation_id.clone()),
        ("reply-to", reply_to.clone()),
        ("type", kind.clone()),
        ("app-id", app_id.clone()),
        ("user-id", user_id.clone()),
        ("persistent", Some(persistent.to_string())),
        ("priority", priority.map(|priority| priority.to_string())),
        (
            "expiration",
            expiration.map(|time| format!("{} ms", time.as_millis())),
        ),
        ("timestamp", timestamp.map(shown)),
    ];
    let set = all.into_iter();
    set.filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// The body as what it is: JSON, text, or bytes.
fn body(body: &[u8], text: &mut String) {
    let (kind, shown) = match std::str::from_utf8(body) {
        Ok(plain) => match serde_json::from_str::<Value>(plain) {
            Ok(json @ (Value::Object(_) | Value::Array(_))) => ("JSON", format!("{json:#}")),
            _ => ("text", plain.to_owned()),
        },
        Err(_) => ("base64", base64(body)),
    };
    writeln!(text, "  {:<18} {} bytes, {kind}", "body", body.len())
        .expect("a String takes everything");
    for line in shown.lines() {
        let line: String = line
            .chars()
            .filter(|c| !c.is_control() || *c == '\t')
            .collect();
        writeln!(text, "    {line}").expect("a String takes everything");
    }
}
