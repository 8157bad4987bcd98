//! A pause, and an order, beside what else a consumer may have: batches, a stream, `dedup`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hive_tests::{HiveToml, Message, Stores, eventually};

use crate::pace::flow::{tell, wait_for_state, with_file};
use crate::stream::streams::reading;
use crate::{assert_settled, consuming};

/// Opens at the third failure in a row, and not again by itself.
const BREAKER: &str = "pause_on = { failure_ratio = 1, of_last = 3, for = \"1h\" }";

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

fn known_as(id: &str) -> Message {
    Message::new(id).with(|properties| properties.with_message_id(id.into()))
}

#[tokio::test]
async fn a_batch_that_fails_pauses_its_consumer_and_the_rest_waits_for_a_batch() -> Result<()> {
    let keys = format!(
        "batch = {{ size = 3, wait = \"100ms\" }}\nconcurrency = 1\nprefetch = 3\n\
         retry = {{ limit = 0 }}\n{BREAKER}"
    );
    let toml = HiveToml::one("letters", "batch", &keys).queue("out", "");
    let (vhost, mut host, file) = with_file("paused-batch", &toml).await?;
    let bad = (0..3).map(|number| Message::new(format!("{number} error")));
    let good = (3..9).map(|number| Message::new(format!("{number} publish")));
    vhost.publish_all("", "letters", bad).await?;
    wait_for_state(&host, "paused").await?;
    vhost.publish_all("", "letters", good).await?;
    vhost.wait_ready("letters.dead", 3).await?;
    vhost.wait_ready("letters", 6).await?;
    assert_eq!(vhost.ready("out").await?, 0, "handled during the pause");
    tell(&host, "resume", &file).await?;
    let mut out = texts(&vhost.take("out", 6).await?);
    out.sort();
    assert_eq!(out, ["3", "4", "5", "6", "7", "8"]);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_paused_stream_goes_on_behind_what_was_handled() -> Result<()> {
    let stream = "offset = \"first\", on_error = \"skip\"";
    let toml = reading(stream, BREAKER);
    let (vhost, mut host, file) = with_file("paused-stream", &toml).await?;
    vhost.publish("", "events", Message::new("a")).await?;
    assert_eq!(texts(&vhost.take("out", 1).await?), ["0 a"]);
    // Its confirmation is waited for aside: among the failures, it would be no failure of the last three.
    let acked = "hive_deliveries_total{consumer=\"events\",outcome=\"acked\"}";
    eventually("the first is handled", || host.metric(acked), |n| *n == 1.0).await?;
    let bodies = ["fail b", "fail c", "fail d", "e", "f"].map(Message::new);
    vhost.publish_all("", "events", bodies).await?;
    let look = async || Ok(host.count_events("consumer.paused", &[("by", "failures")]));
    eventually("it is paused", look, |count| *count == 1).await?;
    assert_eq!(vhost.ready("out").await?, 0, "handled during the pause");
    let resumed = host.told("resume", &file, &["events"]).await?;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(texts(&vhost.take("out", 2).await?), ["4 e", "5 f"]);
    let skipped = "hive_deliveries_total{consumer=\"events\",outcome=\"skipped\"}";
    assert_eq!(host.metric(skipped).await?, 3.0);
    host.stop().await
}

/// What goes back at a pause comes again, and its key is nobody's meanwhile.
#[tokio::test]
async fn pauses_among_copies_of_the_same_messages_lose_none_and_repeat_none() -> Result<()> {
    const MESSAGES: usize = 100;
    let stores = Stores::new().await?;
    for (store, store_keys) in stores.all() {
        let keys = "concurrency = 4\nprefetch = 20\ndedup = { key = \"message-id\" }";
        let toml = HiveToml::one("letters", "once", keys)
            .queue("out", "")
            .section("store", &store_keys);
        let (vhost, mut host, file) = with_file("paused-dedup", &toml).await?;
        let copies = (0..MESSAGES).flat_map(|number| {
            let copy = known_as(&format!("{store} {number}")).header("sleep-ms", 5);
            [copy.clone(), copy]
        });
        vhost.publish_all("", "letters", copies).await?;
        for handled in [10, 30, 50, 70] {
            let started = async || Ok(host.count_printed("started"));
            let some = |started: &usize| *started >= handled;
            eventually("some are handled", started, some).await?;
            tell(&host, "pause", &file).await?;
            tell(&host, "resume", &file).await?;
        }
        let mut out = texts(&vhost.take("out", MESSAGES).await?);
        out.sort();
        out.dedup();
        assert_eq!(out.len(), MESSAGES, "some came twice with {store}");
        let duplicates = "hive_deliveries_total{consumer=\"letters\",outcome=\"duplicate\"}";
        let copies = MESSAGES as f64;
        eventually(
            "the copies are known",
            || host.metric(duplicates),
            |n| *n == copies,
        )
        .await
        .with_context(|| format!("with {store}"))?;
        assert_eq!(vhost.ready("out").await?, 0, "handled twice with {store}");
        assert_settled(&vhost, &mut host, "letters").await?;
    }
    Ok(())
}

/// Copies of a message that is held for its retry wait behind it, and are known when their turn comes.
#[tokio::test]
async fn copies_of_what_is_kept_in_order_are_handled_once_and_in_their_order() -> Result<()> {
    const EACH: i64 = 15;
    let keys = "concurrency = 4\nprefetch = 40\nordered_by = \"header:key\"\n\
                dedup = { key = \"message-id\" }\nretry = { limit = 3, delays = [\"50ms\"] }";
    let toml = HiveToml::one("letters", "in-order", keys).queue("out", "");
    let (vhost, mut host) = consuming("ordered-dedup", toml).await?;
    let messages = (0..EACH).flat_map(|number| {
        let fails = i64::from(number % 4 == 1);
        ["a", "b"].into_iter().flat_map(move |key| {
            let message = known_as(&format!("{key}-{number}"))
                .text_header("key", key)
                .header("number", number)
                .header("fails", fails);
            [message.clone(), message]
        })
    });
    vhost.publish_all("", "letters", messages).await?;
    let mut told = BTreeMap::<String, Vec<i64>>::new();
    for text in texts(&vhost.take("out", 2 * EACH as usize).await?) {
        let (key, rest) = text.split_once(' ').context("a key")?;
        let (number, _attempt) = rest.split_once(' ').context("a number")?;
        told.entry(key.to_owned())
            .or_default()
            .push(number.parse()?);
    }
    let expected: Vec<i64> = (0..EACH).collect();
    assert_eq!(told["a"], expected);
    assert_eq!(told["b"], expected);
    let duplicates = "hive_deliveries_total{consumer=\"letters\",outcome=\"duplicate\"}";
    let copies = 2.0 * EACH as f64;
    eventually(
        "the copies are known",
        || host.metric(duplicates),
        |n| *n == copies,
    )
    .await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn what_waits_for_a_paused_consumer_with_scale_is_known_down_to_nothing() -> Result<()> {
    let scale = "scale = { min = 1, max = 5, messages_per_instance = 10, every = \"100ms\" }";
    let toml = HiveToml::one("letters", "ack", scale);
    let (vhost, mut host, file) = with_file("paused-scale", &toml).await?;
    tell(&host, "pause", &file).await?;
    wait_for_state(&host, "paused").await?;
    let waits = async |count: u32| {
        let series = "hive_waiting_messages{consumer=\"letters\"}";
        let look = async || host.metric(series).await;
        let what = format!("{count} wait");
        eventually(&what, look, |now| *now == f64::from(count)).await
    };
    waits(0).await?;
    vhost
        .publish_all("", "letters", ["a", "b", "c"].map(Message::new))
        .await?;
    waits(3).await?;
    // Nobody consumes: that there is no consumer says nothing of what the broker knows.
    vhost.take("letters", 3).await?;
    waits(0).await?;
    assert_eq!(host.count_events("consumer.depth_unknown", &[]), 0);
    tell(&host, "resume", &file).await?;
    assert_settled(&vhost, &mut host, "letters").await
}
