//! Nodes of a cluster go and return, under load, and a host whose URL names all of them continues.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hive_tests::{Cluster, HostProcess, Vhost, eventually_within};
use serde_json::Value;

use super::load::{Load, QUEUES, carrying, cluster};

/// Long enough for a host to notice anything, on a busy machine.
const NOTICED: Duration = Duration::from_secs(180);

/// A vhost, and a host that consumes its three queues.
async fn carried(cluster: &Cluster, label: &str) -> Result<(Arc<Vhost>, HostProcess)> {
    let vhost = cluster.vhost(label).await?;
    let host = HostProcess::run(&vhost, &carrying()).await?;
    Ok((Arc::new(vhost), host))
}

/// The consumers that readiness lists as missing.
fn missing(ready: &Value) -> Vec<&str> {
    let list = ready["missing"].as_array().into_iter().flatten();
    list.filter_map(|one| one["consumer"].as_str()).collect()
}

async fn wait_missing(host: &HostProcess, expected: &[&str]) -> Result<()> {
    let what = format!("readiness lists {expected:?} as missing");
    let look = async || Ok(host.readiness().await?.1);
    let is_so = |ready: &Value| missing(ready) == expected;
    eventually_within(NOTICED, &what, look, is_so).await?;
    Ok(())
}

/// A quorum queue and a stream have another leader at once. A classic queue is on one node: while that is down, readiness
/// lists its consumer as missing, and the others continue.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_costs_its_classic_queues_alone() -> Result<()> {
    let Some(cluster) = cluster("a_killed_node_costs_its_classic_queues_alone").await? else {
        return Ok(());
    };
    let (vhost, mut host) = carried(&cluster, "killed-node").await?;
    let load = Load::start(&vhost, &QUEUES);
    load.flows().await?;
    let of_notes = cluster.leader(&vhost, "notes")?;
    for led in QUEUES {
        let leader = cluster.leader(&vhost, led)?;
        if leader == of_notes {
            load.feed(&["parcels", "events"]);
        }
        cluster.nodes()[leader].kill9().await?;
        load.flows().await?;
        if leader == of_notes {
            wait_missing(&host, &["notes"]).await?;
        }
        cluster.mend().await?;
        wait_missing(&host, &[]).await?;
        load.feed(&QUEUES);
        load.flows().await?;
    }
    load.account().await?;
    host.stop().await
}

/// Each node is drained, stopped and started, one after the other (RabbitMQ, "Upgrading", rolling upgrades).
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_nothing() -> Result<()> {
    let Some(cluster) = cluster("a_rolling_restart_under_load_loses_nothing").await? else {
        return Ok(());
    };
    let (vhost, mut host) = carried(&cluster, "rolling").await?;
    let load = Load::start(&vhost, &QUEUES);
    load.flows().await?;
    let of_notes = cluster.leader(&vhost, "notes")?;
    for (index, node) in cluster.nodes().iter().enumerate() {
        cluster.drain(index)?;
        // A node in maintenance takes no clients, and its classic queues serve those of the others.
        load.flows().await?;
        if index == of_notes {
            load.feed(&["parcels", "events"]);
        }
        node.stop().await?;
        load.flows().await?;
        cluster.mend().await?;
        load.feed(&QUEUES);
        load.flows().await?;
    }
    load.account().await?;
    host.stop().await
}

/// Of three nodes two are gone: no quorum queue takes a message or gives one. Readiness says what is missing, and
/// everything continues when one is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_quorum_holds_everything_up_and_loses_nothing() -> Result<()> {
    let Some(cluster) = cluster("a_lost_quorum_holds_everything_up_and_loses_nothing").await?
    else {
        return Ok(());
    };
    let (vhost, mut host) = carried(&cluster, "no-quorum").await?;
    let load = Load::start(&vhost, &["parcels"]);
    load.flows().await?;
    let [one, other, _] = cluster.nodes() else {
        anyhow::bail!("three nodes");
    };
    one.kill9().await?;
    other.kill9().await?;
    let look = async || host.readiness().await;
    let is_told =
        |(code, ready): &(u16, Value)| *code == 503 && missing(ready).contains(&"parcels");
    eventually_within(NOTICED, "readiness names what stands still", look, is_told).await?;
    one.restart().await?;
    load.flows().await?;
    cluster.mend().await?;
    load.account().await?;
    host.stop().await
}
