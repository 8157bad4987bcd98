//! No component can stop or slow another.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{HiveToml, HostProcess, Message, Vhost};
use tokio::time::Instant;

use crate::consuming;

/// A neighbour that had to wait for one call of the bad consumer would take its whole timeout.
const BAD_TIMEOUT: &str = "5s";
const PATIENCE: Duration = Duration::from_secs(2);
const NEIGHBOURS: usize = 20;

/// The bad guest in four instances at once, and a neighbour.
async fn beside(guest: &str, component_keys: &str) -> Result<(Vhost, HostProcess)> {
    let toml = HiveToml::new()
        .queue("bad", "")
        .queue("good", "")
        .queue("out", "")
        .component(guest, component_keys)
        .component("echo", "")
        .consumer(
            "bad",
            guest,
            "concurrency = 4\nretry = { limit = 1, delays = [\"50ms\"] }",
        )
        .consumer("good", "echo", "");
    let (vhost, host) = consuming("s14", toml).await?;
    // The first message finds a cold path; it is not what is measured.
    roundtrip(&vhost, "warm").await?;
    let bad = (0..8).map(|number| Message::new(format!("bad {number}")));
    vhost.publish_all("", "bad", bad).await?;
    Ok((vhost, host))
}

async fn roundtrip(vhost: &Vhost, text: &str) -> Result<Duration> {
    let start = Instant::now();
    vhost.publish("", "good", Message::new(text)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), text);
    Ok(start.elapsed())
}

async fn assert_neighbour_keeps_its_latency(vhost: &Vhost) -> Result<()> {
    for number in 0..NEIGHBOURS {
        let taken = roundtrip(vhost, &number.to_string()).await?;
        assert!(taken < PATIENCE, "neighbour {number} waited for {taken:?}");
    }
    Ok(())
}

async fn assert_dead(vhost: &Vhost, reason: &str) -> Result<()> {
    for dead in vhost.take("bad.dead", 8).await? {
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some(reason));
        assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    }
    Ok(())
}

#[tokio::test]
async fn s14_endless_loops_leave_other_consumers_their_latency() -> Result<()> {
    let keys = format!("timeout = \"{BAD_TIMEOUT}\"");
    let (vhost, host) = beside("spin", &keys).await?;
    host.wait_for_printed("attempt 1 of bad").await?;
    assert_neighbour_keeps_its_latency(&vhost).await
}

#[tokio::test]
async fn s14_endless_loops_are_cut_off_and_retried() -> Result<()> {
    let (vhost, _host) = beside("spin", r#"timeout = "200ms""#).await?;
    assert_dead(&vhost, "timeout").await
}

#[tokio::test]
async fn s14_memory_bombs_are_cut_off_and_retried_and_harm_nobody() -> Result<()> {
    let (vhost, _host) = beside("hog", r#"memory = "16MiB""#).await?;
    assert_neighbour_keeps_its_latency(&vhost).await?;
    assert_dead(&vhost, "limit").await
}

#[tokio::test]
async fn s14_host_calls_that_never_return_leave_other_consumers_their_latency() -> Result<()> {
    let keys = format!("timeout = \"{BAD_TIMEOUT}\"");
    let (vhost, host) = beside("stuck", &keys).await?;
    host.wait_for_printed("attempt 1 of bad").await?;
    assert_neighbour_keeps_its_latency(&vhost).await
}
