//! Publications that the broker would not take: the delivery's own failure, and nobody else's.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, Message};
use tokio::time::Instant;

use crate::{assert_settled, consuming};

/// A consumer of `letters` by `guest`, without retries, and a neighbour on the same connections.
fn with_neighbour(guest: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("neighbour", "")
        .queue("out", "")
        .component(guest, "")
        .component("echo", "")
        .consumer("letters", guest, "retry = { limit = 0 }")
        .consumer("neighbour", "echo", "retry = { limit = 0 }")
}

/// Lets one message fail, and makes sure that no connection and no neighbour noticed.
async fn dead_alone(guest: &str, message: Message) -> Result<Message> {
    let (vhost, mut host) = consuming("publication", with_neighbour(guest)).await?;
    vhost
        .publish("", "neighbour", Message::new("before"))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), "before");
    let broker = Broker::shared().await?;
    let before = broker.connections(&vhost)?;
    assert_eq!(before.len(), 2, "one consumes and one publishes");
    vhost.publish("", "letters", message).await?;
    let dead = vhost.take_one("letters.dead").await?;
    vhost
        .publish("", "neighbour", Message::new("after"))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), "after");
    assert_eq!(broker.connections(&vhost)?, before, "a connection was lost");
    assert_settled(&vhost, &mut host, "letters").await?;
    Ok(dead)
}

#[track_caller]
fn assert_unpublishable(dead: &Message, told: &str) {
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    let error = dead.text_of("x-hive-error").unwrap_or_default();
    assert!(
        error.contains(told),
        "`{told}` is not in the error: {error}"
    );
}

#[tokio::test]
async fn s17_a_publication_to_a_missing_exchange_fails_its_delivery() -> Result<()> {
    let message = Message::new("hello").text_header("exchange", "not.there");
    assert_unpublishable(&dead_alone("publish", message).await?, "not.there");
    Ok(())
}

#[tokio::test]
async fn s17_a_publication_to_nowhere_fails_its_delivery() -> Result<()> {
    let message = Message::new("hello").text_header("routing-key", "no.queue");
    assert_unpublishable(&dead_alone("publish", message).await?, "no.queue");
    Ok(())
}

#[tokio::test]
async fn s17_an_input_whose_publication_failed_is_retried() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", r#"retry = { delays = ["1h"] }"#);
    let (vhost, mut host) = consuming("s17", toml).await?;
    let missing = Message::new("hello").text_header("exchange", "not.there");
    let nowhere = Message::new("hello").text_header("routing-key", "no.queue");
    vhost.publish_all("", "letters", [missing, nowhere]).await?;
    vhost.wait_ready("letters.retry.1h", 2).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_publication_that_may_go_nowhere_is_no_failure() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", "retry = { limit = 0 }").queue("out", "");
    let (vhost, mut host) = consuming("publication", toml).await?;
    let message = Message::new("hello")
        .text_header("routing-key", "no.queue")
        .text_header("second-routing-key", "out")
        .header("mandatory", false);
    vhost.publish("", "letters", message).await?;
    vhost.wait_ready("out", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn publication_headers_larger_than_a_frame_fail_their_delivery_alone() -> Result<()> {
    let dead = dead_alone("big-headers", Message::new("hello")).await?;
    assert_unpublishable(&dead, "headers");
    Ok(())
}

#[tokio::test]
async fn a_user_id_that_the_broker_refuses_fails_its_delivery_alone() -> Result<()> {
    let dead = dead_alone("bad-user-id", Message::new("hello")).await?;
    assert_unpublishable(&dead, "user-id");
    Ok(())
}

/// A broker ends the connection over a double that is not finite, and the channel over `CC` as text.
#[tokio::test]
async fn headers_that_no_broker_takes_fail_their_delivery_alone() -> Result<()> {
    for (body, told) in [("nan", "finite"), ("inf", "finite"), ("cc", "\"CC\"")] {
        for delay in [None, Some(1000_i64)] {
            let message = match delay {
                None => Message::new(body),
                Some(delay) => Message::new(body).header("delay-ms", delay),
            };
            assert_unpublishable(&dead_alone("bad-header", message).await?, told);
        }
    }
    Ok(())
}

/// As without the delay: found when it is published, and not when the delay is over.
#[tokio::test]
async fn a_delayed_publication_that_can_arrive_nowhere_fails_its_delivery_alone() -> Result<()> {
    let later = || Message::new("later").header("delay-ms", 1000_i64);
    // One byte more than fits beside what is said of the delay.
    let long = "e".repeat(231);
    let nowhere = [
        (later().text_header("exchange", "not.there"), "not.there"),
        (later().text_header("routing-key", "no.queue"), "no.queue"),
        (later().text_header("exchange", &long), "can have 230"),
        (later().text_header("exchange", "two\nlines"), "line end"),
    ];
    for (message, told) in nowhere {
        assert_unpublishable(&dead_alone("publish", message).await?, told);
    }
    Ok(())
}

/// One of two cannot be routed: the input fails whole, and is not acked for the half that went.
#[tokio::test]
async fn one_bad_publication_of_two_fails_the_delivery() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", "retry = { limit = 0 }").queue("out", "");
    let (vhost, mut host) = consuming("publication", toml).await?;
    let message = Message::new("hello")
        .text_header("routing-key", "out")
        .text_header("second-routing-key", "no.queue");
    vhost.publish("", "letters", message).await?;
    assert_unpublishable(&vhost.take_one("letters.dead").await?, "no.queue");
    assert_settled(&vhost, &mut host, "letters").await
}

/// Kept by the broker, so that a host that ends in the meantime loses nothing.
#[tokio::test]
async fn a_delayed_publication_arrives_later_and_without_the_host() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", "").queue("out", "");
    let (vhost, mut host) = consuming("delayed", toml).await?;
    let message = Message::new("later")
        .text_header("routing-key", "out")
        .header("delay-ms", 3000_i64);
    vhost.publish("", "letters", message).await?;
    vhost.wait_ready("letters", 0).await?;
    let published = Instant::now();
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("out").await?, 0, "it came at once");
    assert_eq!(vhost.take_one("out").await?.text(), "later");
    let took = published.elapsed();
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    Ok(())
}
