//! Nodes of a cluster go and return, under load, and a host whose URL names all of them goes on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Cluster, HostProcess, Vhost, eventually_within};
use serde_json::Value;

use super::load::{Load, carrying, cluster};

/// Long enough for a host to notice anything, on a busy machine.
const NOTICED: Duration = Duration::from_secs(180);

/// A vhost, and a host that consumes its three queues.
async fn carried(cluster: &Cluster, label: &str) -> Result<(Vhost, HostProcess)> {
    let vhost = cluster.vhost(label).await?;
    let host = HostProcess::run(&vhost, &carrying()).await?;
    Ok((vhost, host))
}

/// The consumers that readiness lists as missing.
fn missing(ready: &Value) -> Vec<&str> {
    let list = ready["missing"].as_array().into_iter().flatten();
    list.filter_map(|one| one["consumer"].as_str()).collect()
}

async fn wait_missing(host: &HostProcess, expected: &[&str]) -> Result<()> {
    let what = format!("readiness names {expected:?} as missing");
    let look = async || Ok(host.readiness().await?.1);
    let is_so = |ready: &Value| {
        let missing = missing(ready);
        expected.iter().all(|name| missing.contains(name)) && missing.len() == expected.len()
    };
    eventually_within(NOTICED, &what, look, is_so).await.map(drop)
}

/// A quorum queue and a stream have another leader at once. A classic queue is on one node: while that is down, the host
/// says so of its consumer, and the others go on.
#[tokio::test]
async fn a_killed_node_costs_its_classic_queues_alone() -> Result<()> {
    let cluster = cluster().await?;
    let (vhost, mut host) = carried(&cluster, "killed-node").await?;
    let mut load = Load::new(&vhost, &["parcels", "events"]);
    load.flows().await?;
    let of_parcels = cluster.leader(&vhost, "parcels")?;
    let of_notes = cluster.leader(&vhost, "notes")?;
    let mut killed = vec![of_parcels];
    if of_notes != of_parcels {
        killed.push(of_notes);
    }
    for node in killed {
        load.during(cluster.nodes()[node].kill9()).await?;
        load.flows().await?;
        if node == of_notes {
            wait_missing(&host, &["notes"]).await?;
        }
        load.during(cluster.mend()).await?;
        wait_missing(&host, &[]).await?;
    }
    let mut notes = Load::new(&vhost, &["notes"]);
    notes.flows().await?;
    load.account().await?;
    host.stop().await
}

/// Each node is drained, stopped and started, one after the other (RabbitMQ, "Upgrading", rolling upgrades).
#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let (vhost, mut host) = carried(&cluster, "rolling").await?;
    let mut load = Load::new(&vhost, &["parcels", "events", "notes"]);
    load.flows().await?;
    for (index, node) in cluster.nodes().iter().enumerate() {
        load.publish().await;
        cluster.drain(index)?;
        load.publish().await;
        node.stop().await?;
        load.during(cluster.mend()).await?;
        load.flows().await?;
    }
    let carried = load.account().await?;
    ensure!(carried > 0, "nothing was published");
    host.stop().await
}

/// Of three nodes two are gone: no quorum queue takes a message or gives one. Nothing is acknowledged meanwhile, readiness
/// says what is missing, and everything goes on when one is back.
#[tokio::test]
async fn a_lost_quorum_holds_everything_up_and_loses_nothing() -> Result<()> {
    let cluster = cluster().await?;
    let (vhost, mut host) = carried(&cluster, "no-quorum").await?;
    let mut load = Load::new(&vhost, &["parcels"]);
    load.flows().await?;
    let [one, other, _] = cluster.nodes() else {
        anyhow::bail!("three nodes");
    };
    load.publish().await;
    one.kill9().await?;
    other.kill9().await?;
    let look = async || host.readiness().await;
    let is_told = |(code, ready): &(u16, Value)| *code == 503 && missing(ready).contains(&"parcels");
    eventually_within(NOTICED, "readiness names what stands still", look, is_told)
        .await
        .context("a host without a quorum")?;
    one.restart().await?;
    load.flows().await?;
    cluster.mend().await?;
    load.account().await?;
    host.stop().await
}
