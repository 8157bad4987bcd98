//! Who consumes what, and how.

use hive_core::holding::LONGEST_HOLD;

use super::{Key, LONGEST, LONGEST_TTL, SOME_TIME, Shape, key};

/// A delivery that waits is unacknowledged.
const LONGEST_BATCH_WAIT: u64 = LONGEST_HOLD.as_secs() * 1000;

/// Each look at a queue is a question to the broker.
const SHORTEST_LOOK: u64 = 100;

pub(super) const CONSUMER: &[Key] = &[
    key(
        "queue",
        Shape::Name,
        "The queue to consume from; this file need not declare it.",
    )
    .required(),
    key(
        "component",
        Shape::Text,
        "The component that handles the deliveries.",
    )
    .required(),
    key(
        "connection",
        Shape::Text,
        "The connection to the broker that has the queue. Default: \"main\".",
    ),
    key(
        "prefetch",
        Shape::Integer(1, u16::MAX as i64),
        "Unacknowledged deliveries that the broker lets out at once. Default: 256, or what is handled at once if that is more; less with a `rate`, and while bodies are large.",
    ),
    key(
        "concurrency",
        Shape::Integer(1, u16::MAX as i64),
        "Deliveries, or batches, handled at once, each in its own instance. Default: 1.",
    ),
    key(
        "retry",
        Shape::Table(RETRY),
        "When a failed delivery is retried, and where it ends.",
    ),
    key(
        "ordered_by",
        Shape::Text,
        "Deliveries with the same key are handled one at a time and in order: \"routing-key\", \"header:NAME\" or \"json:/pointer\". Default: no order.",
    ),
    key(
        "ordered_retry",
        Shape::Choice(&["hold", "pass"]),
        "Whether later deliveries of the key wait for a retry (hold) or overtake it (pass). Default: \"hold\".",
    ),
    key(
        "rate",
        Shape::Short("limit", RATE),
        "The rate at which the component gets deliveries: \"100/s\", \"100/m\", \"100/h\". Default: no limit.",
    ),
    key(
        "pause_on",
        Shape::Table(PAUSE_ON),
        "When the consumer pauses by itself. Default: never.",
    ),
    key(
        "dedup",
        Shape::Table(DEDUP),
        "How to recognise messages that were handled before. Default: no deduplication.",
    ),
    key(
        "publish_dedup",
        Shape::Table(DEDUP),
        "How to recognise publications that were published before. Default: no deduplication.",
    ),
    key(
        "scale",
        Shape::Table(SCALE),
        "Handles as many at once as the queue needs; replaces `concurrency`. Default: `concurrency`.",
    ),
    key(
        "batch",
        Shape::Table(BATCH),
        "Hands many deliveries over in one call, to a component that exports batch-handler. Default: one by one.",
    ),
    key(
        "stream",
        Shape::Table(STREAM),
        "How to read `queue`, if it is a stream.",
    ),
    key(
        "reply_on_failure",
        Shape::Boolean,
        "Whether the host answers a message with a reply-to when it dead-letters the message. Default: false.",
    ),
];

const STREAM: &[Key] = &[
    key(
        "offset",
        Shape::Offset,
        "Where reading starts as long as no offset is stored: \"first\", \"last\", \"next\", an integer from 0, or a time as in \"2026-01-01T00:00:00Z\". Default: \"next\".",
    ),
    key(
        "on_error",
        Shape::Choice(&["stop", "skip", "dead-letter"]),
        "What happens to a message that fails. Default: \"stop\".",
    ),
    key(
        "group",
        Shape::Name,
        "The name under which the offset is stored. Default: the consumer's name.",
    ),
];

const BATCH: &[Key] = &[
    key(
        "size",
        Shape::Integer(1, u16::MAX as i64),
        "Deliveries that the component gets in one call.",
    )
    .required(),
    key(
        "wait",
        Shape::Duration(1, LONGEST_BATCH_WAIT),
        "How long the first delivery of a batch waits for the others.",
    )
    .required(),
];

const RATE: &[Key] = &[
    key(
        "limit",
        Shape::Text,
        "This many each second, minute or hour: \"100/s\", \"100/m\", \"100/h\".",
    )
    .required(),
    key(
        "burst",
        Shape::Integer(1, u32::MAX as i64),
        "How many may start without waiting after a quiet time. Default: those of a tenth of a second, at least 1.",
    ),
];

const PAUSE_ON: &[Key] = &[
    key(
        "failure_ratio",
        Shape::Ratio,
        "The share of failures at which the consumer pauses.",
    )
    .required(),
    key(
        "of_last",
        Shape::Integer(1, u16::MAX as i64),
        "The number of most recent deliveries that the share is taken of. Default: 100.",
    ),
    key(
        "for",
        SOME_TIME,
        "How long the pause lasts until one delivery is tried. Default: \"30s\".",
    ),
];

const RETRY: &[Key] = &[
    key(
        "limit",
        Shape::Integer(0, u32::MAX as i64),
        "Retries before the message is dead-lettered; 0 dead-letters at the first failure. Default: 15.",
    ),
    key(
        "delays",
        Shape::List(&Shape::Duration(1, LONGEST_TTL)),
        "The delay before each retry; the last one repeats. Default: [\"10s\"].",
    ),
    key(
        "dead_letter",
        Shape::Name,
        "The dead-letter queue. Default: the queue's name and \".dead\".",
    ),
];

const DEDUP: &[Key] = &[
    key(
        "key",
        Shape::TextOrTexts,
        "What identifies a message: \"message-id\", \"header:NAME\", \"json:/pointer\", [\"json:/a\", \"json:/b\"] or \"body\".",
    )
    .required(),
    key(
        "period",
        Shape::DurationOr("forever", 1, LONGEST),
        "How long the host remembers a key. Default: \"1h\".",
    ),
    key(
        "max_keys",
        Shape::Integer(1, i64::MAX),
        "Keys remembered at once; a new key replaces the oldest. Default: 1000000.",
    ),
];

const SCALE: &[Key] = &[
    key(
        "min",
        Shape::Integer(1, u16::MAX as i64),
        "Never fewer workers. Default: 1.",
    ),
    key(
        "max",
        Shape::Integer(1, u16::MAX as i64),
        "Never more workers.",
    )
    .required(),
    key(
        "messages_per_instance",
        Shape::Integer(1, u32::MAX as i64),
        "One worker per this many waiting messages. Set this or `target_wait`, or both.",
    ),
    key(
        "target_wait",
        SOME_TIME,
        "Enough workers to start every waiting message within this time.",
    ),
    key(
        "every",
        Shape::Duration(SHORTEST_LOOK, LONGEST),
        "The time between two checks of the queue. Default: \"5s\".",
    ),
];
