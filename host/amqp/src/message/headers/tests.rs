//! Tests of the parent: round trips, and that nothing off the wire can panic.

use lapin::types::parsing::parse_field_table;
use lapin::types::{ByteArray, DecimalValue};
use proptest::prelude::*;

use super::*;
use crate::message::strategies::{any_integer, any_properties, any_scalar, any_value};

fn some_text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 äöü€_-]{0,40}"
}

fn some_value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        Just(FieldValue::Void),
        any::<bool>().prop_map(FieldValue::Boolean),
        any::<i64>().prop_map(FieldValue::Integer),
        (-1e300f64..1e300).prop_map(FieldValue::Double),
        some_text().prop_map(FieldValue::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(FieldValue::Bytes),
        any::<u64>().prop_map(FieldValue::Timestamp),
        proptest::collection::vec(any::<i64>(), 0..5)
            .prop_map(|numbers| FieldValue::Nested(serde_json::Value::from(numbers).to_string())),
        proptest::collection::btree_map(some_text(), some_text(), 0..5).prop_map(|entries| {
            FieldValue::Nested(serde_json::to_string(&entries).expect("it is text"))
        }),
    ]
}

prop_compose! {
    fn some_properties()(
        texts in proptest::collection::vec(proptest::option::of(some_text()), 9),
        headers in proptest::collection::btree_map(some_text(), some_value(), 0..8),
        persistent in any::<bool>(),
        priority in any::<Option<u8>>(),
        expiration in proptest::option::of(0..=u64::from(u32::MAX)),
        timestamp in any::<Option<u64>>(),
    ) -> Properties {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().flatten();
        Properties {
            content_type: text(),
            content_encoding: text(),
            headers: headers.into_iter().collect(),
            persistent,
            priority,
            correlation_id: text(),
            reply_to: text(),
            expiration: expiration.map(Duration::from_millis),
            message_id: text(),
            timestamp,
            kind: text(),
            user_id: text(),
            app_id: text(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(properties in some_properties()) {
        let (written, headers) = write(&properties).expect("nothing in it is too long");
        let read = read(&written.with_headers(headers), |_| false);
        prop_assert_eq!(read, properties);
    }

    /// A message that a component publishes unchanged is the one that arrived, as far as a component can see.
    #[test]
    fn a_value_of_any_type_is_the_same_after_a_component_published_it(value in any_scalar()) {
        let seen = read_value(&value);
        let written = write_value("name", &seen).expect("what can be read can be written");
        prop_assert_eq!(read_value(&written), seen);
    }

    #[test]
    fn an_integer_of_any_width_keeps_its_value(value in any_integer()) {
        let number: i64 = match &value {
            AMQPValue::ShortShortInt(number) => (*number).into(),
            AMQPValue::ShortShortUInt(number) => (*number).into(),
            AMQPValue::ShortInt(number) => (*number).into(),
            AMQPValue::ShortUInt(number) => (*number).into(),
            AMQPValue::LongInt(number) => (*number).into(),
            AMQPValue::LongUInt(number) => (*number).into(),
            AMQPValue::LongLongInt(number) => *number,
            other => panic!("{other:?} is not an integer"),
        };
        prop_assert_eq!(read_value(&value), FieldValue::Integer(number));
    }

    #[test]
    fn a_nested_value_of_any_shape_can_be_published_again(value in any_value()) {
        let seen = read_value(&value);
        let written = write_value("name", &seen).expect("what can be read can be written");
        let (is_nested, stays_nested) = (
            matches!(seen, FieldValue::Nested(_)),
            matches!(read_value(&written), FieldValue::Nested(_)),
        );
        prop_assert_eq!(is_nested, stays_nested);
    }

    #[test]
    fn every_property_is_read_and_only_hidden_headers_are_not(properties in any_properties()) {
        let seen = read(&properties, |name| name.starts_with("x-"));
        let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
        prop_assert_eq!(&seen.content_type, &text(properties.content_type()));
        prop_assert_eq!(&seen.content_encoding, &text(properties.content_encoding()));
        prop_assert_eq!(&seen.correlation_id, &text(properties.correlation_id()));
        prop_assert_eq!(&seen.reply_to, &text(properties.reply_to()));
        prop_assert_eq!(&seen.message_id, &text(properties.message_id()));
        prop_assert_eq!(&seen.kind, &text(properties.kind()));
        prop_assert_eq!(&seen.user_id, &text(properties.user_id()));
        prop_assert_eq!(&seen.app_id, &text(properties.app_id()));
        prop_assert_eq!(seen.priority, *properties.priority());
        prop_assert_eq!(seen.timestamp, *properties.timestamp());
        prop_assert_eq!(seen.persistent, *properties.delivery_mode() == Some(2));
        let names = seen.headers.iter().map(|(name, _)| name.as_str());
        let all = properties.headers().iter().flatten();
        let shown = all.map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("x-"));
        prop_assert!(names.eq(shown));
    }

    #[test]
    fn nothing_that_lapin_can_parse_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let table = [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
        if let Ok((_, table)) = parse_field_table(&table[..]) {
            read(&BasicProperties::default().with_headers(table), |_| false);
        }
    }
}

#[test]
fn every_width_of_integer_is_an_integer() {
    for value in [
        AMQPValue::ShortShortInt(7),
        AMQPValue::ShortShortUInt(7),
        AMQPValue::ShortInt(7),
        AMQPValue::ShortUInt(7),
        AMQPValue::LongInt(7),
        AMQPValue::LongUInt(7),
        AMQPValue::LongLongInt(7),
    ] {
        assert_eq!(read_value(&value), FieldValue::Integer(7));
    }
}

#[test]
fn a_decimal_is_a_number_and_bytes_stay_bytes() {
    let decimal = DecimalValue {
        scale: 2,
        value: 1999,
    };
    assert_eq!(
        read_value(&AMQPValue::DecimalValue(decimal)),
        FieldValue::Double(19.99)
    );
    let latin1 = AMQPValue::LongString(LongString::from(vec![0xe4]));
    assert_eq!(read_value(&latin1), FieldValue::Bytes(vec![0xe4]));
    let bytes = AMQPValue::ByteArray(ByteArray::from(vec![1, 2]));
    assert_eq!(read_value(&bytes), FieldValue::Bytes(vec![1, 2]));
}

#[test]
fn an_expiration_that_is_no_number_is_none() {
    let properties = BasicProperties::default().with_expiration("soon".into());
    assert_eq!(read(&properties, |_| false).expiration, None);
}

fn refusal(properties: Properties) -> String {
    write(&properties)
        .expect_err("it cannot be written")
        .to_string()
}

#[test]
fn what_amqp_has_no_room_for_is_named() {
    let long = "x".repeat(256);
    let error = refusal(Properties {
        correlation_id: Some(long),
        ..Properties::default()
    });
    assert_eq!(
        error,
        "correlation-id has 256 bytes, and AMQP takes 255 at most"
    );

    let twice = vec![
        ("a".to_owned(), FieldValue::Void),
        ("a".to_owned(), FieldValue::Void),
    ];
    let error = refusal(Properties {
        headers: twice,
        ..Properties::default()
    });
    assert_eq!(
        error,
        "header \"a\" is there twice; a table has each name once"
    );

    let nested = vec![("n".to_owned(), FieldValue::Nested("7".into()))];
    let error = refusal(Properties {
        headers: nested,
        ..Properties::default()
    });
    assert!(error.contains("neither an object nor an array"), "{error}");

    let expiration = Some(Duration::from_secs(u64::from(u32::MAX)));
    let error = refusal(Properties {
        expiration,
        ..Properties::default()
    });
    assert!(error.contains("longer than RabbitMQ's longest"), "{error}");
}
