//! Publications that the broker would not take: the delivery's own failure, and nobody else's.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, User, eventually};
use tokio::time::Instant;

use crate::{acknowledged, assert_settled, consuming};

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

/// Hundreds are on their way at once, and what comes back does not say which of them it was.
#[tokio::test]
async fn s17_of_many_publications_under_way_only_those_to_nowhere_fail_their_deliveries()
-> Result<()> {
    const MESSAGES: usize = 2000;
    const EVERY: usize = 7;
    let keys = "concurrency = 8\nprefetch = 512\nretry = { limit = 0 }";
    let toml = HiveToml::one("letters", "publish", keys).queue("out", "");
    let (vhost, mut host) = consuming("under-way", toml).await?;
    let messages = (0..MESSAGES).map(|number| {
        let message = Message::new(format!("{number:04}"));
        match number % EVERY {
            0 => message.text_header("routing-key", "no.queue"),
            _ => message,
        }
    });
    vhost.publish_all("", "letters", messages).await?;
    let to_nowhere = MESSAGES.div_ceil(EVERY);
    acknowledged(&host, (MESSAGES - to_nowhere) as f64).await?;
    vhost
        .wait_ready("letters.dead", u32::try_from(to_nowhere)?)
        .await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    for (queue, is_there) in [("letters.dead", true), ("out", false)] {
        let mut came: Vec<String> = vhost
            .drain(queue)
            .await?
            .iter()
            .map(Message::text)
            .collect();
        came.sort();
        let expected: Vec<String> = (0..MESSAGES)
            .filter(|number| (number % EVERY == 0) == is_there)
            .map(|number| format!("{number:04}"))
            .collect();
        assert_eq!(came, expected, "in {queue}");
    }
    Ok(())
}

/// The broker closes the channel over it, and repeats what is beside it on its way. At the attempts that follow
/// nothing is beside it.
#[tokio::test]
async fn a_publication_that_is_refused_again_and_again_repeats_no_neighbour() -> Result<()> {
    const GOOD: usize = 1500;
    const ATTEMPTS: i64 = 21;
    let keys = "concurrency = 8\nprefetch = 512\nretry = { limit = 20, delays = [\"50ms\"] }";
    let toml = HiveToml::one("letters", "publish", keys).queue("out", "");
    let (vhost, mut host) = consuming("refused-again", toml).await?;
    let bad = Message::new("bad").text_header("exchange", "not.there");
    vhost.publish("", "letters", bad).await?;
    let refused = r#"hive_publications_total{consumer="letters",result="refused"}"#;
    let look = async || host.metric(refused).await;
    eventually("it was refused once", look, |count| *count >= 1.0).await?;
    let good = (0..GOOD).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", good).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_unpublishable(&dead, "not.there");
    assert_eq!(dead.number_of("x-hive-attempts"), Some(ATTEMPTS));
    acknowledged(&host, 1500.0).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let mut came = BTreeMap::<String, usize>::new();
    for message in vhost.drain("out").await? {
        *came.entry(message.text()).or_default() += 1;
    }
    assert_eq!(came.len(), GOOD);
    came.retain(|_, count| *count > 1);
    assert!(came.is_empty(), "these came more than once: {came:?}");
    Ok(())
}

/// As where the publication itself would be refused: a component that may not publish there is told so.
#[tokio::test]
async fn a_delayed_publication_without_the_right_to_delay_it_fails_its_delivery() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("no-delay").await?;
    let user = User::new(broker, &vhost)?;
    user.permit("^(letters|out)", ".*", ".*")?;
    let toml = HiveToml::one("letters", "publish", "retry = { limit = 0 }").queue("out", "");
    let mut host = HostProcess::run_at(&user.url(), &toml).await?;
    let later = Message::new("later").header("delay-ms", 1000_i64);
    vhost.publish("", "letters", later).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_unpublishable(&dead, "403 ACCESS_REFUSED");
    vhost
        .publish("", "letters", Message::new("at once"))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), "at once");
    assert_settled(&vhost, &mut host, "letters").await
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
    let delay = Duration::from_secs(3);
    let message = Message::new("later")
        .text_header("routing-key", "out")
        .header("delay-ms", i64::try_from(delay.as_millis())?);
    let began = Instant::now();
    vhost.publish("", "letters", message).await?;
    acknowledged(&host, 1.0).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "later");
    let took = began.elapsed();
    assert!(took >= delay, "it took {took:?} only");
    Ok(())
}
