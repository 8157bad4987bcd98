//! `reply_on_failure`: whoever asked is told that the question has ended in the dead-letter queue.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use hive_tests::{HiveToml, Message};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{assert_settled, consuming};

fn replying(retry: &str) -> HiveToml {
    let keys = format!("reply_on_failure = true\nretry = {retry}");
    HiveToml::one("questions", "fail", &keys).queue("answers", "")
}

fn question(text: &str) -> Message {
    Message::new(text).with(|properties| {
        properties
            .with_message_id(format!("id-{text}").into())
            .with_correlation_id(format!("c-{text}").into())
    })
}

#[tokio::test]
async fn a_dead_question_is_answered_once_and_a_retried_one_not_yet() -> Result<()> {
    let toml = replying(r#"{ limit = 2, delays = ["20ms"] }"#);
    let (vhost, mut host) = consuming("replies", toml).await?;
    let asked = question("why").with(|properties| properties.with_reply_to("answers".into()));
    vhost.publish("", "questions", asked).await?;
    let answer = vhost.take_one("answers").await?;
    assert_eq!(answer.properties.correlation_id(), &Some("c-why".into()));
    assert_eq!(
        answer.properties.message_id(),
        &Some("id-why-failure".into())
    );
    assert_eq!(answer.properties.kind(), &Some("hive.failure".into()));
    assert_eq!(
        answer.properties.content_type(),
        &Some("application/json".into())
    );
    let body: Value = serde_json::from_slice(&answer.body)?;
    let said = json!({ "class": "error", "error": "cannot take why", "attempts": 3 });
    assert_eq!(body, said);
    for (name, text) in [
        ("x-hive-reason", "error"),
        ("x-hive-error", "cannot take why"),
        ("x-hive-consumer", "questions"),
        ("x-hive-queue", "questions"),
    ] {
        assert_eq!(answer.text_of(name).as_deref(), Some(text), "{name}");
    }
    assert_eq!(answer.number_of("x-hive-attempts"), Some(3));
    vhost.wait_ready("questions.dead", 1).await?;
    let series = r#"hive_failure_replies_total{consumer="questions",result="confirmed"}"#;
    assert_eq!(host.metric(series).await?, 1.0);
    assert_settled(&vhost, &mut host, "questions").await?;
    assert_eq!(vhost.ready("answers").await?, 0, "one answer, no more");
    Ok(())
}

/// Over the channel that asked, without a queue (RabbitMQ documentation, "Direct Reply-to").
#[tokio::test]
async fn a_direct_reply_reaches_whoever_waits() -> Result<()> {
    let (vhost, _host) = consuming("replies", replying("{ limit = 0 }")).await?;
    let channel = vhost.channel().await?;
    let no_ack = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let direct = "amq.rabbitmq.reply-to";
    let mut answers = channel
        .basic_consume(direct.into(), "".into(), no_ack, FieldTable::default())
        .await?;
    let asked = question("why").properties.with_reply_to(direct.into());
    let publish = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "questions".into(), publish, b"why", asked)
        .await?;
    let answer = timeout(Duration::from_secs(30), answers.next()).await?;
    let answer = Message::from(answer.context("the channel is open")??);
    assert_eq!(answer.properties.correlation_id(), &Some("c-why".into()));
    assert_eq!(answer.text_of("x-hive-reason").as_deref(), Some("error"));
    Ok(())
}

#[tokio::test]
async fn whoever_is_gone_or_never_asked_costs_nothing() -> Result<()> {
    let (vhost, mut host) = consuming("replies", replying("{ limit = 0 }")).await?;
    let gone = ["nowhere", ""];
    let asked = gone.map(|reply_to| {
        question("why").with(|properties| properties.with_reply_to(reply_to.into()))
    });
    vhost.publish_all("", "questions", asked).await?;
    vhost.publish("", "questions", question("silent")).await?;
    vhost.wait_ready("questions.dead", 3).await?;
    assert_settled(&vhost, &mut host, "questions").await?;
    assert_eq!(vhost.ready("questions.dead").await?, 3, "each died once");
    assert_eq!(vhost.ready("answers").await?, 0);
    Ok(())
}

/// RabbitMQ ends the connection over a direct reply-to address that it never gave out. Whoever sends such a
/// one must not keep the host from publishing for good, nor be buried many times.
#[tokio::test]
async fn an_address_that_upsets_the_broker_is_given_up() -> Result<()> {
    let (vhost, mut host) = consuming("replies", replying("{ limit = 0 }")).await?;
    let asked = question("why")
        .with(|properties| properties.with_reply_to("amq.rabbitmq.reply-to.nonsense.x".into()));
    vhost.publish("", "questions", asked).await?;
    host.wait_for_event("delivery.settled", &[("outcome", "dead_lettered")])
        .await?;
    let asked = question("how").with(|properties| properties.with_reply_to("answers".into()));
    vhost.publish("", "questions", asked).await?;
    assert_eq!(vhost.take_one("answers").await?.id(), "id-how-failure");
    assert_settled(&vhost, &mut host, "questions").await?;
    assert_eq!(vhost.ready("questions.dead").await?, 2, "each died once");
    Ok(())
}

/// A reply that its queue refuses must not keep the message from being dead-lettered, nor bury it twice.
#[tokio::test]
async fn a_full_answer_queue_does_not_hold_up_the_dead() -> Result<()> {
    let full = "max_length = 1\narguments = { x-overflow = \"reject-publish\" }";
    let toml = HiveToml::one(
        "questions",
        "fail",
        "reply_on_failure = true\nretry = { limit = 0 }",
    )
    .queue("answers", &format!("type = \"classic\"\n{full}"));
    let (vhost, mut host) = consuming("replies", toml).await?;
    let asked =
        |text: &str| question(text).with(|properties| properties.with_reply_to("answers".into()));
    vhost.publish("", "questions", asked("first")).await?;
    vhost.wait_ready("answers", 1).await?;
    vhost.publish("", "questions", asked("second")).await?;
    host.wait_for_event("delivery.failure_reply_refused", &[])
        .await?;
    assert_settled(&vhost, &mut host, "questions").await?;
    assert_eq!(vhost.ready("questions.dead").await?, 2);
    assert_eq!(vhost.ready("answers").await?, 1);
    Ok(())
}
