//! `[components.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Context, allow};
use crate::keys::{ComponentMeant, RootKeys};
use crate::plan::{ComponentPlan, ConsumerPlan, Instances, Kept};
use crate::redact;
use crate::written::Node;
use hive_core::codes::Code;
use hive_core::holding::CONSUMER_TIMEOUT;

/// The components that nothing is wrong with, by name.
pub(super) fn plans(context: &mut Context<'_>) -> BTreeMap<Arc<str>, ComponentPlan> {
    let root = context.root;
    root.named(RootKeys::components)
        .iter()
        .filter_map(|(name, node)| Some((name.as_str().into(), plan(context, name, node)?)))
        .collect()
}

fn plan(context: &mut Context<'_>, name: &str, node: &Node) -> Option<ComponentPlan> {
    let instances = instances(context, node);
    let allow = allow::plan(context, node);
    let sha256 = sha256(context, node);
    for key in [
        ComponentPlan::path.untyped(),
        ComponentPlan::build.untyped(),
    ] {
        if let Some(at) = node.get(key).filter(|at| at.as_text() == Some("")) {
            context.faults.error(
                Code::EmptyValue,
                at,
                "must not be empty",
                "fill it in, or remove it",
            );
        }
    }
    check_timeout(context, name, node);
    let path = ComponentPlan::path.at(Some(node))?.as_text()?;
    let meant = ComponentMeant {
        name: name.into(),
        path: context.base(node).join(path),
        instances,
        sha256,
        allow,
    };
    ComponentPlan::of_table(Some(node), meant)
}

/// Warns of calls that the broker does not wait for.
fn check_timeout(context: &mut Context<'_>, name: &str, node: &Node) {
    let Some(at) = node.get(ComponentPlan::timeout) else {
        return;
    };
    let timeout = ComponentPlan::timeout.value(Some(node));
    let consumers = context.root.named(RootKeys::consumers).iter();
    let mut consumers = consumers
        .filter(|(_, consumer)| consumer.text(ConsumerPlan::component) == Some(name))
        .peekable();
    let is_waited_for = consumers.peek().is_some()
        && consumers.all(|(_, consumer)| {
            let waits = ConsumerPlan::ack_timeout.written(Some(consumer));
            waits.flatten().is_some_and(|waits| waits > timeout)
        });
    if timeout >= CONSUMER_TIMEOUT && !is_waited_for {
        let message = "is not shorter than what a broker waits for an answer by default";
        let remedy = "write less than 30m, set a longer `ack_timeout` of its consumers, or raise the broker's \
                      `consumer_timeout`: when that has passed, the broker takes the delivery back and the call is lost";
        context
            .faults
            .warning(Code::ConsumerTimeout, at, message, remedy);
    }
}

fn instances(context: &mut Context<'_>, node: &Node) -> Instances {
    let table = Some(node);
    if ComponentPlan::instances.value(table) == Kept::Reuse {
        return Instances::Reuse {
            after: ComponentPlan::recycle_after.written(table),
            above: ComponentPlan::recycle_above.written(table),
            idle: Some(ComponentPlan::recycle_idle.value(table)),
        };
    }
    for key in [
        ComponentPlan::recycle_after.untyped(),
        ComponentPlan::recycle_above.untyped(),
        ComponentPlan::recycle_idle.untyped(),
    ] {
        if let Some(at) = node.get(key) {
            let message = "has no meaning with `instances = \"fresh\"`";
            let remedy = "remove it: a fresh instance serves one delivery";
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
    }
    Instances::Fresh
}

/// The checksum in the host's form; an invalid one is reported.
fn sha256(context: &mut Context<'_>, node: &Node) -> Option<String> {
    /// Digits of 256 bits.
    const DIGITS: usize = 64;
    let at = node.get(ComponentPlan::sha256)?;
    let text = at.as_text()?;
    if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = format!(
            "is not a SHA-256, which has {DIGITS} hexadecimal digits: {}",
            redact::quote(text)
        );
        let remedy = "write what `sha256sum` prints for the file of `path`";
        context.faults.error(Code::BadForm, at, message, remedy);
    }
    Some(text.to_ascii_lowercase())
}
