//! `queue` and `queues`: exactly one of them, and what `queues` needs beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_core::glob::Glob;

use super::super::Context;
use crate::keys::Name;
use crate::plan::{ConnectionPlan, ConsumerPlan};
use crate::written::Node;

/// From which queues a consumer's table says to consume.
pub(super) enum Queues {
    /// The one that `queue` names.
    One,
    /// Each that matches `queues`.
    Every { queues: Glob, written: Arc<str> },
}

/// `None` where that is faulty.
pub(super) fn queues(
    context: &mut Context<'_>,
    node: &Node,
    connections: &BTreeMap<Arc<str>, ConnectionPlan>,
) -> Option<Queues> {
    let (one, every) = (
        node.get(ConsumerPlan::queue),
        node.get(ConsumerPlan::queues),
    );
    let at = match (one, every) {
        (Some(_), None) => return Some(Queues::One),
        (None, Some(at)) => at,
        // What is in the place of a table is reported already.
        (None, None) if node.is_faulty() => return None,
        (None, None) => {
            let remedy = "name the queue to consume from, or write a pattern of names as `queues`";
            context
                .faults
                .missing(node, ConsumerPlan::queue.name(), remedy);
            return None;
        }
        (Some(_), Some(at)) => {
            let message = "cannot be combined with `queue`";
            let remedy =
                "keep `queue` for one queue, or `queues` for every queue whose name matches";
            context.faults.error(Code::Conflict, at, message, remedy);
            return None;
        }
    };
    check_others(context, node);
    check_connection(context, node, at, connections);
    let written = at.as_text()?;
    if written.is_empty() {
        let remedy = "write a pattern of names, as in \"tenant.*.events\"";
        context
            .faults
            .error(Code::EmptyValue, at, "must not be empty", remedy);
        return None;
    }
    let Some(queues) = Glob::parse(written) else {
        let message = "ends in a `\\` that escapes nothing";
        let remedy = "write `\\\\` for a backslash; `\\*` and `\\?` are a star and a question mark";
        context.faults.error(Code::BadForm, at, message, remedy);
        return None;
    };
    Some(Queues::Every {
        queues,
        written: written.into(),
    })
}

/// A stream is not discovered: each reader of one needs a place of its own.
fn check_others(context: &mut Context<'_>, node: &Node) {
    if let Some(at) = node.get(ConsumerPlan::stream) {
        let message = "cannot be combined with `queues`: streams are not discovered";
        let remedy = "remove it, or name the stream as `queue`";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
}

/// The queues of a broker are listed by its management interface alone.
fn check_connection(
    context: &mut Context<'_>,
    node: &Node,
    at: &Node,
    connections: &BTreeMap<Arc<str>, ConnectionPlan>,
) {
    let key: Name<_, _> = ConsumerPlan::connection;
    let name = node.text(key).unwrap_or(super::super::MAIN);
    // One that is missing or faulty is reported already.
    let Some(connection) = connections.get(name) else {
        return;
    };
    if connection.management.is_none() {
        let message = format!("needs the management interface of [connections.{name}]");
        let remedy = format!(
            "add `management = \"http://USER:PASSWORD@HOST:15672\"` to [connections.{name}]: AMQP cannot list queues"
        );
        context.faults.error(Code::MissingKey, at, message, remedy);
    }
}
