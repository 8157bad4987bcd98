//! A delivery as expressions see it: each part is looked at when it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cel::Value;
use cel::common::types::{CelBool, CelInt, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::Key;
use hive_core::message::{Envelope, FieldValue, Properties};

use crate::json;

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
    body: OnceLock<Result<Box<dyn Val>, String>>,
    headers: OnceLock<Box<dyn Val>>,
    properties: OnceLock<Box<dyn Val>>,
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

    /// Why the body has no value, if an expression asked for it.
    pub(crate) fn fault_of_body(&self) -> Option<&str> {
        self.body.get()?.as_ref().err().map(String::as_str)
    }

    fn body(&self) -> &Result<Box<dyn Val>, String> {
        self.body.get_or_init(|| {
            let parsed = serde_json::from_slice(&self.envelope.message.body);
            let parsed: serde_json::Value = parsed.map_err(|error| error.to_string())?;
            Ok(boxed(json::value(parsed)))
        })
    }

    fn headers(&self) -> &dyn Val {
        &**self.headers.get_or_init(|| {
            let headers = self.envelope.message.properties.headers.iter();
            boxed(map(
                headers.map(|(name, value)| (name.clone(), header(value)))
            ))
        })
    }

    fn properties(&self) -> &dyn Val {
        let properties = &self.envelope.message.properties;
        &**self
            .properties
            .get_or_init(|| boxed(map(fields(properties))))
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
            "headers" => Some(CowVal::Borrowed(self.headers())),
            "properties" => Some(CowVal::Borrowed(self.properties())),
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
fn fields(properties: &Properties) -> impl Iterator<Item = (String, Value)> {
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
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let number = |number: Option<u64>| {
        number.map(|number| Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
    };
    let milliseconds = expiration.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let values = [
        text(content_type),
        text(content_encoding),
        Some(Value::Bool(*persistent)),
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
    named.filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

fn header(value: &FieldValue) -> Value {
    match value {
        FieldValue::Void => Value::Null,
        FieldValue::Boolean(is) => Value::Bool(*is),
        FieldValue::Integer(number) => Value::Int(*number),
        FieldValue::Double(number) => Value::Float(*number),
        FieldValue::Text(text) => Value::from(text.as_str()),
        FieldValue::Bytes(bytes) => Value::Bytes(Arc::new(bytes.clone())),
        FieldValue::Timestamp(seconds) => Value::Int(i64::try_from(*seconds).unwrap_or(i64::MAX)),
        // The host writes this text itself, so it is JSON.
        FieldValue::Nested(text) => {
            serde_json::from_str(text).map_or_else(|_| Value::from(text.as_str()), json::value)
        }
    }
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let keyed = entries.map(|(name, value)| (Key::String(Arc::new(name)), value));
    Value::from(HashMap::<Key, Value>::from_iter(keyed))
}

fn boxed(value: Value) -> Box<dyn Val> {
    value
        .try_into()
        .expect("maps, lists, texts and numbers are values")
}
