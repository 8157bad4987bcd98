//! `placement = "single"` with the other keys of a consumer: an order, batches, `scale`, deduplication.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, Message, RedisServer, Version, eventually};
use serde_json::Value;

use super::placement::{command, ended, hosts, letters, single, wait_for_ended};

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The host that has printed such a line since the counts, out of two.
async fn at_work(hosts: &[HostProcess], words: &str, since: &[usize]) -> Result<usize> {
    let look = async || {
        let counts = hosts.iter().map(|host| host.count_printed(words));
        Ok(counts.zip(since).position(|(now, before)| now > *before))
    };
    eventually("a host is at work", look, Option::is_some)
        .await?
        .context("none")
}

fn counts(hosts: &[HostProcess], words: &str) -> Vec<usize> {
    hosts.iter().map(|host| host.count_printed(words)).collect()
}

/// The order of a key holds from one host to the next, where a channel that closes keeps the order.
#[expect(
    clippy::print_stderr,
    reason = "the test runner keeps it and shows it where the test fails"
)]
#[tokio::test]
async fn an_order_holds_over_hand_overs() -> Result<()> {
    const EACH: usize = 150;
    let vhost = Broker::shared().await?.vhost("single-order").await?;
    if vhost.version() >= Version::V4_3 {
        eprintln!("RabbitMQ 4.3 returns what was prefetched behind the rest");
        return Ok(());
    }
    let keys = "concurrency = 4\nordered_by = \"header:key\"";
    let hosts = hosts(&vhost, &single("", keys), &["a", "b"]).await?;
    let messages = (0..EACH).flat_map(|number| {
        KEYS.map(|key| Message::new(format!("{key} {number}")).text_header("key", key))
    });
    vhost.publish_all("", "letters", messages).await?;
    let mut since = vec![0, 0];
    for _ in 0..4 {
        let now = at_work(&hosts, "begins", &since).await?;
        let before = counts(&hosts, "begins");
        command(&hosts[now], "pause").await?;
        let other = 1 - now;
        let look = async || Ok(hosts[other].count_printed("begins"));
        eventually("the other host is at work", look, |count| {
            *count > before[other]
        })
        .await?;
        command(&hosts[now], "resume").await?;
        since = counts(&hosts, "begins");
    }
    wait_for_ended(&hosts, EACH * KEYS.len()).await?;
    let mut begun = Vec::new();
    for line in hosts.iter().flat_map(HostProcess::printed) {
        if let Some(rest) = line.strip_prefix("begins ") {
            let (at, body) = rest.split_once(' ').context("a body")?;
            let (key, number) = body.split_once(' ').context("a number")?;
            begun.push((
                at.parse::<u128>()?,
                key.to_owned(),
                number.parse::<usize>()?,
            ));
        }
    }
    begun.sort();
    let mut orders = BTreeMap::<String, Vec<usize>>::new();
    for (_, key, number) in begun {
        orders.entry(key).or_default().push(number);
    }
    for (key, numbers) in orders {
        assert_eq!(numbers, (0..EACH).collect::<Vec<_>>(), "of key {key}");
    }
    Ok(())
}

/// Letters that the guest `batch` hands on.
fn told(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Message> {
    numbers.map(|number| Message::new(format!("{number} tell")))
}

/// Batches are gathered by one host at a time, and none of a batch that waits is lost or handled twice.
#[tokio::test]
async fn batches_go_from_host_to_host() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("single-batch").await?;
    let keys = "placement = \"single\"\nretry = \"none\"\nbatch = { size = 4, wait = \"50ms\" }";
    let toml = HiveToml::one("letters", "batch", keys).queue("out", "");
    let hosts = hosts(&vhost, &toml, &["a", "b"]).await?;
    let batches = "batch of";
    vhost.publish_all("", "letters", told(0..40)).await?;
    let first = at_work(&hosts, batches, &[0, 0]).await?;
    let before = counts(&hosts, batches);
    command(&hosts[first], "pause").await?;
    vhost.publish_all("", "letters", told(40..80)).await?;
    at_work(
        &hosts[1 - first..2 - first],
        batches,
        &before[1 - first..2 - first],
    )
    .await?;
    let mut out: Vec<String> = vhost
        .take("out", 80)
        .await?
        .iter()
        .map(Message::text)
        .collect();
    out.sort_by_key(|number| number.parse::<usize>().unwrap_or(usize::MAX));
    let expected: Vec<String> = (0..80).map(|number| number.to_string()).collect();
    assert_eq!(out, expected);
    Ok(())
}

/// A queue is long for the host that handles it: one that stands by keeps the workers that it has at least.
#[tokio::test]
async fn a_host_that_stands_by_does_not_scale() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("single-scale").await?;
    let scale = "scale = { min = 1, max = 4, messages_per_instance = 5, every = \"100ms\" }";
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("turns", "")
        .consumer(
            "letters",
            "turns",
            &format!("placement = \"single\"\nretry = \"none\"\n{scale}"),
        );
    let hosts = hosts(&vhost, &toml, &["a", "b"]).await?;
    let slow = letters(0..300).map(|letter| letter.header("pause", 20_i64));
    vhost.publish_all("", "letters", slow).await?;
    let busy = at_work(&hosts, "begins", &[0, 0]).await?;
    hosts[busy].wait_for_event("consumer.scaled", &[]).await?;
    wait_for_ended(&hosts, 300).await?;
    let idle = &hosts[1 - busy];
    assert!(ended(idle).is_empty());
    let status: Value = serde_json::from_str(&idle.admin("/v1/status").await?.body)?;
    let consumer = &status["consumers"][0];
    assert_eq!(
        (&consumer["state"], &consumer["workers_wanted"]),
        (&"standby".into(), &1.into())
    );
    assert_eq!(idle.count_events("consumer.scaled", &[]), 0);
    Ok(())
}

/// A repeat is recognised by the next host, where the hosts share a store.
#[tokio::test]
async fn the_next_host_knows_what_was_handled() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("single-dedup").await?;
    let redis = RedisServer::start().await?;
    let toml = single("", "dedup = { key = \"message-id\" }").section("store", &redis.store());
    let hosts = hosts(&vhost, &toml, &["a", "b"]).await?;
    let known = |id: &str| {
        let id = id.to_owned();
        Message::new(id.clone()).with(|properties| properties.with_message_id(id.into()))
    };
    let all = || (0_usize..20).map(|number| known(&number.to_string()));
    vhost.publish_all("", "letters", all()).await?;
    wait_for_ended(&hosts, 20).await?;
    let first = at_work(&hosts, "ended", &[0, 0]).await?;
    command(&hosts[first], "pause").await?;
    let again = all().chain([known("new")]);
    vhost.publish_all("", "letters", again).await?;
    hosts[1 - first].wait_for_printed("ended").await?;
    vhost.wait_ready("letters", 0).await?;
    assert_eq!(ended(&hosts[1 - first]), ["new"]);
    Ok(())
}
