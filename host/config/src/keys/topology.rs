//! `[exchanges.NAME]` and `[queues.NAME]`.

use std::sync::Arc;
use std::time::Duration;

use super::{LONGEST_TTL, Shape};
use crate::plan::{Arguments, QueueKind};

table! {
    /// `[exchanges.NAME]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ExchangePlan, meant ExchangeMeant {
        /// The connection on which it is declared.
        connection -> String as Text = "main", written "name of a connection";

        /// How it routes.
        kind("type"): String as Name = "direct",
            written "`\"direct\"`, `\"fanout\"`, `\"topic\"`, `\"headers\"`, or the type of a plugin, which begins with `x-`";

        /// Only check that it exists.
        passive: bool = false;

        /// Survives a restart of the broker.
        durable: bool = true;

        /// The broker deletes it when its last binding is removed.
        auto_delete: bool = false;

        /// Clients cannot publish to it.
        internal: bool = false;

        /// Optional arguments, sent in the order of the file.
        arguments: Arguments as Arguments [hidden], else "empty";

        /// Bindings from other exchanges to this one.
        bindings: Vec<BindingPlan> as List(&Shape::Table(BindingPlan::KEYS)) [hidden],
            else "empty", written "array of bindings";
    }
    beside {
        /// The name of the exchange at the broker.
        name: String,
    }
}

table! {
    /// `[queues.NAME]`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct QueuePlan, meant QueueMeant {
        /// The connection on which it is declared.
        connection -> String as Text = "main", written "name of a connection";

        /// Sent as `x-queue-type`.
        kind("type") => QueueKind, else "`\"quorum\"` for a durable, shared queue, else `\"classic\"`";

        /// Only check that it exists.
        passive: bool = false;

        /// Survives a restart of the broker.
        durable: bool = true;

        /// Only this connection may use it.
        exclusive: bool = false;

        /// The broker deletes it when its last consumer is gone.
        auto_delete: bool = false;

        /// `x-dead-letter-exchange`: the exchange to which the broker dead-letters messages.
        dead_letter_exchange -> String as Text, else "not set";

        /// `x-dead-letter-routing-key`: the routing key of dead-lettered messages. Needs `dead_letter_exchange`.
        dead_letter_routing_key -> String as Text, else "the message's own";

        /// `x-max-length`: the most messages in it.
        max_length -> u64 as Integer(0, i64::MAX), else "no limit";

        /// `x-expires`: the broker deletes the queue after this time without use.
        expires -> Duration as Duration(1, LONGEST_TTL), else "never";

        /// `x-message-ttl`: how long a message may wait.
        message_ttl -> Duration as Duration(0, LONGEST_TTL), else "no limit";

        /// How often a message may return to the queue before the broker drops it; -1: no limit. See
        /// [details](retry-and-dead-letters.md#the-brokers-own-limit).
        delivery_limit -> u64 as Integer(-1, i64::MAX), else "-1";

        /// Every further argument, as for exchanges.
        arguments => Arguments as Arguments [hidden], else "empty";

        /// Bindings from exchanges to this queue.
        bindings: Vec<BindingPlan> as List(&Shape::Table(BindingPlan::KEYS)) [hidden],
            else "empty", written "array of bindings";
    }
    beside {
        /// The name of the queue at the broker.
        name: Arc<str>,
    }
}

table! {
    /// A binding to the exchange or queue that contains it.
    #[derive(Debug, Clone, PartialEq)]
    pub struct BindingPlan {
        /// The exchange bound from.
        exchange: String as Name [required];

        /// The routing key of the binding; its meaning depends on the exchange's `type`.
        routing_key: String as Text = "";

        /// The arguments by which a headers exchange matches.
        arguments: Arguments as Arguments, else "empty";
    }
}
