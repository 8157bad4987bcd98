//! `[consumers.NAME]`: who consumes what, and how it is retried.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_core::nearest;

use self::pattern::Queues;
use super::Context;
use crate::keys::{ConsumerMeant, Name, RetryKeys, RootKeys};
use crate::plan::{
    Argument, ConnectionPlan, ConsumerPlan, PatternPlan, QueuePlan, RatePlan, ScalePlan,
};
use crate::read::LONGEST_NAME;
use crate::redact;
use crate::written::Node;

mod batch;
mod by_key;
mod dedup;
mod pattern;
mod placement;
mod retry;
mod routes;
mod scale;
mod schema;
mod stream;

pub(super) mod flow;

const DEFAULT_PREFETCH: u16 = 256;
/// The default prefetch where it cannot grow. Growing needs a second consumer: on a queue with a single active
/// consumer it may be queued behind that of another host, and beside the first one it disturbs the order.
const UNCHANGED_PREFETCH: u16 = 16;

/// The argument of a queue of which the broker lets one consumer have everything.
const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";

/// The consumers that nothing is wrong with, by name: those of one queue, and those of a pattern.
pub(super) fn plans(
    context: &mut Context<'_>,
    connections: &BTreeMap<Arc<str>, ConnectionPlan>,
) -> (
    BTreeMap<Arc<str>, ConsumerPlan>,
    BTreeMap<Arc<str>, PatternPlan>,
) {
    let root = context.root;
    let is_faulty = root.get(RootKeys::consumers).is_some_and(Node::is_faulty);
    let runs_nothing = root.named(RootKeys::consumers).is_empty()
        && root.named(RootKeys::schedules).is_empty()
        && root.get(RootKeys::http).is_none();
    if runs_nothing && !is_faulty {
        let remedy = "add a [consumers.NAME] with a `queue` and a `component` or `routes`, [http] with a route, or a \
                      [schedules.NAME]: without one there is nothing to run";
        context
            .faults
            .missing(root, RootKeys::consumers.name(), remedy);
    }
    let mut plans = BTreeMap::new();
    let mut patterns = BTreeMap::new();
    for (name, node) in root.named(RootKeys::consumers) {
        let queues = pattern::queues(context, node, connections);
        // Its other keys are looked at all the same.
        let Some(plan) = plan(context, name, node, queues.as_ref()) else {
            continue;
        };
        match queues {
            Some(Queues::Every { queues, written }) => {
                let pattern = PatternPlan {
                    queues,
                    written,
                    dead_letter: RetryKeys::dead_letter.written(node.get(ConsumerPlan::retry)),
                    template: plan,
                };
                patterns.insert(name.as_str().into(), pattern);
            }
            _ => {
                plans.insert(name.as_str().into(), plan);
            }
        }
    }
    stream::check_groups(context, &plans);
    placement::check_shared_queues(context, &plans);
    (plans, patterns)
}

fn plan(
    context: &mut Context<'_>,
    name: &str,
    node: &Node,
    queues: Option<&Queues>,
) -> Option<ConsumerPlan> {
    let handler = routes::handler(context, node);
    let connection = context.connection(node, ConsumerPlan::connection);
    let scale = scale::plan(context, node);
    let ordering = flow::ordering(context, node);
    let rate = flow::rate(context, node.get(ConsumerPlan::rate));
    let (prefetch, concurrency) = prefetch(context, node, scale.as_ref(), rate.as_ref());
    let concurrency_by = by_key::concurrency(context, node, concurrency, ordering.as_ref());
    let rate_by = by_key::rate(context, node);
    let batch = by_key::batch(context, node);
    let retry = retry::policy(context, node);
    check_queue(context, node);
    let stream = stream::plan(context, name, node);
    placement::check(context, node, stream.is_some());
    let together = batch::size(node).unwrap_or(1);
    let has_budget = node.get(ConsumerPlan::max_bytes_in_flight).is_some();
    let is_written = node.get(ConsumerPlan::prefetch).is_some() && !has_budget;
    let is_fixed = is_written || stream.is_some();
    let queue_stays = queue_stays(context, node);
    let cannot_grow =
        has_single_active_consumer(context, node) || (ordering.is_some() && !queue_stays);
    let (least_prefetch, prefetch) = match concurrency.saturating_mul(together) {
        _ if is_fixed => (prefetch, prefetch),
        least if cannot_grow => {
            let fixed = prefetch.min(UNCHANGED_PREFETCH.max(least));
            (fixed, fixed)
        }
        _ if has_budget => (1, prefetch),
        least => (least.min(prefetch), prefetch),
    };
    let prefetch_changes = !cannot_grow && stream.is_none();
    let (queue, dead_letter) = match queues {
        Some(Queues::Every { written, .. }) => {
            let named = RetryKeys::dead_letter.written(node.get(ConsumerPlan::retry));
            let of_each = || Arc::from("QUEUE.dead");
            (
                Some(Arc::clone(written)),
                Some(named.unwrap_or_else(of_each)),
            )
        }
        _ => {
            let queue = ConsumerPlan::queue.written(Some(node));
            (queue, dead_letter(context, node).map(Arc::from))
        }
    };
    let delay_queues = retry::queues(context, node, &retry, stream.is_some());
    let schema = schema::contract(context, node);
    let dedup = dedup::plan(context, node.get(ConsumerPlan::dedup));
    let publish_dedup = dedup::plan(context, node.get(ConsumerPlan::publish_dedup));
    let meant = ConsumerMeant {
        name: name.into(),
        table: name.into(),
        queue: queue?,
        handler: handler?,
        connection: connection?.into(),
        prefetch,
        least_prefetch,
        prefetch_changes,
        queue_stays,
        concurrency,
        scale,
        ordering,
        rate,
        concurrency_by,
        rate_by,
        batch,
        retry,
        delay_queues,
        dead_letter: dead_letter?,
        schema,
        dedup,
        publish_dedup,
        stream,
    };
    ConsumerPlan::of_table(Some(node), meant)
}

