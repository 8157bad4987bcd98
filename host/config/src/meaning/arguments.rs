//! The optional arguments of a queue: those with keys of their own, and `arguments`.

use std::time::Duration;

use super::Context;
use crate::keys::{Name, Word};
use crate::plan::{Argument, Arguments, QueueKind, QueuePlan};
use crate::redact;
use crate::written::{Node, Value};
use hive_core::codes::Code;

/// One argument that has a key of its own.
struct Keyed {
    key: Name<()>,
    argument: &'static str,
    /// The kinds of queue that know it; the broker refuses it on the others.
    kinds: &'static [QueueKind],
}

const NO_STREAM: &[QueueKind] = &[QueueKind::Quorum, QueueKind::Classic];
const QUORUM: &[QueueKind] = &[QueueKind::Quorum];
const CLASSIC: &[QueueKind] = &[QueueKind::Classic];
const STREAM: &[QueueKind] = &[QueueKind::Stream];

const KEYED: &[Keyed] = &[
    Keyed {
        key: QueuePlan::dead_letter_exchange.untyped(),
        argument: "x-dead-letter-exchange",
        kinds: NO_STREAM,
    },
    Keyed {
        key: QueuePlan::dead_letter_routing_key.untyped(),
        argument: "x-dead-letter-routing-key",
        kinds: NO_STREAM,
    },
    Keyed {
        key: QueuePlan::max_length.untyped(),
        argument: "x-max-length",
        kinds: NO_STREAM,
    },
    Keyed {
        key: QueuePlan::expires.untyped(),
        argument: "x-expires",
        kinds: NO_STREAM,
    },
    Keyed {
        key: QueuePlan::message_ttl.untyped(),
        argument: "x-message-ttl",
        kinds: NO_STREAM,
    },
    Keyed {
        key: QueuePlan::delivery_limit.untyped(),
        argument: "x-delivery-limit",
        kinds: QUORUM,
    },
];

/// Arguments without a key whose kind of queue is known all the same.
const UNKEYED: &[(&str, &[QueueKind])] = &[
    ("x-max-priority", CLASSIC),
    ("x-overflow", NO_STREAM),
    ("x-single-active-consumer", NO_STREAM),
    ("x-max-age", STREAM),
    ("x-stream-max-segment-size-bytes", STREAM),
];

/// Every argument but `x-queue-type`.
pub(super) fn of_queue(context: &mut Context<'_>, node: &Node, kind: QueueKind) -> Arguments {
    let written = QueuePlan::arguments.take(Some(node)).unwrap_or_default();
    let mut arguments = Arguments::new();
    for keyed in KEYED {
        let Some(value) = node.get(keyed.key) else {
            continue;
        };
        if written.iter().any(|(name, _)| name == keyed.argument) {
            let message = format!("is also set as `{}` in `arguments`", keyed.argument);
            context
                .faults
                .error(Code::Conflict, value, message, "keep one of them");
        }
        check_kind(context, value, keyed.kinds, kind);
        if let Some(argument) = argument(value) {
            arguments.push((keyed.argument.to_owned(), argument));
        }
    }
    check_written(context, node, &written, kind);
    arguments.extend(written);
    check_dead_letter(context, node, &arguments);
    arguments
}

fn argument(node: &Node) -> Option<Argument> {
    match &node.value {
        Value::Text(text) => Some(Argument::Text(text.clone())),
        Value::Integer(number) => Some(Argument::Integer(*number)),
        Value::Duration(duration) => Some(Argument::Integer(milliseconds(*duration))),
        _ => None,
    }
}

/// The reader lets no duration through that the broker could not hold.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn check_kind(context: &mut Context<'_>, node: &Node, known: &[QueueKind], kind: QueueKind) {
    if !known.contains(&kind) {
        let message = format!("is not supported by a {} queue", kind.word());
        let kinds: Vec<&str> = known.iter().map(Word::word).collect();
        let remedy = format!("remove it, or set `type` to {}", kinds.join(" or "));
        context.faults.error(Code::QueueKind, node, message, remedy);
    }
}

/// Arguments that are spelt out have the rules of those with keys.
fn check_written(context: &mut Context<'_>, node: &Node, written: &Arguments, kind: QueueKind) {
    let Some(at) = node.get(QueuePlan::arguments) else {
        return;
    };
    for (name, _) in written {
        if name == "x-queue-type" {
            context.faults.error(
                Code::Conflict,
                at,
                "has `x-queue-type`",
                "set `type` of the queue instead",
            );
        }
        let keyed = KEYED.iter().map(|keyed| (keyed.argument, keyed.kinds));
        let mut rules = keyed.chain(UNKEYED.iter().copied());
        if let Some((_, known)) = rules.find(|(argument, _)| argument == name)
            && !known.contains(&kind)
        {
            let message = format!(
                "has {}, which no {} queue supports",
                redact::quote(name),
                kind.word()
            );
            context.faults.error(
                Code::QueueKind,
                at,
                message,
                "remove it, or set another `type`",
            );
        }
    }
}

/// The broker refuses a routing key for dead letters that have no exchange to go to.
fn check_dead_letter(context: &mut Context<'_>, node: &Node, arguments: &Arguments) {
    let has = |name: &str| arguments.iter().any(|(argument, _)| argument == name);
    let exchange_is_set =
        has("x-dead-letter-exchange") || node.get(QueuePlan::dead_letter_exchange).is_some();
    if has("x-dead-letter-routing-key") && !exchange_is_set {
        let remedy = "a dead-letter routing key needs an exchange: \"\" is the default exchange";
        context
            .faults
            .missing(node, QueuePlan::dead_letter_exchange.name(), remedy);
    }
}
