//! Little room: frames as small as AMQP allows, threads that never rest, a queue shared with others.

use std::collections::BTreeSet;

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Version, eventually};

use crate::{assert_settled, consuming};

/// The smallest frame that AMQP allows (AMQP 0-9-1, section 4.2.3).
const SMALLEST_FRAME: u32 = 4096;

/// The smallest frame that the broker agrees on.
fn smallest_frame(broker: Version) -> u32 {
    match broker {
        Version::V3_10 | Version::V4_0 => SMALLEST_FRAME,
        Version::V4_3 => 8192,
    }
}

#[tokio::test]
async fn bodies_of_many_frames_come_and_go_where_frames_are_small() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("frames").await?;
    let toml = HiveToml::one("letters", "echo", "").queue("out", "");
    let frame = smallest_frame(vhost.version());
    let url = format!("{}?frame_max={frame}", vhost.url());
    let mut host = HostProcess::run_at(&url, &toml).await?;
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    // A frame has eight bytes around what it holds.
    let full = frame as usize - 8;
    for length in [0, full, full + 1, 300_000] {
        let message = Message::new(&body[..length]).text_header("note", &"x".repeat(2000));
        vhost.publish("", "letters", message).await?;
        let echoed = vhost.take_one("out").await?;
        assert_eq!(echoed.body, &body[..length]);
        assert_eq!(echoed.text_of("note").map(|note| note.len()), Some(2000));
    }
    assert_eq!(host.count_events("link.lost", &[]), 0);
    assert_settled(&vhost, &mut host, "letters").await
}

/// The broker hangs up in the middle of the handshake, and says why in its own log alone.
#[tokio::test]
async fn a_frame_max_that_the_broker_does_not_take_is_named() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("frames").await?;
    let applies = vhost.version().is_one_of(
        &[Version::V4_3],
        "a_frame_max_that_the_broker_does_not_take_is_named",
        "it takes AMQP's smallest",
    );
    if !applies {
        return Ok(());
    }
    let toml = HiveToml::one("letters", "echo", "");
    let url = format!("{}?frame_max={SMALLEST_FRAME}", vhost.url());
    let host = HostProcess::launch(&toml.text_for(&url))?;
    let look = async || Ok(host.readiness().await?.1.to_string());
    let named = |readiness: &String| readiness.contains("takes no frame_max below 8192");
    eventually("readiness names the cause", look, named).await?;
    Ok(())
}

#[tokio::test]
async fn components_that_keep_every_thread_busy_cost_no_heartbeat() -> Result<()> {
    // Four heartbeats long, on more workers than there are threads.
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("spin", r#"timeout = "8s""#)
        .consumer("letters", "spin", "concurrency = 16\nretry = { limit = 0 }")
        .connection(r#"heartbeat = "2s""#);
    let (vhost, mut host) = consuming("starved", toml).await?;
    let messages = (0..16).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    vhost.wait_ready("letters.dead", 16).await?;
    assert_eq!(host.count_events("link.lost", &[]), 0);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn two_hosts_share_a_queue_and_the_one_that_is_left_finishes_it() -> Result<()> {
    const MESSAGES: usize = 500;
    let toml = HiveToml::one("letters", "echo", "prefetch = 20").queue("out", "");
    let (vhost, mut first) = consuming("shared", toml.clone()).await?;
    let mut second = HostProcess::run(&vhost, &toml).await?;
    let numbers = (0..MESSAGES).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", numbers).await?;
    first.kill9()?;
    let mut seen = BTreeSet::new();
    while seen.len() < MESSAGES {
        seen.insert(vhost.take_one("out").await?.text());
    }
    assert_settled(&vhost, &mut second, "letters").await
}
