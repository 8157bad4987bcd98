//! `[exchanges.NAME]` and `[queues.NAME]`: each is declared over its connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_core::nearest;

use super::{Context, arguments};
use crate::keys::{ExchangeMeant, Name, QueueMeant, RootKeys, Word};
use crate::plan::{Argument, ConnectionPlan, ExchangePlan, QueueKind, QueuePlan, TopologyPlan};
use crate::redact;
use crate::written::Node;

const EXCHANGE_TYPES: &[&str] = &["direct", "fanout", "topic", "headers"];

/// A lower limit loses messages that no consumer has seen: each reconnection counts against it.
const LOW_DELIVERY_LIMIT: i64 = 20;

/// Puts every declaration into the topology of its connection.
pub(super) fn declare(
    context: &mut Context<'_>,
    connections: &mut BTreeMap<Arc<str>, ConnectionPlan>,
) {
    let root = context.root;
    let mut put = |connection: Option<String>, add: &mut dyn FnMut(&mut TopologyPlan)| {
        if let Some(plan) = connection.and_then(|name| connections.get_mut(name.as_str())) {
            add(&mut plan.topology);
        }
    };
    for (name, node) in root.named(RootKeys::exchanges) {
        let mut exchange = exchange(context, name, node);
        let connection = context.connection(node, ExchangePlan::connection);
        put(connection, &mut |topology| {
            topology.exchanges.extend(exchange.take());
        });
    }
    for (name, node) in root.named(RootKeys::queues) {
        let mut queue = queue(context, name, node);
        let connection = context.connection(node, QueuePlan::connection);
        put(connection, &mut |topology| {
            topology.queues.extend(queue.take());
        });
    }
}

fn exchange(context: &mut Context<'_>, name: &str, node: &Node) -> Option<ExchangePlan> {
    let passive = ExchangePlan::passive.value(Some(node));
    check_reserved(context, name, node, passive);
    if let Some(kind) = node.get(ExchangePlan::kind)
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
    let name = name.to_owned();
    ExchangePlan::of_table(Some(node), ExchangeMeant { name })
}

fn queue(context: &mut Context<'_>, name: &str, node: &Node) -> Option<QueuePlan> {
    let passive = QueuePlan::passive.value(Some(node));
    check_reserved(context, name, node, passive);
    let kind = kind(node);
    check_replicated(context, node, kind);
    let arguments = arguments::of_queue(context, node, kind);
    warn_of_low_limit(context, node, &arguments, kind);
    let meant = QueueMeant {
        name: name.into(),
        kind,
        arguments,
    };
    QueuePlan::of_table(Some(node), meant)
}

/// A quorum queue where nothing speaks against it.
pub(super) fn kind(node: &Node) -> QueueKind {
    let is = |key: Name<bool, fn() -> bool>| key.value(Some(node));
    let alone = is(QueuePlan::exclusive) || is(QueuePlan::auto_delete);
    let written = QueuePlan::kind.written(Some(node));
    written.unwrap_or(match is(QueuePlan::durable) && !alone {
        true => QueueKind::Quorum,
        false => QueueKind::Classic,
    })
}

/// Replicated queues are durable and shared; the broker refuses any other.
fn check_replicated(context: &mut Context<'_>, node: &Node, kind: QueueKind) {
    if kind == QueueKind::Classic {
        return;
    }
    for (key, refused) in [
        (QueuePlan::durable, false),
        (QueuePlan::exclusive, true),
        (QueuePlan::auto_delete, true),
    ] {
        let is_refused = key.written(Some(node)) == Some(refused);
        if let Some(at) = node.get(key).filter(|_| is_refused) {
            let kind = kind.word();
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
    let keyed = node.get(QueuePlan::delivery_limit);
    let at = keyed.or_else(|| node.get(QueuePlan::arguments));
    if let (Some(at), QueueKind::Quorum) = (at, kind) {
        let message = format!("is low: {limit}");
        let remedy = "a lost connection counts against it for every unacknowledged message, so \
                      that messages are lost unseen: set at least 20, and leave retries to `retry`";
        context
            .faults
            .warning(Code::LowDeliveryLimit, at, message, remedy);
    }
}
