//! The answer of `/v1/topology`.

use serde::Serialize;

use super::ReasonView;
use crate::topology::{Edge, Graph, Node, Place, Way};

#[derive(Debug, Serialize)]
pub(in crate::admin) struct TopologyView<'a> {
    nodes: Vec<NodeView<'a>>,
    edges: Vec<EdgeView<'a>>,
}

#[derive(Debug, Serialize)]
struct NodeView<'a> {
    id: String,
    kind: &'static str,
    name: &'a str,
    /// The connection of what is at the broker.
    #[serde(skip_serializing_if = "str::is_empty")]
    connection: &'a str,
    /// Whether hive.toml declares or implies it. What it only names may be missing.
    declared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Messages in it, if they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    /// The queues that it stands for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    queues: Vec<&'a str>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: Vec<ReasonView<'a>>,
}

#[derive(Debug, Serialize)]
struct EdgeView<'a> {
    from: String,
    to: String,
    way: &'static str,
    /// A routing key, or a pattern of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    /// Whose deliveries the rate counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    /// Deliveries a second over the last samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

impl<'a> TopologyView<'a> {
    /// `rate` is that of a consumer's deliveries that went a way.
    pub(in crate::admin) fn of(graph: &'a Graph, rate: impl Fn(&str, Way) -> Option<f64>) -> Self {
        let edges = graph.edges.iter().map(|edge| {
            let consumer = edge.consumer.as_deref();
            let rate = consumer.and_then(|consumer| rate(consumer, edge.way));
            EdgeView::of(edge, rate)
        });
        Self {
            nodes: graph.nodes.iter().map(NodeView::from).collect(),
            edges: edges.collect(),
        }
    }
}

impl<'a> From<(&'a Place, &'a Node)> for NodeView<'a> {
    fn from((place, node): (&'a Place, &'a Node)) -> Self {
        Self {
            id: place.to_string(),
            kind: place.kind.as_str(),
            name: &place.name,
            connection: &place.connection,
            declared: node.declared,
            detail: node.detail.as_deref(),
            state: node.state,
            messages: node.messages,
            queues: node.queues.iter().map(|queue| &**queue).collect(),
            problems: node.problems.iter().map(ReasonView::from).collect(),
        }
    }
}

impl<'a> EdgeView<'a> {
    fn of(edge: &'a Edge, rate: Option<f64>) -> Self {
        Self {
            from: edge.from.to_string(),
            to: edge.to.to_string(),
            way: edge.way.as_str(),
            label: edge.label.as_deref(),
            consumer: edge.consumer.as_deref(),
            rate,
        }
    }
}
