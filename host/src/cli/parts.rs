//! The parts of a message as people read them.

use std::fmt::Write as _;

use bytes::Bytes;
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
            body: Bytes::new(),
        });
        (name.as_str(), format!("{name} = {}", one["headers"][name]))
    })
}

/// The most bytes of a body that people are shown.
const LONGEST_BODY: usize = 64 * 1024;

/// The body as what it is: JSON, text, or bytes. Of a long one the beginning, whose length follows the rest.
pub(super) fn body(body: &[u8], text: &mut String) {
    let (part, cut) = match body.len() > LONGEST_BODY {
        true => (
            &body[..LONGEST_BODY],
            format!("; the first {LONGEST_BODY} are shown, --json has all"),
        ),
        false => (body, String::new()),
    };
    let (kind, shown) = match (text_of(part, body.len()), cut.is_empty()) {
        (Some(plain), true) => match serde_json::from_str::<Value>(plain) {
            Ok(json @ (Value::Object(_) | Value::Array(_))) => ("JSON", format!("{json:#}")),
            _ => ("text", plain.to_owned()),
        },
        (Some(plain), false) => ("text", plain.to_owned()),
        (None, _) => ("base64", base64(part)),
    };
    writeln!(text, "  {:<18} {} bytes, {kind}{cut}", "body", body.len())
        .expect("a String takes everything");
    for line in shown.lines() {
        writeln!(text, "    {}", escape::lines(line)).expect("a String takes everything");
    }
}

/// The beginning of a body of `whole` bytes as text, if it is text up to a character that the cut may have split.
fn text_of(part: &[u8], whole: usize) -> Option<&str> {
    match std::str::from_utf8(part) {
        Ok(text) => Some(text),
        Err(error) => {
            let is_split = error.error_len().is_none() && part.len() < whole;
            let valid = is_split.then(|| &part[..error.valid_up_to()])?;
            std::str::from_utf8(valid).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content: &[u8]) -> String {
        let mut text = String::new();
        body(content, &mut text);
        text
    }

    #[test]
    fn a_long_body_is_cut_between_two_characters_and_the_cut_is_said() {
        let text = "ä".repeat(LONGEST_BODY);
        let told = shown(format!("x{text}").as_bytes());
        let length = 2 * LONGEST_BODY + 1;
        let head =
            format!("{length} bytes, text; the first {LONGEST_BODY} are shown, --json has all\n");
        assert!(told.contains(&head), "{}", &told[..200]);
        assert!(told.len() < LONGEST_BODY + 200 && told.ends_with("ä\n"));
        let told = shown(&vec![0xff; LONGEST_BODY + 1]);
        assert!(
            told.contains("bytes, base64; the first"),
            "{}",
            &told[..200]
        );
    }

    #[test]
    fn a_body_is_shown_whole_with_what_it_is() {
        assert!(shown(b"{\"a\":1}").contains("7 bytes, JSON\n    {\n      \"a\": 1"));
        assert!(shown(b"\x1b[2J<b>").contains("text\n    \\u{1b}[2J<b>\n"));
        assert!(shown(&[0xff, 0xe2]).contains("2 bytes, base64\n    /+I=\n"));
    }
}
