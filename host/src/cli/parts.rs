//! The parts of a message as people read them.

use std::fmt::Write as _;

use hive_core::escape;
use hive_core::json::{base64, write_message};
use hive_core::message::{Message, Properties};
use serde_json::Value;

use crate::dead::shown;

/// The first line of a text, and not all of a long one.
pub(super) fn cell(text: &str, widest: usize) -> String {
    let line = escape::line(text.lines().next().unwrap_or_default());
    let mut cell: String = line.chars().take(widest).collect();
    if line.chars().count() > widest || text.lines().nth(1).is_some() {
        cell.push('…');
    }
    cell
}

/// The properties that are set.
pub(super) fn properties(properties: &Properties) -> Vec<(&'static str, String)> {
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

/// Its headers, each by its name and as a line for people.
pub(super) fn headers(properties: &Properties) -> impl Iterator<Item = (&str, String)> {
    properties.headers.iter().map(|(name, value)| {
        let one = write_message(&Message {
            properties: Properties {
                headers: vec![(name.clone(), value.clone())],
                ..Properties::default()
            },
            body: Vec::new(),
        });
        (name.as_str(), format!("{name} = {}", one["headers"][name]))
    })
}

/// The body as what it is: JSON, text, or bytes.
pub(super) fn body(body: &[u8], text: &mut String) {
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
        writeln!(text, "    {}", escape::lines(line)).expect("a String takes everything");
    }
}
