//! `batch = { … }`: the prefetch that deliveries need which are handed over together.

use super::DEFAULT_PREFETCH;
use crate::meaning::Context;
use crate::plan::{BatchPlan, ConsumerPlan};
use crate::written::Node;
use hive_core::codes::Code;

/// The size of its batches, for a consumer that has them.
pub(super) fn size(node: &Node) -> Option<u16> {
    BatchPlan::size.written(node.get(ConsumerPlan::batch))
}

/// The prefetch of a consumer with batches: a batch is full only if the broker delivers as many unacknowledged
/// messages, for each batch that is handled at once. `key` says how many those are.
pub(super) fn prefetch(
    context: &mut Context<'_>,
    node: &Node,
    size: u16,
    key: &str,
    concurrency: u16,
) -> u16 {
    let least = u32::from(size) * u32::from(concurrency);
    let product = match concurrency {
        1 => "`batch.size`".to_owned(),
        _ => format!("`batch.size` times `{key}`"),
    };
    let Ok(least) = u16::try_from(least) else {
        let at = BatchPlan::size.at(node.get(ConsumerPlan::batch));
        let message = format!("is too large with `{key}`: {size} times {concurrency} is {least}");
        let remedy =
            "lower one of them: the broker lets out 65535 unacknowledged deliveries at most";
        context
            .faults
            .error(Code::CrossedBounds, at.unwrap_or(node), message, remedy);
        return u16::MAX;
    };
    let Some(at) = node.get(ConsumerPlan::prefetch) else {
        return DEFAULT_PREFETCH.max(least);
    };
    let prefetch = ConsumerPlan::prefetch
        .written(Some(node))
        .unwrap_or(u16::MAX);
    if prefetch < least {
        let message = format!("is below {product}: {prefetch} against {least}");
        let remedy = format!(
            "write at least {least}, or remove the key: the broker lets out no more than `prefetch` at \
             once, so batches would not get full"
        );
        context
            .faults
            .error(Code::CrossedBounds, at, message, remedy);
    }
    prefetch
}
