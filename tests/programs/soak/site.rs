//! Where the messages are: one RabbitMQ, or a cluster of three nodes.

use anyhow::{Result, ensure};
use hive_tests::{Broker, Cluster, Proxy, Version, Vhost};

pub(crate) enum Site {
    One(Box<Broker>),
    Three(Cluster),
}

impl Site {
    pub(crate) async fn prepare(version: Version, is_cluster: bool) -> Result<Self> {
        if !is_cluster {
            let broker = Broker::private_of(version).await?;
            return Ok(Self::One(Box::new(broker)));
        }
        ensure!(
            version >= Version::V4_0,
            "a cluster is run on RabbitMQ 4.0 and later: choose --broker 4.0 or 4.3"
        );
        Ok(Self::Three(Cluster::start(version).await?))
    }

    pub(crate) async fn vhost(&self) -> Result<Vhost> {
        match self {
            Self::One(broker) => broker.vhost("soak").await,
            Self::Three(cluster) => cluster.vhost("soak").await,
        }
    }

    /// A proxy before each node.
    pub(crate) fn links(&self) -> Result<Vec<Proxy>> {
        let nodes = self.nodes().iter();
        nodes.map(|node| Proxy::start(node.port())).collect()
    }

    pub(crate) fn nodes(&self) -> &[Broker] {
        match self {
            Self::One(broker) => std::slice::from_ref(broker.as_ref()),
            Self::Three(cluster) => cluster.nodes(),
        }
    }

    /// The one broker, or the first node.
    pub(crate) fn first(&self) -> &Broker {
        &self.nodes()[0]
    }

    /// Starts the nodes that a fault has ended, and waits for all of them.
    pub(crate) async fn mend(&self) -> Result<()> {
        match self {
            Self::One(_) => Ok(()),
            Self::Three(cluster) => cluster.mend().await,
        }
    }
}
