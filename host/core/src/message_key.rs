//! The key of a message, by which deliveries are kept in order, or recognised as repeats. Pure.
//!
//! A key is bytes. Two messages have the same key if the value that the file names has the same text in both:
//! the integer 7 of one publisher and the text "7" of another are one key. A value without a text that every
//! reader agrees on gives no key, since a key by chance would take one message for another.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::message::{Envelope, FieldValue, Message, Publication};

/// Where the key of a message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The property `message-id`.
    MessageId,
    /// The routing key that it was first published with; an empty one is a key too.
    RoutingKey,
    /// The header of this name.
    Header(String),
    /// These places of a JSON body, each as RFC 6901 has it; all of them have to be there. Never empty.
    Pointers(Vec<String>),
    /// The SHA-256 of the body. Every message has one.
    Body,
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFault {
    /// The text has none of the known forms.
    Unknown,
    /// `header:` with nothing behind it.
    NoHeader,
    /// The text after `json:` is not a JSON pointer.
    NoPointer,
}

impl Key {
    /// The key that a text of hive.toml names: `message-id`, `routing-key`, `header:NAME`,
    /// `json:/pointer` or `body`.
    ///
    /// # Errors
    ///
    /// Any other text.
    pub fn named(text: &str) -> Result<Self, KeyFault> {
        match (text, text.split_once(':')) {
            ("message-id", _) => Ok(Self::MessageId),
            ("routing-key", _) => Ok(Self::RoutingKey),
            ("body", _) => Ok(Self::Body),
            (_, Some(("header", ""))) => Err(KeyFault::NoHeader),
            (_, Some(("header", name))) => Ok(Self::Header(name.to_owned())),
            (_, Some(("json", pointer))) if is_pointer(pointer) => {
                Ok(Self::Pointers(vec![pointer.to_owned()]))
            }
            (_, Some(("json", _))) => Err(KeyFault::NoPointer),
            _ => Err(KeyFault::Unknown),
        }
    }

    /// The key of a message; `None` if it has none, or an empty one.
    pub fn of(&self, envelope: &Envelope) -> Option<Vec<u8>> {
        self.within(&envelope.message, &envelope.routing_key)
    }

    /// The key of a publication; `message_id` is the one that the host gives it if it has none of its own.
    pub fn of_publication(&self, publication: &Publication, message_id: &str) -> Option<Vec<u8>> {
        let key = self.within(&publication.message, &publication.routing_key);
        match self {
            Self::MessageId => key.or_else(|| unless_empty(message_id.into())),
            _ => key,
        }
    }

