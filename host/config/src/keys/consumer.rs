//! `[consumers.NAME]`.

use std::sync::Arc;
use std::time::Duration;

use hive_contracts::Contract;
use hive_core::by_key::{ConcurrencyBy, RateBy};
use hive_core::holding::CONSUMER_TIMEOUT;
use hive_core::policy::RetryPolicy;
use hive_core::scaling::ScalePlan;

use super::consuming::{
    BatchPlan, ConcurrencyByKeys, DedupPlan, PauseOnPlan, RateByKeys, RateKeys, RetryKeys,
    RouteKeys, SHARED_KEY, ScaleKeys, SchemaKeys, StreamPlan,
};
use super::{LEAST_MEMORY, LONGEST, Shape};
use crate::diff::differing::{Shown, Within};
use crate::plan::{
    DelayQueues, Handler, OrderedRetry, OrderingPlan, Otherwise, Placement, RatePlan,
};

/// The host keeps a delivery for as long as the default lets it.
const SHORTEST_ACK_TIMEOUT: u64 = CONSUMER_TIMEOUT.as_secs() * 1000;

table! {
    /// `[consumers.NAME]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ConsumerPlan, meant ConsumerMeant {
        /// The queue to consume from. This file need not declare it. Required unless there is `queues`.
        queue => Arc<str> as Name;

        /// Instead of `queue`: a consumer for each queue whose name matches, as queues come and go. `*` is any run of
        /// characters, `?` is any one character. See [discovery](discovery.md).
        queues -> String as Text, written "pattern";

        /// The component that handles the deliveries. Each consumer has either a `component` or `routes`.
        component -> Arc<str> as Text,
            written "name of a component",
            from |consumer| consumer.handler.component();

        /// What becomes of a delivery, without a component: the first route whose condition holds. See
        /// [routes](routes.md).
        routes -> () as List(&Shape::Table(RouteKeys::KEYS)) [hidden],
            written "array of routes",
            from |consumer| consumer.handler.routes();

        /// What becomes of a delivery for which no condition of `routes` holds.
        otherwise -> Otherwise = "reject", from |consumer| Within(consumer.handler.otherwise());

        /// The connection to the broker that has the queue.
        connection => Arc<str> as Text = "main", written "name of a connection";

        /// The most unacknowledged deliveries that the consumer may have. If it is not set, the consumer begins with 8
        /// and grows to the default while [bodies are small](reliability.md#memory).
        prefetch => u16 as Integer(1, u16::MAX as i64),
            else "256. Raised to `concurrency` or `scale.max` (times `batch.size`) if that is larger. With a `rate`, lowered to one minute's worth plus a burst if that is smaller",
            from |consumer| Shown(consumer.shown_prefetch());

        /// Bodies of deliveries of this consumer in memory at once. If it is set, `prefetch` is what the consumer may have
        /// while bodies are small. See [memory](reliability.md#memory).
        max_bytes_in_flight: Option<u64> as Size(LEAST_MEMORY),
            else "with a `prefetch`, no limit but `host.memory_in_flight`; without one, the prefetch is such that its bodies are within 64 MiB";

        /// Deliveries (with `batch`: batches) handled at once, each in its own instance.
        concurrency => u16 as Integer(1, u16::MAX as i64) = 1,
            from |consumer| consumer.scale.is_none().then_some(consumer.concurrency);

        /// When a failed delivery is retried, and where it ends. A string is a `schedule`.
        retry => RetryPolicy as Short("schedule", RetryKeys::KEYS),
            written "`\"none\"`, `\"fast\"`, `\"patient\"`, or a table",
            within RetryKeys of |consumer| consumer;

        /// Deliveries with the same key are handled one at a time and in order. See [ordering](ordering.md).
        ordered_by -> String as Form(SHARED_KEY),
            else "no order",
            written "`\"routing-key\"`, `\"header:NAME\"`, `\"json:/pointer\"`",
            from |consumer| consumer.ordering.as_ref().map(|ordering| ordering.by.to_string());

        /// Whether later deliveries of the key wait for a retry (`"hold"`) or overtake it (`"pass"`).
        ordered_retry -> OrderedRetry = "hold",
            from |consumer| Within(consumer.ordering.as_ref().map(|ordering| ordering.retry));

        /// The rate at which the component gets deliveries, as in `"100/s"`, `"10/m"` or `"500/h"`. See [rate](flow.md).
        rate => Option<RatePlan> as Short("limit", RateKeys::KEYS),
            else "no limit", written "`\"N/s\"`, `\"N/m\"`, `\"N/h\"`, or a table";

        /// At most this many deliveries with the same key are handled at once. See [limits by key](by-key.md).
        concurrency_by => Option<ConcurrencyBy> as Table(ConcurrencyByKeys::KEYS),
            else "no limit",
            within ConcurrencyByKeys of |consumer| &consumer.concurrency_by;

        /// The rate at which the component gets deliveries with the same key. See [limits by key](by-key.md).
        rate_by => Option<RateBy> as Table(RateByKeys::KEYS),
            else "no limit",
            within RateByKeys of |consumer| &consumer.rate_by;

        /// When the consumer pauses by itself. See [flow](flow.md).
        pause_on: Option<PauseOnPlan>, else "never";

        /// What bodies have to be like. A message that does not match is dead-lettered before the component sees it. See
        /// [contracts](contracts.md).
        schema => Option<Arc<Contract>> as Table(SchemaKeys::KEYS) [hidden], else "any body";

        /// How to recognise messages that were handled before. See [deduplication](deduplication.md).
        dedup => Option<DedupPlan> as Table(DedupPlan::KEYS) [hidden], else "no deduplication";

        /// How to recognise [publications](deduplication.md#publications) of the component that were published before.
        publish_dedup => Option<DedupPlan> as Table(DedupPlan::KEYS) [hidden], else "no deduplication";

        /// Handles as many at once as the queue needs; replaces `concurrency`. See [scaling](scaling.md).
        scale => Option<ScalePlan> as Table(ScaleKeys::KEYS),
            else "`concurrency`",
            within ScaleKeys of |consumer| &consumer.scale;

        /// Hands many deliveries over in one call, to a component that exports `batch-handler`. See
        /// [batches](batches.md).
        batch => Option<BatchPlan> as Table(BatchPlan::KEYS), else "one by one";

        /// Whether every host with this consumer consumes `queue` (`"every"`), or one at a time, with fail-over
        /// (`"single"`). See [placement](placement.md).
        placement: Placement = "every";

        /// The priority among the consumers of `queue`, with `placement = "every"`: the broker delivers to a higher
        /// one first, as long as that has room in its `prefetch`. See [placement](placement.md#priority).
        priority: i32 as Integer(i32::MIN as i64, i32::MAX as i64) = 0;

        /// How long the broker waits for the answer to a delivery, where it can be asked for that: quorum queues of
        /// RabbitMQ 4.3 and later. See [placement](placement.md#ack_timeout).
        ack_timeout: Option<Duration> as Duration(SHORTEST_ACK_TIMEOUT, LONGEST),
            else "the broker's `consumer_timeout`, half an hour by default";

        /// How to read `queue`, if it is a stream. See [streams](streams.md).
        stream => Option<StreamPlan> as Table(StreamPlan::KEYS) [hidden];

        /// Whether the host answers a message with a `reply-to` when it dead-letters the message. See
        /// [retry and dead letters](retry-and-dead-letters.md#answering-the-requester).
        reply_on_failure: bool = false;
    }
    beside {
        /// The name of the consumer: that of its table, or `TABLE/QUEUE` where its queue was discovered.
        name: Arc<str>,
        /// The name of its table in the file.
        table: Arc<str>,
        /// What decides over its deliveries.
        handler: Handler,
        /// The prefetch that it begins with, and returns to while bodies are large; `prefetch` if that is fixed.
        least_prefetch: u16,
        /// Whether the prefetch can be changed while the queue is consumed.
        prefetch_changes: bool,
        /// Whether its queue stays without a consumer: hive.toml declares it, and not as `auto_delete`.
        queue_stays: bool,
        /// The order in which deliveries are handled; `None` for any.
        ordering: Option<OrderingPlan>,
        /// Where retries wait.
        delay_queues: DelayQueues,
        /// The dead-letter queue.
        dead_letter: Arc<str>,
    }
}
