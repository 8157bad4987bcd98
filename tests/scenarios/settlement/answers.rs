//! What a component may answer, when all goes well: ack, publish, reply, retry, reject.

use std::collections::BTreeSet;

use anyhow::Result;
use hive_tests::{HiveToml, Message};
use lapin::ExchangeKind;

use crate::{assert_settled, consuming};

/// A consumer of `letters` that publishes to `out`.
fn letters(guest: &str) -> HiveToml {
    HiveToml::one("letters", guest, "").queue("out", "")
}

#[tokio::test]
async fn s01_success_runs_the_handler_once_and_empties_the_queue() -> Result<()> {
    let (vhost, mut host) = consuming("s01", letters("echo")).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    vhost.wait_ready("out", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 1, "the handler ran once");
    assert_eq!(vhost.ready("letters.dead").await?, 0, "nothing failed");
    Ok(())
}

#[tokio::test]
async fn s05_only_the_queue_that_fails_sees_the_retry() -> Result<()> {
    let both = r#"bindings = [{ exchange = "news" }]"#;
    let toml = HiveToml::new()
        .exchange("news", r#"type = "fanout""#)
        .queue("bad", both)
        .queue("good", both)
        .queue("out", "")
        .component("fail", "")
        .component("echo", "")
        .consumer("bad", "fail", r#"retry = { delays = ["1h"] }"#)
        .consumer("good", "echo", r#"retry = { delays = ["1h"] }"#);
    let (vhost, mut host) = consuming("s05", toml).await?;
    vhost.publish("news", "", Message::new("hello")).await?;
    vhost.wait_ready("bad.retry.1h", 1).await?;
    vhost.wait_ready("out", 1).await?;
    assert_settled(&vhost, &mut host, "good").await?;
    assert_eq!(vhost.ready("good.retry.1h").await?, 0);
    assert_eq!(vhost.ready("good.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn s16_five_consumed_and_each_publishing_one_make_five() -> Result<()> {
    let (vhost, mut host) = consuming("s16", letters("echo")).await?;
    let bodies = ["1", "2", "3", "4", "5"];
    vhost
        .publish_all("", "letters", bodies.map(Message::new))
        .await?;
    let arrived = vhost.take("out", 5).await?;
    let arrived: BTreeSet<String> = arrived.iter().map(Message::text).collect();
    assert_eq!(arrived, bodies.map(str::to_owned).into());
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 0, "no more than five");
    Ok(())
}

#[tokio::test]
async fn s18_a_reply_reaches_reply_to_with_the_correlation_id_of_the_call() -> Result<()> {
    let toml = HiveToml::one("calls", "reply", "");
    let (vhost, mut host) = consuming("s18", toml).await?;
    vhost.declare_queue("caller", "classic").await?;
    let call = Message::new("ping").with(|properties| {
        properties
            .with_reply_to("caller".into())
            .with_correlation_id("call-7".into())
    });
    vhost.publish("", "calls", call).await?;
    let reply = vhost.take_one("caller").await?;
    let correlation_id = reply.properties.correlation_id().as_ref();
    assert_eq!(
        correlation_id.map(ToString::to_string).as_deref(),
        Some("call-7")
    );
    assert_eq!(reply.text(), "pong to ping");
    assert_settled(&vhost, &mut host, "calls").await
}

#[tokio::test]
async fn a_publication_goes_through_an_exchange_with_its_routing_key() -> Result<()> {
    let (vhost, mut host) = consuming("publish", letters("publish")).await?;
    vhost
        .declare_exchange("events", ExchangeKind::Topic)
        .await?;
    vhost.bind("out", "events", "letter.#").await?;
    let message = Message::new("hello")
        .text_header("exchange", "events")
        .text_header("routing-key", "letter.read.twice");
    vhost.publish("", "letters", message).await?;
    let published = vhost.take_one("out").await?;
    assert_eq!(published.exchange, "events");
    assert_eq!(published.routing_key, "letter.read.twice");
    assert_eq!(published.text(), "hello");
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_rejected_message_is_dead_at_once() -> Result<()> {
    let toml = HiveToml::one("letters", "reject", "retry = { limit = 15 }");
    let (vhost, mut host) = consuming("reject", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("rejected"));
    assert_eq!(
        dead.text_of("x-hive-error").as_deref(),
        Some("never: hello")
    );
    assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
    host.wait_for_printed_times("attempt 1", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_delay_that_the_component_asks_for_is_honoured() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "retry",
        r#"retry = { limit = 1, delays = ["1h"] }"#,
    );
    let (vhost, host) = consuming("retry", toml).await?;
    let message = Message::new("hello").header("delay-ms", 100_i64);
    vhost.publish("", "letters", message).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("retry"));
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    host.wait_for_printed_times("attempt 2", 1).await?;
    assert_eq!(
        vhost.ready("letters.retry.1h").await?,
        0,
        "the policy's delay was not used"
    );
    Ok(())
}
