//! `[consumers.NAME.stream]`: how a stream is read, and which other keys have no meaning then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use hive_core::codes::Code;
use hive_core::nearest;
use hive_core::policy::{OnError, Schedule};

use super::super::{Context, topology};
use crate::keys::{Name, RetryKeys, RootKeys, StreamMeant};
use crate::plan::{ConsumerPlan, QueueKind, QueuePlan, StreamOffset, StreamPlan};
use crate::redact;
use crate::written::{Node, Value};

/// Keys that a consumer of a stream may not have, and why.
const MEANINGLESS: &[(Name<()>, &str)] = &[
    (
        ConsumerPlan::priority.untyped(),
        "is not supported for a stream: every consumer reads every message, and the broker refuses a priority",
    ),
    (
        ConsumerPlan::ack_timeout.untyped(),
        "is not supported for a stream: its messages are not taken back",
    ),
    (
        ConsumerPlan::ordered_by.untyped(),
        "is not supported for a stream: what waits for its key would hold up the offset",
    ),
    (
        ConsumerPlan::concurrency_by.untyped(),
        "is not supported for a stream: what waits for its key would hold up the offset",
    ),
    (
        ConsumerPlan::rate_by.untyped(),
        "is not supported for a stream: what waits for its key would hold up the offset; `rate` is for all of them",
    ),
    (
        ConsumerPlan::batch.untyped(),
        "is not supported for a stream: what is pending in a batch has no offset of its own",
    ),
    (
        ConsumerPlan::scale.untyped(),
        "has no meaning for a stream: its depth is what it keeps, not what is left to read",
    ),
];

/// How the consumer at `node` reads its stream; `None` if it reads none.
pub(super) fn plan(context: &mut Context<'_>, name: &str, node: &Node) -> Option<StreamPlan> {
    let written = node.get(ConsumerPlan::stream);
    let declared = declared(context, node);
    if let (Some(at), Some(kind)) = (written, declared)
        && kind != QueueKind::Stream
    {
        let queue = node.text(ConsumerPlan::queue).unwrap_or_default();
        let message = format!("is set for {}, which is not a stream", redact::quote(queue));
        let remedy = format!("remove it, or set `type = \"stream\"` of [queues.{queue:?}]");
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    if written.is_none() && declared != Some(QueueKind::Stream) {
        return None;
    }
    let on_error = on_error(node);
    check_others(context, node, on_error);
    let group = StreamPlan::group.written(written);
    let meant = StreamMeant {
        offset: offset(context, written),
        group: group.unwrap_or_else(|| name.into()),
    };
    StreamPlan::of_table(written, meant)
}

/// Whether nothing of this consumer's queue is ever dead-lettered.
pub(super) fn makes_no_dead_letters(context: &Context<'_>, node: &Node) -> bool {
    let is_stream = node.get(ConsumerPlan::stream).is_some()
        || declared(context, node) == Some(QueueKind::Stream);
    is_stream && on_error(node) != OnError::DeadLetter
}

/// Two consumers that move one offset would pass over what the other has not handled.
pub(super) fn check_groups(
    context: &mut Context<'_>,
    consumers: &BTreeMap<Arc<str>, ConsumerPlan>,
) {
    let mut seen = HashMap::new();
    for (name, node) in context.root.named(RootKeys::consumers) {
        let consumer = consumers.get(name.as_str());
        let Some((consumer, stream)) = consumer.and_then(|c| Some((c, c.stream.as_ref()?))) else {
            continue;
        };
        let Some(first) = seen.insert((&consumer.queue, &stream.group), name) else {
            continue;
        };
        let written = node.get(ConsumerPlan::stream);
        let at = StreamPlan::group.at(written);
        let message = format!(
            "reads the stream {} as the group {}, as [consumers.{first}] does",
            redact::quote(&consumer.queue),
            redact::quote(&stream.group)
        );
        let remedy = "give each a `group` of its own: they would move one stored offset";
        context.faults.error(
            Code::Duplicate,
            at.or(written).unwrap_or(node),
            message,
            remedy,
        );
    }
}

/// The kind of queue that the file declares; `None` if it leaves that to the broker.
fn declared(context: &Context<'_>, node: &Node) -> Option<QueueKind> {
    let queue = context.names.queues.get(node.text(ConsumerPlan::queue)?)?;
    let is_open = QueuePlan::passive.value(Some(queue)) && queue.get(QueuePlan::kind).is_none();
    (!is_open).then(|| topology::kind(queue))
}

fn on_error(node: &Node) -> OnError {
    StreamPlan::on_error.value(node.get(ConsumerPlan::stream))
}

fn offset(context: &mut Context<'_>, stream: Option<&Node>) -> StreamOffset {
    let default = StreamPlan::offset.default();
    let Some(at) = StreamPlan::offset.at(stream) else {
        return default;
    };
    let text = match &at.value {
        Value::Integer(number) => {
            return StreamOffset::Number(u64::try_from(*number).unwrap_or_default());
        }
        Value::Text(text) => text,
        _ => return default,
    };
    if let Some((_, offset)) = StreamOffset::NAMED.iter().find(|(word, _)| word == text) {
        return *offset;
    }
    let time = humantime::parse_rfc3339(text).ok();
    if let Some(since) = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
        return StreamOffset::Time(since.as_secs());
    }
    let words = StreamOffset::NAMED.iter().map(|(word, _)| *word);
    let remedy = match text.parse::<u64>() {
        Ok(number) => format!("write the number without quotes: offset = {number}"),
        Err(_) => nearest::advice(
            text,
            words,
            "write a number, a time such as \"2026-01-01T00:00:00Z\", or one of",
        ),
    };
    let message = format!("is not a place in a stream: {}", redact::quote(text));
    context.faults.error(Code::BadForm, at, message, remedy);
    default
}

