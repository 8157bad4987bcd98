//! `retry`: how often, after which delays, and where the retries wait.

use std::time::Duration;

use hive_core::codes::Code;
use hive_core::policy::{RetryPolicy, Schedule};

use super::declared_queue;
use crate::keys::{Name, RetryKeys};
use crate::meaning::Context;
use crate::plan::{Argument, ConsumerPlan, DelayQueues, QueuePlan};
use crate::read::LONGEST_RETRIED;
use crate::redact;
use crate::written::{Node, Value};

/// The longest delay of a shared delay queue. Such a queue is deleted some days after it was made.
const LONGEST_SHARED: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn policy(context: &mut Context<'_>, consumer: &Node) -> RetryPolicy {
    let retry = consumer.get(ConsumerPlan::retry);
    let schedule = RetryKeys::schedule.value(retry);
    check_schedule(context, retry, schedule);
    let limit = RetryKeys::limit.written(retry);
    let Some(delays) = delays(context, retry) else {
        return RetryPolicy {
            limit: limit.unwrap_or(schedule.limit()),
            ..schedule.into()
        };
    };
    RetryPolicy {
        limit: limit.unwrap_or(Schedule::Patient.limit()),
        delays,
        schedule: None,
    }
}

/// The delays that are named.
fn delays(context: &mut Context<'_>, retry: Option<&Node>) -> Option<Vec<Duration>> {
    let at = RetryKeys::delays.at(retry)?;
    if matches!(&at.value, Value::List(delays) if delays.is_empty()) {
        let remedy =
            "write at least one delay, or remove the key for those of `schedule = \"patient\"`";
        context
            .faults
            .error(Code::EmptyValue, at, "must not be empty", remedy);
        return None;
    }
    RetryKeys::delays.written(retry)
}

/// A schedule says how often and when: what says it otherwise beside it is a slip.
fn check_schedule(context: &mut Context<'_>, retry: Option<&Node>, schedule: Schedule) {
    let Some(at) = RetryKeys::schedule.at(retry) else {
        return;
    };
    if RetryKeys::delays.at(retry).is_some() {
        let message = "cannot be combined with `delays`";
        let remedy = "remove one of them: a schedule has its own delays";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    if schedule == Schedule::None
        && RetryKeys::limit
            .written(retry)
            .is_some_and(|limit| limit > 0)
    {
        let message = "cannot be combined with a `limit` above 0";
        let remedy = "remove one of them, or name \"patient\" or \"fast\"";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
}

/// Where the retries wait. A stream has none, and shares no delay queue.
pub(super) fn queues(
    context: &mut Context<'_>,
    consumer: &Node,
    policy: &RetryPolicy,
    is_stream: bool,
) -> DelayQueues {
    if is_stream {
        return DelayQueues::Own;
    }
    let retry = consumer.get(ConsumerPlan::retry);
    let declared = declared_queue(context, consumer);
    let refuses = declared.is_some_and(refuses_messages);
    let goes_away = declared.is_some_and(goes_away);
    let written = RetryKeys::queues.written(retry);
    let queues = written.unwrap_or(match policy.schedule {
        Some(_) if policy.limit > 0 && !refuses && !goes_away => DelayQueues::Shared,
        _ => DelayQueues::Own,
    });
    match queues {
        DelayQueues::Own => check_name(context, consumer, policy),
        DelayQueues::Shared => check_shared(context, retry, policy, refuses),
    }
    queues
}

/// Whether a queue refuses messages when it is full, as far as hive.toml says. Then the broker keeps the message in
/// its delay queue, and stops after a few of them.
fn refuses_messages(queue: &Node) -> bool {
    has_argument(queue, |name, value| {
        name == "x-overflow"
            && matches!(value, Argument::Text(text) if text.starts_with("reject-publish"))
    })
}

/// Whether the broker deletes the queue when its consumers are gone, and a host declares it again. A shared delay
/// queue parks what returns meanwhile; one of the consumer's own waits for the queue.
fn goes_away(queue: &Node) -> bool {
    let is = |key: Name<bool, fn() -> bool>| key.value(Some(queue));
    !is(QueuePlan::durable)
        || is(QueuePlan::exclusive)
        || is(QueuePlan::auto_delete)
        || QueuePlan::expires.written(Some(queue)).is_some()
        || has_argument(queue, |name, _| name == "x-expires")
}

fn has_argument(queue: &Node, is: impl Fn(&str, &Argument) -> bool) -> bool {
    let arguments = QueuePlan::arguments.written(Some(queue));
    let arguments = arguments.unwrap_or_default();
    arguments.iter().any(|(name, value)| is(name, value))
}

/// A message that is retried waits in a queue whose name begins with that of the consumer's queue.
fn check_name(context: &mut Context<'_>, consumer: &Node, policy: &RetryPolicy) {
    let Some(at) = consumer.get(ConsumerPlan::queue) else {
        return;
    };
    let length = at.as_text().map_or(0, str::len);
    if policy.limit > 0 && length > LONGEST_RETRIED {
        let message = format!("is too long for its delay queues: {length} bytes");
        let remedy = format!(
            "shorten it to at most {LONGEST_RETRIED} bytes, let its retries wait elsewhere with `queues = \"shared\"` \
             in `retry`, or turn them off with `retry = \"none\"`"
        );
        context
            .faults
            .error(Code::QueueNameTooLong, at, message, remedy);
    }
}

fn check_shared(
    context: &mut Context<'_>,
    retry: Option<&Node>,
    policy: &RetryPolicy,
    refuses: bool,
) {
    let Some(at) = RetryKeys::queues.at(retry) else {
        return;
    };
    if refuses {
        let message = "cannot be \"shared\": the consumer's queue refuses messages when it is full";
        let remedy = "remove it, or write \"own\": retries that the queue refuses would hold up those of every \
                      consumer of the vhost";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    let too_long = policy.delays.iter().find(|delay| **delay > LONGEST_SHARED);
    if let (Some(delay), Some(delays)) = (too_long, RetryKeys::delays.at(retry)) {
        let delay = redact::quote(&crate::units::show(*delay));
        let message = format!("has a delay that is too long for shared delay queues: {delay}");
        let remedy = "write delays of at most \"24h\", or `queues = \"own\"`";
        context
            .faults
            .error(Code::OutOfRange, delays, message, remedy);
    }
}
