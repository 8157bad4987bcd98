//! Failed deliveries come again: how often, when, from where, and as what.

use anyhow::Result;
use hive_tests::{HiveToml, Message, Vhost, eventually};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use crate::{assert_settled, consuming};

#[tokio::test]
async fn s02_a_retry_with_a_delay_waits_in_the_delay_queue() -> Result<()> {
    let toml = HiveToml::one("letters", "retry", r#"retry = { delays = ["10s"] }"#);
    let (vhost, mut host) = consuming("s02", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    vhost.wait_ready("letters.retry.10s", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s03_limit_one_gives_two_deliveries_then_one_dead() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "fail",
        r#"retry = { limit = 1, delays = ["50ms"] }"#,
    );
    let (vhost, mut host) = consuming("s03", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(host.count_printed("attempt 1 of hello"), 1);
    assert_eq!(host.count_printed("attempt 2 of hello"), 1);
    assert_eq!(host.count_printed("attempt 3 of hello"), 0);
    assert_eq!(vhost.ready("letters.dead").await?, 0, "one dead, no more");
    Ok(())
}

#[tokio::test]
async fn s03_limit_zero_dead_letters_the_first_failure() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", "retry = { limit = 0 }");
    let (vhost, mut host) = consuming("s03", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(host.count_printed("attempt 1 of hello"), 1);
    assert_eq!(host.count_printed("attempt 2 of hello"), 0);
    Ok(())
}

#[tokio::test]
async fn s04_each_delay_has_its_queue_and_the_last_repeats_in_the_order_written() -> Result<()> {
    // Not in the order of their lengths, so that a sorted list would show.
    let policy = r#"retry = { limit = 5, delays = ["200ms", "50ms", "100ms"] }"#;
    let (vhost, host) = consuming("s04", HiveToml::one("letters", "fail", policy)).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(6));
    host.wait_for_printed_times("of hello", 6).await?;
    for (queue, times) in [
        ("letters.retry.200ms", 1),
        ("letters.retry.50ms", 1),
        ("letters.retry.100ms", 3),
    ] {
        wait_published(&vhost, queue, times).await?;
    }
    Ok(())
}

/// Waits until the broker has counted so many messages published to a queue. It also counts those that it refused.
async fn wait_published(vhost: &Vhost, queue: &str, times: u64) -> Result<()> {
    let look = async || {
        let counters = vhost.counters(queue)?;
        Ok(counters["message_stats"]["publish"].as_u64().unwrap_or(0))
    };
    eventually(&format!("{times} went through `{queue}`"), look, |seen| {
        *seen >= times
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn s06_a_retry_copy_keeps_every_property_and_header() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", r#"retry = { delays = ["1h"] }"#);
    let (vhost, _host) = consuming("s06", toml).await?;
    let original = message_with_everything();
    vhost.publish("", "letters", original.clone()).await?;
    let copy = vhost.take_one("letters.retry.1h").await?;
    assert_same(&copy, &original);
    Ok(())
}

#[tokio::test]
async fn s06_what_went_through_retries_is_dead_lettered_as_it_was_published() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "fail",
        r#"retry = { limit = 3, delays = ["20ms"] }"#,
    );
    let (vhost, _host) = consuming("s06", toml).await?;
    let original = message_with_everything();
    vhost.publish("", "letters", original.clone()).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_same(&dead, &original);
    assert_eq!(dead.number_of("x-hive-attempts"), Some(4));
    Ok(())
}

/// A CC header is routed by: a copy that kept it would reach the other queue once more each time.
#[tokio::test]
async fn s06_a_retried_message_is_not_carbon_copied_again() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "fail",
        r#"retry = { limit = 2, delays = ["20ms"] }"#,
    )
    .queue("other", "");
    let (vhost, _host) = consuming("s06", toml).await?;
    let mut copies = FieldArray::default();
    copies.push(AMQPValue::LongString("other".into()));
    let message = Message::new("hello").header("CC", AMQPValue::FieldArray(copies));
    vhost.publish("", "letters", message).await?;
    vhost.wait_ready("letters.dead", 1).await?;
    assert_eq!(
        vhost.ready("other").await?,
        1,
        "the publisher's copy, and none of the host's"
    );
    Ok(())
}

#[tokio::test]
async fn s06_the_attempt_is_read_from_an_integer_of_any_width() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "fail",
        r#"retry = { limit = 2, delays = ["1h"] }"#,
    );
    let (vhost, _host) = consuming("s06", toml).await?;
    let widths = [
        AMQPValue::ShortShortInt(3),
        AMQPValue::ShortShortUInt(3),
        AMQPValue::ShortInt(3),
        AMQPValue::ShortUInt(3),
        AMQPValue::LongInt(3),
        AMQPValue::LongUInt(3),
        AMQPValue::LongLongInt(3),
    ];
    let count = widths.len();
    let messages = widths.map(|three| Message::new("hello").header("x-hive-attempt", three));
    vhost.publish_all("", "letters", messages).await?;
    // The third attempt is the last one that a limit of 2 allows.
    for dead in vhost.take("letters.dead", count).await? {
        assert_eq!(dead.number_of("x-hive-attempts"), Some(3));
    }
    Ok(())
}

#[tokio::test]
async fn s07_missing_and_empty_headers_take_the_normal_retry_path() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", r#"retry = { delays = ["1h"] }"#);
    let (vhost, mut host) = consuming("s07", toml).await?;
    let none = Message::new("none").with(|_| BasicProperties::default());
    let empty = Message::new("empty")
        .with(|_| BasicProperties::default().with_headers(FieldTable::default()));
    vhost.publish_all("", "letters", [none, empty]).await?;
    vhost.wait_ready("letters.retry.1h", 2).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// The broker counts what goes back to the queue unanswered; a retry is a new message to it, so
