//! `placement`, `priority` and `ack_timeout`: what they cannot be combined with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hive_core::codes::Code;

use super::super::{Context, topology};
use super::{SINGLE_ACTIVE_CONSUMER, declared_queue};
use crate::keys::RootKeys;
use crate::plan::{Argument, ConsumerPlan, Placement, QueueKind, QueuePlan};
use crate::redact;
use crate::written::Node;

/// Reports the keys beside `placement` that have no meaning with it, and a queue that does not go with these keys.
/// Those of a stream are reported with the stream.
pub(super) fn check(context: &mut Context<'_>, node: &Node, is_stream: bool) {
    let single = node
        .get(ConsumerPlan::placement)
        .filter(|_| is_single(node));
    if let (Some(at), true) = (single, is_stream) {
        let message = "cannot be \"single\" for a stream: the broker has no single active consumer of a stream";
        let remedy = "remove it; hosts that share a store and a `stream.group` share the offset, and each reads every \
                      message";
        context.faults.error(Code::StreamKey, at, message, remedy);
    }
    if is_stream {
        return;
    }
    if let (Some(_), Some(at)) = (single, node.get(ConsumerPlan::priority)) {
        let message = "has no effect with `placement = \"single\"`, which gives each host a priority of its own";
        let remedy = "remove one of the two";
        context.faults.error(Code::NoEffect, at, message, remedy);
    }
    let Some(queue) = declared_queue(context, node) else {
        return;
    };
    if let Some(at) = single {
        check_queue(context, at, queue);
    }
    if let Some(at) = node.get(ConsumerPlan::ack_timeout)
        && !QueuePlan::passive.value(Some(queue))
        && topology::kind(queue) == QueueKind::Classic
    {
        let message = "is not supported for a classic queue: RabbitMQ refuses such a consumer";
        let remedy = "remove it and set the broker's `consumer_timeout`, or set `type = \"quorum\"` of the queue";
        context.faults.error(Code::QueueKind, at, message, remedy);
    }
}

pub(super) fn is_single(node: &Node) -> bool {
    ConsumerPlan::placement.value(Some(node)) == Placement::Single
}

/// Whether a queue that is declared here can have one active consumer among several hosts.
fn check_queue(context: &mut Context<'_>, at: &Node, queue: &Node) {
    if QueuePlan::exclusive.value(Some(queue)) {
        let message =
            "cannot be \"single\" for an exclusive queue, which only one connection may use";
        let remedy = "remove it, or `exclusive = true` of the queue: no other host could take over";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    let arguments = QueuePlan::arguments
        .written(Some(queue))
        .unwrap_or_default();
    let mut arguments = arguments.iter();
    let denies = |(name, value): &(String, Argument)| {
        name == SINGLE_ACTIVE_CONSUMER && *value != Argument::Boolean(true)
    };
    if arguments.any(denies) {
        let message = format!(
            "cannot be \"single\" for a queue with another `{SINGLE_ACTIVE_CONSUMER}` in `arguments`"
        );
        let remedy = "remove the argument: Hive adds it";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
}

/// A queue whose one active consumer may be either of two would be handled now by one component, now by the other.
pub(super) fn check_shared_queues(
    context: &mut Context<'_>,
    consumers: &BTreeMap<Arc<str>, ConsumerPlan>,
) {
    let mut seen: HashMap<_, (&str, &ConsumerPlan)> = HashMap::new();
    for (name, node) in context.root.named(RootKeys::consumers) {
        let Some(consumer) = consumers.get(name.as_str()) else {
            continue;
        };
        let queue = (&consumer.connection, &consumer.queue);
        let Some((first, other)) = seen.get(&queue) else {
            seen.insert(queue, (name, consumer));
            continue;
        };
        if consumer.placement == Placement::Every && other.placement == Placement::Every {
            continue;
        }
        let message = format!(
            "is the queue of [consumers.{first}] too, and one of the two has `placement = \"single\"`: {}",
            redact::quote(&consumer.queue)
        );
        let remedy =
            "keep one of them: of such a queue the broker lets one consumer have everything";
        let at = node.get(ConsumerPlan::queue).unwrap_or(node);
        context.faults.error(Code::Conflict, at, message, remedy);
    }
}
