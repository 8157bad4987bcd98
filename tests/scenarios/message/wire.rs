//! What a component is handed is what was published, and what it publishes is what arrives.

use anyhow::Result;
use hive_tests::{HiveToml, Message};
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};

use crate::consuming;

/// Sends a message through the guest that publishes what it gets.
async fn echoed(message: Message) -> Result<Message> {
    let toml = HiveToml::one("letters", "echo", "retry = { limit = 0 }").queue("out", "");
    let (vhost, _host) = consuming("s15", toml).await?;
    vhost.publish("", "letters", message).await?;
    vhost.take_one("out").await
}

#[tokio::test]
async fn s15_a_binary_body_is_byte_identical() -> Result<()> {
    let body: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    assert!(echoed(Message::new(body.clone())).await?.body == body);
    Ok(())
}

#[tokio::test]
async fn s15_the_text_42_stays_bytes() -> Result<()> {
    assert_eq!(echoed(Message::new("42")).await?.body, b"42");
    Ok(())
}

#[tokio::test]
async fn s15_an_empty_body_stays_empty() -> Result<()> {
    assert_eq!(echoed(Message::new("")).await?.body, b"");
    Ok(())
}

#[tokio::test]
async fn s15_header_names_and_values_come_and_go_unchanged() -> Result<()> {
    let mut table = FieldTable::default();
    table.insert("in-side".into(), AMQPValue::LongLongInt(1));
    let mut array = FieldArray::default();
    array.push(AMQPValue::LongString("x".into()));
    array.push(AMQPValue::Boolean(true));
    table.insert("a_list".into(), AMQPValue::FieldArray(array));
    let sent = Message::new("hello")
        .text_header("with-hyphen", "a")
        .text_header("with_underscore", "b")
        .text_header("With.Dots And Space", "c")
        .header("yes", true)
        .header("void", AMQPValue::Void)
        .header("number", -5_i64)
        .header("half", 0.5_f64)
        .header("when", AMQPValue::Timestamp(1_700_000_000))
        .header("nested-table", AMQPValue::FieldTable(table));
    let arrived = echoed(sent.clone()).await?;
    assert_eq!(arrived.own_headers(), sent.headers());
    Ok(())
}

/// As RabbitMQ's clients write it: with a sign, which AMQP's own words leave out.
#[tokio::test]
async fn a_negative_decimal_is_negative() -> Result<()> {
    let minus = |value: i32, scale| {
        AMQPValue::DecimalValue(DecimalValue {
            scale,
            value: value.cast_unsigned(),
        })
    };
    let sent = Message::new("hello")
        .header("whole", minus(-12_345, 0))
        .header("price", minus(-12_345, 2))
        .header("least", minus(i32::MIN, 9));
    let arrived = echoed(sent).await?;
    for (name, value) in [
        ("whole", -12_345.0),
        ("price", -123.45),
        ("least", -2.147_483_648),
    ] {
        assert_eq!(
            arrived.value(name),
            Some(&AMQPValue::Double(value)),
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn s15_properties_come_and_go_unchanged() -> Result<()> {
    let sent = Message::new("hello").with(|properties| {
        properties
            .with_content_type("text/plain".into())
            .with_content_encoding("identity".into())
            .with_priority(3)
            .with_correlation_id("correlation".into())
            .with_reply_to("answers".into())
            .with_expiration("3600000".into())
            .with_message_id("message".into())
            .with_timestamp(1_700_000_000)
            .with_type("letter".into())
            .with_user_id("guest".into())
            .with_app_id("app".into())
    });
    let arrived = echoed(sent.clone()).await?;
    let without_headers = |message: &Message| {
        message
            .properties
            .clone()
            .with_headers(FieldTable::default())
    };
    assert_eq!(without_headers(&arrived), without_headers(&sent));
    Ok(())
}
