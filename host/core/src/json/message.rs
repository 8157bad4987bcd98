//! A message, and the two forms that contain one: a delivery and a publication.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::fields::{Fields, Malformed, text};
use super::{base64, from_base64, header};
use crate::message::{Attempt, Envelope, FieldValue, Message, Properties, Publication};

/// A message as an object.
pub fn write_message(message: &Message) -> Value {
    let mut object = Map::new();
    put_message(message, &mut object);
    Value::Object(object)
}

/// A message from an object.
///
/// # Errors
///
/// A key that there is not, or one of another type.
pub fn read_message(value: &Value) -> Result<Message, Malformed> {
    let mut fields = Fields::of(value)?;
    let message = take_message(&mut fields)?;
    fields.end()?;
    Ok(message)
}

/// A delivery as an object.
pub fn write_delivery(delivery: &Envelope) -> Value {
    let mut object = Map::new();
    object.insert("queue".into(), Value::from(&*delivery.queue));
    object.insert("exchange".into(), Value::from(delivery.exchange.as_str()));
    let routing_key = Value::from(delivery.routing_key.as_str());
    object.insert("routing-key".into(), routing_key);
    object.insert("redelivered".into(), Value::from(delivery.redelivered));
    object.insert("attempt".into(), Value::from(delivery.attempt.get()));
    if let Some(offset) = delivery.stream_offset {
        object.insert("stream-offset".into(), Value::from(offset));
    }
    put_message(&delivery.message, &mut object);
    Value::Object(object)
}

/// A delivery from an object. What it leaves out is as at a first try from nowhere: empty names, not
/// redelivered, attempt 1. What `hive-host dead` says of its end is passed over.
///
/// # Errors
///
/// As [`read_message`].
pub fn read_delivery(value: &Value) -> Result<Envelope, Malformed> {
    let mut fields = Fields::of(value)?;
    let attempt = fields.read("attempt", |value| {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let attempt = number.and_then(Attempt::new);
        attempt.ok_or_else(|| Malformed::must_be("a number from 1", value))
    })?;
    let _end = fields.value("dead");
    let delivery = Envelope {
        message: take_message(&mut fields)?,
        queue: fields.text("queue")?.unwrap_or_default().into(),
        exchange: fields.text("exchange")?.unwrap_or_default(),
        routing_key: fields.text("routing-key")?.unwrap_or_default(),
        redelivered: fields.boolean("redelivered")?.unwrap_or(false),
        attempt: attempt.unwrap_or(Attempt::FIRST),
        stream_offset: fields.number("stream-offset")?,
    };
    fields.end()?;
    Ok(delivery)
}

/// A publication as an object.
pub fn write_publication(publication: &Publication) -> Value {
    let mut object = Map::new();
    let exchange = Value::from(publication.exchange.as_str());
    object.insert("exchange".into(), exchange);
    let routing_key = Value::from(publication.routing_key.as_str());
    object.insert("routing-key".into(), routing_key);
    object.insert("mandatory".into(), Value::from(publication.mandatory));
    if let Some(delay) = publication.delay {
        object.insert("delay-ms".into(), milliseconds(delay));
    }
    put_message(&publication.message, &mut object);
    Value::Object(object)
}

/// A publication from an object. Without names it goes to the default exchange with an empty key; it is
/// mandatory unless it says otherwise.
///
/// # Errors
///
/// As [`read_message`].
pub fn read_publication(value: &Value) -> Result<Publication, Malformed> {
    let mut fields = Fields::of(value)?;
    let publication = Publication {
        exchange: fields.text("exchange")?.unwrap_or_default(),
        routing_key: fields.text("routing-key")?.unwrap_or_default(),
        message: take_message(&mut fields)?,
        mandatory: fields.boolean("mandatory")?.unwrap_or(true),
        delay: fields.number("delay-ms")?.map(Duration::from_millis),
    };
    fields.end()?;
    Ok(publication)
}

/// The keys of a message among others.
fn put_message(message: &Message, object: &mut Map<String, Value>) {
    let Properties {
        content_type,
        content_encoding,
        headers,
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
    } = &message.properties;
    let texts = [
        ("message-id", message_id),
        ("content-type", content_type),
        ("content-encoding", content_encoding),
        ("correlation-id", correlation_id),
        ("reply-to", reply_to),
        ("type", kind),
        ("user-id", user_id),
        ("app-id", app_id),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            object.insert(key.into(), Value::from(text.as_str()));
        }
    }
    object.insert("persistent".into(), Value::from(*persistent));
    if let Some(priority) = priority {
        object.insert("priority".into(), Value::from(*priority));
    }
    if let Some(expiration) = expiration {
        object.insert("expiration-ms".into(), milliseconds(*expiration));
    }
    if let Some(timestamp) = timestamp {
        object.insert("timestamp".into(), Value::from(*timestamp));
    }
    if !headers.is_empty() {
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), header::write(value)));
        object.insert("headers".into(), Value::Object(headers.collect()));
    }
    match std::str::from_utf8(&message.body) {
        Ok(text) => object.insert("body".into(), Value::from(text)),
        Err(_) => object.insert("body-base64".into(), base64(&message.body).into()),
    };
}

fn take_message(fields: &mut Fields<'_>) -> Result<Message, Malformed> {
    let priority = fields.read("priority", |value| {
        let priority = value.as_u64().and_then(|number| u8::try_from(number).ok());
        priority.ok_or_else(|| Malformed::must_be("a number from 0 to 255", value))
    })?;
    Ok(Message {
        properties: Properties {
            content_type: fields.text("content-type")?,
            content_encoding: fields.text("content-encoding")?,
            headers: fields.read("headers", headers)?.unwrap_or_default(),
            persistent: fields.boolean("persistent")?.unwrap_or(true),
            priority,
            correlation_id: fields.text("correlation-id")?,
            reply_to: fields.text("reply-to")?,
            expiration: fields.number("expiration-ms")?.map(Duration::from_millis),
            message_id: fields.text("message-id")?,
            timestamp: fields.number("timestamp")?,
            kind: fields.text("type")?,
            user_id: fields.text("user-id")?,
            app_id: fields.text("app-id")?,
        },
        body: body(fields)?,
    })
}

fn headers(value: &Value) -> Result<Vec<(String, FieldValue)>, Malformed> {
    let object = value
        .as_object()
        .ok_or_else(|| Malformed::must_be("an object", value))?;
    let read = |(name, value): (&String, &Value)| {
        let value = header::read(value).map_err(|fault| fault.at(&format!("{name:?}")))?;
        Ok((name.clone(), value))
    };
    object.iter().map(read).collect()
}

/// The body, in one of the ways to write it; none is an empty one.
fn body(fields: &mut Fields<'_>) -> Result<Bytes, Malformed> {
    let plain = fields.read("body", |value| {
        text(value).map(|text| text.as_bytes().to_vec())
    })?;
    let encoded = fields.read("body-base64", |value| text(value).and_then(from_base64))?;
    let json = fields.read("body-json", |value| Ok(value.to_string().into_bytes()))?;
    let mut bodies = [plain, encoded, json].into_iter().flatten();
    match (bodies.next(), bodies.next()) {
        (body, None) => Ok(body.unwrap_or_default().into()),
        _ => Err(Malformed(
            "has more than one of `body`, `body-base64` and `body-json`".into(),
        )),
    }
}

fn milliseconds(duration: Duration) -> Value {
    Value::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
