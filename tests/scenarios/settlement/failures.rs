//! Every kind of failure, told apart, and what a dead message says about its end.

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, Message, eventually};
use lapin::types::AMQPValue;

use crate::{assert_settled, consuming};

/// How much of an error is kept in a header.
const ERROR_LIMIT: usize = 4096;

/// Runs one message through a guest that fails, without retries, and gives the dead one.
async fn dead_of(guest: &str, component_keys: &str) -> Result<Message> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component(guest, component_keys)
        .consumer("letters", guest, "retry = { limit = 0 }");
    let (vhost, mut host) = consuming("failure", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text(), "hello", "the body is untouched");
    assert_settled(&vhost, &mut host, "letters").await?;
    Ok(dead)
}

#[track_caller]
fn assert_failed(dead: &Message, reason: &str, error: &str) {
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some(reason));
    let told = dead.text_of("x-hive-error").unwrap_or_default();
    assert!(
        told.contains(error),
        "`{error}` is not in the error: {told}"
    );
}

#[tokio::test]
async fn an_error_is_told_as_an_error() -> Result<()> {
    assert_failed(&dead_of("fail", "").await?, "error", "cannot take hello");
    Ok(())
}

#[tokio::test]
async fn a_panic_is_told_as_a_trap_with_its_message() -> Result<()> {
    let dead = dead_of("trap", "").await?;
    assert_failed(&dead, "trap", "boom over hello");
    // The message comes before the functions, which a short look cuts off.
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    let place = |part: &str| {
        error
            .find(part)
            .unwrap_or_else(|| panic!("no {part}: {error}"))
    };
    assert!(place("boom over hello") < place("unreachable"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_stack_overflow_is_told_as_a_trap() -> Result<()> {
    assert_failed(&dead_of("overflow", "").await?, "trap", "stack");
    Ok(())
}

#[tokio::test]
async fn an_endless_loop_is_told_as_a_timeout() -> Result<()> {
    let dead = dead_of("spin", r#"timeout = "300ms""#).await?;
    assert_failed(&dead, "timeout", "300ms");
    Ok(())
}

#[tokio::test]
async fn a_host_call_that_never_returns_is_told_as_a_timeout() -> Result<()> {
    let dead = dead_of("stuck", r#"timeout = "300ms""#).await?;
    assert_failed(&dead, "timeout", "300ms");
    Ok(())
}

#[tokio::test]
async fn a_memory_bomb_is_told_as_a_limit() -> Result<()> {
    let dead = dead_of("hog", r#"memory = "16MiB""#).await?;
    assert_failed(&dead, "limit", "memory");
    Ok(())
}

#[tokio::test]
async fn an_answer_over_the_size_limit_is_told_as_a_limit() -> Result<()> {
    assert_failed(&dead_of("big-answer", "").await?, "limit", "");
    Ok(())
}

#[tokio::test]
async fn s11_a_dead_message_tells_how_it_ended_and_where_it_came_from() -> Result<()> {
    let toml = HiveToml::new()
        .exchange("post", r#"type = "topic""#)
        .queue(
            "letters",
            r##"bindings = [{ exchange = "post", routing_key = "letter.#" }]"##,
        )
        .component("fail", "")
        .consumer(
            "letters",
            "fail",
            r#"retry = { limit = 2, delays = ["20ms"] }"#,
        );
    let (vhost, _host) = consuming("s11", toml).await?;
    vhost
        .publish("post", "letter.love", Message::new("hello"))
        .await?;
    let dead = vhost.take_one("letters.dead").await?;
    let texts = [
        ("x-hive-reason", "error"),
        ("x-hive-error", "cannot take hello"),
        ("x-hive-queue", "letters"),
        ("x-hive-exchange", "post"),
        ("x-hive-routing-key", "letter.love"),
        ("x-hive-consumer", "letters"),
    ];
    for (header, text) in texts {
        assert_eq!(dead.text_of(header).as_deref(), Some(text), "{header}");
    }
    assert_eq!(dead.number_of("x-hive-attempts"), Some(3));
    assert!(dead.value("x-hive-time").is_some(), "the time is missing");
    Ok(())
}

#[tokio::test]
async fn s11_an_error_of_a_mebibyte_is_cut_and_the_connection_survives() -> Result<()> {
    let toml = HiveToml::one("letters", "big-error", "retry = { limit = 0 }");
    let (vhost, _host) = consuming("s11", toml).await?;
    vhost.publish("", "letters", Message::new("first")).await?;
    let first = vhost.take_one("letters.dead").await?;
    let broker = Broker::shared().await?;
    let before = broker.connections(&vhost)?;
    assert_eq!(before.len(), 2, "one consumes and one publishes");
    vhost.publish("", "letters", Message::new("second")).await?;
    vhost.take_one("letters.dead").await?;
    let error = first.text_of("x-hive-error").context("no error is told")?;
    assert!(error.len() <= ERROR_LIMIT, "{} bytes of error", error.len());
    assert!(
        error.starts_with("big: "),
        "the beginning is kept: {error:.40}"
    );
    assert_eq!(
        broker.connections(&vhost)?,
        before,
        "no connection was lost"
    );
    Ok(())
}

/// Headers that no component can make sense of, the host's own names abused included.
#[tokio::test]
async fn unreadable_headers_never_lose_the_message() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "retry = { limit = 0 }").queue("out", "");
    let (vhost, mut host) = consuming("headers", toml).await?;
    let strange = [
        ("x-hive-attempt", AMQPValue::LongString("soon".into())),
        ("x-hive-attempt", AMQPValue::LongLongInt(-1)),
        ("x-hive-attempt", AMQPValue::LongLongInt(0)),
        ("x-hive-attempt", AMQPValue::Void),
        ("x-hive-exchange", AMQPValue::LongLongInt(5)),
        (
            "x-hive-routing-key",
            AMQPValue::LongString(vec![0xff].into()),
        ),
        ("x-death", AMQPValue::LongString("none".into())),
        ("bytes", AMQPValue::LongString(vec![0xff, 0x00].into())),
        ("time", AMQPValue::Timestamp(u64::MAX)),
        ("", AMQPValue::Boolean(true)),
    ];
    let messages = strange
        .iter()
        .cloned()
        .enumerate()
        .map(|(number, (name, value))| Message::new(number.to_string()).header(name, value));
    vhost.publish_all("", "letters", messages).await?;
    let look = async || Ok(vhost.ready("out").await? + vhost.ready("letters.dead").await?);
    let count = u32::try_from(strange.len())?;
    eventually("all came through", look, |seen| *seen >= count).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let mut bodies: Vec<String> = Vec::new();
    for queue in ["out", "letters.dead"] {
        bodies.extend(vhost.drain(queue).await?.iter().map(Message::text));
    }
    bodies.sort();
    let expected: Vec<String> = (0..strange.len())
        .map(|number| number.to_string())
        .collect();
    assert_eq!(bodies, expected);
    Ok(())
}

/// RabbitMQ hands out both, and either would end a client that reads them as they are: a name that is
/// not UTF-8, and tables in tables until the stack is full.
#[tokio::test]
async fn headers_that_break_a_client_do_not_break_the_host() -> Result<()> {
    const LEVELS: usize = 15_000;
    let toml = HiveToml::one("letters", "echo", "retry = { limit = 0 }").queue("out", "");
    let (vhost, mut host) = consuming("headers", toml).await?;
    let broker = Broker::shared().await?;
    let before = broker.connections(&vhost)?;
    let not_utf8 = [2, 0xff, 0xfe, b't', 1];
    let mut nested = Vec::new();
    for level in 0..LEVELS {
        // An empty name, then a table that holds the levels within.
        let within = u32::try_from((LEVELS - 1 - level) * 6)?;
        nested.extend([&[0, b'F'][..], &within.to_be_bytes()].concat());
    }
    vhost.publish_raw("letters", &not_utf8, b"not UTF-8")?;
    vhost.publish_raw("letters", &nested, b"nested")?;
    vhost.publish("", "letters", Message::new("plain")).await?;
    let look = async || Ok(vhost.ready("out").await? + vhost.ready("letters.dead").await?);
    eventually("all came through", look, |seen| *seen >= 3).await?;
    assert_eq!(broker.connections(&vhost)?, before, "a connection was lost");
    assert_settled(&vhost, &mut host, "letters").await?;
    let mut bodies = Vec::new();
    for queue in ["out", "letters.dead"] {
        // The name goes on as it came, which would break this test's own client too.
        let found = vhost.drain_octets(queue)?;
        bodies.extend(
            found
                .iter()
                .map(|one| String::from_utf8_lossy(&one.body).into_owned()),
        );
    }
    bodies.sort();
    assert_eq!(bodies, ["nested", "not UTF-8", "plain"]);
    Ok(())
}

#[tokio::test]
async fn dead_messages_go_where_the_consumer_says() -> Result<()> {
    let keys = r#"retry = { limit = 0, dead_letter = "graveyard" }"#;
    let (vhost, _host) = consuming("graveyard", HiveToml::one("letters", "fail", keys)).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    assert_eq!(vhost.take_one("graveyard").await?.text(), "hello");
    Ok(())
}
