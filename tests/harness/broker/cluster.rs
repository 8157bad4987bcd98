//! Three RabbitMQ nodes that are one broker, each of which can be killed, stopped, frozen and cut off.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::{Broker, Version, start_port_mapper};
use crate::eventually::eventually_within;
use crate::management::Management;
use crate::ports::reserve_ports;
use crate::vhost::Vhost;

/// What Erlang's nodes show one another to be let in. A node writes one of its own where there is none.
const COOKIE: &str = "hive-tests";

/// How long three nodes may take until each knows the others. A minute on two busy cores.
const FORMATION: Duration = Duration::from_secs(300);

/// A cluster on the loopback address. A node is named by its index.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Broker>,
}

impl Cluster {
    /// How many nodes it has. A majority survives the loss of one.
    pub const NODES: usize = 3;

    /// Starts the nodes together and waits until they are a cluster.
    pub async fn start(version: Version) -> Result<Self> {
        let [mapper] = reserve_ports()?;
        let mut nodes = (0..Self::NODES)
            .map(|_| Broker::laid_out(version, mapper, "", &[]))
            .collect::<Result<Vec<_>>>()?;
        let members = configuration(&nodes);
        for node in &nodes {
            let file = node.folder.join("rabbitmq.conf");
            let text = std::fs::read_to_string(&file)? + &members;
            std::fs::write(&file, text)?;
            // Erlang refuses a cookie that others can read.
            let cookie = node.folder.join("home/.erlang.cookie");
            std::fs::write(&cookie, COOKIE)?;
            std::fs::set_permissions(&cookie, std::fs::Permissions::from_mode(0o400))?;
        }
        nodes[0].port_mapper = start_port_mapper(nodes[0].programs()?, mapper);
        for node in &nodes {
            *node.server() = node.start_server()?;
        }
        try_join_all(nodes.iter().map(|node| node.ready_within(FORMATION))).await?;
        let cluster = Self { nodes };
        cluster.whole().await?;
        Ok(cluster)
    }

    /// Its nodes, in the order of their indices.
    pub fn nodes(&self) -> &[Broker] {
        &self.nodes
    }

    /// A new vhost on it, whose URL names all nodes.
    pub async fn vhost(&self, label: &str) -> Result<Vhost> {
        let one = self.nodes[0].vhost(label).await?;
        let ports = self.nodes.iter().map(Broker::port).collect();
        let name = one.name().to_owned();
        Ok(Vhost::new(name, ports, self.management(), one.version()))
    }

    /// The management interface of whichever node answers.
    pub fn management(&self) -> Management {
        Management::new(
            self.nodes
                .iter()
                .map(|node| node.ports.management)
                .collect(),
        )
    }

    /// The node that leads a queue: for a classic one the node that it is on.
    pub fn leader(&self, vhost: &Vhost, queue: &str) -> Result<usize> {
        let described = vhost.counters(queue)?;
        let leader = described["leader"]
            .as_str()
            .or_else(|| described["node"].as_str());
        let leader = leader.with_context(|| format!("`{queue}` has no leader: {described}"))?;
        let found = self.nodes.iter().position(|node| node.node == leader);
        found.with_context(|| format!("{leader} is no node"))
    }

    /// Waits until every node runs and counts every other one.
    pub async fn whole(&self) -> Result<()> {
        let look = async || {
            let views = self.nodes.iter().map(|node| {
                let known = node.management().get("/nodes")?;
                let all = known.as_array().map_or(&[][..], Vec::as_slice);
                let counted = all.iter().filter(|one| is_well(one)).count();
                anyhow::Ok(counted)
            });
            views.collect::<Result<Vec<usize>>>()
        };
        let is_whole = |views: &Vec<usize>| views.iter().all(|counted| *counted == Self::NODES);
        eventually_within(FORMATION, "the cluster is whole", look, is_whole).await?;
        Ok(())
    }

    /// Cuts the links between this node and the others, as a network that splits: each side takes the other for gone.
    /// The links are refused and not silent, so nobody waits for `net_ticktime`.
    pub fn cut_off(&self, index: usize) -> Result<()> {
        self.show_others(index, "'another'")?;
        let cut = "[erlang:disconnect_node(Node) || Node <- nodes()].";
        self.nodes[index].rabbitmqctl(&["eval", cut]).map(drop)
    }

    /// Lets the links come back.
    pub fn join(&self, index: usize) -> Result<()> {
        self.show_others(index, "erlang:get_cookie()")
    }

    /// The cookie that a node shows the others, and expects of them.
    fn show_others(&self, index: usize, cookie: &str) -> Result<()> {
        let others = self.nodes.iter().enumerate();
        let others = others.filter(|(other, _)| *other != index);
        let names: Vec<String> = others.map(|(_, node)| format!("'{}'", node.node)).collect();
        let shown = format!(
            "[erlang:set_cookie(Node, {cookie}) || Node <- [{}]].",
            names.join(", ")
        );
        self.nodes[index].rabbitmqctl(&["eval", &shown]).map(drop)
    }

    /// Takes a node out of service for maintenance: it closes its connections, takes no new ones and hands its
    /// leaderships over, until it is started again (RabbitMQ, "Upgrading", maintenance mode).
    pub fn drain(&self, index: usize) -> Result<()> {
        self.run(index, "rabbitmq-upgrade", &["drain"])
    }

    fn run(&self, index: usize, script: &str, arguments: &[&str]) -> Result<()> {
        let output = self.nodes[index].script(script)?.args(arguments).output()?;
        ensure!(
            output.status.success(),
            "{script} {} failed: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Spreads the leaders of all queues over the nodes, as an operator does after maintenance.
    pub fn rebalance(&self) -> Result<()> {
        self.run(0, "rabbitmq-queues", &["rebalance", "all"])
    }

    /// Starts the nodes that have ended, and waits until the cluster is whole.
    pub async fn mend(&self) -> Result<()> {
        for node in &self.nodes {
            if node.server().has_ended()? {
                node.restart().await?;
            }
        }
        self.whole().await
    }
}

/// What a node says of another one, or of itself.
fn is_well(node: &Value) -> bool {
    let partitions = node["partitions"].as_array();
    node["running"] == true && partitions.is_none_or(Vec::is_empty)
}

/// The lines of rabbitmq.conf that make nodes find one another (RabbitMQ, "Cluster Formation") and stop the side that
/// has fewer of them when they lose one another ("Clustering and Network Partitions"; without effect from 4.3 on).
fn configuration(nodes: &[Broker]) -> String {
    let mut text = String::from(
        "cluster_partition_handling = pause_minority
cluster_formation.peer_discovery_backend = classic_config
",
    );
    for (number, node) in nodes.iter().enumerate() {
        let key = format!("cluster_formation.classic_config.nodes.{}", number + 1);
        writeln!(text, "{key} = {}", node.node).expect("a String takes everything");
    }
    text
}
