//! What is told of a component's instances.

use prometheus::{IntCounter, IntGauge};

use super::meters::Meters;

/// The meters of one component.
#[derive(Debug, Clone)]
pub struct ComponentTelemetry {
    instances: IntGauge,
    traps: IntCounter,
    lines_dropped: IntCounter,
}

/// One instance in memory, counted for as long as this lives.
#[derive(Debug)]
pub struct CountedInstance(IntGauge);

impl ComponentTelemetry {
    pub(super) fn new(meters: &Meters, component: &str) -> Self {
        Self {
            instances: meters.instances.with_label_values(&[component]),
            traps: meters.traps.with_label_values(&[component]),
            lines_dropped: meters.lines_dropped.with_label_values(&[component]),
        }
    }

    /// An instance was made.
    pub fn instance(&self) -> CountedInstance {
        self.instances.inc();
        CountedInstance(self.instances.clone())
    }

    /// An instance ended by a trap, a timeout or a limit.
    pub fn trapped(&self) {
        self.traps.inc();
    }

    /// A line that it printed was left out.
    pub fn line_dropped(&self) {
        self.lines_dropped.inc();
    }
}

impl Drop for CountedInstance {
    fn drop(&mut self) {
        self.0.dec();
    }
}
