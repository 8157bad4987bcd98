//! The names of the headers that the host itself writes, and who may see them.
//!
//! All begin with `x-hive-`. A copy of a message carries what the host has to remember of it, and
//! everything that the broker would act on, which must not ride under its own name: RabbitMQ before
//! 4.0.1 takes a kept `x-death` for a cycle and drops the message, `CC` and `BCC` would route the
//! copy again, an expiration would end it early, a user-id would be checked against our user.

/// What every header of the host begins with; components may not publish any.
pub(super) const RESERVED: &str = "x-hive-";

/// Which try the copy is for.
pub(super) const ATTEMPT: &str = "x-hive-attempt";
/// The queue in which `ATTEMPT` counts: if the message gets into another, that one starts afresh.
pub(super) const RETRY_QUEUE: &str = "x-hive-retry-queue";
/// The exchange that the original was published to.
pub(super) const EXCHANGE: &str = "x-hive-exchange";
/// The routing key that the original was published with.
pub(super) const ROUTING_KEY: &str = "x-hive-routing-key";
/// Tells apart what one publisher published, so that a message that comes back is recognised.
pub(super) const PUBLISH_ID: &str = "x-hive-publish-id";
/// Before the name of what the original had and the broker must not act on.
pub(super) const STASHED: &str = "x-hive-original-";

/// Why a dead letter is one: the class of the failure.
pub(super) const REASON: &str = "x-hive-reason";
/// And the words.
pub(super) const ERROR: &str = "x-hive-error";
/// How many tries there were.
pub(super) const ATTEMPTS: &str = "x-hive-attempts";
/// When it was dead-lettered.
pub(super) const TIME: &str = "x-hive-time";
/// The queue that it failed on.
pub(super) const QUEUE: &str = "x-hive-queue";
/// The consumer that failed on it.
pub(super) const CONSUMER: &str = "x-hive-consumer";

/// The stashed properties; headers are stashed under their own names.
pub(super) const EXPIRATION: &str = "expiration";
/// See [`EXPIRATION`].
pub(super) const USER_ID: &str = "user-id";

/// Headers that the broker acts on when a message that has them is published or dead-lettered.
const ACTED_ON: [&str; 9] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "CC",
    "BCC",
];

/// What a quorum queue adds at each delivery: a fact about the queue that it came from, which
/// would be wrong in the next.
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";
/// The same from RabbitMQ 4.3 on, where it counts deliveries and not failures.
pub(super) const ACQUIRED_COUNT: &str = "x-acquired-count";

/// Whether the broker acts on a header of this name.
pub(super) fn is_acted_on(name: &str) -> bool {
    ACTED_ON.contains(&name)
}

/// Whether a copy has a header or property of this name under [`STASHED`]. What anybody else puts
/// there does not come back as if the host had stashed it: it could be bookkeeping.
pub(super) fn is_stashed(name: &str) -> bool {
    is_acted_on(name) || name == EXPIRATION || name == USER_ID
}

/// Whether the broker adds a header of this name when it dead-letters a message.
pub(super) fn is_death(name: &str) -> bool {
    is_acted_on(name) && name.starts_with("x-")
}

/// Whether a header is the host's own business, which no component sees. What a dead letter says
/// of itself is everybody's.
pub(super) fn is_hidden(name: &str, is_dead_letter: bool) -> bool {
    match name {
        ATTEMPT | RETRY_QUEUE | PUBLISH_ID => true,
        EXCHANGE | ROUTING_KEY => !is_dead_letter,
        _ => name.starts_with(STASHED),
    }
}
