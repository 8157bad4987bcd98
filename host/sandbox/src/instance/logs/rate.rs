//! How many lines of a component are logged: this many a second over all its instances. The rest is counted and
//! dropped, so that no component can fill a disk or drown the lines of another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_lifecycle::Tasks;
use hive_telemetry::{ComponentTelemetry, Fact};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The `log_lines` of one component.
pub(crate) struct LineRate {
    component: Arc<str>,
    limit: u32,
    tasks: Tasks,
    telemetry: ComponentTelemetry,
    second: Mutex<Second>,
}

/// The second that runs now; the first line after one begins the next.
#[derive(Debug)]
struct Second {
    ends: Instant,
    told: u32,
    left_out: u64,
}

/// The treatment of a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Told,
    LeftOut,
    /// The first one of its second that is left out; the report is due at this time.
    FirstLeftOut(Instant),
}

impl Second {
    fn line(&mut self, limit: u32, now: Instant) -> Line {
        if now >= self.ends {
            self.ends = now + SECOND;
            self.told = 0;
        }
        if self.told < limit {
            self.told += 1;
            return Line::Told;
        }
        self.left_out += 1;
        match self.left_out {
            1 => Line::FirstLeftOut(self.ends),
            _ => Line::LeftOut,
        }
    }
}

impl LineRate {
    pub(crate) fn new(
        component: Arc<str>,
        limit: u32,
        tasks: &Tasks,
        telemetry: &ComponentTelemetry,
    ) -> Arc<Self> {
        Arc::new(Self {
            component,
            limit,
            tasks: tasks.clone(),
            telemetry: telemetry.clone(),
            second: Mutex::new(Second {
                ends: Instant::now(),
                told: 0,
                left_out: 0,
            }),
        })
    }

    /// Whether the next line is logged.
    pub(crate) fn tells(self: &Arc<Self>) -> bool {
        let line = self.second().line(self.limit, Instant::now());
        if line == Line::Told {
            return true;
        }
        self.telemetry.line_dropped();
        if let Line::FirstLeftOut(ends) = line {
            let rate = Arc::clone(self);
            let close = self.tasks.close().clone();
            self.tasks.spawn_service(async move {
                tokio::select! {
                    () = tokio::time::sleep_until(ends) => {}
                    () = close.cancelled() => {}
                }
                rate.report();
            });
        }
        false
    }

    fn report(&self) {
        let left_out = std::mem::take(&mut self.second().left_out);
        Fact::LinesLeftOut {
            component: &self.component,
            lines: left_out,
            limit: self.limit,
        }
        .emit();
    }

    fn second(&self) -> MutexGuard<'_, Second> {
        self.second.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_until_the_next_second() {
        let start = Instant::now();
        let mut second = Second {
            ends: start,
            told: 0,
            left_out: 0,
        };
        let mut lines = |number: usize, at: Instant| -> Vec<Line> {
            (0..number).map(|_| second.line(2, at)).collect()
        };
        let ends = start + SECOND;
        assert_eq!(
            lines(4, start),
            [
                Line::Told,
                Line::Told,
                Line::FirstLeftOut(ends),
                Line::LeftOut
            ]
        );
        assert_eq!(lines(2, ends), [Line::Told, Line::Told]);
        // The report of the first second has yet to come, and will tell of this one too.
        assert_eq!(lines(1, ends), [Line::LeftOut]);
        assert_eq!(second.left_out, 3);
    }
}