/// The component that is named at this place.
pub(super) fn component(context: &mut Context<'_>, at: &Node) -> Option<String> {
    let name = at.as_text()?;
    let is_faulty = context
        .root
        .get(RootKeys::components)
        .is_some_and(Node::is_faulty);
    if !context.names.components.contains_key(name) && !is_faulty {
        let components = context.root.named(RootKeys::components);
        let names: Vec<&str> = components.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("names no component: {}", redact::quote(name));
        let remedy = match names.is_empty() {
            true => "add a [components.NAME] with its `path`".to_owned(),
            false => nearest::advice(name, names, "the components are"),
        };
        context.faults.dangling(at, message, remedy);
    }
    Some(name.to_owned())
}

/// Prefetch and concurrency: an instance beyond the prefetch would never get a delivery.
fn prefetch(
    context: &mut Context<'_>,
    node: &Node,
    scale: Option<&ScalePlan>,
    rate: Option<&RatePlan>,
) -> (u16, u16) {
    let (key, concurrency) = match scale {
        Some(scale) => ("scale.max", scale.max),
        None => {
            let key = ConsumerPlan::concurrency;
            (key.name(), key.value(Some(node)))
        }
    };
    if let Some(size) = batch::size(node) {
        let prefetch = batch::prefetch(context, node, size, key, concurrency);
        return (prefetch, concurrency);
    }
    let Some(at) = node.get(ConsumerPlan::prefetch) else {
        let prefetch = match rate {
            Some(rate) => flow::prefetch_for(rate, DEFAULT_PREFETCH, concurrency),
            None => DEFAULT_PREFETCH.max(concurrency),
        };
        return (prefetch, concurrency);
    };
    let prefetch = ConsumerPlan::prefetch
        .written(Some(node))
        .unwrap_or(u16::MAX);
    if prefetch < concurrency {
        let message = format!("is below `{key}`: {prefetch} against {concurrency}");
        let remedy = format!(
            "write at least {concurrency}: the broker lets out no more than `prefetch` at once"
        );
        context
            .faults
            .error(Code::CrossedBounds, at, message, remedy);
    }
    if let (Some(rate), false) = (rate, at.is_faulty()) {
        flow::check_prefetch(context, at, rate, prefetch);
    }
    (prefetch, concurrency)
}

/// The dead-letter queue: another queue than the consumer's, or a message would be redelivered for ever.
fn dead_letter(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let queue_node = node.get(ConsumerPlan::queue)?;
    let queue = queue_node.as_text()?;
    let Some(at) = RetryKeys::dead_letter.at(node.get(ConsumerPlan::retry)) else {
        let name = format!("{queue}.dead");
        if name.len() > LONGEST_NAME && !stream::makes_no_dead_letters(context, node) {
            let message = format!(
                "is too long for its dead-letter queue: {} bytes",
                name.len()
            );
            let remedy = "name a shorter one as `dead_letter` in `retry`";
            context
                .faults
                .error(Code::QueueNameTooLong, queue_node, message, remedy);
        }
        return Some(name);
    };
    let name = at.as_text()?;
    if name == queue {
        let message = format!("is the queue consumed from: {}", redact::quote(name));
        let remedy = format!("name another queue, or remove the key for \"{queue}.dead\"");
        context
            .faults
            .error(Code::DeadLetterLoop, at, message, remedy);
    }
    Some(name.to_owned())
}

/// The declaration of a consumer's queue, if hive.toml has one.
fn declared_queue<'n>(context: &Context<'n>, node: &Node) -> Option<&'n Node> {
    context
        .names
        .queues
        .get(node.text(ConsumerPlan::queue)?)
        .copied()
}

/// Whether the queue is known to stay while nobody consumes it.
fn queue_stays(context: &Context<'_>, node: &Node) -> bool {
    declared_queue(context, node).is_some_and(|queue| {
        let is = |key: Name<bool, fn() -> bool>| key.value(Some(queue));
        !is(QueuePlan::passive) && !is(QueuePlan::auto_delete)
    })
}

/// Whether its queue is known to be one of which the broker lets one consumer have everything.
fn has_single_active_consumer(context: &Context<'_>, node: &Node) -> bool {
    let single = (SINGLE_ACTIVE_CONSUMER, Argument::Boolean(true));
    let is_declared = declared_queue(context, node).is_some_and(|queue| {
        let arguments = QueuePlan::arguments
            .written(Some(queue))
            .unwrap_or_default();
        let mut arguments = arguments.iter().map(|(name, value)| (name.as_str(), value));
        arguments.any(|argument| argument == (single.0, &single.1))
    });
    is_declared || placement::is_single(node)
}

/// Whether the queue consumed from may be a slip of one that is declared.
fn check_queue(context: &mut Context<'_>, node: &Node) {
    let Some(at) = node.get(ConsumerPlan::queue) else {
        return;
    };
    let Some(name) = at.as_text() else {
        return;
    };
    if context.names.queues.contains_key(name) {
        return;
    }
    let near = |(declared, _): &&(String, Node)| nearest::a_slip_apart(name, declared);
    let queues = context.root.named(RootKeys::queues);
    if let Some((declared, _)) = queues.iter().find(near) {
        let message = format!("is not declared here: {}", redact::quote(name));
        let remedy = format!("did you mean {declared:?}, which is? if not, ignore this");
        context
            .faults
            .warning(Code::UndeclaredQueue, at, message, remedy);
    }
}
