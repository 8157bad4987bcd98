//! The tables of a consumer.

use std::sync::Arc;
use std::time::Duration;

use hive_core::by_key::{ConcurrencyBy, RateBy};
use hive_core::holding::LONGEST_HOLD;
use hive_core::message_key::Key;
use hive_core::policy::{OnError, Schedule};
use hive_core::scaling::ScalePlan;

use super::{LONGEST, LONGEST_TTL, Shape};
use crate::plan::{ConsumerPlan, DelayQueues, StreamOffset};
use crate::units;

/// A delivery that waits is unacknowledged.
const LONGEST_BATCH_WAIT: u64 = LONGEST_HOLD.as_secs() * 1000;

/// A key that messages have in common. See [`Key::named`].
pub(super) const SHARED_KEY: &str = r"^(routing-key|header:[\s\S]+|json:/[\s\S]*)$";

/// See [`units::rate`](crate::units::rate).
const RATE: &str = "^0*[1-9][0-9]*/[smh]$";

const SMALLEST_DECODED: u64 = 1024;

/// Each look at a queue is a question to the broker.
const SHORTEST_LOOK: u64 = 100;

table! {
    /// `scale = { … }`.
    keys ScaleKeys of Option<ScalePlan> {
        /// Never fewer workers.
        min -> u16 as Integer(1, u16::MAX as i64) = 1, from |scale| scale.as_ref().map(|scale| scale.min);

        /// Never more workers.
        max -> u16 as Integer(1, u16::MAX as i64) [required], from |scale| scale.as_ref().map(|scale| scale.max);

        /// One worker per this many waiting messages. Set this or `target_wait`, or both.
        messages_per_instance -> u32 as Integer(1, u32::MAX as i64),
            from |scale| scale.as_ref().and_then(|scale| scale.messages_per_instance);

        /// Enough workers to start every waiting message within this time.
        target_wait -> Duration as Duration(1, LONGEST),
            from |scale| scale.as_ref().and_then(|scale| scale.target_wait);

        /// The time between two checks of the queue.
        every -> Duration as Duration(SHORTEST_LOOK, LONGEST) = "5s",
            from |scale| scale.as_ref().map(|scale| scale.every);
    }
}

table! {
    /// `retry = { … }`.
    keys RetryKeys of ConsumerPlan {
        /// The usual delays and limits by a name: `"patient"` for 15 retries over almost ten hours, `"fast"` for 5 within
        /// half a minute, `"none"` for no retry. See [schedules](retry-and-dead-letters.md#schedules).
        schedule -> Schedule = "patient", from |consumer| consumer.retry.schedule;

        /// Retries before the message is dead-lettered. With 0 it is dead-lettered at the first failure.
        limit -> u32 as Integer(0, u32::MAX as i64),
            else "15; with `schedule = \"fast\"` 5, with `\"none\"` 0", from |consumer| consumer.retry.limit;

        /// The delay before each retry, in the place of a `schedule`. The last one repeats.
        delays -> Vec<Duration> as List(&Shape::Duration(1, LONGEST_TTL)) [hidden],
            else "those of `schedule`",
            written "array of durations up to 2^32-1 ms, not empty",
            from |consumer| &consumer.retry.delays;

        /// Whether retries wait in delay queues of the consumer's queue alone (`"own"`) or in those of the vhost
        /// (`"shared"`). See [delay queues](retry-and-dead-letters.md#shared-delay-queues).
        queues -> DelayQueues,
            else "`\"own\"` if `delays` are named, or if `queue` is declared so that it refuses messages or goes away; otherwise `\"shared\"`",
            from |consumer| consumer.delay_queues;

        /// The dead-letter queue.
        dead_letter -> Arc<str> as Name, else "`\"<queue>.dead\"`", from |consumer| &consumer.dead_letter;
    }
}

table! {
    /// An element of `routes`. Exactly one of `publish`, `reject`, `retry` and `ack` says what becomes of the delivery.
    keys RouteKeys of () {
        /// The condition, in CEL. The first route whose condition holds is taken. See [conditions](routes.md#conditions).
        when -> String as Text, else "each delivery";

        /// Publishes the message, and acknowledges the delivery once the broker has confirmed that.
        publish -> () as Table(RoutePublishKeys::KEYS);

        /// Dead-letters the message at once, for this reason, which may be a [text with values](routes.md#texts).
        reject -> String as Text;

        /// Retries the message later, as the consumer's `retry` says. A string is the `reason`.
        retry -> () as Short("reason", RouteRetryKeys::KEYS), written "string, or a table";

        /// Acknowledges the delivery: `true`.
        ack -> bool as Boolean;
    }
}

table! {
    /// `publish = { … }` of a route. What is not set stays as the message has it.
    keys RoutePublishKeys of () {
        /// The exchange; `""` is the default exchange, which routes to the queue named by the routing key.
        exchange -> String as Text [required];

        /// The routing key.
        routing_key -> String as Text, else "the message's own";

        /// The body.
        body -> String as Text, else "the message's own";

        /// The content type.
        content_type -> String as Text, else "the message's own";

        /// Headers that are added, or that replace those of the same name.
        headers -> () as Each(&Shape::Text), else "the message's own", written "table of strings";

        /// How much later the message is published.
        delay -> Duration as Duration(1, LONGEST_TTL), else "at once";
    }
}

table! {
    /// `retry = { … }` of a route.
    keys RouteRetryKeys of () {
        /// Why, for the log and the dead letter.
        reason -> String as Text [required];

        /// The delay before the retry.
        delay -> Duration as Duration(1, LONGEST_TTL), else "that of the consumer's `retry`";
    }
}

