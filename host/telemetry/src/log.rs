//! What is counted of the log itself.

use prometheus::IntCounter;

use super::facts::Fact;
use super::meters::Meters;

/// The meters of the log.
#[derive(Debug, Clone)]
pub struct LogTelemetry {
    dropped: IntCounter,
}

impl LogTelemetry {
    pub(super) fn new(meters: &Meters) -> Self {
        Self {
            dropped: meters.log_lines_dropped.with_label_values(&[] as &[&str]),
        }
    }

    /// Lines that will not be in the log.
    pub fn dropped(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }

    /// Lines are written again, and so many were not.
    pub fn report_dropped(&self, lines: u64) {
        Fact::LogLinesDropped { lines }.emit();
    }
}
