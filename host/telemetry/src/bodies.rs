//! What is counted of the bodies of deliveries in memory.

use prometheus::IntGauge;

use super::meters::Meters;

/// The bytes of the bodies in flight, over all consumers of a host.
#[derive(Debug, Clone)]
pub struct BodiesInFlight(IntGauge);

impl BodiesInFlight {
    pub(super) fn new(meters: &Meters) -> Self {
        Self(meters.body_bytes.with_label_values(&[] as &[&str]))
    }

    /// There are so many of them.
    pub fn are(&self, bytes: u64) {
        self.0.set(bytes.try_into().unwrap_or(i64::MAX));
    }
}
