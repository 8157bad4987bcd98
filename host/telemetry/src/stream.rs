//! What is told of how far a stream was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntGauge;

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
        tracing::info!(%consumer, %queue, %group, offset = position, "reading on from the stored offset");
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
        tracing::warn!(%consumer, %queue, reason, "the offset of the stream cannot be kept");
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
        tracing::warn!(
            %consumer, %queue, %group, stored = to,
            "another host moves the stored offset of this group: both handle every message"
        );
    }

    /// Other code has taken over where the consumer had stopped.
    pub fn goes_on(&self) {
        let (consumer, queue) = (&self.consumer, &self.queue);
        tracing::info!(%consumer, %queue, "the component was swapped; reading on where it had stopped");
    }
}

fn gauged(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
