//! Entities over which the broker ends the connection (541): each is left out by name, and everybody else is
//! served.

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, Commands, HiveToml, HostProcess, Message, Version, Vhost, eventually, scratch,
};
use serde_json::Value;

const RECONNECTS: &str = r#"hive_reconnects_total{connection="main",role="consume"}"#;

/// One that every broker takes.
fn letters() -> HiveToml {
    HiveToml::new()
        .connection(r#"reconnect = { first = "50ms", max = "1s" }"#)
        .queue("letters", "")
        .component("ack", "")
        .consumer("letters", "ack", "")
}

/// And a queue with an argument that RabbitMQ 4.3 denies as deprecated.
fn with_a_denied_one() -> HiveToml {
    let denied = "type = \"classic\"\narguments = { x-queue-master-locator = \"min-masters\" }";
    letters().queue("old", denied).consumer("old", "ack", "")
}

fn denies(broker: &Broker, test: &str) -> bool {
    let why = "it takes every argument that it knows";
    broker.version().is_one_of(&[Version::V4_3], test, why)
}

/// Waits until one of two consumers consumes, and gives why the other one does not. At first the host only knows
/// that its connection ended with 541; then it finds the queue over which it did.
async fn reason_of_the_other(host: &HostProcess, consumer: &str) -> Result<String> {
    let named = format!("{consumer:?}");
    let look = async || host.readiness().await;
    let one_of_two = |(_, readiness): &(u16, Value)| {
        readiness["consumers"]["consuming"] == 1
            && readiness["missing"][0]["consumer"] == consumer
            && readiness["missing"][0]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("541") && reason.contains(&named))
    };
    let (status, readiness) = eventually("one of two consumes", look, one_of_two).await?;
    assert_eq!(status, 503, "{readiness}");
    let reason = readiness["missing"][0]["reason"].as_str();
    Ok(reason.context("a reason")?.to_owned())
}

/// What is left out is tried again every second, and not on the connection that serves.
async fn assert_served(vhost: &Vhost, host: &HostProcess) -> Result<()> {
    let reconnects = host.metric(RECONNECTS).await?;
    for _ in 0..4 {
        vhost.publish("", "letters", Message::new("hello")).await?;
        vhost.wait_ready("letters", 0).await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert_eq!(host.metric(RECONNECTS).await?, reconnects);
    Ok(())
}

#[tokio::test]
async fn a_denied_queue_is_left_out_and_named() -> Result<()> {
    let broker = Broker::shared().await?;
    if !denies(broker, "a_denied_queue_is_left_out_and_named") {
        return Ok(());
    }
    let vhost = broker.vhost("refused").await?;
    let host = HostProcess::launch(&with_a_denied_one().text(&vhost))?;
    let reason = reason_of_the_other(&host, "old").await?;
    assert!(reason.contains("queue_master_locator"), "{reason}");
    assert_served(&vhost, &host).await
}

#[tokio::test]
async fn a_reload_that_adds_a_denied_queue_reports_it_and_stops_nothing() -> Result<()> {
    let broker = Broker::shared().await?;
    if !denies(
        broker,
        "a_reload_that_adds_a_denied_queue_reports_it_and_stops_nothing",
    ) {
        return Ok(());
    }
    let vhost = broker.vhost("refused").await?;
    let file = scratch("refused").join("hive.toml");
    let host = HostProcess::run_file(&vhost, &letters(), &file).await?;
    std::fs::write(&file, with_a_denied_one().text(&vhost))?;
    let told = host.told("reload", &file, &[]).await?;
    ensure!(told.code == Some(0), "{told:?}");
    assert!(told.stdout.contains("queue_master_locator"), "{told:?}");
    reason_of_the_other(&host, "old").await?;
    assert_eq!(host.metric(RECONNECTS).await?, 0.0);
    assert_served(&vhost, &host).await
}

#[tokio::test]
async fn check_names_a_denied_queue_and_compares_the_others() -> Result<()> {
    let broker = Broker::shared().await?;
    if !denies(broker, "check_names_a_denied_queue_and_compares_the_others") {
        return Ok(());
    }
    let vhost = broker.vhost("refused").await?;
    HostProcess::run(&vhost, &letters()).await?.stop().await?;
    let queues = vhost.queues()?;
    let commands = Commands::on(&vhost, &with_a_denied_one())?;
    let checked = commands.run(&["check"], &["--broker", "--json"]).await?;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let checked: Value = serde_json::from_str(&checked.stdout)?;
    let found = &checked["brokers"][0];
    let mismatches = found["mismatches"].to_string();
    assert!(mismatches.contains("queue_master_locator"), "{found}");
    assert!(
        found["as-planned"].to_string().contains("letters"),
        "{found}"
    );
    assert_eq!(vhost.queues()?, queues, "nothing is changed");
    Ok(())
}

/// rabbitmq/rabbitmq-server#14675: the queue is declared, and nothing answers for it.
#[tokio::test]
async fn a_broken_quorum_queue_stops_its_own_consumer_alone() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("refused").await?;
    let toml = letters().queue("broken", "").consumer("broken", "ack", "");
    HostProcess::run(&vhost, &toml).await?.stop().await?;
    let server = format!("{}_broken", vhost.name());
    let break_it = format!("ra:force_delete_server(quorum_queues, {{'{server}', node()}}).");
    broker.rabbitmqctl(&["eval", &break_it])?;
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let reason = reason_of_the_other(&host, "broken").await?;
    assert!(reason.contains("broken"), "{reason}");
    assert_served(&vhost, &host).await?;
    // Whoever mends it need not restart the host.
    vhost.delete_queue("broken").await?;
    let look = async || host.readiness().await;
    let (status, readiness) =
        eventually("both consume", look, |(status, _)| *status == 200).await?;
    assert_eq!(status, 200, "{readiness}");
    Ok(())
}

/// From 4.0 on the broker fails over saying that a queue of such a name is missing.
#[tokio::test]
async fn a_queue_that_cannot_be_missed_is_named() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("refused").await?;
    let name = "é".repeat(125);
    let consumer = format!(
        "queue = \"{name}\"\ncomponent = \"ack\"\nretry = {{ limit = 0, dead_letter = \"dead\" }}"
    );
    let toml = letters().section("consumers.unnamed", &consumer);
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let look = async || host.readiness().await;
    let names_it = |(_, readiness): &(u16, Value)| {
        readiness["consumers"]["consuming"] == 1
            && readiness["missing"][0]["reason"]
                .to_string()
                .contains("ééé")
    };
    eventually("one of two consumes", look, names_it).await?;
    assert_served(&vhost, &host).await?;
    vhost.declare_queue(&name, "quorum").await?;
    let look = async || host.readiness().await;
    eventually("both consume", look, |(status, _)| *status == 200).await?;
    Ok(())
}
