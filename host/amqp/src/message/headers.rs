//! AMQP's properties and field tables as the core's, and back.
//!
//! Reading is total: whatever came off the wire becomes something, and nothing panics. Writing is
//! not, since a component may ask for what AMQP has no room for; that is an [`Unpublishable`].

mod nested;

use std::time::Duration;

use hive_core::message::{FieldValue, Properties};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use super::broker_headers::is_brokers_own;
use crate::message::octet_text::meant;

/// delivery-mode of a message that survives a restart.
const PERSISTENT: u8 = 2;
/// delivery-mode of one that does not.
const TRANSIENT: u8 = 1;

/// RabbitMQ's longest expiration, in milliseconds; it closes the channel over a longer one.
const LONGEST_EXPIRATION: u64 = u32::MAX as u64;

/// A publication that cannot be put on the wire, or over which the broker would close the channel. Found before
/// anything is written, so no other publication is affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unpublishable(pub String);

/// The properties as the core has them, with the headers that are not `hidden`.
pub(crate) fn read(properties: &BasicProperties, hidden: impl Fn(&str) -> bool) -> Properties {
    let text = |property: &Option<ShortString>| property.as_ref().map(|text| text.to_string());
    let headers = properties.headers().iter().flatten();
    Properties {
        content_type: text(properties.content_type()),
        content_encoding: text(properties.content_encoding()),
        headers: headers
            .filter(|(name, _)| !hidden(name.as_str()))
            .map(|(name, value)| (name.to_string(), read_value(value)))
            .collect(),
        persistent: *properties.delivery_mode() == Some(PERSISTENT),
        priority: *properties.priority(),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        expiration: properties
            .expiration()
            .as_ref()
            .and_then(|text| text.as_str().trim().parse().ok())
            .map(Duration::from_millis),
        message_id: text(properties.message_id()),
        timestamp: *properties.timestamp(),
        kind: text(properties.kind()),
        user_id: text(properties.user_id()),
        app_id: text(properties.app_id()),
    }
}

/// An integer of any width.
pub(crate) fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(value) => Some(value.into()),
        AMQPValue::ShortShortUInt(value) => Some(value.into()),
        AMQPValue::ShortInt(value) => Some(value.into()),
        AMQPValue::ShortUInt(value) => Some(value.into()),
        AMQPValue::LongInt(value) => Some(value.into()),
        AMQPValue::LongUInt(value) => Some(value.into()),
        AMQPValue::LongLongInt(value) => Some(value),
        _ => None,
    }
}

/// A number with a fraction.
fn double(value: &AMQPValue) -> Option<f64> {
    match *value {
        AMQPValue::Float(value) => Some(value.into()),
        AMQPValue::Double(value) => Some(value),
        AMQPValue::DecimalValue(value) => {
            // AMQP says unsigned, and every client of RabbitMQ writes and reads it with a sign.
            let signed = value.value.cast_signed();
            Some(f64::from(signed) / 10f64.powi(value.scale.into()))
        }
        _ => None,
    }
}

/// A table or an array as JSON text; any other value likewise.
pub(crate) fn nested_text(value: &AMQPValue) -> String {
    nested::to_json(value).to_string()
}

fn read_value(value: &AMQPValue) -> FieldValue {
    match value {
        AMQPValue::Void => FieldValue::Void,
        AMQPValue::Boolean(value) => FieldValue::Boolean(*value),
        AMQPValue::Timestamp(value) => FieldValue::Timestamp(*value),
        AMQPValue::ShortString(value) => FieldValue::Text(value.to_string()),
        AMQPValue::LongString(value) => match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => FieldValue::Text(text.to_owned()),
            Err(_) => FieldValue::Bytes(value.as_bytes().to_vec()),
        },
        AMQPValue::ByteArray(value) => FieldValue::Bytes(value.as_slice().to_vec()),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => {
            FieldValue::Nested(nested_text(value))
        }
        number => match (integer(number), double(number)) {
            (Some(value), _) => FieldValue::Integer(value),
            (None, Some(value)) => FieldValue::Double(value),
            (None, None) => FieldValue::Void,
        },
    }
}

