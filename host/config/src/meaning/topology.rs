//! `[exchanges.NAME]` and `[queues.NAME]`: each is declared over its connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_core::nearest;

use super::{Context, arguments};
use crate::plan::{
    Argument, BindingPlan, ConnectionPlan, ExchangePlan, QueueKind, QueuePlan, TopologyPlan,
};
use crate::redact;
use crate::written::{Node, Value};

const EXCHANGE_TYPES: &[&str] = &["direct", "fanout", "topic", "headers"];

/// A lower limit loses messages that no consumer has seen: each reconnection counts against it.
const LOW_DELIVERY_LIMIT: i64 = 20;

/// Puts every declaration into the topology of its connection.
pub(super) fn declare(
    context: &mut Context<'_>,
    connections: &mut BTreeMap<Arc<str>, ConnectionPlan>,
) {
    let root = context.root;
    let mut put =
        |context: &mut Context<'_>, node: &Node, add: &mut dyn FnMut(&mut TopologyPlan)| {
            let connection = context.connection(node);
            if let Some(plan) = connection.and_then(|name| connections.get_mut(name.as_str())) {
                add(&mut plan.topology);
            }
        };
    for (name, node) in root.named("exchanges") {
        let mut exchange = Some(exchange(context, name, node));
        put(context, node, &mut |topology| {
            topology.exchanges.extend(exchange.take())
        });
    }
    for (name, node) in root.named("queues") {
        let mut queue = Some(queue(context, name, node));
        put(context, node, &mut |topology| {
            topology.queues.extend(queue.take())
        });
    }
}

fn exchange(context: &mut Context<'_>, name: &str, node: &Node) -> ExchangePlan {
    let passive = node.boolean("passive").unwrap_or(false);
    check_reserved(context, name, node, passive);
    if let Some(kind) = node.get("type")
        && let Some(text) = kind.as_text()
        && !EXCHANGE_TYPES.contains(&text)
        && !text.starts_with("x-")
    {
        let message = format!("is not a type of exchange: {}", redact::quote(text));
        let choice = "a plugin's type begins with `x-`; the others are";
        let remedy = nearest::advice(text, EXCHANGE_TYPES.iter().copied(), choice);
        context
            .faults
            .error(Code::UnknownChoice, kind, message, remedy);
    }
    ExchangePlan {
        name: name.to_owned(),
        kind: node.text("type").unwrap_or("direct").to_owned(),
        passive,
        durable: node.boolean("durable").unwrap_or(true),
        auto_delete: node.boolean("auto_delete").unwrap_or(false),
        internal: node.boolean("internal").unwrap_or(false),
        arguments: node.arguments("arguments"),
        bindings: bindings(node),
    }
}

fn queue(context: &mut Context<'_>, name: &str, node: &Node) -> QueuePlan {
    let passive = node.boolean("passive").unwrap_or(false);
    check_reserved(context, name, node, passive);
    let kind = kind(node);
    check_replicated(context, node, kind);
    let arguments = arguments::of_queue(context, node, kind);
    warn_of_low_limit(context, node, &arguments, kind);
    QueuePlan {
        name: name.into(),
        kind,
        passive,
        durable: node.boolean("durable").unwrap_or(true),
        exclusive: node.boolean("exclusive").unwrap_or(false),
        auto_delete: node.boolean("auto_delete").unwrap_or(false),
        arguments,
        bindings: bindings(node),
    }
}

/// A quorum queue where nothing speaks against it.
pub(super) fn kind(node: &Node) -> QueueKind {
    let durable = node.boolean("durable").unwrap_or(true);
    let alone = ["exclusive", "auto_delete"].map(|key| node.boolean(key) == Some(true));
    match node.text("type") {
        Some("quorum") => QueueKind::Quorum,
        Some("stream") => QueueKind::Stream,
        Some(_) => QueueKind::Classic,
        None if durable && alone == [false, false] => QueueKind::Quorum,
        None => QueueKind::Classic,
    }
}

/// Replicated queues are durable and shared; the broker refuses any other.
fn check_replicated(context: &mut Context<'_>, node: &Node, kind: QueueKind) {
    if kind == QueueKind::Classic {
        return;
    }
    for (key, refused) in [
        ("durable", false),
        ("exclusive", true),
        ("auto_delete", true),
    ] {
        if let Some(at) = node.get(key).filter(|_| node.boolean(key) == Some(refused)) {
            let kind = arguments::word(kind);
            let message = format!("cannot be {refused} for a {kind} queue");
            context.faults.error(
                Code::QueueKind,
                at,
                message,
                "remove it, or set `type = \"classic\"`",
            );
        }
    }
}

fn check_reserved(context: &mut Context<'_>, name: &str, node: &Node, passive: bool) {
    if name.starts_with("amq.") && !passive {
        let message = "has a name that begins with `amq.`, which is the broker's own";
        let remedy = "rename it, or add `passive = true` to only check that it is there";
        context
            .faults
            .error(Code::ReservedName, node, message, remedy);
    }
}

fn warn_of_low_limit(
    context: &mut Context<'_>,
    node: &Node,
    arguments: &[(String, Argument)],
    kind: QueueKind,
) {
    let limit = arguments
        .iter()
        .find(|(name, _)| name == "x-delivery-limit");
    let Some((_, Argument::Integer(limit @ 0..LOW_DELIVERY_LIMIT))) = limit else {
        return;
    };
    let at = node.get("delivery_limit").or_else(|| node.get("arguments"));
    if let (Some(at), QueueKind::Quorum) = (at, kind) {
        let message = format!("is low: {limit}");
        let remedy = "a lost connection counts against it for every unacknowledged message, so \
                      that messages are lost unseen: set at least 20, and leave retries to `retry`";
        context
            .faults
            .warning(Code::LowDeliveryLimit, at, message, remedy);
    }
}

fn bindings(node: &Node) -> Vec<BindingPlan> {
    node.list("bindings")
        .iter()
        .filter(|binding| matches!(binding.value, Value::Table(..)))
        .filter_map(|binding| {
            Some(BindingPlan {
                exchange: binding.text("exchange")?.to_owned(),
                routing_key: binding.text("routing_key").unwrap_or("").to_owned(),
                arguments: binding.arguments("arguments"),
            })
        })
        .collect()
}
