//! What is counted of schedules.

use std::sync::Arc;

use super::meters::Meters;
use super::words::ScheduleResult;

/// The meters of one schedule.
#[derive(Debug, Clone)]
pub struct ScheduleTelemetry {
    meters: Arc<Meters>,
    schedule: Arc<str>,
}

impl ScheduleTelemetry {
    pub(super) fn new(meters: &Arc<Meters>, schedule: &Arc<str>) -> Self {
        Self {
            meters: Arc::clone(meters),
            schedule: Arc::clone(schedule),
        }
    }

    /// So many planned firings, or attempts, ended in this way.
    pub fn count(&self, result: ScheduleResult, firings: usize) {
        let labels = [&*self.schedule, result.as_str()];
        let firings = u64::try_from(firings).unwrap_or(u64::MAX);
        self.meters
            .schedule_firings
            .with_label_values(&labels)
            .inc_by(firings);
    }

    /// Whether this host fires.
    pub fn active(&self, is_active: bool) {
        let gauge = &self.meters.schedule_active;
        let gauge = gauge.with_label_values(&[&*self.schedule]);
        gauge.set(i64::from(is_active));
    }

    /// The next firing, in seconds since 1970.
    pub fn next(&self, seconds: Option<u64>) {
        let gauge = &self.meters.schedule_next;
        let gauge = gauge.with_label_values(&[&*self.schedule]);
        let seconds = seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        gauge.set(seconds.unwrap_or_default());
    }
}
