//! What a copy in a delay queue says of itself: why it waits, for which attempt, until when.

use hive_core::dead::{Death, Waits};
use hive_core::message::Attempt;
use lapin::BasicProperties;

use super::bookkeeping::{
    ATTEMPT, EXCHANGE, RETRY_CONSUMER, RETRY_DUE, RETRY_ERROR, RETRY_LIMIT, RETRY_QUEUE,
    RETRY_REASON, RETRY_TIME, ROUTING_KEY,
};
use super::death::{number, text};
use super::delay::{is_retry_queue, is_shared};

/// A copy that waits in a delay queue for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The attempt that it waits for.
    pub attempt: Attempt,
    /// How many attempts its consumer allows; `None` for a copy that does not say.
    pub of: Option<u64>,
    /// When its delay ends, in seconds since the Unix epoch.
    pub due: Option<u64>,
}

impl Waiting {
    /// The same for its story.
    pub fn waits(&self) -> Waits {
        Waits {
            attempt: self.attempt.get().into(),
            of: self.of,
            due: self.due,
        }
    }

    /// Reads it off a message that was found in the queue `found_in`, with the record of the failure that it
    /// waits after. `None` for a message that does not wait there for a retry.
    pub(crate) fn read(properties: &BasicProperties, found_in: &str) -> Option<(Self, Death)> {
        let headers = properties.headers().as_ref()?;
        let queue = text(headers, RETRY_QUEUE)
            .filter(|queue| is_shared(found_in) || is_retry_queue(found_in, queue))?;
        let attempt = number(headers, ATTEMPT)
            .and_then(|number| u32::try_from(number).ok())
            .and_then(Attempt::new)?;
        let failure = Death {
            class: text(headers, RETRY_REASON),
            error: text(headers, RETRY_ERROR),
            attempts: Some(attempt.retries_spent().into()),
            time: number(headers, RETRY_TIME),
            consumer: text(headers, RETRY_CONSUMER),
            queue: Some(queue),
            exchange: text(headers, EXCHANGE),
            routing_key: text(headers, ROUTING_KEY),
            ..Death::default()
        };
        let waiting = Self {
            attempt,
            of: number(headers, RETRY_LIMIT).map(|limit| limit.saturating_add(1)),
            due: number(headers, RETRY_DUE),
        };
        Some((waiting, failure))
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    fn read(found_in: &str, entries: &[(&str, AMQPValue)]) -> Option<(Waiting, Death)> {
        let mut headers = FieldTable::default();
        for (name, value) in entries {
            headers.insert((*name).into(), value.clone());
        }
        Waiting::read(&BasicProperties::default().with_headers(headers), found_in)
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn a_copy_waits_in_a_delay_queue_of_its_own_queue_alone() {
        let copy = [
            (RETRY_QUEUE, text("orders")),
            (ATTEMPT, AMQPValue::LongLongInt(2)),
            (RETRY_ERROR, text("no price")),
            (RETRY_LIMIT, AMQPValue::LongLongInt(4)),
        ];
        let (waiting, failure) = read("orders.retry.10s", &copy).expect("it waits there");
        assert_eq!((waiting.attempt.get(), waiting.of), (2, Some(5)));
        assert_eq!(failure.attempts, Some(1));
        assert_eq!(failure.error.as_deref(), Some("no price"));
        assert_eq!(failure.queue.as_deref(), Some("orders"));
        for elsewhere in ["orders", "orders.dead", "parcels.retry.10s"] {
            assert_eq!(read(elsewhere, &copy), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_copy_of_an_earlier_host_says_its_attempt_alone() {
        let copy = [
            (RETRY_QUEUE, text("orders")),
            (ATTEMPT, AMQPValue::LongLongInt(7)),
        ];
        let (waiting, failure) = read("orders.retry.10s", &copy).expect("it waits there");
        assert_eq!((waiting.of, waiting.due), (None, None));
        assert_eq!(failure.attempts, Some(6));
        assert_eq!(failure.reason(), None);
    }
}
