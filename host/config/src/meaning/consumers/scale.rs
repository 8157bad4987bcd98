//! `[consumers.NAME.scale]`: bounds, and the rule between them.

use std::time::Duration;

use hive_core::scaling::ScalePlan;

use crate::meaning::Context;
use crate::written::{Node, Value};
use hive_core::codes::Code;

const DEFAULT_MIN: u16 = 1;
const DEFAULT_EVERY: Duration = Duration::from_secs(5);

/// The scale of this consumer, if it has one that nothing is wrong with.
pub(super) fn plan(context: &mut Context<'_>, consumer: &Node) -> Option<ScalePlan> {
    let scale = consumer.get("scale")?;
    if !matches!(scale.value, Value::Table(..)) {
        return None;
    }
    if let Some(at) = consumer.get("concurrency") {
        let message = "has no effect beside `scale`, which takes its place";
        let remedy = "remove it: `scale.min` and `scale.max` are the bounds";
        context.faults.warning(Code::NoEffect, at, message, remedy);
    }
    let rules = ["messages_per_instance", "target_wait"];
    if rules.iter().all(|rule| scale.get(rule).is_none()) {
        let remedy = "say how many messages call for one more instance, or set `target_wait`";
        context
            .faults
            .missing(scale, "messages_per_instance", remedy);
    }
    let min = scale.integer("min").unwrap_or(DEFAULT_MIN);
    let max = scale.integer::<u16>("max")?;
    if let Some(at) = scale.get("max")
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
        messages_per_instance: scale.integer("messages_per_instance"),
        target_wait: scale.duration("target_wait"),
        every: scale.duration("every").unwrap_or(DEFAULT_EVERY),
    })
}
