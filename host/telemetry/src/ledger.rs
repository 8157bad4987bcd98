//! What is told of what a consumer remembers.

use super::meters::Meters;
use super::share::Part;
use super::words::Remembered;

/// How many keys one consumer remembers of its deliveries, or of its publications.
#[derive(Debug)]
pub struct LedgerTelemetry(Part);

impl LedgerTelemetry {
    pub(super) fn new(meters: &Meters, table: &str, of: Remembered) -> Self {
        let labels = [table, of.as_str()];
        Self(Part::new(meters.dedup_keys.with_label_values(&labels)))
    }

    /// Sets how many keys the consumer remembers.
    pub fn keeps(&self, keys: u64) {
        self.0.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }
}
