//! The faults that only a cluster has. What they break for longer, [`Cluster::mend`] puts right afterwards.

use std::time::Duration;

use anyhow::Result;
use hive_tests::{Cluster, Vhost};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::traffic::QUEUES;

/// A node is named by its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClusterFault {
    /// `kill -9` of the node that leads this queue.
    LeaderKilled { queue: &'static str },
    /// `kill -9` of any node.
    NodeKilled { node: usize },
    /// A node is drained and stopped, as for maintenance.
    NodeStopped { node: usize },
    /// A node stands still.
    NodeFrozen { node: usize, held: Duration },
    /// A node and the others lose one another.
    NodeCutOff { node: usize, held: Duration },
    /// All but this node are killed: no queue has a majority.
    QuorumLost { left: usize, held: Duration },
    /// Each node is drained, stopped and started, one after the other.
    RollingRestart,
    /// The leaders of the queues are spread over the nodes again.
    LeadersMoved,
}

impl ClusterFault {
    pub(super) fn one_of_each(rng: &mut StdRng) -> [Self; 8] {
        let queue = QUEUES[rng.random_range(0..QUEUES.len())].0;
        let mut node = || rng.random_range(0..Cluster::NODES);
        let (killed, stopped, frozen, cut_off, left) = (node(), node(), node(), node(), node());
        let mut held = |from: u64, to: u64| Duration::from_millis(rng.random_range(from..to));
        [
            Self::LeaderKilled { queue },
            Self::NodeKilled { node: killed },
            Self::NodeStopped { node: stopped },
            Self::NodeFrozen {
                node: frozen,
                held: held(500, 15_000),
            },
            Self::NodeCutOff {
                node: cut_off,
                held: held(2000, 40_000),
            },
            Self::QuorumLost {
                left,
                held: held(500, 15_000),
            },
            Self::RollingRestart,
            Self::LeadersMoved,
        ]
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::LeaderKilled { .. } => "leader of a queue killed",
            Self::NodeKilled { .. } => "node killed",
            Self::NodeStopped { .. } => "node drained and stopped",
            Self::NodeFrozen { .. } => "node frozen",
            Self::NodeCutOff { .. } => "node cut off from the others",
            Self::QuorumLost { .. } => "two nodes of three killed",
            Self::RollingRestart => "rolling restart",
            Self::LeadersMoved => "leaders moved",
        }
    }

    pub(super) fn held(&self) -> Option<Duration> {
        match self {
            Self::NodeFrozen { held, .. }
            | Self::NodeCutOff { held, .. }
            | Self::QuorumLost { held, .. } => Some(*held),
            _ => None,
        }
    }

    /// Lets it happen. Afterwards the host can work, with one node less at most.
    pub(super) async fn happen(&self, cluster: &Cluster, vhost: &Vhost) -> Result<()> {
        let nodes = cluster.nodes();
        match self {
            Self::LeaderKilled { queue } => {
                nodes[cluster.leader(vhost, queue)?].kill9().await?;
            }
            Self::NodeKilled { node } => nodes[*node].kill9().await?,
            Self::NodeStopped { node } => stop(cluster, *node).await?,
            Self::NodeFrozen { node, held } => {
                nodes[*node].sigstop();
                sleep(*held).await;
                nodes[*node].sigcont();
            }
            Self::NodeCutOff { node, held } => {
                cluster.cut_off(*node)?;
                sleep(*held).await;
                cluster.join(*node)?;
            }
            Self::QuorumLost { left, held } => {
                let others = nodes.iter().enumerate().filter(|(node, _)| node != left);
                let killed: Vec<_> = others.map(|(_, node)| node).collect();
                for node in &killed {
                    node.kill9().await?;
                }
                sleep(*held).await;
                cluster.mend().await?;
            }
            Self::RollingRestart => {
                for node in 0..nodes.len() {
                    stop(cluster, node).await?;
                    cluster.mend().await?;
                }
            }
            Self::LeadersMoved => cluster.rebalance()?,
        }
        Ok(())
    }
}

/// As an operator does it (RabbitMQ, "Upgrading", maintenance mode).
async fn stop(cluster: &Cluster, node: usize) -> Result<()> {
    cluster.drain(node)?;
    cluster.nodes()[node].stop().await
}
