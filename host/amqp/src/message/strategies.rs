//! Generated input for the tests of this room: header values of every type that AMQP has, tables of
//! them, and properties.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Any integer, of any width.
pub(crate) fn any_integer() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
    ]
}

/// Any value that holds no others. Numbers are numbers: NaN would not equal itself.
pub(crate) fn any_scalar() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        Just(AMQPValue::Void),
        any::<bool>().prop_map(AMQPValue::Boolean),
        any_integer(),
        (-1e30f32..1e30).prop_map(AMQPValue::Float),
        (-1e300f64..1e300).prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        ".{0,20}".prop_map(|text| AMQPValue::LongString(LongString::from(text))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| AMQPValue::LongString(LongString::from(bytes))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| AMQPValue::ByteArray(ByteArray::from(bytes))),
    ]
}

/// Any value, tables and arrays of values included.
pub(crate) fn any_value() -> impl Strategy<Value = AMQPValue> {
    any_scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4)
                .prop_map(|values| AMQPValue::FieldArray(FieldArray::from(values))),
            table_of(inner).prop_map(AMQPValue::FieldTable),
        ]
    })
}

/// Any headers that a publisher may set, the names that a broker acts on included.
pub(crate) fn any_headers() -> impl Strategy<Value = FieldTable> {
    table_of(any_value())
}

fn table_of(value: impl Strategy<Value = AMQPValue>) -> impl Strategy<Value = FieldTable> {
    let name = prop_oneof![
        "[a-zA-Z0-9äö_-]{0,20}",
        Just("x-death".to_owned()),
        Just("x-first-death-queue".to_owned()),
        Just("CC".to_owned()),
        Just("BCC".to_owned()),
    ];
    btree_map(name, value, 0..6).prop_map(|entries| {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert(name.into(), value);
        }
        table
    })
}

prop_compose! {
    /// Any properties, headers included.
    pub(crate) fn any_properties()(
        texts in vec(proptest::option::of(".{0,20}"), 10),
        octets in any::<[Option<u8>; 2]>(),
        timestamp in any::<Option<u64>>(),
        headers in proptest::option::of(any_headers()),
    ) -> BasicProperties {
        type With<T> = fn(BasicProperties, T) -> BasicProperties;
        let with_text: [With<lapin::types::ShortString>; 10] = [
            BasicProperties::with_content_type,
            BasicProperties::with_content_encoding,
            BasicProperties::with_correlation_id,
            BasicProperties::with_reply_to,
            BasicProperties::with_expiration,
            BasicProperties::with_message_id,
            BasicProperties::with_type,
            BasicProperties::with_user_id,
            BasicProperties::with_app_id,
            BasicProperties::with_cluster_id,
        ];
        let with_octet: [With<u8>; 2] = [
            BasicProperties::with_delivery_mode,
            BasicProperties::with_priority,
        ];
        let mut properties = BasicProperties::default();
        for (with, text) in with_text.into_iter().zip(texts) {
            if let Some(text) = text {
                properties = with(properties, text.into());
            }
        }
        for (with, octet) in with_octet.into_iter().zip(octets) {
            if let Some(octet) = octet {
                properties = with(properties, octet);
            }
        }
        if let Some(timestamp) = timestamp {
            properties = properties.with_timestamp(timestamp);
        }
        if let Some(headers) = headers {
            properties = properties.with_headers(headers);
        }
        properties
    }
}
