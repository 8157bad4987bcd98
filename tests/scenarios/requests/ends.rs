//! How requests end while the connection lasts.

use anyhow::{Context, Result};
use hive_tests::{HiveToml, Language, Message, eventually};
use lapin::types::AMQPValue;

use super::{DROPPED, GRANTED, answer, asking, ended, reply, reply_to};
use crate::consuming;

#[tokio::test]
async fn a_request_has_its_reply() -> Result<()> {
    let (vhost, mut host) = consuming("requests", asking(GRANTED, "")).await?;
    let letter = Message::new("- rpc.a - one").text_header("header", "h");
    vhost.publish("", "letters", letter).await?;
    let request = vhost.take_one("rpc.a").await?;
    assert_eq!(request.text(), "one");
    assert_eq!(request.text_of("header").as_deref(), Some("h"));
    let properties = &request.properties;
    assert!(reply_to(&request)?.starts_with("hive.replies."));
    let id = properties.correlation_id().as_ref().context("no id")?;
    assert_eq!(id.as_str().len(), 32);
    assert_eq!(request.id(), id.as_str());
    // It is of no use to anybody when the call is over.
    let expires = properties.expiration().as_ref().context("it stays")?;
    let expires: u64 = expires.as_str().parse()?;
    assert!((1..=30_000).contains(&expires), "{expires}");
    reply(&vhost, &request, "1").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "one: 1 (1)");

    // The same queue is there for the next.
    vhost
        .publish("", "letters", Message::new("- rpc.a - two"))
        .await?;
    let second = vhost.take_one("rpc.a").await?;
    assert_eq!(reply_to(&second)?, reply_to(&request)?);
    assert_ne!(
        second.properties.correlation_id(),
        request.properties.correlation_id()
    );
    reply(&vhost, &second, "2").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "two: 2 (1)");
    assert_eq!(host.metric(&ended("answered")).await?, 2.0);
    assert_eq!(host.metric(DROPPED).await?, 0.0);
    host.stop().await
}

#[tokio::test]
async fn replies_find_their_requests_in_whatever_order_they_come() -> Result<()> {
    let (vhost, _host) = consuming("requests", asking(GRANTED, "concurrency = 2")).await?;
    let letters = ["- rpc.a - one", "- rpc.a - two"].map(Message::new);
    vhost.publish_all("", "letters", letters).await?;
    let mut requests = vhost.take("rpc.a", 2).await?;
    requests.reverse();
    for request in &requests {
        reply(&vhost, request, &format!("of {}", request.text())).await?;
    }
    let mut told: Vec<String> = vhost
        .take("out", 2)
        .await?
        .iter()
        .map(Message::text)
        .collect();
    told.sort();
    assert_eq!(told, ["one: of one (6)", "two: of two (6)"]);
    Ok(())
}

