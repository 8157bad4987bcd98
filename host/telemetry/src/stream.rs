//! What is told of how far a stream was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntGauge;

use super::facts::Fact;
use super::meters::Meters;

/// What one consumer of a stream tells.
#[derive(Debug)]
pub struct StreamTelemetry {
    consumer: Arc<str>,
    queue: Arc<str>,
    group: Arc<str>,
    handled: IntGauge,
    stored: IntGauge,
    told_of_another: AtomicBool,
}

impl StreamTelemetry {
    pub(super) fn new(
        meters: &Meters,
        consumer: &Arc<str>,
        queue: &Arc<str>,
        group: &Arc<str>,
    ) -> Self {
        let labels: &[&str] = &[consumer, queue];
        Self {
            consumer: consumer.clone(),
            queue: queue.clone(),
            group: group.clone(),
            handled: meters.stream_offset.with_label_values(labels),
            stored: meters.stream_stored.with_label_values(labels),
            told_of_another: AtomicBool::new(false),
        }
    }

    /// The stream is read on from where an earlier host was.
    pub fn resumed(&self, position: u64) {
        self.handled_up_to(position);
        self.stored(position);
        let Self {
            consumer,
            queue,
            group,
            ..
        } = self;
        Fact::StreamResumed {
            consumer,
            queue,
            group,
            offset: position,
        }
        .emit();
    }

    /// Every message below this offset is handled.
    pub fn handled_up_to(&self, position: u64) {
        self.handled.set(gauged(position));
    }

    /// And the store knows it of those below this one.
    pub fn stored(&self, position: u64) {
        self.stored.set(gauged(position));
    }

    /// The offset is not in the store; it is tried again.
    pub fn store_failed(&self, reason: &str) {
        let (consumer, queue) = (&self.consumer, &self.queue);
        Fact::StreamStoreFailed {
            consumer,
            queue,
            reason,
        }
        .emit();
    }

    /// Another host moved the offset of the group. Told once.
    pub fn moved_by_another(&self, to: Option<u64>) {
        if self.told_of_another.swap(true, Ordering::Relaxed) {
            return;
        }
        let Self {
            consumer,
            queue,
            group,
            ..
        } = self;
        Fact::StreamMovedByAnother {
            consumer,
            queue,
            group,
            stored: to,
        }
        .emit();
    }

    /// Other code has taken over where the consumer had stopped.
    pub fn goes_on(&self) {
        let (consumer, queue) = (&self.consumer, &self.queue);
        Fact::StreamContinued { consumer, queue }.emit();
    }
}

fn gauged(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
