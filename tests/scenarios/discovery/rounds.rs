//! Rounds of many queues that come and go while a host with `queues = "PATTERN"` runs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hive_tests::{Broker, HostProcess, Usage, Vhost, eventually_within};
use serde_json::Value;
use tokio::time::Instant;

use super::queues::{discovering, discovery, echoes};

/// Queues of one round, where `HIVE_DISCOVERED` does not ask for more.
const FEW: usize = 200;

/// With these, more queues go than a connection has channels (2047): none may cost it one.
const ROUNDS: usize = 12;

/// What a busy machine may take for a round.
const PATIENCE: Duration = Duration::from_secs(240);

/// The memory that a host may have more after the last round than after any of the first half. Allocators keep and give
/// back up to half of that; consumers that are not forgotten would be 70 MiB.
const MOST_GROWTH_KIB: u64 = 24 * 1024;

/// Queues of a round.
fn size() -> Result<usize> {
    match std::env::var("HIVE_DISCOVERED") {
        Ok(count) => count.parse().context("HIVE_DISCOVERED is a number"),
        Err(_) => Ok(FEW),
    }
}

/// The channels of the host's connections.
fn channels(vhost: &Vhost) -> Result<u64> {
    let path = format!("/vhosts/{}/connections", vhost.name());
    let connections = vhost.management().get(&path)?;
    let connections = connections.as_array().into_iter().flatten();
    let of_host = connections.filter(|one| one["user_provided_name"].is_string());
    Ok(of_host.filter_map(|one| one["channels"].as_u64()).sum())
}

async fn discovered(host: &HostProcess, count: usize) -> Result<Value> {
    let look = async || discovery(host).await;
    let what = format!("{count} queues are discovered and consumed");
    let is_done = |(status, view): &(u16, Value)| *status == 200 && view["discovered"] == count;
    let (_, view) = eventually_within(PATIENCE, &what, look, is_done).await?;
    Ok(view)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "a run with `--nocapture` measures")]
async fn rounds_of_queues_that_come_and_go_leave_no_channels_and_no_memory() -> Result<()> {
    let count = size()?;
    let vhost = Broker::shared().await?.vhost("rounds").await?;
    let keys = "queues = \"tenant.*\"\ncomponent = \"echo\"\nprefetch = 1\nretry = { limit = 0, dead_letter = \"dead\" }";
    let toml = discovering(&vhost).section("consumers.tenants", keys);
    let host = HostProcess::run(&vhost, &toml).await?;
    discovered(&host, 0).await?;
    // From a first queue on, the host has the channels that it keeps.
    vhost.declare_queue("tenant.first", "classic").await?;
    discovered(&host, 1).await?;
    echoes(&vhost, "tenant.first").await?;
    let look = async || channels(&vhost);
    let is_known = |channels: &u64| *channels > 0;
    let with_one = eventually_within(PATIENCE, "channels are counted", look, is_known).await?;
    let descriptors = host.usage()?.descriptors;
    let mut after = Vec::new();
    for round in 0..ROUNDS {
        let names: Vec<String> = (0..count)
            .map(|number| format!("tenant.{round}.{number}"))
            .collect();
        for queue in &names {
            vhost.declare_queue(queue, "classic").await?;
        }
        let declared = Instant::now();
        discovered(&host, count + 1).await?;
        let took = declared.elapsed();
        for queue in &names {
            let consumers = vhost.consumers(queue).await?;
            ensure!(consumers == 1, "{queue} has {consumers} consumers");
        }
        echoes(&vhost, &names[count - 1]).await?;
        for queue in &names {
            vhost.delete_queue(queue).await?;
        }
        let deleted = Instant::now();
        discovered(&host, 1).await?;
        let let_go = deleted.elapsed();
        let is_as_before = |channels: &u64| *channels == with_one;
        eventually_within(PATIENCE, "no channel is left", look, is_as_before).await?;
        // A further connection that is empty is closed after some seconds.
        let held = async || host.usage();
        let is_as_before = |usage: &Usage| usage.descriptors == descriptors;
        let usage =
            eventually_within(PATIENCE, "no connection is left", held, is_as_before).await?;
        println!(
            "round {round}: {count} queues consumed {took:?} after the last came, let go {let_go:?} after the last went; {usage:?}"
        );
        after.push(usage);
    }
    // What a round leaves behind would be there again with each round.
    let early = after[..ROUNDS / 2].iter();
    let most = early.map(|usage| usage.resident_kib).max();
    let grown = after[ROUNDS - 1]
        .resident_kib
        .saturating_sub(most.unwrap_or_default());
    ensure!(grown < MOST_GROWTH_KIB, "{grown} KiB more: {after:?}");
    for event in ["link.lost", "topology.mismatch"] {
        assert_eq!(host.count_events(event, &[]), 0, "{event}");
    }
    // Where a queue is deleted right after a delivery, the broker's cancel may have another cause.
    let lost = host.count_events("consumer.lost", &[]);
    ensure!(lost <= ROUNDS, "{lost} lines for {ROUNDS} rounds");
    Ok(())
}
