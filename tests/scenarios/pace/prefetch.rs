//! The prefetch that a consumer has whose hive.toml does not name one: small bodies make it grow, large
//! ones do not fill the host's memory.

use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{
    Broker, HiveToml, HostProcess, MemoryLimit, Message, Vhost, eventually, eventually_within,
    scratch,
};
use serde_json::Value;

use crate::{assert_settled, consuming};

const LARGE: usize = 8 << 20;

/// The prefetch of each consumer of a queue, as the broker knows it.
fn prefetches(vhost: &Vhost, queue: &str) -> Result<Vec<u64>> {
    let counters = vhost.counters(queue)?;
    let consumers = counters["consumer_details"]
        .as_array()
        .context("the broker tells of no consumers")?;
    let of = |consumer: &Value| consumer["prefetch_count"].as_u64();
    Ok(consumers.iter().filter_map(of).collect())
}

/// 60 messages of 8 MiB, each of which takes 300 ms, in a host with 300 MiB.
#[tokio::test]
async fn large_bodies_do_not_end_a_host_with_little_memory() -> Result<()> {
    let Some(limit) = MemoryLimit::new(300 << 20, "large_bodies") else {
        return Ok(());
    };
    let vhost = Broker::shared().await?.vhost("prefetch").await?;
    for queue in ["letters", "out"] {
        vhost.declare_queue(queue, "quorum").await?;
    }
    let bodies = (0..60).map(|_| Message::new(vec![7; LARGE]));
    vhost.publish_all("", "letters", bodies).await?;
    let toml = HiveToml::one("letters", "heavy", "").queue("out", "");
    let file = scratch("prefetch").join("hive.toml");
    std::fs::write(&file, toml.text(&vhost))?;
    let mut host = HostProcess::launch_limited_file(&file, &limit)?;
    let look = async || vhost.ready("out").await;
    let patience = Duration::from_secs(120);
    eventually_within(patience, "all were handled", look, |count| *count == 60).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    for length in vhost.drain("out").await? {
        assert_eq!(length.text(), LARGE.to_string(), "each was handled once");
    }
    assert_eq!(vhost.ready("out").await?, 0);
    Ok(())
}

/// No message comes twice and none is left, though the consumer changes under them.
#[tokio::test]
async fn with_small_bodies_it_grows_and_gives_nothing_back() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", "").queue("out", "");
    let (vhost, mut host) = consuming("prefetch", toml).await?;
    let look = async || prefetches(&vhost, "letters");
    let first = eventually("it consumes", look, |found| found.len() == 1).await?;
    assert!(
        first[0] < 256,
        "it asks for {first:?} before it knows anything"
    );
    let messages = (0..150).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    vhost.wait_ready("out", 150).await?;
    eventually("it asks for everything", look, |found| *found == [256]).await?;
    let seen = vhost.drain("out").await?;
    assert!(seen.iter().all(|message| !message.redelivered));
    assert_settled(&vhost, &mut host, "letters").await
}

/// In the order of the queue, across both changes.
#[tokio::test]
async fn it_grows_in_the_order_of_the_queue() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("prefetch").await?;
    for queue in ["letters", "out"] {
        vhost.declare_queue(queue, "quorum").await?;
    }
    // All are there before, so that the broker gives them out as fast as it is asked to.
    let messages = (0..150).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", messages).await?;
    let toml = HiveToml::one("letters", "publish", "ordered_by = \"routing-key\"");
    let mut host = HostProcess::run(&vhost, &toml.queue("out", "")).await?;
    vhost.wait_ready("out", 150).await?;
    let came = vhost.drain("out").await?;
    let came: Vec<String> = came.iter().map(Message::text).collect();
    let sent: Vec<String> = (0..150).map(|number| number.to_string()).collect();
    assert_eq!(came, sent);
    assert_settled(&vhost, &mut host, "letters").await
}
