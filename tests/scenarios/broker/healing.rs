//! What breaks heals: queues, connections and brokers go away, and consuming goes on.

use std::collections::BTreeSet;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually};
use serde_json::Value;

use crate::{acknowledged, assert_settled, consuming};

/// What comes to `letters` goes to `out`, and a lost connection is not waited for.
pub(crate) fn echo() -> HiveToml {
    HiveToml::one("letters", "echo", r#"retry = { delays = ["100ms"] }"#)
        .queue("out", "")
        .connection(r#"reconnect = { first = "50ms", max = "500ms" }"#)
}

/// Publishes a message and waits until it came out at the other end.
pub(crate) async fn assert_consumes(vhost: &Vhost, text: &str) -> Result<()> {
    vhost.publish("", "letters", Message::new(text)).await?;
    let look = async || {
        Ok(vhost
            .drain("out")
            .await?
            .iter()
            .any(|seen| seen.text() == text))
    };
    eventually(&format!("`{text}` is handled"), look, |seen| *seen).await?;
    Ok(())
}

#[tokio::test]
async fn s08_a_delay_queue_deleted_while_running_comes_back_and_loses_nothing() -> Result<()> {
    let toml = HiveToml::one("letters", "fail-until", r#"retry = { delays = ["200ms"] }"#)
        .queue("out", "");
    let (vhost, mut host) = consuming("s08", toml).await?;
    vhost.delete_queue("letters.retry.200ms").await?;
    let message = Message::new("hello").header("until", 2_i64);
    vhost.publish("", "letters", message).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "attempt 2 of hello");
    assert_settled(&vhost, &mut host, "letters").await
}

/// Asked for by a delay that it serves without being named by it.
#[tokio::test]
async fn s08_a_delay_queue_that_stands_in_for_a_shorter_delay_comes_back_too() -> Result<()> {
    let toml = HiveToml::one(
        "letters",
        "retry",
        r#"retry = { limit = 1, delays = ["1s"] }"#,
    );
    let (vhost, mut host) = consuming("s08", toml).await?;
    vhost.delete_queue("letters.retry.1s").await?;
    let message = Message::new("hello").header("delay-ms", 900_i64);
    vhost.publish("", "letters", message).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s09_changed_delays_are_a_clean_start() -> Result<()> {
    let with_delays = |delays: &str| {
        let keys = format!("retry = {{ delays = {delays} }}");
        HiveToml::one("letters", "fail-until", &keys).queue("out", "")
    };
    let (vhost, mut host) = consuming("s09", with_delays(r#"["2s", "5s"]"#)).await?;
    let message = Message::new("hello").header("until", 3_i64);
    vhost.publish("", "letters", message).await?;
    vhost.wait_ready("letters.retry.2s", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    // What waits in a queue of the old delays comes back, and fails on with the new ones.
    let host = HostProcess::run(&vhost, &with_delays(r#"["1s", "50ms"]"#)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "attempt 3 of hello");
    assert_eq!(host.count_level("ERROR"), 0);
    Ok(())
}

#[tokio::test]
async fn s25_a_broker_that_restarts_gets_its_consumers_back() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("s25").await?;
    let host = HostProcess::run(&vhost, &echo()).await?;
    assert_consumes(&vhost, "before").await?;
    broker.stop().await?;
    broker.restart().await?;
    assert_consumes(&vhost, "after a stop").await?;
    // Last, since RabbitMQ 3.10 may lose the leader of a quorum queue that was declared just before.
    broker.kill9().await?;
    host.wait_for_event("link.lost", &[("code", "HIVE-0201")])
        .await?;
    broker.restart().await?;
    assert_consumes(&vhost, "after a kill").await
}

#[tokio::test]
async fn s25_a_broker_that_is_down_at_start_is_waited_for() -> Result<()> {
    let broker = Broker::private().await?;
    let vhost = broker.vhost("s25").await?;
    broker.stop().await?;
    let host = HostProcess::launch(&echo().text(&vhost))?;
    let away = host.wait_for_event("link.unreachable", &[]).await?;
    let look = async || host.readiness().await;
    let both_failed = |(_, readiness): &(u16, Value)| {
        let mut links = readiness["connections"].as_array().into_iter().flatten();
        links.all(|link| link["code"] == "HIVE-0201")
    };
    eventually("both links have failed", look, both_failed).await?;
    // One line says for both what to check, and says it again after a minute.
    assert_eq!(away.level(), "WARN");
    assert!(away.names("check that the broker runs"), "{away}");
    assert_eq!(host.count_events("link.unreachable", &[]), 1);
    assert_eq!(host.count_level("ERROR"), 0);
    broker.restart().await?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    assert_consumes(&vhost, "hello").await
}

#[tokio::test]
async fn s26_a_queue_deleted_under_its_consumer_comes_back() -> Result<()> {
    let (vhost, host) = consuming("s26", echo()).await?;
    assert_consumes(&vhost, "before").await?;
    vhost.delete_queue("letters").await?;
    // A list of queues may still show the old one, which refuses what is published to it.
    host.wait_for_events("consumer.subscribed", &[("consumer", "letters")], 2)
        .await?;
    let lost = host.wait_for_event("consumer.lost", &[]).await?;
    assert!(lost.names("its queue "), "{lost}");
    // RabbitMQ 4.3 may still have it when the host asks.
    let is_gone = lost.names("its queue is gone");
    let has_code = lost.is("consumer.lost", &[("code", "HIVE-0223")]);
    assert_eq!(has_code, is_gone, "{lost}");
    assert_consumes(&vhost, "after").await
}

#[tokio::test]
async fn s27_connections_closed_from_the_management_page_come_back() -> Result<()> {
    let (vhost, _host) = consuming("s27", echo()).await?;
    assert_consumes(&vhost, "before").await?;
    // The management page learns of a connection some seconds after it was opened.
    let look = async || vhost.close_host_connections();
    eventually("two connections are closed", look, |closed| *closed >= 2).await?;
    assert_consumes(&vhost, "after").await
}

#[tokio::test]
async fn s28_dead_hosts_in_the_url_are_skipped() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("s28").await?;
    let live = vhost.url();
    let (scheme, rest) = live.split_once('@').expect("the url has a user");
    let (address, path) = rest.split_once('/').expect("the url has a vhost");
    for hosts in [
        format!("127.0.0.1:1,{address}"),
        format!("{address},127.0.0.1:1"),
        format!("127.0.0.1:1,{address},127.0.0.1:2"),
    ] {
        let host = HostProcess::launch(&echo().text_for(&format!("{scheme}@{hosts}/{path}")))?;
        host.wait_for_event("consumer.subscribed", &[]).await?;
        assert_consumes(&vhost, &hosts).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s29_a_thousand_messages_through_forced_reconnects_none_missing() -> Result<()> {
    const MESSAGES: usize = 1000;
    let (vhost, mut host) = consuming("s29", echo()).await?;
    let look = async || Ok(vhost.host_connections()?.len());
    eventually("the broker knows both connections", look, |open| *open >= 2).await?;
    let numbers = (0..MESSAGES).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", numbers).await?;
    assert!(vhost.close_host_connections()? >= 2);
    let mut seen = BTreeSet::new();
    while seen.len() < MESSAGES {
        seen.insert(vhost.take_one("out").await?.text());
    }
    acknowledged(&host, 1000.0).await?;
    vhost.wait_ready("letters", 0).await?;
    assert_settled(&vhost, &mut host, "letters").await
}
