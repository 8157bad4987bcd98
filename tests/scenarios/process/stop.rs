//! SIGTERM: what is in hand is finished, the rest goes back, and nobody waits for ever.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually};
use tokio::time::Instant;

use crate::consuming;

/// A consumer whose calls sleep for as long as the body says, and publish to `out` at their end.
fn slow(host_keys: &str, consumer_keys: &str) -> HiveToml {
    HiveToml::new()
        .host(host_keys)
        .queue("letters", "")
        .queue("out", "")
        .component("slow", r#"timeout = "5m""#)
        .consumer("letters", "slow", consumer_keys)
}

/// Asks the host to stop, and waits until it does. The broker's count of consumers does not tell: a
/// quorum queue counts a cancelled one for as long as it has messages unacknowledged.
async fn begin_stop(host: &HostProcess) -> Result<()> {
    host.sigterm();
    host.wait_for_event("host.stopping", &[]).await?;
    Ok(())
}

#[tokio::test]
async fn s30_sigterm_in_mid_work_finishes_what_is_in_hand_and_requeues_the_rest() -> Result<()> {
    let (vhost, mut host) = consuming("s30", slow("", "concurrency = 2\nprefetch = 10")).await?;
    let messages = (0..10).map(|_| Message::new("1500"));
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 2).await?;
    host.stop().await?;
    let started = u32::try_from(host.count_printed("started"))?;
    let done = vhost.ready("out").await?;
    assert_eq!(done, started, "everything that was started was finished");
    assert!(done < 10, "the stop came in mid-work");
    // The rest is back, nothing twice; the queue takes it back a moment after the connection closed.
    vhost.wait_ready("letters", 10 - done).await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    host.wait_for_event("host.stopped", &[]).await?;
    let left = vhost.drain("letters").await?;
    let spent = left
        .iter()
        .filter(|message| message.value("x-hive-attempt").is_some());
    assert_eq!(spent.count(), 0, "a stop spends no retry");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_stops_an_idle_host_cleanly() -> Result<()> {
    let (vhost, mut host) = consuming("stop", slow("", "")).await?;
    host.sigint();
    assert_eq!(host.wait().await?.code(), Some(0));
    host.wait_for_event("host.stopped", &[]).await?;
    // RabbitMQ answers a close before it forgets the connection.
    let broker = Broker::shared().await?;
    let open = async || broker.connections(&vhost);
    eventually("no connection is left", open, Vec::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn after_shutdown_timeout_the_rest_goes_back_and_the_stragglers_are_named() -> Result<()> {
    let toml = slow(r#"shutdown_timeout = "300ms""#, "concurrency = 2");
    let (vhost, mut host) = consuming("stop", toml).await?;
    let messages = ["60000", "60000"].map(Message::new);
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 2).await?;
    let start = Instant::now();
    host.sigterm();
    let status = host.wait().await?;
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "it took {:?}",
        start.elapsed()
    );
    assert_eq!(status.code(), Some(1), "the drain was not clean");
    let line = host.wait_for_event("delivery.abandoned", &[]).await?;
    assert!(line.names("letters"), "the straggler is not named: {line}");
    vhost.wait_ready("letters", 2).await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_second_signal_leaves_at_once() -> Result<()> {
    let toml = slow(r#"shutdown_timeout = "10m""#, "");
    let (vhost, mut host) = consuming("stop", toml).await?;
    vhost.publish("", "letters", Message::new("240000")).await?;
    host.wait_for_printed("started").await?;
    begin_stop(&host).await?;
    host.sigterm();
    let start = Instant::now();
    host.wait().await?;
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "it took {:?}",
        start.elapsed()
    );
    vhost.wait_ready("letters", 1).await
}

/// kill -9 is the stop that nobody plans: what was in hand is handed out again.
#[tokio::test]
async fn a_killed_host_loses_nothing() -> Result<()> {
    let (vhost, mut host) = consuming("stop", slow("", "concurrency = 2")).await?;
    let messages = ["60000", "60000", "60000"].map(Message::new);
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_printed_times("started", 2).await?;
    host.kill9()?;
    vhost.wait_ready("letters", 3).await
}
