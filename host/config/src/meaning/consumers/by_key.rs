//! `concurrency_by`, `rate_by` and `batch.by`: what holds for the deliveries of one key.

use hive_core::by_key::{ConcurrencyBy, RateBy};
use hive_core::codes::Code;

use super::{Context, flow};
use crate::keys::{BatchMeant, ConcurrencyByKeys, RateByKeys};
use crate::plan::{BatchPlan, ConsumerPlan, OrderingPlan};
use crate::written::Node;

/// How many of one key are handled at once.
pub(super) fn concurrency(
    context: &mut Context<'_>,
    node: &Node,
    most: u16,
    ordering: Option<&OrderingPlan>,
) -> Option<ConcurrencyBy> {
    let table = node.get(ConsumerPlan::concurrency_by)?;
    if node.get(ConsumerPlan::batch).is_some() {
        let message =
            "cannot be combined with `batch`: the deliveries of a batch are handled at once";
        let remedy = "remove one of `concurrency_by` and `batch`; `rate_by` goes with `batch`, and `batch.by` has a \
                      batch for each key";
        context.faults.error(Code::Conflict, table, message, remedy);
    }
    let key = ConcurrencyByKeys::key.at(Some(table));
    let key = key.and_then(|at| flow::key(context, at));
    let limit_at = ConcurrencyByKeys::limit.at(Some(table))?;
    let limit = ConcurrencyByKeys::limit.written(Some(table))?;
    let key = key?;
    if let Some(ordering) = ordering
        && ordering.by == key
    {
        let message = "has no effect beside `ordered_by` with the same key, which lets one at a time be handled";
        let remedy = "remove it, or one of the two keys is to be another";
        context
            .faults
            .warning(Code::NoEffect, table, message, remedy);
    } else if limit >= most {
        let message = format!("has no effect: the consumer handles {most} at once at most");
        let remedy =
            "write less than `concurrency` (with `scale`: than `scale.max`), or raise that";
        context
            .faults
            .warning(Code::NoEffect, limit_at, message, remedy);
    }
    Some(ConcurrencyBy { key, limit })
}

/// How often those of one key are handed over.
pub(super) fn rate(context: &mut Context<'_>, node: &Node) -> Option<RateBy> {
    let table = Some(node.get(ConsumerPlan::rate_by)?);
    let key = RateByKeys::key.at(table);
    let key = key.and_then(|at| flow::key(context, at));
    let burst = RateByKeys::burst.written(table);
    let rate = RateByKeys::rate.at(table);
    let rate = rate.and_then(|at| flow::rate_of(context, at, burst));
    Some(RateBy {
        key: key?,
        rate: rate?,
    })
}

/// The batches, and whether each has a key.
pub(super) fn batch(context: &mut Context<'_>, node: &Node) -> Option<BatchPlan> {
    let table = node.get(ConsumerPlan::batch)?;
    let by = BatchPlan::by.at(Some(table));
    let by = by.and_then(|at| flow::key(context, at));
    BatchPlan::of_table(Some(table), BatchMeant { by })
}
