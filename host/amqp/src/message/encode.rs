//! The wire form of properties and tables, fed into anything that takes bytes.
//!
//! lapin encodes the frames that it sends. This module computes what must be known before: how large a header
//! frame becomes, and the bytes that identify a message without an id.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};

use crate::message::octet_text::octets;

/// Receives the wire form, piece by piece.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Length(pub(crate) usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// The entries of a table.
pub(crate) type Entries = BTreeMap<ShortString, AMQPValue>;

/// The length of a value in a table on the wire.
pub(crate) fn value_length(value: &AMQPValue) -> usize {
    let mut length = Length::default();
    put_value(value, &mut length);
    length.0
}

/// The length of a content header frame on the wire, all of it.
pub(crate) fn header_frame_length(properties: &BasicProperties, headers: &Entries) -> usize {
    /// Type, channel, size and end of the frame; class, weight, body size and flags.
    const FIXED: usize = 8 + 14;
    /// The length of a table of them, which a message without headers does not have.
    const EMPTY: usize = 4;
    let mut length = Length(FIXED);
    put_properties(properties, headers, &mut length);
    match headers.is_empty() {
        true => length.0 - EMPTY,
        false => length.0,
    }
}

/// Properties in the order of the wire, no headers as an empty table of them. Flags are not put: each
/// property is preceded by its number instead, which keeps different ones different.
pub(crate) fn put_numbered_properties(properties: &BasicProperties, sink: &mut impl Sink) {
    for (number, present) in presence(properties).into_iter().enumerate() {
        sink.put(&[number as u8, u8::from(present)]);
    }
    match properties.headers() {
        Some(headers) => put_properties(properties, headers.inner(), sink),
        None => put_properties(properties, &Entries::new(), sink),
    }
}

fn presence(properties: &BasicProperties) -> [bool; 13] {
    [
        properties.content_type().is_some(),
        properties.content_encoding().is_some(),
        properties.delivery_mode().is_some(),
        properties.priority().is_some(),
        properties.correlation_id().is_some(),
        properties.reply_to().is_some(),
        properties.expiration().is_some(),
        properties.message_id().is_some(),
        properties.timestamp().is_some(),
        properties.kind().is_some(),
        properties.user_id().is_some(),
        properties.app_id().is_some(),
        properties.cluster_id().is_some(),
    ]
}

/// With `headers` in place of their own.
fn put_properties(properties: &BasicProperties, headers: &Entries, sink: &mut impl Sink) {
    let strings = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.kind(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    for string in strings.into_iter().flatten() {
        put_short(string.as_str(), sink);
    }
    for octet in [properties.delivery_mode(), properties.priority()]
        .into_iter()
        .flatten()
    {
        sink.put(&[*octet]);
    }
    if let Some(timestamp) = properties.timestamp() {
        sink.put(&timestamp.to_be_bytes());
    }
    put_table(headers, sink);
}

/// Writes the bytes that the text stands for.
fn put_short(text: &str, sink: &mut impl Sink) {
    let octets = octets(text);
    sink.put(&[octets.len() as u8]);
    sink.put(&octets);
}

fn put_long(bytes: &[u8], sink: &mut impl Sink) {
    sink.put(&(bytes.len() as u32).to_be_bytes());
    sink.put(bytes);
}

/// Writes the number of entries where the wire has their length: it takes as much room, distinguishes nested
/// tables too, and needs no second walk.
fn put_count(count: usize, sink: &mut impl Sink) {
    sink.put(&(count as u32).to_be_bytes());
}

fn put_table(table: &Entries, sink: &mut impl Sink) {
    put_count(table.len(), sink);
    for (name, value) in table {
        put_short(name.as_str(), sink);
        put_value(value, sink);
    }
}

fn put_value(value: &AMQPValue, sink: &mut impl Sink) {
    sink.put(&[value.get_type().get_id() as u8]);
    match value {
        AMQPValue::Boolean(value) => sink.put(&[u8::from(*value)]),
        AMQPValue::ShortShortInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::ShortShortUInt(value) => sink.put(&[*value]),
        AMQPValue::ShortInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::ShortUInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::LongInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::LongUInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::LongLongInt(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::Float(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::Double(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::DecimalValue(value) => {
            sink.put(&[value.scale]);
            sink.put(&value.value.to_be_bytes());
        }
        AMQPValue::ShortString(value) => put_short(value.as_str(), sink),
        AMQPValue::LongString(value) => put_long(value.as_bytes(), sink),
        AMQPValue::ByteArray(value) => put_long(value.as_slice(), sink),
        AMQPValue::Timestamp(value) => sink.put(&value.to_be_bytes()),
        AMQPValue::FieldTable(value) => put_table(value.inner(), sink),
        AMQPValue::FieldArray(values) => {
            put_count(values.as_slice().len(), sink);
            for value in values.as_slice() {
                put_value(value, sink);
            }
        }
        AMQPValue::Void => {}
    }
}
