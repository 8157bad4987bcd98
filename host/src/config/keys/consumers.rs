//! Who consumes what, and how.

use super::{Key, LONGEST, LONGEST_TTL, SOME_TIME, Shape, key};

/// A delivery that waits is unacknowledged. RabbitMQ closes the channel over one after half an hour
/// (`consumer_timeout`), of which this leaves half for the call.
const LONGEST_BATCH_WAIT: u64 = 15 * 60_000;

/// Each look at a queue is a question to the broker.
const SHORTEST_LOOK: u64 = 100;

pub(super) const CONSUMER: &[Key] = &[
    key(
        "queue",
        Shape::Name,
        "The queue consumed from; it need not be declared here.",
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
        "Where the queue is. Default: \"main\".",
    ),
    key(
        "prefetch",
        Shape::Integer(1, u16::MAX as i64),
        "Unacknowledged deliveries that the broker lets out at once. Default: 256, or what is handled at once if that is more; less with a `rate`.",
    ),
    key(
        "concurrency",
        Shape::Integer(1, u16::MAX as i64),
        "Deliveries, or batches, handled at once, each in an instance of its own. Default: 1.",
    ),
    key(
        "retry",
        Shape::Table(RETRY),
        "When a delivery that failed comes again, and where it ends.",
    ),
    key(
        "ordered_by",
        Shape::Text,
        "Deliveries with one key are handled one at a time and in order: \"routing-key\", \"header:NAME\" or \"json:/pointer\". Default: no order.",
    ),
    key(
        "ordered_retry",
        Shape::Choice(&["hold", "pass"]),
        "Whether those behind a retry wait for it. Default: \"hold\".",
    ),
    key(
        "rate",
        Shape::Short("limit", RATE),
        "How often the component is handed deliveries: \"100/s\", \"100/m\", \"100/h\". Default: no limit.",
    ),
    key(
        "pause_on",
        Shape::Table(PAUSE_ON),
        "When the consumer stops by itself. Default: never.",
    ),
    key(
        "dedup",
        Shape::Table(DEDUP),
        "Which deliveries are not handled, since they were before. Default: none.",
    ),
    key(
        "publish_dedup",
        Shape::Table(DEDUP),
        "Which publications are not published, since they were before. Default: none.",
    ),
    key(
        "scale",
        Shape::Table(SCALE),
        "As many handled at once as the queue asks for, in the place of `concurrency`. Default: `concurrency`.",
    ),
    key(
        "batch",
        Shape::Table(BATCH),
        "Hands many deliveries over in one call, to a component that exports batch-handler. Default: one by one.",
    ),
    key(
        "stream",
        Shape::Table(STREAM),
        "How a stream is read, where `queue` is one.",
    ),
    key(
        "reply_on_failure",
        Shape::Boolean,
        "Whether a message with a reply-to is answered when it is dead-lettered. Default: false.",
    ),
];

const STREAM: &[Key] = &[
    key(
        "offset",
        Shape::Offset,
        "Where it is begun while no offset is stored: \"first\", \"last\", \"next\", an integer from 0, or a time as in \"2026-01-01T00:00:00Z\". Default: \"next\".",
    ),
    key(
        "on_error",
        Shape::Choice(&["stop", "skip", "dead-letter"]),
        "What becomes of a message that fails. Default: \"stop\".",
    ),
    key(
        "group",
        Shape::Name,
        "Under which name the offset is stored. Default: the consumer's name.",
    ),
];

const BATCH: &[Key] = &[
    key(
        "size",
        Shape::Integer(1, u16::MAX as i64),
        "Deliveries that are handed over together.",
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
        "So many each second, minute or hour: \"100/s\", \"100/m\", \"100/h\".",
    )
    .required(),
    key(
        "burst",
        Shape::Integer(1, u32::MAX as i64),
        "How many may go at once after a time with fewer. Default: a tenth of a second's worth, at least 1.",
    ),
];

const PAUSE_ON: &[Key] = &[
    key(
        "failure_ratio",
        Shape::Ratio,
        "The share of failures at which it pauses.",
    )
    .required(),
    key(
        "of_last",
        Shape::Integer(1, u16::MAX as i64),
        "Among how many of the last deliveries. Default: 100.",
    ),
    key(
        "for",
        SOME_TIME,
        "How long, until one delivery is tried. Default: \"30s\".",
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
        "By what a message is known: \"message-id\", \"header:NAME\", \"json:/pointer\", [\"json:/a\", \"json:/b\"] or \"body\".",
    )
    .required(),
    key(
        "period",
        Shape::DurationOr("forever", 1, LONGEST),
        "How long it is remembered. Default: \"1h\".",
    ),
    key(
        "max_keys",
        Shape::Integer(1, i64::MAX),
        "Keys that are remembered at once; the oldest goes for a new one. Default: 1000000.",
    ),
];

const SCALE: &[Key] = &[
    key(
        "min",
        Shape::Integer(1, u16::MAX as i64),
        "Never fewer handled at once. Default: 1.",
    ),
    key(
        "max",
        Shape::Integer(1, u16::MAX as i64),
        "Never more handled at once.",
    )
    .required(),
    key(
        "messages_per_instance",
        Shape::Integer(1, u32::MAX as i64),
        "One for each so many messages that wait. This or `target_wait` is set, or both.",
    ),
    key(
        "target_wait",
        SOME_TIME,
        "So many that what waits is begun within this time.",
    ),
    key(
        "every",
        Shape::Duration(SHORTEST_LOOK, LONGEST),
        "The time between two looks at the queue. Default: \"5s\".",
    ),
];
