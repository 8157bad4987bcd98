//! What the bodies of deliveries take of the memory, whatever the prefetch: the host stops reading before
//! `host.memory_in_flight` is passed, and gives back what waits for room for too long.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Vhost, eventually, eventually_within, scratch,
};

use crate::acknowledged;

const MIB: u64 = 1 << 20;
const BYTES: &str = "hive_body_bytes_in_flight";
const PATIENCE: Duration = Duration::from_secs(120);

/// A virtual host with queues of this kind, `letters` with so many large bodies.
async fn full(kind: &str, bodies: usize, length: usize) -> Result<Vhost> {
    let vhost = Broker::shared().await?.vhost("memory").await?;
    for queue in ["letters", "small", "out"] {
        vhost.declare_queue(queue, kind).await?;
    }
    let bodies = (0..bodies).map(|_| Message::new(vec![b'x'; length]));
    vhost.publish_all("", "letters", bodies).await?;
    Ok(vhost)
}

/// 60 messages of 4 MiB, all of which the prefetch asks for at once.
#[tokio::test]
async fn bodies_stay_within_the_memory_that_they_have() -> Result<()> {
    let vhost = full("quorum", 0, 0).await?;
    let keys = "prefetch = 60\nconcurrency = 2";
    let toml = HiveToml::one("letters", "heavy", keys)
        .queue("out", "")
        .host("memory_in_flight = \"32MiB\"");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let idle = host.usage()?.resident_kib;
    let bodies = (0..60).map(|_| Message::new(vec![b'x'; 4 << 20]));
    vhost.publish_all("", "letters", bodies).await?;
    let most = Cell::new(0.0_f64);
    let look = async || {
        most.set(most.get().max(host.metric(BYTES).await?));
        vhost.ready("out").await
    };
    eventually_within(PATIENCE, "all were handled", look, |count| *count >= 60).await?;
    acknowledged(&host, 60.0).await?;
    let most = most.get();
    assert!(most > 0.0, "nothing was counted");
    assert!(most <= (32 * MIB) as f64, "{most} bytes were in flight");
    let none = async || host.metric(BYTES).await;
    eventually("nothing is in flight any more", none, |bytes| *bytes == 0.0).await?;
    let grown = host.peak_kib()?.saturating_sub(idle) / 1024;
    assert!(grown <= 32 + 64, "the host has grown by {grown} MiB");
    host.stop().await?;
    assert_eq!(vhost.ready("letters").await?, 0);
    assert_eq!(vhost.ready("out").await?, 60, "each was handled once");
    Ok(())
}

/// Two calls hold all the memory for longer than a connection may stand still.
async fn bodies_that_stay(kind: &str, keys: &str, host_keys: &str) -> Result<()> {
    let vhost = full(kind, 12, 3 << 20).await?;
    let gate = scratch("memory");
    let grant = format!(
        "timeout = \"5m\"\nallow = {{ dirs = [{{ host = \"{}\", guest = \"/gate\" }}] }}",
        gate.display()
    );
    let of_kind = format!("type = \"{kind}\"");
    let toml = HiveToml::new()
        .host(host_keys)
        .queue("letters", &of_kind)
        .queue("small", &of_kind)
        .component("gate", &grant)
        .component("ack", "")
        .consumer("letters", "gate", keys)
        .consumer("small", "ack", "");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let bytes = async || host.metric(BYTES).await;
    let two = (6 * MIB) as f64;
    eventually("two are in hand", bytes, |bytes| *bytes == two).await?;
    // The connection goes on, with all the memory still taken.
    let small = (0..50).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "small", small).await?;
    let series = r#"hive_deliveries_total{consumer="small",outcome="acked"}"#;
    let seen = async || host.metric(series).await;
    eventually("small messages pass by", seen, |seen| *seen >= 50.0).await?;
    assert_eq!(host.metric(BYTES).await?, two, "the large ones are in hand");
    std::fs::write(gate.join("open"), "")?;
    let series = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;
    let look = async || host.metric(series).await;
    eventually_within(PATIENCE, "all were handled", look, |seen| *seen >= 12.0).await?;
    let told = host.count_events("consumer.without_room", &[("consumer", "letters")]);
    assert!(told > 0, "it was not told why they went back");
    host.stop().await?;
    assert_eq!(vhost.ready("letters").await?, 0, "none is left");
    Ok(())
}

#[tokio::test]
async fn what_finds_no_room_goes_back_and_others_pass_by() -> Result<()> {
    bodies_that_stay(
        "quorum",
        "prefetch = 12\nconcurrency = 2",
        "memory_in_flight = \"8MiB\"",
    )
    .await
}

#[tokio::test]
async fn a_consumer_has_a_memory_of_its_own() -> Result<()> {
    bodies_that_stay(
        "classic",
        "prefetch = 12\nconcurrency = 2\nmax_bytes_in_flight = \"8MiB\"",
        "",
    )
    .await
}

/// A stop does not wait for what has no room.
#[tokio::test]
async fn a_stop_leaves_what_has_no_room() -> Result<()> {
    let vhost = full("quorum", 12, 3 << 20).await?;
    let keys = "prefetch = 12\nconcurrency = 1";
    let toml = HiveToml::one("letters", "heavy", keys)
        .queue("out", "")
        .host("memory_in_flight = \"8MiB\"");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    // Whoever looks late sees more than one.
    let first = async || vhost.ready("out").await;
    eventually("the first is done", first, |ready| *ready > 0).await?;
    host.stop().await?;
    let done = vhost.ready("out").await?;
    let left = async || vhost.ready("letters").await;
    eventually("the rest is back", left, |left| *left + done == 12).await?;
    assert!(done < 12, "the stop waited for all of them");
    Ok(())
}
