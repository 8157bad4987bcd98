//! What is told of a component's instances, and of what they asked for in vain.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};
use tokio::time::Instant;

use super::facts::Fact;
use super::meters::Meters;
use super::words::{Capability, RequestEnd, SwapEnd};

/// A component that asks in a loop must not fill the disk with what it did not get.
const LINES: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// The meters of one component. Clones count in the same place, and every instance has several, so a clone is cheap.
#[derive(Debug, Clone)]
pub struct ComponentTelemetry(Arc<Own>);

#[derive(Debug)]
struct Own {
    component: Arc<str>,
    instances: IntGauge,
    traps: IntCounter,
    denied: IntCounterVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    lines_dropped: IntCounter,
    told: Told,
}

/// What the log has already said about interfaces that the component may not use.
#[derive(Debug, Default)]
struct Told {
    lines: Mutex<Lines>,
    environment: AtomicBool,
    directories: AtomicBool,
}

#[derive(Debug, Default)]
struct Lines {
    /// When the current period began; `None` before the first line.
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

/// What was counted of a component since the host started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentCounts {
    /// Instances in memory now.
    pub instances: u64,
    /// Instances that ended by a trap, a timeout or a limit.
    pub traps: u64,
    /// What it asked for and was not granted, by capability.
    pub denied: Vec<(&'static str, u64)>,
}

impl ComponentCounts {
    pub(super) fn new(meters: &Meters, component: &str) -> Self {
        let denied = |capability: Capability| {
            let labels = [component, capability.as_str()];
            (
                capability.as_str(),
                meters.denied.with_label_values(&labels).get(),
            )
        };
        let instances = meters.instances.with_label_values(&[component]).get();
        Self {
            instances: instances.try_into().unwrap_or_default(),
            traps: meters.traps.with_label_values(&[component]).get(),
            denied: Capability::ALL.map(denied).to_vec(),
        }
    }
}

/// One instance in memory, counted for as long as this lives.
#[derive(Debug)]
pub struct CountedInstance(ComponentTelemetry);

/// A component asked for something that it was not granted.
#[derive(Clone, Copy)]
pub struct CapabilityDenied<'a> {
    /// The capability that the component would need.
    pub capability: Capability,
    /// The code of the denial.
    pub code: &'a str,
    /// What the component asked for.
    pub asked: &'a dyn fmt::Display,
    /// Why it does not get it, and what would grant it.
    pub reason: &'a dyn fmt::Display,
}

impl ComponentTelemetry {
    pub(super) fn new(meters: &Meters, component: &Arc<str>) -> Self {
        // Counters that begin at 0: of a series whose first value is 1, Prometheus sees no increase.
        for capability in Capability::ALL {
            let labels = [&**component, capability.as_str()];
            meters.denied.with_label_values(&labels);
        }
        for end in SwapEnd::ALL {
            meters
                .swaps
                .with_label_values(&[&**component, end.as_str()]);
        }
        Self(Arc::new(Own {
            component: Arc::clone(component),
            instances: meters.instances.with_label_values(&[&**component]),
            traps: meters.traps.with_label_values(&[&**component]),
            denied: meters.denied.clone(),
            requests: meters.requests.clone(),
            request_seconds: meters.request_seconds.clone(),
            lines_dropped: meters.lines_dropped.with_label_values(&[&**component]),
            told: Told::default(),
        }))
    }

    /// An instance was made.
    pub fn instance(&self) -> CountedInstance {
        self.0.instances.inc();
        CountedInstance(self.clone())
    }

    /// An instance ended by a trap, a timeout or a limit.
    pub fn trapped(&self) {
        self.0.traps.inc();
    }

    /// A line that it printed was left out.
    pub fn line_dropped(&self) {
        self.0.lines_dropped.inc();
    }

    /// It asked for what it was not granted. Every time is counted, the first ones are told.
    pub fn denied(&self, denied: CapabilityDenied<'_>) {
        let CapabilityDenied {
            capability,
            code,
            asked,
            reason,
        } = denied;
        self.count_denied(capability);
        let lines = self.0.told.lines.lock();
        let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
        let Some(untold) = lines.next(Instant::now()) else {
            return;
        };
        drop(lines);
        let untold = (untold > 0).then_some(untold);
        Fact::CapabilityDenied {
            component: &self.0.component,
            code,
            capability,
            unlogged: untold,
            request: asked,
            why: reason,
        }
        .emit();
    }

    /// The same where the delivery itself fails of it, and its failure is told.
    pub fn count_denied(&self, capability: Capability) {
        let labels = [&*self.0.component, capability.as_str()];
        self.0.denied.with_label_values(&labels).inc();
    }

    /// A request over the broker ended, after this time.
    pub fn requested(&self, end: RequestEnd, took: Duration) {
        let own = &*self.0;
        let labels = [&*own.component, end.as_str()];
        own.requests.with_label_values(&labels).inc();
        let seconds = own.request_seconds.with_label_values(&[&*own.component]);
        seconds.observe(took.as_secs_f64());
    }

    /// It read its environment, and no variable is granted. Told once: a runtime may ask without need.
    pub fn environment_is_empty(&self) {
        let component = &*self.0.component;
        if !self.0.told.environment.swap(true, Ordering::Relaxed) {
            Fact::EnvironmentEmpty { component }.emit();
        }
    }

    /// It asked for its directories, and none is granted. Told once: a runtime may ask without need.
    pub fn no_directories(&self) {
        let component = &*self.0.component;
        if !self.0.told.directories.swap(true, Ordering::Relaxed) {
            Fact::DirectoriesEmpty { component }.emit();
        }
    }
}

impl Lines {
    /// How many lines were left out since the last report, if a report is due at `now`.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= PERIOD) {
            self.since = Some(now);
            self.told = 0;
        }
        if self.told == LINES {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Drop for CountedInstance {
    fn drop(&mut self) {
        self.0.0.instances.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a series whose first value is 1, Prometheus sees no increase, and no alert fires.
    #[test]
    fn what_alerts_ask_about_begins_at_zero() {
        let meters = Meters::new().unwrap();
        let _component = ComponentTelemetry::new(&meters, &"orders".into());
        let text = meters.render().unwrap();
        for series in [
            r#"hive_traps_total{component="orders"} 0"#,
            r#"hive_denied_total{capability="http",component="orders"} 0"#,
            r#"hive_swaps_total{component="orders",result="refused"} 0"#,
            r#"hive_swaps_total{component="orders",result="rolled_back"} 0"#,
        ] {
            assert!(text.lines().any(|line| line == series), "{series}\n{text}");
        }
    }

    #[test]
    fn a_flood_is_counted_and_not_told() {
        let mut lines = Lines::default();
        let start = Instant::now();
        let told = (0..100).filter(|_| lines.next(start).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(lines.next(start + PERIOD), Some(90));
        assert_eq!(lines.next(start + PERIOD), Some(0));
    }
}
