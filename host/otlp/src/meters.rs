//! The metrics of OpenTelemetry's semantic conventions, "Messaging client metrics".
//!
//! Their destination is a queue or an exchange and never a routing key, of which there may be any number.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

/// The bounds that the conventions give, in seconds.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The meters of a host.
pub(crate) struct Meters {
    processed: Histogram<f64>,
    operated: Histogram<f64>,
    sent: Counter<u64>,
    consumed: Counter<u64>,
}

/// An operation that has ended.
pub(crate) struct Operation<'a> {
    /// `process`, `publish`, `ack`, `nack` or `reject`.
    pub(crate) name: &'static str,
    pub(crate) destination: &'a str,
    /// What went wrong, in one word.
    pub(crate) error: Option<&'a str>,
    pub(crate) took: Duration,
}

impl Meters {
    pub(crate) fn of(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let messages = |name: &'static str, description: &'static str| {
            meter
                .u64_counter(name)
                .with_unit("{message}")
                .with_description(description)
                .build()
        };
        Self {
            processed: seconds(
                "messaging.process.duration",
                "From the arrival of a delivery to its settlement.",
            ),
            operated: seconds(
                "messaging.client.operation.duration",
                "Time of a publication until it is confirmed, and of a settlement.",
            ),
            sent: messages(
                "messaging.client.sent.messages",
                "Messages that were published.",
            ),
            consumed: messages(
                "messaging.client.consumed.messages",
                "Deliveries that were handled.",
            ),
        }
    }

    pub(crate) fn processed(&self, operation: &Operation<'_>) {
        let labels = labels(operation);
        self.processed.record(operation.took.as_secs_f64(), &labels);
        self.consumed.add(1, &labels);
    }

    pub(crate) fn sent(&self, operation: &Operation<'_>) {
        let labels = labels(operation);
        self.operated.record(operation.took.as_secs_f64(), &labels);
        self.sent.add(1, &labels);
    }

    pub(crate) fn settled(&self, operation: &Operation<'_>) {
        let seconds = operation.took.as_secs_f64();
        self.operated.record(seconds, &labels(operation));
    }
}

fn labels(operation: &Operation<'_>) -> Vec<KeyValue> {
    let mut labels = vec![
        KeyValue::new("messaging.operation.name", operation.name),
        KeyValue::new("messaging.system", "rabbitmq"),
        KeyValue::new(
            "messaging.destination.name",
            operation.destination.to_owned(),
        ),
    ];
    if let Some(error) = operation.error {
        labels.push(KeyValue::new("error.type", error.to_owned()));
    }
    labels
}
