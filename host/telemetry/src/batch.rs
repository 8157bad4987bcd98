//! What is told of the batches of a consumer.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::meters::Meters;

/// What a consumer with batches tells beside what every consumer does.
#[derive(Debug)]
pub struct BatchTelemetry {
    consumer: Arc<str>,
    full: IntCounter,
    waited: IntCounter,
    size: Histogram,
    handling: Histogram,
}

/// Why a batch was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchReason {
    /// It was full.
    Size,
    /// Its first delivery had waited for long enough.
    Wait,
}

impl BatchTelemetry {
    pub(super) fn new(meters: &Meters, consumer: &Arc<str>, component: &Arc<str>) -> Self {
        let reason = |reason| meters.batches.with_label_values(&[&**consumer, reason]);
        Self {
            full: reason("size"),
            waited: reason("wait"),
            size: meters.batch_size.with_label_values(&[&**consumer]),
            handling: meters.handling.with_label_values(&[&**consumer, component]),
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
        }
        telemetry.size.observe(size as f64);
        tracing::debug!(consumer = %telemetry.consumer, size, ?reason, "a batch is handed over");
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
        tracing::info!(
            consumer = %telemetry.consumer,
            deliveries = self.size,
            "stopping before a batch was due; its deliveries go back to their queue"
        );
    }
}
