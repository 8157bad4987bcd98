//! Queues come and go while a host with `queues = "PATTERN"` runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Proxy, Vhost, eventually_within, run_to_end, scratch,
};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

/// How long a look at the queues of a busy machine may take, beside the pause between two looks.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The connection of a host that looks at the queues each second.
pub(super) fn discovering(vhost: &Vhost) -> HiveToml {
    over(vhost.management().port())
}

/// The same with the management interface behind another port.
fn over(management: u16) -> HiveToml {
    let keys = format!(
        "management = \"http://guest:guest@127.0.0.1:{management}\"\ndiscover_every = \"1s\""
    );
    HiveToml::new()
        .connection(&keys)
        .queue("out", "")
        .component("echo", "")
}

pub(super) async fn echoes(vhost: &Vhost, queue: &str) -> Result<()> {
    vhost.publish("", queue, Message::new(queue)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), queue);
    Ok(())
}

/// The only discovery of the host, beside the status of its readiness.
pub(super) async fn discovery(host: &HostProcess) -> Result<(u16, Value)> {
    let (status, readiness) = host.readiness().await?;
    Ok((status, readiness["discoveries"][0].clone()))
}

pub(super) async fn is_consumed(vhost: &Vhost, queue: &str) -> Result<()> {
    let what = format!("{queue:?} is consumed");
    let consumers = async || vhost.consumers(queue).await;
    eventually_within(PATIENCE, &what, consumers, |count| *count == 1).await?;
    Ok(())
}

/// With a consumer for each queue of a tenant.
fn tenants(vhost: &Vhost) -> HiveToml {
    let keys = "queues = \"tenant.*\"\ncomponent = \"echo\"\nprefetch = 1";
    discovering(vhost).section("consumers.tenants", keys)
}

