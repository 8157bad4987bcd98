//! `[consumers.NAME.scale]`: bounds, and the rule between them.

use hive_core::scaling::ScalePlan;

use crate::keys::ScaleKeys;
use crate::meaning::Context;
use crate::plan::ConsumerPlan;
use crate::written::Node;
use hive_core::codes::Code;

/// The scale of this consumer, if it has one that nothing is wrong with.
pub(super) fn plan(context: &mut Context<'_>, consumer: &Node) -> Option<ScalePlan> {
    let scale = consumer.get(ConsumerPlan::scale)?;
    if !scale.is_table() {
        return None;
    }
    if let Some(at) = consumer.get(ConsumerPlan::concurrency) {
        let message = "has no effect beside `scale`, which takes its place";
        let remedy = "remove it: `scale.min` and `scale.max` are the bounds";
        context.faults.warning(Code::NoEffect, at, message, remedy);
    }
    let messages = ScaleKeys::messages_per_instance;
    if scale.get(messages).is_none() && scale.get(ScaleKeys::target_wait).is_none() {
        let remedy = "say how many messages call for one more instance, or set `target_wait`";
        context.faults.missing(scale, messages.name(), remedy);
    }
    let table = Some(scale);
    let min = ScaleKeys::min.value(table);
    let max = ScaleKeys::max.written(table)?;
    if let Some(at) = scale.get(ScaleKeys::max)
        && max < min
    {
        let message = format!("is below `min`: {max} against {min}");
        let remedy = format!("write at least {min}");
        context
            .faults
            .error(Code::CrossedBounds, at, message, remedy);
    }
    Some(ScalePlan {
        min,
        max,
        messages_per_instance: messages.written(table),
        target_wait: ScaleKeys::target_wait.written(table),
        every: ScaleKeys::every.value(table),
    })
}
