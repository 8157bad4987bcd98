//! The declaration of a delay queue.

use std::time::Duration;

use hive_config::plan::Argument;
use hive_telemetry::Fact;

use super::declaration::{Kind, Origin, QueueDeclaration};
use super::limit::{Limit, X_DELIVERY_LIMIT};
use crate::message::delay::{compact, whole_milliseconds};
use crate::wire::frame::BrokerVersion;

/// Where messages go when their delay is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Home<'a> {
    /// Back to one queue.
    Queue(&'a str),
    /// To an exchange, with the routing key that they came with.
    Exchange(&'a str),
}

/// A queue that holds messages for `delay`. It has no consumer, and looking at it must not be counted either: it
/// has no delivery limit.
pub(super) fn delay_queue(
    broker: Option<BrokerVersion>,
    name: &str,
    home: Home<'_>,
    delay: Duration,
    lease: Option<Duration>,
) -> QueueDeclaration {
    let text = |text: &str| Argument::Text(text.to_owned());
    let (exchange, routing_key) = match home {
        Home::Queue(queue) => ("", Some(queue)),
        Home::Exchange(exchange) => (exchange, None),
    };
    let mut arguments = vec![
        (
            "x-message-ttl".to_owned(),
            milliseconds(whole_milliseconds(delay)),
        ),
        ("x-dead-letter-exchange".to_owned(), text(exchange)),
    ];
    if let Some(routing_key) = routing_key {
        arguments.push(("x-dead-letter-routing-key".to_owned(), text(routing_key)));
    }
    if let Some(lease) = lease {
        let expires = milliseconds(whole_milliseconds(delay + lease));
        arguments.push(("x-expires".to_owned(), expires));
    }
    // An unknown version is a broker that hides it, or that is not RabbitMQ: most are recent.
    if broker.is_none_or(|version| version >= BrokerVersion::AT_LEAST_ONCE) {
        arguments.push(("x-dead-letter-strategy".to_owned(), text("at-least-once")));
        arguments.push(("x-overflow".to_owned(), text("reject-publish")));
        if let Some(limit) = Limit::Unlimited.argument(broker) {
            arguments.push((X_DELIVERY_LIMIT.to_owned(), Argument::Integer(limit)));
        }
        return QueueDeclaration::durable(name, Kind::Quorum, arguments, Origin::Delay);
    }
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        Fact::DelayQueueAtMostOnce {
            queue: name,
            delay: &compact(delay),
        }
        .emit();
    });
    QueueDeclaration::durable(name, Kind::Classic, arguments, Origin::Delay)
}

fn milliseconds(count: u64) -> Argument {
    Argument::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}