#[tokio::test]
async fn a_queue_that_comes_is_consumed_and_one_that_goes_is_let_go() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("discovery").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    vhost.declare_queue("other", "classic").await?;
    let file = scratch("discovery").join("hive.toml");
    let host = HostProcess::run_file(&vhost, &tenants(&vhost), &file).await?;
    is_consumed(&vhost, "tenant.a").await?;
    echoes(&vhost, "tenant.a").await?;
    // Names with any character, and queues of either kind.
    for (queue, kind) in [
        ("tenant.b", "quorum"),
        ("tenant.ü /%2f?&#\"'*", "classic"),
        ("tenant.", "classic"),
    ] {
        vhost.declare_queue(queue, kind).await?;
        is_consumed(&vhost, queue).await?;
        echoes(&vhost, queue).await?;
    }
    assert_eq!(vhost.consumers("other").await?, 0);
    let paused = host.told("pause", &file, &["tenants/tenant.b"]).await?;
    ensure!(paused.code == Some(0), "{paused:?}");

    vhost.delete_queue("tenant.a").await?;
    vhost.delete_queue("tenant.b").await?;
    let discovered = async || discovery(&host).await;
    let (status, view) =
        eventually_within(PATIENCE, "two are let go", discovered, |(status, view)| {
            *status == 200 && view["discovered"] == 2
        })
        .await?;
    assert_eq!((status, &view["queues"]), (200, &"tenant.*".into()));
    // The metrics of all have the name of the table, and the pattern as their queue.
    let up = host
        .metric("hive_consumer_up{consumer=\"tenants\",queue=\"tenant.*\"}")
        .await?;
    assert_eq!(up, 2.0);
    let acked = host
        .metric("hive_deliveries_total{consumer=\"tenants\",outcome=\"acked\"}")
        .await?;
    assert_eq!(acked, 4.0);

    // One that comes again is a new one.
    vhost.declare_queue("tenant.a", "classic").await?;
    is_consumed(&vhost, "tenant.a").await?;
    echoes(&vhost, "tenant.a").await?;
    assert_eq!(host.count_events("link.lost", &[]), 0);
    // A queue that is deleted is nothing that an operator has to know.
    assert_eq!(host.count_events("topology.mismatch", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_is_made_again_between_two_listings_is_consumed_again() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("again").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    let host = HostProcess::run(&vhost, &tenants(&vhost)).await?;
    is_consumed(&vhost, "tenant.a").await?;
    for _ in 0..3 {
        vhost.delete_queue("tenant.a").await?;
        vhost.declare_queue("tenant.a", "classic").await?;
        is_consumed(&vhost, "tenant.a").await?;
        echoes(&vhost, "tenant.a").await?;
    }
    assert_eq!(host.count_events("topology.mismatch", &[]), 0);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_consumed_is_left_out_and_named() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("single").await?;
    let mut single = FieldTable::default();
    single.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    vhost.declare_queue_with("tenant.single", single).await?;
    vhost.declare_queue("tenant.plain", "quorum").await?;
    vhost.declare_queue("tenant.log", "stream").await?;
    let keys = "queues = \"tenant.*\"\ncomponent = \"echo\"\nplacement = \"single\"";
    let toml = discovering(&vhost)
        .queue("tenant.own", "type = \"classic\"\nexclusive = true")
        .section("consumers.tenants", keys);
    let host = HostProcess::run(&vhost, &toml).await?;
    is_consumed(&vhost, "tenant.single").await?;
    echoes(&vhost, "tenant.single").await?;
    let (status, view) = discovery(&host).await?;
    assert_eq!((status, &view["discovered"]), (200, &1.into()));
    let left_out = view["left_out"].as_array();
    assert_eq!(left_out.map(Vec::len), Some(1), "{view}");
    assert_eq!(view["left_out"][0]["queue"], "tenant.plain");
    let reason = &view["left_out"][0]["reason"];
    let reason = reason.as_str().unwrap_or_default();
    assert!(
        reason.contains("without x-single-active-consumer"),
        "{view}"
    );
    let logged = [("consumer", "tenants"), ("queue", "tenant.plain")];
    assert_eq!(host.count_events("discovery.left_out", &logged), 1);
    for queue in ["tenant.plain", "tenant.log"] {
        assert_eq!(vhost.consumers(queue).await?, 0, "{queue}");
    }
    Ok(())
}

/// Before a host runs: what its patterns would consume, and whether the management interface shows it.
#[tokio::test]
async fn check_shows_what_matches_now_and_why_nothing_is_shown() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("check").await?;
    let long = format!("tenant.{}", "x".repeat(244));
    for queue in ["tenant.a", "tenant.b", "other", &long] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let check = |text: &str, arguments: &[&str]| {
        let file = scratch("check").join("hive.toml");
        std::fs::write(&file, text)?;
        let file = file.to_string_lossy();
        run_to_end(&[&["check", &*file, "--broker"], arguments].concat())
    };
    let text = tenants(&vhost).text(&vhost);
    let found = check(&text, &[])?;
    assert_eq!(found.code, Some(0), "{found:?}");
    let line = "consumer tenants: 2 queues match tenant.* now";
    assert!(found.stdout.contains(line), "{found:?}");
    let left_out = format!("consumer tenants leaves out queue {long}");
    assert!(found.stderr.contains(&left_out), "{found:?}");
    let json: Value = serde_json::from_str(&check(&text, &["--json"])?.stdout)?;
    let discovered = &json["brokers"][0]["discovered"][0];
    assert_eq!(discovered["queues"], 2, "{json}");
    assert_eq!(discovered["left-out"][0]["queue"], *long, "{json}");

    let closed = hive_tests::reserve_ports::<1>()?[0];
    let port = vhost.management().port();
    let elsewhere = text.replace(&format!(":{port}\""), &format!(":{closed}\""));
    assert_ne!(elsewhere, text);
    let away = check(&elsewhere, &[])?;
    assert_eq!(away.code, Some(1), "{away:?}");
    for word in ["error[HIVE-0201]", "connection main", &closed.to_string()] {
        assert!(away.stderr.contains(word), "{word}: {away:?}");
    }
    let json: Value = serde_json::from_str(&check(&elsewhere, &["--json"])?.stdout)?;
    assert_eq!(json["ok"], false, "{json}");
    let code = &json["brokers"][0]["discovered"]["code"];
    assert_eq!(*code, "HIVE-0201", "{json}");
    Ok(())
}

#[tokio::test]
async fn a_user_without_the_rights_is_named_with_what_to_do() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("refused").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    let text = tenants(&vhost).text(&vhost);
    let text = text.replace("http://guest:guest@", "http://stranger:hunter2@");
    let host = HostProcess::launch(&text)?;
    host.wait_for_event("discovery.failed", &[("code", "HIVE-0203")])
        .await?;
    let (status, view) = discovery(&host).await?;
    assert_eq!((status, &view["code"]), (503, &"HIVE-0203".into()));
    let reason = view["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("refuses user \"stranger\""), "{view}");
    assert!(reason.contains("the tag `management`"), "{view}");
    assert!(!host.mentions("hunter2"));
    Ok(())
}