#[tokio::test]
async fn what_no_queue_takes_is_an_error_at_once() -> Result<()> {
    let (vhost, host) = consuming("requests", asking(GRANTED, "")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.gone - one"))
        .await?;
    let told = vhost.take_one("out").await?.text();
    assert!(
        told.starts_with("one: Unroutable: no queue takes it (312"),
        "{told}"
    );
    assert_eq!(host.metric(&ended("unroutable")).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn an_exchange_that_is_missing_fails_its_request_and_no_other() -> Result<()> {
    let (vhost, host) = consuming("requests", asking(GRANTED, "concurrency = 2")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let waiting = vhost.take_one("rpc.a").await?;
    vhost
        .publish("", "letters", Message::new("nothing k - two"))
        .await?;
    let told = vhost.take_one("out").await?.text();
    assert!(
        told.starts_with("two: Refused: the broker refuses it (404"),
        "{told}"
    );
    // The broker has closed the channel that both were published on; the reply comes on another.
    reply(&vhost, &waiting, "1").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "one: 1 (1)");
    assert_eq!(host.metric(&ended("refused")).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn what_is_not_granted_is_denied_and_the_log_names_the_key() -> Result<()> {
    let (vhost, host) = consuming("requests", asking(GRANTED, "")).await?;
    vhost
        .publish("", "letters", Message::new("- other - one"))
        .await?;
    let told = vhost.take_one("out").await?.text();
    assert!(
        told.contains("NotAllowed") && told.contains("`components.request.allow.request`"),
        "{told}"
    );
    host.wait_for_event_naming("component.denied", "components.request.allow.request")
        .await?;
    let denied = r#"hive_denied_total{capability="request",component="request"}"#;
    assert_eq!(host.metric(denied).await?, 1.0);
    assert_eq!(vhost.ready("other").await?, 0);
    Ok(())
}

#[tokio::test]
async fn without_a_grant_nothing_can_be_asked_and_no_queue_is_made() -> Result<()> {
    let (vhost, _host) = consuming("requests", asking("", "")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a - one"))
        .await?;
    let told = vhost.take_one("out").await?.text();
    assert!(told.contains("NotAllowed"), "{told}");
    let queues = vhost.queues()?;
    assert!(
        !queues
            .iter()
            .any(|queue| queue.starts_with("hive.replies.")),
        "{queues:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_reply_that_comes_late_or_twice_is_dropped_and_counted() -> Result<()> {
    let (vhost, host) = consuming("requests", asking(GRANTED, "")).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a 200 one"))
        .await?;
    let late = vhost.take_one("rpc.a").await?;
    assert_eq!(
        vhost.take_one("out").await?.text(),
        "one: TimedOut: no reply came in time"
    );
    reply(&vhost, &late, "too late").await?;
    let dropped = |count: f64| {
        let host = &host;
        let look = move || async move { host.metric(DROPPED).await };
        async move { eventually("replies were dropped", look, |seen| *seen == count).await }
    };
    dropped(1.0).await?;

    vhost
        .publish("", "letters", Message::new("- rpc.a - two"))
        .await?;
    let request = vhost.take_one("rpc.a").await?;
    // A foreign one, and one without an id, before the right one, and that again.
    let foreign = answer(&late, "foreign");
    let nobodys = Message::new("without an id");
    let queue = reply_to(&request)?;
    vhost.publish_all("", &queue, [foreign, nobodys]).await?;
    dropped(3.0).await?;
    reply(&vhost, &request, "2").await?;
    reply(&vhost, &request, "2 again").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "two: 2 (1)");
    dropped(4.0).await?;
    assert_eq!(host.metric(&ended("timed_out")).await?, 1.0);
    assert_eq!(host.metric(&ended("answered")).await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn the_time_of_the_call_ends_the_wait() -> Result<()> {
    let keys = format!("timeout = \"300ms\"\n{GRANTED}");
    let toml = asking(&keys, "retry = \"none\"");
    let (vhost, _host) = consuming("requests", toml).await?;
    vhost
        .publish("", "letters", Message::new("- rpc.a 60000 one"))
        .await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("timeout"));
    // Its request expires as long after it has arrived as was left of the call when it was written: on a busy machine,
    // a moment after the call.
    let expired = || vhost.wake("rpc.a");
    eventually("the request has expired", expired, |()| true).await
}

#[tokio::test]
async fn a_reply_larger_than_half_of_the_memory_is_an_error_and_no_trap() -> Result<()> {
    let keys = format!("memory = \"4MiB\"\n{GRANTED}");
    let (vhost, host) = consuming("requests", asking(&keys, "")).await?;
    let mib = 1 << 20;
    for (question, bytes, told) in [
        (
            "one",
            2 * mib + 1,
            "one: TooLarge: the reply has 2097153 bytes",
        ),
        ("two", mib, "two: xxx"),
    ] {
        let letter = Message::new(format!("- rpc.a - {question}"));
        vhost.publish("", "letters", letter).await?;
        let request = vhost.take_one("rpc.a").await?;
        reply(&vhost, &request, &"x".repeat(bytes)).await?;
        let got = vhost.take_one("out").await?.text();
        assert!(got.starts_with(told), "{got}");
    }
    assert_eq!(
        host.metric(r#"hive_traps_total{component="request"}"#)
            .await?,
        0.0
    );
    Ok(())
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_refused_with_the_reason() -> Result<()> {
    let (vhost, _host) = consuming("requests", asking(GRANTED, "")).await?;
    let own = Message::new("- rpc.a - one").text_header("reply-to", "mine");
    vhost.publish("", "letters", own).await?;
    let told = vhost.take_one("out").await?.text();
    assert!(
        told.contains("Refused") && told.contains("the host sets both"),
        "{told}"
    );
    let large = Message::new("- rpc.a - two").text_header("header", &"x".repeat(100_000));
    vhost.publish("", "letters", large.clone()).await?;
    let request = vhost.take_one("rpc.a").await?;
    reply(&vhost, &request, "2").await?;
    assert_eq!(vhost.take_one("out").await?.text(), "two: 2 (1)");
    Ok(())
}

#[tokio::test]
async fn in_every_language() -> Result<()> {
    for language in Language::ALL {
        let allow = "allow = { request = [\":answers\"] }";
        let toml = HiveToml::new()
            .queue("letters", "")
            .queue("out", "")
            .queue("answers", "")
            .component_at("asking", &language.guest(), allow)
            .consumer("letters", "asking", "");
        let (vhost, mut host) = consuming("requests", toml).await?;
        let letter = |text: &str| Message::new(text).text_header("do", "request");
        vhost.publish("", "letters", letter("how many?")).await?;
        let request = vhost.take_one("answers").await.context(language.name)?;
        assert_eq!(request.text(), "how many?", "{}", language.name);
        let kind = request.properties.kind().as_ref().map(|kind| kind.as_str());
        assert_eq!(kind, Some("question"), "{}", language.name);
        let answer = answer(&request, "seven")
            .header("number", AMQPValue::LongLongInt(7))
            .with(|properties| properties.with_type("number".into()));
        vhost.publish("", &reply_to(&request)?, answer).await?;
        let told = vhost.take_one("out").await.context(language.name)?;
        assert_eq!(told.text(), "seven number 7", "{}", language.name);

        let impatient = letter("and now?").header("delay-ms", AMQPValue::LongLongInt(50));
        vhost.publish("", "letters", impatient).await?;
        let told = vhost.take_one("out").await.context(language.name)?;
        assert_eq!(told.text(), "timed-out", "{}", language.name);
        host.stop().await?;
    }
    Ok(())
}
