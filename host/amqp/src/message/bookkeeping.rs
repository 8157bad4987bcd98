//! The names of the headers that the host itself writes, and who may see them.
//!
//! All begin with `x-hive-`. A copy of a message carries what the host has to remember of it, and
//! everything that the broker would act on, which must not ride under its own name: RabbitMQ before
//! 4.0.1 takes a kept `x-death` for a cycle and drops the message, `CC` and `BCC` would route the
//! copy again, an expiration would end it early, a user-id would be checked against our user.

use super::broker_headers::{STREAM_OFFSET, is_death, is_of_a_delivery};
use crate::message::octet_text::is_holder;

/// Components may not publish headers with it.
pub use hive_core::message::RESERVED;

/// Which try the copy is for.
pub(crate) const ATTEMPT: &str = "x-hive-attempt";
/// The prefix of what a retry copy says of the attempt that failed. A copy of a dead letter says both of these, its
/// own and what it died of, so they have names apart.
const RETRY_NOTE: &str = "x-hive-retry-";
/// The queue in which `ATTEMPT` counts: if the message gets into another, that one starts afresh.
pub(crate) const RETRY_QUEUE: &str = "x-hive-retry-queue";
/// The class of the failure; none where the message waits for another reason.
pub(crate) const RETRY_REASON: &str = "x-hive-retry-reason";
/// The words of the component or the host.
pub(crate) const RETRY_ERROR: &str = "x-hive-retry-error";
/// How many retries the message gets: as many attempts and one more.
pub(crate) const RETRY_LIMIT: &str = "x-hive-retry-limit";
/// When the copy was made.
pub(crate) const RETRY_TIME: &str = "x-hive-retry-time";
/// When its delay ends.
pub(crate) const RETRY_DUE: &str = "x-hive-retry-due";
/// The consumer that failed on it.
pub(crate) const RETRY_CONSUMER: &str = "x-hive-retry-consumer";
/// The exchange that the original was published to.
pub const EXCHANGE: &str = "x-hive-exchange";
/// The routing key that the original was published with.
pub const ROUTING_KEY: &str = "x-hive-routing-key";
/// The random part in the identity of a message without an id, drawn when the message first reached a host.
pub(crate) const MARK: &str = "x-hive-mark";
/// The span of the first attempt (a `traceparent`), where traces are sent to a collector.
pub(crate) const TRACE: &str = "x-hive-trace";
/// Distinguished the publications of one publisher, before 0.1 was released: messages that were published then have it.
pub(crate) const PUBLISH_ID: &str = "x-hive-publish-id";
/// Before the name of what the original had and the broker must not act on.
pub const STASHED: &str = "x-hive-original-";

/// Why a dead letter is one: the class of the failure.
pub const REASON: &str = "x-hive-reason";
/// And the words.
pub(crate) const ERROR: &str = "x-hive-error";
/// How many tries there were.
pub(crate) const ATTEMPTS: &str = "x-hive-attempts";
/// When it was dead-lettered.
pub(crate) const TIME: &str = "x-hive-time";
/// The queue that it failed on.
pub(crate) const QUEUE: &str = "x-hive-queue";
/// The consumer that failed on it.
pub(crate) const CONSUMER: &str = "x-hive-consumer";

/// On a dead letter that was edited, until it is sent: what the dead letter was known by that it replaces.
pub(crate) const EDIT: &str = "x-hive-edit";
/// And the fingerprint of that dead letter.
pub(crate) const EDIT_OF: &str = "x-hive-edit-of";

/// The stashed properties; headers are stashed under their own names.
pub(crate) const EXPIRATION: &str = "expiration";
/// See [`EXPIRATION`].
pub(crate) const USER_ID: &str = "user-id";

/// Routing keys beside the one that a message is published with.
pub(crate) const ROUTED_BY: [&str; 2] = ["CC", "BCC"];

/// Whether the broker acts on a header of this name when a message that has it is published or
/// dead-lettered.
pub fn is_acted_on(name: &str) -> bool {
    is_death(name) || ROUTED_BY.contains(&name)
}

/// Whether a copy has a header or property of this name under [`STASHED`]. A header that another program put
/// there is not restored as if the host had stashed it: it could be bookkeeping.
pub(crate) fn is_stashed(name: &str) -> bool {
    is_acted_on(name) || name == EXPIRATION || name == USER_ID
}

/// Whether a header is the host's own business, or true of one delivery alone, and no component sees it. What a dead letter says
/// of itself is everybody's.
pub(crate) fn is_hidden(name: &str, is_dead_letter: bool) -> bool {
    match name {
        ATTEMPT | MARK | TRACE | PUBLISH_ID | EDIT | EDIT_OF => true,
        // Where in its stream a dead letter was.
        EXCHANGE | ROUTING_KEY | STREAM_OFFSET => !is_dead_letter,
        _ if is_of_a_delivery(name) => true,
        _ => name.starts_with(STASHED) || name.starts_with(RETRY_NOTE) || is_holder(name),
    }
}