#[tokio::test]
async fn queues_behind_others_are_not_consumed_nor_those_of_other_tables() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("behind").await?;
    for queue in ["tenant.fails", "tenant.named"] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let retry = "retry = { limit = 1, delays = [\"100ms\"] }";
    let toml = discovering(&vhost)
        .component("fail", "")
        .section(
            "consumers.tenants",
            &format!("queues = \"tenant.*\"\ncomponent = \"fail\"\n{retry}"),
        )
        .section(
            "consumers.one",
            "queue = \"tenant.named\"\ncomponent = \"echo\"",
        );
    let host = HostProcess::run(&vhost, &toml).await?;
    is_consumed(&vhost, "tenant.fails").await?;
    vhost
        .publish("", "tenant.fails", Message::new("poison"))
        .await?;
    vhost.wait_ready("tenant.fails.dead", 1).await?;
    // What comes now is found by a look that has seen the queues behind the other.
    vhost.declare_queue("tenant.late", "classic").await?;
    is_consumed(&vhost, "tenant.late").await?;
    for queue in ["tenant.fails.dead", "tenant.fails.retry.100ms"] {
        assert_eq!(vhost.consumers(queue).await?, 0, "{queue}");
    }
    assert_eq!(vhost.consumers("tenant.named").await?, 1);
    let (_, view) = discovery(&host).await?;
    assert_eq!(view["discovered"], 2);
    assert_eq!(view["left_out"][0]["queue"], "tenant.named");
    Ok(())
}

#[tokio::test]
async fn a_reload_changes_the_pattern() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("repattern").await?;
    for queue in ["tenant.a", "customer.a"] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let file = scratch("repattern").join("hive.toml");
    let host = HostProcess::run_file(&vhost, &tenants(&vhost), &file).await?;
    is_consumed(&vhost, "tenant.a").await?;
    let keys = "queues = \"*.a\"\ncomponent = \"echo\"\nprefetch = 1";
    let wider = discovering(&vhost).section("consumers.tenants", keys);
    std::fs::write(&file, wider.text(&vhost))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    for line in [
        "consumer tenants: changed (queues \"tenant.*\" -> \"*.a\")",
        "consumer tenants: 1 queue added",
    ] {
        assert!(reloaded.stdout.contains(line), "{line}: {reloaded:?}");
    }
    is_consumed(&vhost, "customer.a").await?;
    // The one that matches both was left alone.
    let subscribed = [("consumer", "tenants/tenant.a")];
    assert_eq!(host.count_events("consumer.subscribed", &subscribed), 1);
    Ok(())
}

#[tokio::test]
async fn while_the_management_interface_is_away_what_is_consumed_stays_consumed() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("mute").await?;
    vhost.declare_queue("tenant.a", "classic").await?;
    let proxy = Proxy::start(vhost.management().port())?;
    let toml = over(proxy.port()).section(
        "consumers.tenants",
        "queues = \"tenant.*\"\ncomponent = \"echo\"",
    );
    proxy.refuse();
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let failed = host.wait_for_event("discovery.failed", &[("code", "HIVE-0201")]);
    failed.await?;
    // Not ready: it is unknown which consumers are wanted.
    let (status, view) = discovery(&host).await?;
    assert_eq!((status, &view["listed"]), (503, &Value::Null));
    assert!(
        view["reason"]
            .as_str()
            .is_some_and(|why| why.contains("does not answer")),
        "{view}"
    );
    assert!(view["failing_since"].is_string(), "{view}");

    proxy.pass();
    host.wait_for_event("discovery.restored", &[]).await?;
    is_consumed(&vhost, "tenant.a").await?;
    let mark = host.mark();
    proxy.refuse();
    proxy.cut();
    host.wait_since(mark, "discovery.failed", &[]).await?;
    vhost.declare_queue("tenant.b", "classic").await?;
    let (status, view) = discovery(&host).await?;
    assert_eq!((status, &view["discovered"]), (200, &1.into()));
    echoes(&vhost, "tenant.a").await?;
    proxy.pass();
    is_consumed(&vhost, "tenant.b").await?;
    assert!(!host.mentions("guest:guest"));
    Ok(())
}
