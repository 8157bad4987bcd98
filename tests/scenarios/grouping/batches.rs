//! Batches: gathered by size and by time, in order, and given back unharmed when they are not due.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Vhost, eventually, example, example_component, scratch,
};
use tokio::time::Instant;

use crate::connection::network::{behind_proxy, both_lost};
use crate::{assert_settled, consuming};

/// A wait that no scenario reaches.
const NEVER: &str = "15m";

/// Deliveries that the host has in hand.
const IN_FLIGHT: &str = r#"hive_deliveries_in_flight{consumer="letters"}"#;

/// A consumer of batches, whose component prints each of them and does as the bodies say.
pub(crate) fn batches(size: u16, wait: &str, keys: &str) -> HiveToml {
    let batch = format!("batch = {{ size = {size}, wait = \"{wait}\" }}\n{keys}");
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("batch", r#"timeout = "1m""#)
        .consumer("letters", "batch", &batch)
}

pub(crate) async fn send(vhost: &Vhost, bodies: &[&str]) -> Result<()> {
    let messages = bodies.iter().map(|body| Message::new(*body));
    vhost.publish_all("", "letters", messages).await
}

/// Waits until the host has so many deliveries in hand.
async fn in_hand(host: &HostProcess, count: u32) -> Result<()> {
    let what = format!("{count} deliveries are in hand");
    let look = || host.metric(IN_FLIGHT);
    eventually(&what, look, |seen| *seen == f64::from(count)).await?;
    Ok(())
}

async fn handed_over(host: &HostProcess, reason: &str) -> Result<f64> {
    let series = format!(r#"hive_batches_total{{consumer="letters",reason="{reason}"}}"#);
    host.metric(&series).await
}

#[tokio::test]
async fn s21_a_batch_of_three_is_one_call_after_the_third() -> Result<()> {
    let (vhost, mut host) = consuming("s21", batches(3, NEVER, "")).await?;
    send(&vhost, &["a", "b"]).await?;
    in_hand(&host, 2).await?;
    assert_eq!(
        host.count_printed("batch of"),
        0,
        "it was called before the third"
    );
    send(&vhost, &["c"]).await?;
    host.wait_for_printed("batch of 3: a/1 b/1 c/1").await?;
    in_hand(&host, 0).await?;
    assert_eq!(host.count_printed("batch of"), 1);
    assert_eq!(handed_over(&host, "size").await?, 1.0);
    assert_eq!(handed_over(&host, "wait").await?, 0.0);
    let sizes = r#"hive_batch_size_sum{consumer="letters"}"#;
    assert_eq!(host.metric(sizes).await?, 3.0);
    let handled = r#"hive_handling_seconds_count{component="batch",consumer="letters"}"#;
    assert_eq!(host.metric(handled).await?, 1.0);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s21_two_of_five_are_handed_over_after_the_wait() -> Result<()> {
    let (vhost, mut host) = consuming("s21", batches(5, "1s", "")).await?;
    let sent = Instant::now();
    send(&vhost, &["a", "b"]).await?;
    host.wait_for_printed("batch of 2: a/1 b/1").await?;
    let took = sent.elapsed();
    assert!(took >= Duration::from_secs(1), "it took {took:?} only");
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    in_hand(&host, 0).await?;
    assert_eq!(handed_over(&host, "wait").await?, 1.0);
    // The clock stands still while there is nothing, and starts with the next one.
    send(&vhost, &["c"]).await?;
    host.wait_for_printed("batch of 1: c/1").await?;
    assert_eq!(host.count_printed("batch of"), 2);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s22_of_a_batch_with_one_failure_only_that_message_is_retried() -> Result<()> {
    let toml = batches(3, "200ms", r#"retry = { delays = ["50ms"] }"#);
    let (vhost, mut host) = consuming("s22", toml).await?;
    send(&vhost, &["a publish", "b retry", "c publish"]).await?;
    host.wait_for_printed("batch of 1: b/2").await?;
    let out = vhost.take("out", 3).await?;
    let out: Vec<_> = out.iter().map(Message::text).collect();
    assert_eq!(out, ["a", "c", "b"]);
    let retries = r#"hive_retries_total{consumer="letters"}"#;
    assert_eq!(host.metric(retries).await?, 1.0);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn s22_what_is_pending_at_a_stop_comes_again_at_its_first_attempt() -> Result<()> {
    let toml = batches(3, NEVER, "");
    let (vhost, mut host) = consuming("s22", toml.clone()).await?;
    send(&vhost, &["a", "b"]).await?;
    in_hand(&host, 2).await?;
    host.stop().await?;
    assert_eq!(
        host.count_printed("batch of"),
        0,
        "a stop hands nothing over"
    );
    host.wait_for_event("batch.given_back", &[]).await?;
    vhost.wait_ready("letters", 2).await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    in_hand(&host, 2).await?;
    send(&vhost, &["c"]).await?;
    host.wait_for_printed("batch of 3: a/1 b/1 c/1").await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// What a stop refuses while the consumer still consumes would be delivered again, and go back a second time.
/// RabbitMQ 4.0 counts both.
#[tokio::test]
async fn what_a_stop_gives_back_goes_back_once() -> Result<()> {
    const STOPS: i64 = 6;
    const PENDING: usize = 40;
    // Or those that came back twice would be handled alone.
    let toml = batches(100, NEVER, "").host("quarantine = false");
    let vhost = Broker::shared().await?.vhost("batches").await?;
    vhost.declare_queue("letters", "quorum").await?;
    let messages = (0..PENDING).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    for _ in 0..STOPS {
        let mut host = HostProcess::run(&vhost, &toml).await?;
        in_hand(&host, u32::try_from(PENDING)?).await?;
        host.stop().await?;
        vhost.wait_ready("letters", u32::try_from(PENDING)?).await?;
    }
    let left = vhost.drain("letters").await?;
    assert_eq!(left.len(), PENDING);
    let counts = left
        .iter()
        .filter_map(|one| one.number_of("x-delivery-count"));
    let most = counts.max().unwrap_or_default();
    assert!(most <= STOPS, "{most} returns in {STOPS} stops");
    Ok(())
}

#[tokio::test]
async fn s22_after_a_reconnect_what_was_pending_comes_again_and_the_timer_works() -> Result<()> {
    let toml = batches(3, "8s", "").connection(r#"reconnect = { first = "20ms", max = "200ms" }"#);
    let (vhost, proxy, mut host) = behind_proxy("s22", &toml).await?;
    send(&vhost, &["a", "b"]).await?;
    in_hand(&host, 2).await?;
    let before = host.mark();
    proxy.cut();
    both_lost(&host, before).await?;
    host.wait_since(before, "consumer.subscribed", &[("consumer", "letters")])
        .await?;
    host.wait_for_printed("batch of 2: a/1 b/1").await?;
    in_hand(&host, 0).await?;
    assert_eq!(
        host.count_printed("batch of"),
        1,
        "none was handed over twice"
    );
    assert_eq!(handed_over(&host, "wait").await?, 1.0);
    let lost = r#"hive_deliveries_total{consumer="letters",outcome="lost"}"#;
    assert_eq!(host.metric(lost).await?, 0.0, "what was stale was dropped");
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0);
    Ok(())
}

/// A stop waits for the batch that is being handled, and not with what no batch has yet.
#[tokio::test]
async fn a_stop_in_the_middle_of_a_batch_finishes_it_and_gives_the_next_one_back_at_once()
-> Result<()> {
    let (vhost, mut host) = consuming("batches", batches(2, NEVER, "concurrency = 2")).await?;
    send(&vhost, &["a slow", "b publish", "c publish"]).await?;
    host.wait_for_printed("batch of 2: a/1 b/1").await?;
    in_hand(&host, 3).await?;
    host.sigterm();
    vhost.wait_ready("letters", 1).await?;
    assert_eq!(vhost.ready("out").await?, 0, "the batch is still handled");
    assert_eq!(host.wait().await?.code(), Some(0));
    assert_eq!(vhost.ready("out").await?, 2);
    assert_eq!(vhost.ready("letters").await?, 1);
    Ok(())
}

#[tokio::test]
async fn batches_side_by_side_are_each_of_neighbours_in_order() -> Result<()> {
    let (vhost, mut host) = consuming("batches", batches(2, NEVER, "concurrency = 2")).await?;
    send(&vhost, &["a slow", "b", "c slow", "d"]).await?;
    host.wait_for_printed("batch of 2: a/1 b/1").await?;
    host.wait_for_printed("batch of 2: c/1 d/1").await?;
    in_hand(&host, 4).await?;
    assert_eq!(vhost.ready("out").await?, 0, "neither waits for the other");
    vhost.wait_ready("out", 2).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn what_a_batch_publishes_is_in_the_order_of_its_deliveries() -> Result<()> {
    let (vhost, mut host) = consuming("batches", batches(50, NEVER, "")).await?;
    let numbers: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let messages = numbers
        .iter()
        .map(|number| Message::new(format!("{number} publish")));
    vhost.publish_all("", "letters", messages).await?;
    let out = vhost.take("out", 500).await?;
    let out: Vec<_> = out.iter().map(Message::text).collect();
    assert_eq!(out, numbers);
    assert_eq!(host.count_printed("batch of 50:"), 10);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn instances_are_recycled_by_their_deliveries() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("batch", "recycle_after = 4")
        .consumer("letters", "batch", r#"batch = { size = 3, wait = "15m" }"#);
    let (vhost, mut host) = consuming("batches", toml).await?;
    send(&vhost, &["a", "b", "c", "d", "e", "f"]).await?;
    host.wait_for_printed_times("batch of 3", 2).await?;
    in_hand(&host, 0).await?;
    let instances = r#"hive_instances{component="batch"}"#;
    let look = || host.metric(instances);
    eventually("no instance is left", look, |count| *count == 0.0).await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn the_example_batches_archives_a_batch_in_one_file() -> Result<()> {
    example_component("archive");
    let folder = example("batches");
    let vhost = Broker::shared().await?.vhost("batches").await?;
    let archive = scratch("archive");
    let (url, into) = (vhost.url(), archive.display().to_string());
    let variables = [
        ("RABBITMQ_URL", url.as_str()),
        ("HIVE_ARCHIVE", into.as_str()),
    ];
    let mut host = HostProcess::launch_file(&folder.join("hive.toml"), &variables)?;
    host.wait_for_start().await?;
    let mut samples: Vec<_> = std::fs::read_dir(folder.join("messages"))?
        .map(|sample| Ok(sample?.path()))
        .collect::<std::io::Result<_>>()?;
    samples.sort();
    let bodies = samples.iter().map(std::fs::read);
    let messages: Vec<_> = bodies
        .map(|body| Ok(Message::new(body?)))
        .collect::<Result<_>>()?;
    vhost.publish_all("", "tracks", messages).await?;
    let dead = vhost.take_one("tracks.dead").await?;
    assert!(
        dead.text_of("x-hive-error")
            .unwrap_or_default()
            .contains("listener")
    );
    // One batch, unless the machine was so slow that they came in two.
    let look = async || archived(&archive);
    let plays = eventually("three plays are archived", look, |plays| plays.len() == 3).await?;
    for play in ["ada\",\"seconds\":181", "grace", "t-2"] {
        assert!(
            plays.iter().any(|line| line.contains(play)),
            "{play}: {plays:?}"
        );
    }
    assert_settled(&vhost, &mut host, "tracks").await
}

/// The lines of every file that is whole.
fn archived(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            lines.extend(std::fs::read_to_string(path)?.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}