/// Reports keys beside it that have no meaning for a stream.
fn check_others(context: &mut Context<'_>, node: &Node, on_error: OnError) {
    if let Some(retry) = node.get(ConsumerPlan::retry) {
        // "none" is what a stream has anyway.
        let names_none = RetryKeys::schedule.written(Some(retry)) == Some(Schedule::None);
        let keys = [
            RetryKeys::schedule.untyped(),
            RetryKeys::limit.untyped(),
            RetryKeys::delays.untyped(),
            RetryKeys::queues.untyped(),
        ];
        for key in keys.into_iter().skip(usize::from(names_none)) {
            if let Some(at) = retry.get(key) {
                let message = "has no meaning for a stream: everybody would read the retry";
                let remedy =
                    "remove it; `stream.on_error` says what becomes of a message that fails";
                context.faults.error(Code::StreamKey, at, message, remedy);
            }
        }
        if let Some(at) = retry.get(RetryKeys::dead_letter)
            && on_error != OnError::DeadLetter
        {
            let message = "is of no use: nothing of this stream is dead-lettered";
            let remedy = "remove it, or set `on_error = \"dead-letter\"` in `stream`";
            context.faults.error(Code::StreamKey, at, message, remedy);
        }
    }
    if let Some(at) = node.get(ConsumerPlan::reply_on_failure)
        && ConsumerPlan::reply_on_failure.value(Some(node))
        && on_error != OnError::DeadLetter
    {
        let message =
            "is of no use: it answers what is dead-lettered, and nothing of this stream is";
        let remedy = "remove it, or set `on_error = \"dead-letter\"` in `stream`";
        context.faults.error(Code::StreamKey, at, message, remedy);
    }
    for (key, why) in MEANINGLESS {
        if let Some(at) = node.get(*key) {
            context.faults.error(
                Code::StreamKey,
                at,
                *why,
                "remove it, or consume from a queue that is not a stream",
            );
        }
    }
}
