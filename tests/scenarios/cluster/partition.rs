//! A cluster splits, and the host is connected to the side that has fewer nodes.

use anyhow::Result;
use hive_tests::{HostProcess, Proxy};

use super::load::{Load, carrying, cluster};

/// The smaller side can give and take nothing: with Mnesia it closes its connections (`pause_minority`), with Khepri it
/// leaves them open. The host moves to the other side by itself.
#[tokio::test]
async fn a_host_on_the_smaller_side_of_a_split_moves_to_the_other() -> Result<()> {
    let cluster = cluster().await?;
    let vhost = cluster.vhost("minority").await?;
    let nodes = cluster.nodes().iter();
    let proxies = nodes.map(|node| Proxy::start(node.port())).collect::<Result<Vec<_>>>()?;
    let [small, first, second] = &proxies[..] else {
        anyhow::bail!("three nodes");
    };
    first.refuse();
    second.refuse();
    let url = vhost.url_through_all(&[small, first, second]);
    let mut host = HostProcess::run_at(&url, &carrying()).await?;
    first.pass();
    second.pass();
    let mut load = Load::new(&vhost, &["parcels"]);
    load.flows().await?;
    assert!(small.connections() > 0 && first.accepted() + second.accepted() > 0);
    // The test's own client is on the first node that it finds: it has to be one of the others.
    cluster.cut_off(0)?;
    let moved = load.flows().await;
    cluster.join(0)?;
    moved?;
    cluster.whole().await?;
    load.account().await?;
    host.stop().await
}
