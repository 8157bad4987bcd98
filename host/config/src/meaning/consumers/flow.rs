//! `ordered_by`, `ordered_retry` and `rate`: in which order, and how often.
//!
//! The keys that messages may have in common, and the rates, are those of `by_key` too.

use std::time::Duration;

use hive_core::message_key::{Key, KeyFault};

use super::Context;
use crate::keys::RateKeys;
use crate::plan::{ConsumerPlan, OrderingPlan, RatePlan};
use crate::redact;
use crate::units;
use crate::written::Node;
use hive_core::codes::Code;
use hive_core::holding::LONGEST_HOLD;

/// The default prefetch of a consumer with a rate: what it handles in this time.
const WAIT_BY_DEFAULT: Duration = Duration::from_secs(60);

pub(super) fn ordering(context: &mut Context<'_>, node: &Node) -> Option<OrderingPlan> {
    let Some(at) = node.get(ConsumerPlan::ordered_by) else {
        if let Some(at) = node.get(ConsumerPlan::ordered_retry) {
            let remedy = "add `ordered_by`, or remove the key";
            let message = "only applies together with `ordered_by`";
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
        return None;
    };
    if node.get(ConsumerPlan::batch).is_some() {
        let message =
            "cannot be combined with `batch`: one batch may hold several deliveries of a key";
        let remedy = "remove one of `ordered_by` and `batch`";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    let retry = ConsumerPlan::ordered_retry.value(Some(node));
    let by = key(context, at)?;
    Some(OrderingPlan { by, retry })
}

/// A key that messages have in common.
pub(super) fn key(context: &mut Context<'_>, at: &Node) -> Option<Key> {
    const FORMS: &str = "write \"routing-key\", \"header:NAME\" or \"json:/pointer\"";
    let text = at.as_text()?;
    let quoted = redact::quote(text);
    let message = match Key::named(text) {
        Ok(Key::MessageId | Key::Body) => {
            format!("cannot be {quoted}: hardly two messages have the same one")
        }
        Ok(key) => return Some(key),
        Err(KeyFault::Unknown) => format!("is not a key: {quoted}"),
        Err(KeyFault::NoHeader) => "names no header".to_owned(),
        Err(KeyFault::NoPointer) => format!("is not a JSON pointer (RFC 6901): {quoted}"),
    };
    context.faults.error(Code::BadForm, at, message, FORMS);
    None
}

/// The rate that is written here.
pub(in crate::meaning) fn rate(context: &mut Context<'_>, at: Option<&Node>) -> Option<RatePlan> {
    let at = at?;
    let burst = RateKeys::burst.written(Some(at));
    rate_of(context, at.get(RateKeys::limit)?, burst)
}

/// The rate that this text means, with a burst if one is written.
pub(super) fn rate_of(
    context: &mut Context<'_>,
    limit_at: &Node,
    burst: Option<u32>,
) -> Option<RatePlan> {
    let text = limit_at.as_text()?;
    let Some((limit, per)) = units::rate(text) else {
        let message = format!("is not a rate: {}", redact::quote(text));
        let remedy = "write a whole number above 0 for each second, minute or hour, as in \
                      \"100/s\", \"10/m\" or \"500/h\"";
        context
            .faults
            .error(Code::BadForm, limit_at, message, remedy);
        return None;
    };
    // The tokens of a tenth of a second.
    let tenth = u64::from(limit) / (10 * per.as_secs());
    Some(RatePlan {
        limit,
        per,
        burst: burst.unwrap_or_else(|| u32::try_from(tenth).unwrap_or(u32::MAX).max(1)),
    })
}

/// The default prefetch of a consumer with a rate: prefetched deliveries wait in the host.
pub(super) fn prefetch_for(rate: &RatePlan, usual: u16, concurrency: u16) -> u16 {
    let worth = WAIT_BY_DEFAULT.as_secs() * u64::from(rate.limit) / rate.per.as_secs();
    let worth = worth.saturating_add(rate.burst.into()).min(usual.into());
    u16::try_from(worth).unwrap_or(usual).max(concurrency)
}

/// Warns of a prefetch that takes so long at this rate that the broker's consumer timeout may pass.
pub(super) fn check_prefetch(context: &mut Context<'_>, at: &Node, rate: &RatePlan, prefetch: u16) {
    let wait = rate.per * u32::from(prefetch) / rate.limit;
    if wait > LONGEST_HOLD {
        let seconds = Duration::from_secs(wait.as_secs());
        let message = format!(
            "is much for this `rate`: the last of {prefetch} waits for {} in the host",
            units::show(seconds)
        );
        let remedy = "write less: a broker closes the channel of a consumer that keeps a delivery for \
                      longer than its `consumer_timeout`, half an hour by default";
        context
            .faults
            .warning(Code::ConsumerTimeout, at, message, remedy);
    }
}