table! {
    /// `[consumers.NAME.schema]`.
    keys SchemaKeys of () {
        /// The JSON Schema that each body has to match: a file, relative to this one.
        body -> String as Text, else "any body", written "path of a file";

        /// Whether a body with the `content-encoding` gzip or zstd is decoded first. The component gets it decoded.
        decode -> bool as Boolean = false;

        /// The most bytes of a decoded body. The default is the most that RabbitMQ 4.0 and later take by default
        /// (`max_message_size`).
        max_decoded -> u64 as Size(SMALLEST_DECODED) = "16MiB";

        /// JSON Schemas that publications have to match: `"EXCHANGE:ROUTING-KEY" = "FILE"`, the former with `*` and `?` as
        /// in [`allow.publish`](#allowpublish).
        publications -> () as Each(&Shape::Text), else "any publication", written "table of files";
    }
}

table! {
    /// `rate = { … }`.
    keys RateKeys of () {
        /// This many each second, minute or hour.
        limit -> String as Form(RATE) [required], written "`\"N/s\"`, `\"N/m\"`, `\"N/h\"`";

        /// How many may come at once after a quiet time.
        burst -> u32 as Integer(1, u32::MAX as i64), else "those of a tenth of a second, at least 1";
    }
}

table! {
    /// `concurrency_by = { … }`.
    keys ConcurrencyByKeys of Option<ConcurrencyBy> {
        /// What the deliveries of one limit have in common. A message without the key is not limited.
        key -> String as Form(SHARED_KEY) [required],
            written "`\"routing-key\"`, `\"header:NAME\"`, `\"json:/pointer\"`",
            from |by| by.as_ref().map(|by| by.key.to_string());

        /// Deliveries of one key that are handled at once.
        limit -> u16 as Integer(1, u16::MAX as i64) [required], from |by| by.as_ref().map(|by| by.limit);
    }
}

table! {
    /// `rate_by = { … }`.
    keys RateByKeys of Option<RateBy> {
        /// What the deliveries of one rate have in common. A message without the key is not limited.
        key -> String as Form(SHARED_KEY) [required],
            written "`\"routing-key\"`, `\"header:NAME\"`, `\"json:/pointer\"`",
            from |by| by.as_ref().map(|by| by.key.to_string());

        /// This many of one key each second, minute or hour.
        rate -> String as Form(RATE) [required], written "`\"N/s\"`, `\"N/m\"`, `\"N/h\"`",
            from |by| by.as_ref().map(|by| units::show_rate(by.rate.limit, by.rate.per));

        /// How many of one key may come at once after a quiet time.
        burst -> u32 as Integer(1, u32::MAX as i64), else "those of a tenth of a second, at least 1",
            from |by| by.as_ref().map(|by| by.rate.burst);
    }
}

table! {
    /// `pause_on = { … }`: when a consumer stops by itself.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct PauseOnPlan {
        /// The share of failures at which the consumer pauses.
        failure_ratio: f64 as Ratio [required];

        /// The number of most recent deliveries that the share is taken of.
        of_last: u16 as Integer(1, u16::MAX as i64) = 100;

        /// How long the pause lasts until one delivery is tried.
        pause("for"): Duration as Duration(1, LONGEST) = "30s";
    }
}

table! {
    /// `dedup` and `publish_dedup`: how a message is recognised as handled, and how long that is remembered.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DedupPlan, meant DedupMeant {
        /// What identifies a message: `"message-id"`, `"header:NAME"`, `"json:/pointer"`, `["json:/a", "json:/b"]` or
        /// `"body"`.
        key => Key as TextOrTexts [hidden required], written "string, or array of JSON pointers";

        /// How long the host remembers the key of a message that was handled.
        period => Option<Duration> as DurationOr("forever", 1, LONGEST) = "1h";

        /// Keys remembered at once; a new key replaces the oldest.
        max_keys: u64 as Integer(1, i64::MAX) = 1000000;
    }
}

table! {
    /// `batch = { … }`. A batch is handed to the component as soon as it is full, or old enough.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BatchPlan, meant BatchMeant {
        /// Deliveries that the component gets together, in one call.
        size: u16 as Integer(1, u16::MAX as i64) [required];

        /// How long the first delivery of a batch waits for the others.
        wait: Duration as Duration(1, LONGEST_BATCH_WAIT) [required];

        /// What the deliveries of a batch have in common: batches of several keys are gathered side by side. Those without
        /// the key are gathered together. See [batches of one key](batches.md#batches-of-one-key).
        by => Option<Key> as Form(SHARED_KEY),
            else "any deliveries",
            written "`\"routing-key\"`, `\"header:NAME\"`, `\"json:/pointer\"`",
            from |batch| batch.by.as_ref().map(ToString::to_string);
    }
}

table! {
    /// `stream = { … }`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct StreamPlan, meant StreamMeant {
        /// Where reading a stream starts as long as no offset is stored.
        offset => StreamOffset as Offset = "next" [hidden],
            written "`\"first\"`, `\"last\"`, `\"next\"`, an integer from 0, or a time as in `\"2026-01-01T00:00:00Z\"`";

        /// What happens to a message of a stream that fails.
        on_error: OnError as Choice(&["stop", "skip", "dead-letter"]) = "stop";

        /// The name under which the offset of a stream is stored: a consumer with the same name and store continues
        /// where another stopped.
        group => Arc<str> as Name, else "the consumer's name";
    }
}
