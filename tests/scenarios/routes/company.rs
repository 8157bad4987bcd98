//! Routes with the rest of a consumer: order, deduplication, rate, streams, kills.

use std::collections::BTreeSet;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, scratch};

use crate::{assert_settled, consuming};

const FORWARD: &str = r#"{ publish = { exchange = "", routing_key = "out" } }"#;

fn forwarding(keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .routes("orders", FORWARD, keys)
}

#[tokio::test]
async fn a_repeat_is_not_routed_again() -> Result<()> {
    let toml = forwarding(r#"dedup = { key = "json:/id" }"#).section("store", r#"kind = "memory""#);
    let (vhost, mut host) = consuming("dedup", toml).await?;
    let bodies = [
        r#"{"id": 1}"#,
        r#"{"id": 1, "again": true}"#,
        r#"{"id": 2}"#,
    ];
    vhost
        .publish_all("", "orders", bodies.map(Message::new))
        .await?;
    let arrived = vhost.take("out", 2).await?;
    let mut arrived: Vec<_> = arrived.iter().map(Message::text).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, [r#"{"id": 1}"#, r#"{"id": 2}"#]);
    assert_settled(&vhost, &mut host, "orders").await?;
    assert_eq!(vhost.ready("out").await?, 0, "the repeat was routed");
    Ok(())
}

#[tokio::test]
async fn a_key_waits_for_its_retry_and_others_do_not() -> Result<()> {
    let routes = r#"
        { when = 'body.fails && attempt == 1', retry = { reason = "once", delay = "300ms" } },
        { publish = { exchange = "", routing_key = "out" } }"#;
    let toml = HiveToml::new().queue("orders", "").queue("out", "").routes(
        "orders",
        routes,
        "ordered_by = \"json:/key\"\nconcurrency = 4",
    );
    let (vhost, mut host) = consuming("ordered", toml).await?;
    let bodies = [
        r#"{"key": "a", "number": 1, "fails": true}"#,
        r#"{"key": "a", "number": 2}"#,
        r#"{"key": "b", "number": 1}"#,
    ];
    vhost
        .publish_all("", "orders", bodies.map(Message::new))
        .await?;
    let arrived = vhost.take("out", 3).await?;
    let arrived: Vec<_> = arrived.iter().map(Message::text).collect();
    assert_eq!(arrived, [bodies[2], bodies[0], bodies[1]]);
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn a_stream_is_routed_and_resumed() -> Result<()> {
    let toml = HiveToml::new()
        .queue("events", r#"type = "stream""#)
        .queue("out", "")
        .routes(
            "events",
            r#"{ when = "body.wanted", publish = { exchange = "", routing_key = "out" } }"#,
            "otherwise = \"ack\"\nstream = { offset = \"first\", on_error = \"skip\" }",
        );
    let vhost = Broker::shared().await?.vhost("stream").await?;
    let folder = scratch("routes");
    let toml = toml.section(
        "store",
        &format!("path = {:?}", folder.join("hive.db").to_string_lossy()),
    );
    for round in 0..2 {
        let mut host = HostProcess::run(&vhost, &toml).await?;
        let wanted = format!(r#"{{"wanted": true, "round": {round}}}"#);
        for body in [r#"{"wanted": false}"#, "no JSON", &wanted] {
            vhost.publish("", "events", Message::new(body)).await?;
        }
        assert_eq!(vhost.take_one("out").await?.text(), wanted);
        host.stop().await?;
        assert_eq!(vhost.ready("out").await?, 0, "something came twice");
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_killed_loses_nothing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("killed").await?;
    let toml = forwarding("prefetch = 50\nconcurrency = 2");
    let bodies = (0..500).map(|number| Message::new(format!("{{\"number\": {number}}}")));
    let mut host = HostProcess::run(&vhost, &toml).await?;
    vhost.publish_all("", "orders", bodies).await?;
    let before = vhost.take("out", 5).await?;
    host.kill9()?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    // Each of them comes, some perhaps twice.
    let mut arrived: BTreeSet<_> = before.iter().map(Message::text).collect();
    let is_last = |message: Message| {
        arrived.insert(message.text());
        arrived.len() == 500
    };
    vhost.take_until("out", is_last).await?;
    assert_settled(&vhost, &mut host, "orders").await?;
    assert_eq!(vhost.ready("orders.dead").await?, 0, "nothing failed");
    Ok(())
}