/// its limit of 3 does not cut off the host's 5.
#[tokio::test]
async fn s10_the_hosts_count_goes_beyond_a_delivery_limit_of_the_queue() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "type = \"quorum\"\ndelivery_limit = 3")
        .component("fail", "")
        .consumer(
            "letters",
            "fail",
            r#"retry = { limit = 5, delays = ["20ms"] }"#,
        );
    let (vhost, host) = consuming("s10", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(6));
    host.wait_for_printed_times("of hello", 6).await
}

#[tokio::test]
async fn s12_three_retries_and_more_do_not_lose_the_message() -> Result<()> {
    for kind in ["classic", "quorum"] {
        let toml = HiveToml::new()
            .queue("letters", &format!("type = \"{kind}\""))
            .queue("out", "")
            .component("fail-until", "")
            .consumer("letters", "fail-until", r#"retry = { delays = ["20ms"] }"#);
        let (vhost, mut host) = consuming("s12", toml).await?;
        let message = Message::new("hello").header("until", 6_i64);
        vhost.publish("", "letters", message).await?;
        let handled = vhost.take_one("out").await?;
        assert_eq!(handled.text(), "attempt 6 of hello", "on a {kind} queue");
        assert_settled(&vhost, &mut host, "letters").await?;
    }
    Ok(())
}

/// A message that was dead-lettered by these very queues in an earlier life, and replayed.
#[tokio::test]
async fn s12_a_message_that_brings_its_own_x_death_is_retried_like_any_other() -> Result<()> {
    let toml =
        HiveToml::one("letters", "fail-until", r#"retry = { delays = ["20ms"] }"#).queue("out", "");
    let (vhost, _host) = consuming("s12", toml).await?;
    let mut history = FieldArray::default();
    for queue in ["letters.retry.20ms", "letters"] {
        history.push(AMQPValue::FieldTable(death(queue)));
    }
    let message = Message::new("hello")
        .header("until", 4_i64)
        .header("x-death", AMQPValue::FieldArray(history));
    vhost.publish("", "letters", message).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "attempt 4 of hello");
    Ok(())
}

fn death(queue: &str) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert("count".into(), AMQPValue::LongLongInt(3));
    table.insert("reason".into(), AMQPValue::LongString("expired".into()));
    table.insert("queue".into(), AMQPValue::LongString(queue.into()));
    table.insert("exchange".into(), AMQPValue::LongString("".into()));
    table
}

/// Every property, and a header of every type that AMQP has a sign for and RabbitMQ takes.
pub(crate) fn message_with_everything() -> Message {
    let mut nested = FieldTable::default();
    nested.insert("deep-er".into(), AMQPValue::LongInt(7));
    let mut list = FieldArray::default();
    list.push(AMQPValue::Boolean(true));
    list.push(AMQPValue::FieldTable(nested.clone()));
    Message::new(vec![0, 159, 146, 150, 255])
        .with(|properties| {
            properties
                .with_content_type("application/x-thing".into())
                .with_content_encoding("gzip".into())
                .with_delivery_mode(2)
                .with_priority(7)
                .with_correlation_id("correlation".into())
                .with_reply_to("answers".into())
                .with_expiration("3600000".into())
                .with_message_id("message".into())
                .with_timestamp(1_700_000_000)
                .with_type("thing.made".into())
                .with_user_id("guest".into())
                .with_app_id("app".into())
        })
        .header("void", AMQPValue::Void)
        .header("boolean", AMQPValue::Boolean(true))
        .header("int8", AMQPValue::ShortShortInt(-8))
        .header("int16", AMQPValue::ShortInt(-16))
        .header("int32", AMQPValue::LongInt(-32))
        .header("int64", AMQPValue::LongLongInt(-64))
        .header("double", AMQPValue::Double(0.1))
        .header("Text-with_both", AMQPValue::LongString("ünï".into()))
        .header("not-utf8", AMQPValue::LongString(vec![0xff, 0xfe].into()))
        .header("timestamp", AMQPValue::Timestamp(1_700_000_001))
        .header("table", AMQPValue::FieldTable(nested))
        .header("array", AMQPValue::FieldArray(list))
}

#[track_caller]
pub(crate) fn assert_same(copy: &Message, original: &Message) {
    assert_eq!(copy.body, original.body);
    assert_eq!(copy.own_headers(), original.headers());
    let without_headers = |message: &Message| {
        let properties = message.properties.clone();
        properties.with_headers(FieldTable::default())
    };
    // The copy must not expire on its way; its lifetime travels in a header until it is handled again.
    let lifetime = original.properties.expiration().as_ref();
    assert_eq!(
        copy.text_of("x-hive-original-expiration"),
        lifetime.map(|lifetime| lifetime.to_string())
    );
    assert_eq!(copy.properties.expiration(), &None);
    let mut as_published = without_headers(copy);
    if let Some(lifetime) = lifetime {
        as_published = as_published.with_expiration(lifetime.clone());
    }
    assert_eq!(as_published, without_headers(original));
}

/// A delay queue is the broker's to empty: a host that is down at the time loses nothing.
#[tokio::test]
async fn a_retry_outlives_its_host() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", r#"retry = { delays = ["3s"] }"#);
    let (vhost, mut host) = consuming("retry", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    vhost.wait_ready("letters.retry.3s", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let again = vhost.take_one("letters").await?;
    assert_eq!(again.number_of("x-hive-attempt"), Some(2));
    Ok(())
}