/// The properties as AMQP has them. The headers come apart, since the publisher adds one.
pub(crate) fn write(
    properties: &Properties,
) -> Result<(BasicProperties, FieldTable), Unpublishable> {
    let mut written = BasicProperties::default().with_delivery_mode(match properties.persistent {
        true => PERSISTENT,
        false => TRANSIENT,
    });
    if let Some(text) = &properties.content_type {
        written = written.with_content_type(short("content-type", text)?);
    }
    if let Some(text) = &properties.content_encoding {
        written = written.with_content_encoding(short("content-encoding", text)?);
    }
    if let Some(priority) = properties.priority {
        written = written.with_priority(priority);
    }
    if let Some(text) = &properties.correlation_id {
        written = written.with_correlation_id(short("correlation-id", text)?);
    }
    if let Some(text) = &properties.reply_to {
        written = written.with_reply_to(short("reply-to", text)?);
    }
    if let Some(expiration) = properties.expiration {
        written = written.with_expiration(write_expiration(expiration)?);
    }
    if let Some(text) = &properties.message_id {
        written = written.with_message_id(short("message-id", text)?);
    }
    if let Some(timestamp) = properties.timestamp {
        written = written.with_timestamp(timestamp);
    }
    if let Some(text) = &properties.kind {
        written = written.with_type(short("type", text)?);
    }
    if let Some(text) = &properties.user_id {
        written = written.with_user_id(short("user-id", text)?);
    }
    if let Some(text) = &properties.app_id {
        written = written.with_app_id(short("app-id", text)?);
    }
    Ok((written, write_headers(&properties.headers)?))
}

fn write_expiration(expiration: Duration) -> Result<ShortString, Unpublishable> {
    let milliseconds = crate::message::delay::whole_milliseconds(expiration);
    if milliseconds > LONGEST_EXPIRATION {
        return Err(Unpublishable(format!(
            "the expiration of {milliseconds} ms is longer than RabbitMQ's longest of \
             {LONGEST_EXPIRATION} ms; leave it out for a message that never expires"
        )));
    }
    short("expiration", &milliseconds.to_string())
}

fn write_headers(headers: &[(String, FieldValue)]) -> Result<FieldTable, Unpublishable> {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        // Its own record of another message: it would be wrong of this one, or count against it.
        if is_brokers_own(name) {
            continue;
        }
        if table.contains_key(name) {
            return Err(Unpublishable(format!(
                "header {name:?} is there twice; a table has each name once"
            )));
        }
        table.insert(
            short("the name of a header", name)?,
            write_value(name, value)?,
        );
    }
    Ok(table)
}

fn write_value(name: &str, value: &FieldValue) -> Result<AMQPValue, Unpublishable> {
    Ok(match value {
        FieldValue::Void => AMQPValue::Void,
        FieldValue::Boolean(value) => AMQPValue::Boolean(*value),
        FieldValue::Integer(value) => AMQPValue::LongLongInt(*value),
        FieldValue::Double(value) if !value.is_finite() => {
            return Err(Unpublishable(format!(
                "header {name:?} is {value}, and brokers take finite numbers only"
            )));
        }
        FieldValue::Double(value) => AMQPValue::Double(*value),
        FieldValue::Text(value) => AMQPValue::LongString(LongString::from(value.as_str())),
        FieldValue::Bytes(value) => AMQPValue::ByteArray(value.as_slice().into()),
        FieldValue::Timestamp(value) => AMQPValue::Timestamp(*value),
        FieldValue::Nested(json) => nested::from_json(name, json)?,
    })
}

/// A short string of a component's, or whose it is and that it is too long.
pub(crate) fn short(what: &str, text: &str) -> Result<ShortString, Unpublishable> {
    ShortString::try_new(meant(text)).map_err(|_| {
        Unpublishable(format!(
            "{what} has {} bytes, and AMQP takes 255 at most",
            text.len()
        ))
    })
}

#[cfg(test)]
mod tests;
