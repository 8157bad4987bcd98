//! What is told of the batches of a consumer.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::facts::Fact;
use super::meters::Meters;
use super::words::BatchReason;

/// What a consumer with batches tells beside what every consumer does.
#[derive(Debug)]
pub struct BatchTelemetry {
    consumer: Arc<str>,
    full: IntCounter,
    waited: IntCounter,
    early: IntCounter,
    size: Histogram,
    handling: Histogram,
}

impl BatchTelemetry {
    pub(super) fn new(
        meters: &Meters,
        consumer: &Arc<str>,
        table: &Arc<str>,
        component: &Arc<str>,
    ) -> Self {
        let reason = |reason: BatchReason| {
            meters
                .batches
                .with_label_values(&[&**table, reason.as_str()])
        };
        Self {
            full: reason(BatchReason::Size),
            waited: reason(BatchReason::Wait),
            early: reason(BatchReason::Prefetch),
            size: meters.batch_size.with_label_values(&[&**table]),
            handling: meters.handling.with_label_values(&[&**table, component]),
            consumer: consumer.clone(),
        }
    }
}

/// A batch was handed to the component.
#[derive(Debug, Clone, Copy)]
pub struct BatchHanded {
    /// How many deliveries it has.
    pub size: usize,
    /// Why now.
    pub reason: BatchReason,
}

impl BatchHanded {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &BatchTelemetry) {
        let Self { size, reason } = self;
        match reason {
            BatchReason::Size => telemetry.full.inc(),
            BatchReason::Wait => telemetry.waited.inc(),
            BatchReason::Prefetch => telemetry.early.inc(),
        }
        telemetry.size.observe(size as f64);
        Fact::BatchHanded {
            consumer: &telemetry.consumer,
            size,
            reason,
        }
        .emit();
    }
}

/// The component has answered a batch, whatever it was.
#[derive(Debug, Clone, Copy)]
pub struct BatchAnswered {
    /// How long the call took, with the wait for an instance.
    pub took: Duration,
}

impl BatchAnswered {
    /// Counts it.
    pub fn emit(self, telemetry: &BatchTelemetry) {
        telemetry.handling.observe(self.took.as_secs_f64());
    }
}

/// The host stops, or the consumer does, before a batch was due.
#[derive(Debug, Clone, Copy)]
pub struct BatchGivenBack {
    /// How many deliveries go back to their queue.
    pub size: usize,
}

impl BatchGivenBack {
    /// Tells it.
    pub fn emit(self, telemetry: &BatchTelemetry) {
        Fact::BatchGivenBack {
            consumer: &telemetry.consumer,
            deliveries: self.size,
        }
        .emit();
    }
}
