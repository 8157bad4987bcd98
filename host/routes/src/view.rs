//! A delivery as expressions see it: each part is looked at when it is asked for.

use std::collections::HashMap;
use std::sync::OnceLock;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelMap, CelMapKey, CelNull, CelString,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use hive_core::message::{Envelope, FieldValue, Properties};

use crate::json::{self, Seen};
use crate::scope::Sight;

/// The names that expressions may use, in the order of the documentation.
pub(crate) const VARIABLES: [&str; 8] = [
    "body",
    "headers",
    "properties",
    "routing_key",
    "exchange",
    "queue",
    "attempt",
    "redelivered",
];

/// The fields of `properties`.
pub(crate) const PROPERTIES: [&str; 12] = [
    "content_type",
    "content_encoding",
    "persistent",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
];

/// One delivery, for as many expressions as look at it.
#[derive(Debug)]
pub struct View<'e> {
    envelope: &'e Envelope,
    body: OnceLock<Result<Seen<'e>, String>>,
    headers: OnceLock<Seen<'e>>,
    properties: OnceLock<Seen<'e>>,
}

impl<'e> View<'e> {
    /// Looks at nothing yet.
    pub fn of(envelope: &'e Envelope) -> Self {
        Self {
            envelope,
            body: OnceLock::new(),
            headers: OnceLock::new(),
            properties: OnceLock::new(),
        }
    }

    /// The delivery.
    pub(crate) fn envelope(&self) -> &'e Envelope {
        self.envelope
    }

    fn body(&self) -> &Result<Seen<'e>, String> {
        self.body.get_or_init(|| {
            let body = json::parse(&self.envelope.message.body);
            body.map_err(|error| error.to_string())
        })
    }

    fn headers(&self) -> &Seen<'e> {
        self.headers.get_or_init(|| {
            let headers = self.envelope.message.properties.headers.iter();
            map(headers.map(|(name, value)| (name.as_str(), header(value))))
        })
    }

    fn properties(&self) -> &Seen<'e> {
        let properties = &self.envelope.message.properties;
        self.properties.get_or_init(|| map(fields(properties)))
    }
}

impl Sight for View<'_> {
    fn fault_of_body(&self) -> Option<&str> {
        self.body.get()?.as_ref().err().map(String::as_str)
    }
}

impl VariableResolver for View<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let Envelope {
            queue,
            exchange,
            routing_key,
            redelivered,
            attempt,
            ..
        } = self.envelope;
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        match variable {
            "body" => Some(CowVal::Borrowed(&**self.body().as_ref().ok()?)),
            "headers" => Some(CowVal::Borrowed(&**self.headers())),
            "properties" => Some(CowVal::Borrowed(&**self.properties())),
            "routing_key" => text(routing_key),
            "exchange" => text(exchange),
            "queue" => text(queue),
            "attempt" => Some(CowVal::owned(CelInt::from(i64::from(attempt.get())))),
            "redelivered" => Some(CowVal::owned(CelBool::from(*redelivered))),
            _ => None,
        }
    }
}

/// The properties that a message has; the others are missing.
fn fields<'e>(properties: &'e Properties) -> impl Iterator<Item = (&'e str, Seen<'e>)> {
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
    let milliseconds = expiration.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let values = [
        text(content_type),
        text(content_encoding),
        Some(seen(CelBool::from(*persistent))),
        number(priority.map(u64::from)),
        text(correlation_id),
        text(reply_to),
        number(milliseconds),
        text(message_id),
        number(*timestamp),
        text(kind),
        text(user_id),
        text(app_id),
    ];
    let named = PROPERTIES.into_iter().zip(values);
    named.filter_map(|(name, value)| Some((name, value?)))
}

fn text(text: &Option<String>) -> Option<Seen<'_>> {
    text.as_deref().map(|text| seen(CelString::from(text)))
}

fn number<'e>(number: Option<u64>) -> Option<Seen<'e>> {
    number.map(|number| seen(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX))))
}

fn header(value: &FieldValue) -> Seen<'_> {
    match value {
        FieldValue::Void => seen(CelNull),
        FieldValue::Boolean(is) => seen(CelBool::from(*is)),
        FieldValue::Integer(number) => seen(CelInt::from(*number)),
        FieldValue::Double(number) => seen(CelDouble::from(*number)),
        FieldValue::Text(text) => seen(CelString::from(text.as_str())),
        FieldValue::Bytes(bytes) => seen(CelBytes::from(bytes.as_slice())),
        FieldValue::Timestamp(seconds) => {
            seen(CelInt::from(i64::try_from(*seconds).unwrap_or(i64::MAX)))
        }
        // The host writes this text itself, so it is JSON.
        FieldValue::Nested(text) => {
            let parsed = json::parse(text.as_bytes());
            parsed.unwrap_or_else(|_| seen(CelString::from(text.as_str())))
        }
    }
}

pub(crate) fn map<'e>(entries: impl Iterator<Item = (&'e str, Seen<'e>)>) -> Seen<'e> {
    let keyed = entries.map(|(name, value)| (CelMapKey::from(name), value));
    seen(CelMap::from(HashMap::from_iter(keyed)))
}

pub(crate) fn seen<'e>(value: impl Val + 'e) -> Seen<'e> {
    Box::new(value)
}
