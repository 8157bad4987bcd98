//! What becomes of spans on their way to a collector.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntCounterVec;

use super::facts::Fact;
use super::meters::Meters;

/// Counts the spans that are dropped, and tells once that a collector is away.
#[derive(Debug)]
pub struct SpansTelemetry {
    dropped: IntCounterVec,
    is_failing: AtomicBool,
}

impl SpansTelemetry {
    pub(super) fn new(meters: &Meters) -> Self {
        for reason in ["queue", "collector"] {
            meters.spans_dropped.with_label_values(&[reason]);
        }
        Self {
            dropped: meters.spans_dropped.clone(),
            is_failing: AtomicBool::new(false),
        }
    }

    /// So many spans are gone.
    pub fn dropped(&self, why: &str, spans: u64) {
        self.dropped.with_label_values(&[why]).inc_by(spans);
    }

    /// The collector did not take some.
    pub fn failed(&self, reason: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            Fact::SpansFailed { reason }.emit();
        }
    }

    /// It took some.
    pub fn sent(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            Fact::SpansRestored {}.emit();
        }
    }
}
