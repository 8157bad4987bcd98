//! A message, as much as is shown of it to those who watch. What is cut is never copied.

use std::sync::Arc;

use hive_core::message::{Envelope, FieldValue, Message, Properties};

/// The longest body that is shown; of a longer one, the beginning is.
const LONGEST_BODY: usize = 16 << 10;

/// The most bytes of headers that are shown.
const MOST_HEADERS: usize = 8 << 10;

/// A message; its body and its headers may be cut.
#[derive(Debug, Clone)]
pub struct ShownMessage {
    /// The message.
    pub envelope: Envelope,
    /// The size of its body.
    pub bytes: usize,
    /// Something of it was cut.
    pub is_cut: bool,
}

pub(super) fn shown(envelope: &Envelope) -> ShownMessage {
    let Message { properties, body } = &envelope.message;
    let mut room = MOST_HEADERS;
    let headers = properties.headers.iter().take_while(|(name, value)| {
        let rest = room.checked_sub(name.len() + size(value));
        room = rest.unwrap_or_default();
        rest.is_some()
    });
    let headers: Vec<_> = headers.cloned().collect();
    let shown_body = beginning(body);
    ShownMessage {
        bytes: body.len(),
        is_cut: shown_body.len() < body.len() || headers.len() < properties.headers.len(),
        envelope: Envelope {
            message: Message {
                properties: Properties {
                    headers,
                    content_type: properties.content_type.clone(),
                    content_encoding: properties.content_encoding.clone(),
                    correlation_id: properties.correlation_id.clone(),
                    reply_to: properties.reply_to.clone(),
                    message_id: properties.message_id.clone(),
                    kind: properties.kind.clone(),
                    user_id: properties.user_id.clone(),
                    app_id: properties.app_id.clone(),
                    ..*properties
                },
                body: shown_body.to_vec().into(),
            },
            queue: Arc::clone(&envelope.queue),
            exchange: envelope.exchange.clone(),
            routing_key: envelope.routing_key.clone(),
            ..*envelope
        },
    }
}

/// The octets of a value, about.
fn size(value: &FieldValue) -> usize {
    match value {
        FieldValue::Text(text) | FieldValue::Nested(text) => text.len(),
        FieldValue::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// The beginning of a body. Text is cut between two characters.
fn beginning(body: &[u8]) -> &[u8] {
    let Some(next) = body.get(LONGEST_BODY) else {
        return body;
    };
    let is_within = |octet: u8| octet & 0b1100_0000 == 0b1000_0000;
    let mut end = LONGEST_BODY;
    if is_within(*next) {
        // The octet that a character begins with is at most three before.
        let before = (LONGEST_BODY - 3..LONGEST_BODY).rev();
        end = before
            .into_iter()
            .find(|at| !is_within(body[*at]))
            .unwrap_or(end);
    }
    &body[..end]
}

#[cfg(test)]
mod tests {
    use hive_core::message::Attempt;

    use super::*;

    fn envelope(body: &[u8], headers: usize) -> Envelope {
        let header = |number: usize| (format!("h-{number}"), FieldValue::Text("x".repeat(1_000)));
        Envelope {
            message: Message {
                properties: Properties {
                    headers: (0..headers).map(header).collect(),
                    message_id: Some("o-1".to_owned()),
                    ..Properties::default()
                },
                body: body.to_vec().into(),
            },
            queue: "orders".into(),
            exchange: String::new(),
            routing_key: "orders".to_owned(),
            redelivered: true,
            attempt: Attempt::FIRST,
            stream_offset: Some(7),
        }
    }

    #[test]
    fn a_small_message_is_shown_as_it_is() {
        let small = envelope(b"tea", 3);
        let ShownMessage {
            envelope,
            bytes,
            is_cut,
        } = shown(&small);
        assert_eq!((envelope, bytes, is_cut), (small, 3, false));
    }

    #[test]
    fn a_large_body_is_cut_between_two_characters() {
        let text = format!("x{}", "ü".repeat(LONGEST_BODY));
        let large = shown(&envelope(text.as_bytes(), 0));
        assert_eq!((large.bytes, large.is_cut), (text.len(), true));
        let body = String::from_utf8(large.envelope.message.body.to_vec()).expect("it is text");
        assert_eq!(body.len(), LONGEST_BODY - 1);
        let octets = shown(&envelope(&vec![0xff; LONGEST_BODY + 1], 0));
        assert_eq!(octets.envelope.message.body.len(), LONGEST_BODY);
    }

    #[test]
    fn many_headers_are_cut() {
        let large = shown(&envelope(b"", 100));
        assert_eq!(large.envelope.message.properties.headers.len(), 8);
        assert!(large.is_cut);
    }
}
