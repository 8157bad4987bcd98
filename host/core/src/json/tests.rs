//! Tests of the parent: written JSON is read back unchanged, and JSON by people is understood or answered with
//! an error.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::{
    Action, Attempt, Envelope, FieldValue, Message, Properties, Publication, Retry,
};

/// Through text, as a file or a pipe has it.
fn through_text(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).expect("what was written is JSON")
}

fn any_header() -> impl Strategy<Value = FieldValue> {
    let entry = prop_oneof![
        any::<i64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let table = btree_map(".{0,10}", entry.clone(), 0..4);
    prop_oneof![
        Just(FieldValue::Void),
        any::<bool>().prop_map(FieldValue::Boolean),
        any::<i64>().prop_map(FieldValue::Integer),
        any::<f64>()
            .prop_filter("NaN equals nothing", |double| !double.is_nan())
            .prop_map(FieldValue::Double),
        ".{0,20}".prop_map(FieldValue::Text),
        vec(any::<u8>(), 0..20).prop_map(FieldValue::Bytes),
        any::<u64>().prop_map(FieldValue::Timestamp),
        table.prop_map(|table| FieldValue::Nested(json!(table).to_string())),
        vec(entry, 0..4).prop_map(|list| FieldValue::Nested(json!(list).to_string())),
        "[a-z ]{0,10}".prop_map(FieldValue::Nested),
    ]
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    option::of(".{0,20}")
}

prop_compose! {
    fn any_message()(
        texts in (any_text(), any_text(), any_text(), any_text(), any_text(), any_text(), any_text(), any_text()),
        headers in btree_map(".{0,10}", any_header(), 0..5),
        persistent in any::<bool>(),
        priority in any::<Option<u8>>(),
        expiration in any::<Option<u64>>(),
        timestamp in any::<Option<u64>>(),
        body in prop_oneof![".{0,40}".prop_map(String::into_bytes), vec(any::<u8>(), 0..40)],
    ) -> Message {
        let (content_type, content_encoding, correlation_id, reply_to, message_id, kind, user_id, app_id) = texts;
        Message {
            properties: Properties {
                content_type,
                content_encoding,
                headers: headers.into_iter().collect(),
                persistent,
                priority,
                correlation_id,
                reply_to,
                expiration: expiration.map(Duration::from_millis),
                message_id,
                timestamp,
                kind,
                user_id,
                app_id,
            },
            body: body.into(),
        }
    }
}

prop_compose! {
    fn any_publication()(
        message in any_message(),
        exchange in ".{0,20}",
        routing_key in ".{0,20}",
        mandatory in any::<bool>(),
        delay in any::<Option<u64>>(),
    ) -> Publication {
        let delay = delay.map(Duration::from_millis);
        Publication { exchange, routing_key, message, mandatory, delay }
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Ack),
        vec(any_publication(), 0..3).prop_map(Action::Publish),
        (".{0,20}", any::<Option<u64>>()).prop_map(|(reason, delay)| Action::Retry(Retry {
            reason,
            delay: delay.map(Duration::from_millis),
        })),
        ".{0,20}".prop_map(Action::Reject),
    ]
}

/// JSON of any shape, with the names that mean something here among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Tables with longer ones are JSON text, in which the last bit may come out as another.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        prop_oneof![".{0,8}", Just("ack".to_owned()), Just("retry".to_owned())]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let key = prop_oneof![
            "[a-z-]{0,8}",
            prop_oneof![
                Just("headers"),
                Just("body"),
                Just("bytes"),
                Just("nested"),
                Just("timestamp"),
                Just("double"),
                Just("action"),
                Just("publications"),
                Just("priority"),
                Just("queue"),
            ]
            .prop_map(str::to_owned),
        ];
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key, inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn a_message_comes_back(message in any_message()) {
        prop_assert_eq!(read_message(&through_text(&write_message(&message))), Ok(message));
    }

    #[test]
    fn a_delivery_comes_back(
        message in any_message(),
        names in (".{0,20}", ".{0,20}", ".{0,20}"),
        redelivered in any::<bool>(),
        attempt in 1..=u32::MAX,
        stream_offset in any::<Option<u64>>(),
    ) {
        let (queue, exchange, routing_key) = names;
        let delivery = Envelope {
            message,
            queue: queue.into(),
            exchange,
            routing_key,
            redelivered,
            attempt: Attempt::new(attempt).expect("it counts from 1"),
            stream_offset,
        };
        prop_assert_eq!(read_delivery(&through_text(&write_delivery(&delivery))), Ok(delivery));
    }

    #[test]
    fn an_action_comes_back(action in any_action()) {
        prop_assert_eq!(read_action(&through_text(&write_action(&action))), Ok(action));
    }

    /// The other way round: JSON that is understood is written with the same meaning.
    #[test]
    fn what_is_understood_means_the_same_once_it_is_written(value in any_json()) {
        if let Ok(message) = read_message(&value) {
            prop_assert_eq!(read_message(&through_text(&write_message(&message))), Ok(message));
        }
        if let Ok(action) = read_action(&value) {
            prop_assert_eq!(read_action(&through_text(&write_action(&action))), Ok(action));
        }
        if let Ok(delivery) = read_delivery(&value) {
            prop_assert_eq!(read_delivery(&through_text(&write_delivery(&delivery))), Ok(delivery));
        }
    }
}

#[test]
fn numbers_that_json_has_no_sign_for_are_spelt() {
    for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1.0, 0.1] {
        let message = Message {
            properties: Properties {
                headers: vec![("n".into(), FieldValue::Double(double))],
                ..Properties::default()
            },
            body: Bytes::new(),
        };
        let read = read_message(&through_text(&write_message(&message))).expect("it is a message");
        let [(_, FieldValue::Double(read))] = &read.properties.headers[..] else {
            panic!("{read:?}");
        };
        assert_eq!(read.to_bits(), double.to_bits(), "{double}");
    }
}

#[test]
fn a_message_is_as_short_as_it_can_be_written() {
    let message = read_message(&json!({ "body": "hello" })).expect("nothing else is needed");
    assert_eq!(message.body, "hello");
    assert!(message.properties.persistent, "nothing is lost by default");
    let json = read_message(&json!({ "body-json": { "id": 1 } })).expect("JSON is a body too");
    assert_eq!(json.body, r#"{"id":1}"#);
    assert_eq!(
        read_message(&json!({})).expect("a body may be empty").body,
        ""
    );
}

#[test]
fn what_is_wrong_is_named() {
    let told = |value: Value| read_message(&value).expect_err("it is wrong").to_string();
    let cases = [
        (json!([]), "must be an object"),
        (json!({ "contenttype": "a" }), "did you mean `content-type`"),
        (
            json!({ "headers": { "n": { "byte": "" } } }),
            "`headers` \"n\" is an object",
        ),
        (
            json!({ "headers": { "n": { "bytes": "?" } } }),
            "is not base64",
        ),
        (json!({ "headers": { "n": u64::MAX } }), "64 bits"),
        (json!({ "priority": 256 }), "0 to 255"),
        (json!({ "timestamp": -1 }), "not negative"),
        (json!({ "body": "a", "body-json": 1 }), "more than one"),
    ];
    for (value, words) in cases {
        let fault = told(value);
        assert!(fault.contains(words), "{fault}");
    }
    let action = read_action(&json!({ "action": "drop" })).expect_err("there is none");
    assert!(action.to_string().contains("\"reject\""), "{action}");
}
