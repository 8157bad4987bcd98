//! How many messages wait in a consumer's queue, for its retries, and as dead letters: in status and metrics, as the
//! broker reports it, and never at the price of a slow answer.

use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{Broker, Direction, HiveToml, HostProcess, Message, eventually, scratch};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::connection::network::behind_proxy;
use crate::pace::flow::tell;

/// For the answer of a host whose broker says nothing, on a busy machine; it waits for the broker for a second.
const SOON: Duration = Duration::from_secs(5);

fn toml() -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .component("fail", "")
        .component("reject", "")
        .consumer(
            "letters",
            "fail",
            r#"retry = { limit = 2, delays = ["1h", "2h"] }"#,
        )
        .queue("parcels", "")
        .consumer("parcels", "reject", "retry = { limit = 0 }")
        .consumer("not-there", "reject", "retry = { limit = 0 }")
}

/// The queues of each consumer, as the host shows them.
async fn queues(host: &HostProcess) -> Result<Value> {
    let consumers: Value = serde_json::from_str(&host.admin("/v1/consumers").await?.body)?;
    let consumers = consumers.as_array().into_iter().flatten();
    let queues =
        consumers.map(|one| (one["consumer"].as_str().unwrap_or_default(), &one["queues"]));
    Ok(queues
        .map(|(name, queues)| (name.to_owned(), queues.clone()))
        .collect())
}

fn depth(queue: &str, purpose: &str, messages: u32) -> Value {
    json!({ "queue": queue, "purpose": purpose, "messages": messages })
}

fn series(consumer: &str, purpose: &str, queue: &str) -> String {
    format!(r#"hive_queue_messages{{consumer="{consumer}",purpose="{purpose}",queue="{queue}"}}"#)
}

#[tokio::test]
async fn status_and_metrics_show_what_waits_in_every_queue_of_a_consumer() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("depths").await?;
    let file = scratch("depths").join("hive.toml");
    std::fs::write(&file, toml().text(&vhost))?;
    let host = HostProcess::launch_file(&file, &[])?;
    for consumer in ["letters", "parcels"] {
        host.wait_for_event("consumer.subscribed", &[("consumer", consumer)])
            .await?;
    }
    vhost
        .publish_all("", "letters", (0..3).map(|_| Message::new("hello")))
        .await?;
    vhost.publish("", "parcels", Message::new("bad")).await?;
    vhost.wait_ready("letters.retry.1h", 3).await?;
    vhost.wait_ready("parcels.dead", 1).await?;
    tell(&host, "pause", &file).await?;
    host.wait_for_event("consumer.paused", &[("consumer", "letters")])
        .await?;
    vhost.publish("", "letters", Message::new("later")).await?;

    let shown = eventually(
        "all are counted",
        || queues(&host),
        |shown| {
            shown["letters"][0]["messages"] == 1
                && shown["letters"][1]["messages"] == 3
                && shown["parcels"][1]["messages"] == 1
        },
    )
    .await?;
    let letters = json!([
        depth("letters", "consumed", 1),
        depth("letters.retry.1h", "delay", 3),
        depth("letters.retry.2h", "delay", 0),
        depth("letters.dead", "dead_letter", 0),
    ]);
    assert_eq!(shown["letters"], letters);
    let missing = &shown["not-there"][0];
    assert_eq!(missing["messages"], Value::Null);
    let reason = missing["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("404 NOT_FOUND"), "{missing}");

    for (consumer, purpose, queue, messages) in [
        ("letters", "consumed", "letters", 1.0),
        ("letters", "delay", "letters.retry.1h", 3.0),
        ("parcels", "dead_letter", "parcels.dead", 1.0),
    ] {
        let series = series(consumer, purpose, queue);
        assert_eq!(host.metric(&series).await?, messages, "{series}");
    }
    let metrics = host.admin("/metrics").await?.body;
    assert!(
        !metrics.contains(&series("not-there", "consumed", "not-there")),
        "unknown is not zero"
    );
    let told = host.told("status", &file, &[]).await?;
    for part in ["dead letter", "404 NOT_FOUND", "paused"] {
        assert!(told.stdout.contains(part), "{part}: {told:?}");
    }
    // A channel of its own pays for the missing queue.
    assert_eq!(host.count_events("consumer.lost", &[]), 0);
    assert_eq!(host.count_events("link.lost", &[]), 0);
    Ok(())
}

/// The host does not notice for minutes that a connection in a black hole is dead.
#[tokio::test]
async fn a_broker_that_is_silent_or_away_holds_up_no_answer_and_is_not_counted_as_empty()
-> Result<()> {
    let toml = HiveToml::one("letters", "fail", "retry = { limit = 0 }");
    let toml = toml
        .connection("heartbeat = \"60s\"")
        .connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (_vhost, proxy, host) = behind_proxy("depths", &toml).await?;
    let known = |shown: &Value| shown["letters"][1]["messages"] == 0;
    eventually("the depths are known", || queues(&host), known).await?;

    proxy.black_hole(Direction::Both);
    wait_until_unknown(&host, "").await?;

    // Nothing else ends a connection that lost bytes.
    proxy.refuse();
    proxy.reset();
    wait_until_unknown(&host, "the connection is down").await?;

    proxy.pass();
    eventually("the depths are known again", || queues(&host), known).await?;
    Ok(())
}

/// Waits until no depth is known, for this reason, while every answer comes soon.
async fn wait_until_unknown(host: &HostProcess, why: &str) -> Result<()> {
    let look = async || {
        let asked = Instant::now();
        let shown = queues(host).await?;
        ensure!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
        Ok(shown)
    };
    let unknown = |shown: &Value| {
        let mut queues = shown["letters"].as_array().into_iter().flatten();
        queues.all(|queue| {
            let reason = queue["reason"].as_str().unwrap_or_default();
            queue["messages"].is_null() && reason.contains(why)
        })
    };
    eventually("no depth is known", look, unknown).await?;
    let asked = Instant::now();
    let metrics = host.admin("/metrics").await?.body;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert!(!metrics.contains("hive_queue_messages{"), "{metrics}");
    Ok(())
}
