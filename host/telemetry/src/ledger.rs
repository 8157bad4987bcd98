//! What is told of what a consumer remembers.

use prometheus::IntGauge;

use super::meters::Meters;
use super::words::Remembered;

/// How many keys one consumer remembers of its deliveries, or of its publications.
#[derive(Debug)]
pub struct LedgerTelemetry(IntGauge);

impl LedgerTelemetry {
    pub(super) fn new(meters: &Meters, consumer: &str, of: Remembered) -> Self {
        Self(
            meters
                .dedup_keys
                .with_label_values(&[consumer, of.as_str()]),
        )
    }

    /// Sets how many keys the consumer remembers.
    pub fn keeps(&self, keys: u64) {
        self.0.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}