    fn within(&self, message: &Message, routing_key: &str) -> Option<Vec<u8>> {
        match self {
            Self::RoutingKey => Some(routing_key.into()),
            Self::MessageId => {
                let id = message.properties.message_id.clone()?;
                unless_empty(id.into_bytes())
            }
            Self::Header(name) => {
                let headers = &message.properties.headers;
                let (_, value) = headers.iter().find(|(header, _)| header == name)?;
                of_field(value)
            }
            Self::Pointers(pointers) => {
                let body: Value = serde_json::from_slice(&message.body).ok()?;
                let values = pointers
                    .iter()
                    .map(|pointer| of_json(body.pointer(pointer)?));
                joined(values.collect::<Option<_>>()?)
            }
            Self::Body => Some(Sha256::digest(&message.body).to_vec()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageId => f.write_str("message-id"),
            Self::RoutingKey => f.write_str("routing-key"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Pointers(pointers) => {
                let places: Vec<_> = pointers.iter().map(|at| format!("json:{at}")).collect();
                f.write_str(&places.join(", "))
            }
            Self::Body => f.write_str("body"),
        }
    }
}

/// Whether it leads to a place in a document: `/` and a name, `~` escaping as `~0` and `~1` alone.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/')
        && text
            .split('~')
            .skip(1)
            .all(|behind| behind.starts_with(['0', '1']))
}

/// A floating point number is not a key: readers differ in how many of its digits count.
fn of_field(value: &FieldValue) -> Option<Vec<u8>> {
    match value {
        FieldValue::Void | FieldValue::Double(_) | FieldValue::Nested(_) => None,
        FieldValue::Boolean(value) => Some(value.to_string().into_bytes()),
        FieldValue::Integer(value) => Some(value.to_string().into_bytes()),
        FieldValue::Timestamp(value) => Some(value.to_string().into_bytes()),
        FieldValue::Text(value) => unless_empty(value.clone().into_bytes()),
        FieldValue::Bytes(value) => unless_empty(value.clone()),
    }
}

/// As with [`of_field`]; an integer beyond 64 bits was read as floating point.
fn of_json(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bool(value) => Some(value.to_string().into_bytes()),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Some(number.to_string().into_bytes())
        }
        Value::String(text) => unless_empty(text.clone().into_bytes()),
        Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn unless_empty(key: Vec<u8>) -> Option<Vec<u8>> {
    (!key.is_empty()).then_some(key)
}

/// Several parts as one key, each with its length before it, so that "a", "bc" is not "ab", "c".
fn joined(parts: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    match <[Vec<u8>; 1]>::try_from(parts) {
        Ok([part]) => Some(part),
        Err(parts) => Some(
            parts
                .iter()
                .flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat())
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Attempt;

    fn envelope(message: Message) -> Envelope {
        Envelope {
            message,
            queue: "q".into(),
            exchange: "x".to_owned(),
            routing_key: "order.7".to_owned(),
            redelivered: false,
            attempt: Attempt::FIRST,
            stream_offset: None,
        }
    }

    fn with_header(value: FieldValue) -> Envelope {
        let mut message = Message::default();
        message.properties.headers = vec![
            ("Customer".to_owned(), FieldValue::Integer(1)),
            ("customer".to_owned(), value),
        ];
        envelope(message)
    }

    fn with_body(body: impl Into<Vec<u8>>) -> Envelope {
        envelope(Message {
            body: body.into().into(),
            ..Message::default()
        })
    }

    fn key(text: &str) -> Key {
        Key::named(text).expect("the tests name keys")
    }

    fn keyed(text: &str, envelope: &Envelope) -> Option<String> {
        let key = key(text).of(envelope)?;
        Some(String::from_utf8(key).expect("the tests' keys are text"))
    }

    #[test]
    fn texts_name_keys_and_keys_show_as_their_texts() {
        for text in [
            "message-id",
            "routing-key",
            "header:a:b",
            "json:/a/0",
            "body",
        ] {
            assert_eq!(key(text).to_string(), text);
        }
        for (text, fault) in [
            ("", KeyFault::Unknown),
            ("messageid", KeyFault::Unknown),
            ("json", KeyFault::Unknown),
            ("header:", KeyFault::NoHeader),
            ("json:", KeyFault::NoPointer),
            ("json:a", KeyFault::NoPointer),
            ("json:/a~2", KeyFault::NoPointer),
            ("json:/a~", KeyFault::NoPointer),
        ] {
            assert_eq!(Key::named(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn a_header_is_found_by_its_exact_name_and_counts_by_its_text() {
        let of = |value| keyed("header:customer", &with_header(value));
        assert_eq!(of(FieldValue::Text("7".into())).as_deref(), Some("7"));
        assert_eq!(of(FieldValue::Integer(7)).as_deref(), Some("7"));
        assert_eq!(of(FieldValue::Bytes(b"7".to_vec())).as_deref(), Some("7"));
        assert_eq!(of(FieldValue::Boolean(true)).as_deref(), Some("true"));
        for none in [
            FieldValue::Void,
            FieldValue::Double(7.0),
            FieldValue::Text(String::new()),
            FieldValue::Nested("{}".into()),
        ] {
            assert_eq!(of(none.clone()), None, "{none:?}");
        }
        assert_eq!(keyed("header:absent", &with_header(FieldValue::Void)), None);
    }

    #[test]
    fn a_place_in_the_body_is_a_key_if_it_holds_a_text_an_integer_or_a_boolean() {
        let of = |body: &str| keyed("json:/a/0", &with_body(body));
        assert_eq!(of(r#"{"a":["7"]}"#).as_deref(), Some("7"));
        assert_eq!(of(r#"{"a":[7]}"#).as_deref(), Some("7"));
        assert_eq!(of(r#"{"a":[false]}"#).as_deref(), Some("false"));
        assert_eq!(
            of(r#"{"a":[18446744073709551615]}"#).as_deref(),
            Some("18446744073709551615")
        );
        for body in [
            r#"{"a":[18446744073709551616]}"#,
            r#"{"a":[7.5]}"#,
            r#"{"a":[null]}"#,
            r#"{"a":[{}]}"#,
            r#"{"a":[""]}"#,
            r#"{"a":[]}"#,
            r#"{"a":["7"]"#,
            "",
        ] {
            assert_eq!(of(body), None, "{body}");
        }
    }

    #[test]
    fn of_several_places_all_have_to_be_there() {
        let both = Key::Pointers(vec!["/a".to_owned(), "/b".to_owned()]);
        let of = |body: &str| both.of(&with_body(body));
        assert!(of(r#"{"a":"1","b":"2"}"#).is_some());
        assert_eq!(of(r#"{"a":"1"}"#), None);
    }

    #[test]
    fn the_routing_key_and_the_body_are_always_there_and_the_id_may_not_be() {
        let mut envelope = with_body("");
        assert_eq!(keyed("routing-key", &envelope).as_deref(), Some("order.7"));
        envelope.routing_key.clear();
        assert_eq!(keyed("routing-key", &envelope).as_deref(), Some(""));
        assert_eq!(key("body").of(&envelope).map(|key| key.len()), Some(32));
        assert_eq!(keyed("message-id", &envelope), None);
        envelope.message.properties.message_id = Some(String::new());
        assert_eq!(keyed("message-id", &envelope), None);
        envelope.message.properties.message_id = Some("m".to_owned());
        assert_eq!(keyed("message-id", &envelope).as_deref(), Some("m"));
    }

    #[test]
    fn a_publication_without_an_id_goes_by_the_one_that_it_is_given() {
        let mut publication = Publication {
            exchange: "x".to_owned(),
            routing_key: "r".to_owned(),
            message: Message::default(),
            mandatory: true,
            delay: None,
        };
        let of = |publication: &Publication| key("message-id").of_publication(publication, "m-0");
        assert_eq!(of(&publication), Some(b"m-0".to_vec()));
        publication.message.properties.message_id = Some("own".to_owned());
        assert_eq!(of(&publication), Some(b"own".to_vec()));
        assert_eq!(key("header:a").of_publication(&publication, "m-0"), None);
    }

    proptest! {
        #[test]
        fn two_places_are_one_key_only_if_both_are_the_same(
            one in ("[ab]{1,4}", "[ab]{1,4}"), other in ("[ab]{1,4}", "[ab]{1,4}"),
        ) {
            let both = Key::Pointers(vec!["/a".to_owned(), "/b".to_owned()]);
            let of = |(a, b): &(String, String)| {
                both.of(&with_body(format!(r#"{{"a":"{a}","b":"{b}"}}"#)))
            };
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }

        #[test]
        fn no_body_is_too_odd(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _key_or_none = key("json:/a").of(&with_body(body));
        }
    }
}
