//! A cluster splits, and the host is connected to the side that has fewer nodes.

use std::sync::Arc;

use anyhow::{Result, ensure};
use hive_tests::{HostProcess, Proxy};

use super::load::{Load, carrying, cluster};

/// The smaller side can give and take nothing: with Mnesia it closes its connections (`pause_minority`), with Khepri it
/// leaves them open. The host moves to the other side by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_on_the_smaller_side_of_a_split_moves_to_the_other() -> Result<()> {
    let Some(cluster) = cluster("a_host_on_the_smaller_side_of_a_split_moves_to_the_other").await?
    else {
        return Ok(());
    };
    let vhost = Arc::new(cluster.vhost("minority").await?);
    let nodes = cluster.nodes().iter();
    let proxies = nodes
        .map(|node| Proxy::start(node.port()))
        .collect::<Result<Vec<_>>>()?;
    // The scenario's own client is on the first node.
    let [first, second, small] = &proxies[..] else {
        anyhow::bail!("three nodes");
    };
    first.refuse();
    second.refuse();
    let url = vhost.url_through_all(&[first, second, small]);
    let mut host = HostProcess::run_at(&url, &carrying()).await?;
    first.pass();
    second.pass();
    let load = Load::start(&vhost, &["parcels"]);
    load.flows().await?;
    ensure!(
        small.connections() > 0,
        "the host is not on the smaller side"
    );
    cluster.cut_off(2)?;
    let moved = load.flows().await;
    cluster.join(2)?;
    moved?;
    cluster.whole().await?;
    load.account().await?;
    host.stop().await
}
