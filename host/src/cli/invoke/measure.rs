//! How long calls took.

use std::fmt;
use std::time::Duration;

use hive_core::answer::Answer;
use serde_json::{Value, json};

/// The times of calls, and the number of failures.
#[derive(Debug, Default)]
pub(super) struct Measure {
    took: Vec<Duration>,
    failures: usize,
}

/// The printed summary.
#[derive(Debug, PartialEq)]
pub(super) struct Spread {
    calls: usize,
    failures: usize,
    is_fresh: bool,
    least: Duration,
    median: Duration,
    p99: Duration,
}

impl Measure {
    pub(super) fn note(&mut self, took: Duration, answers: &[Answer]) {
        self.took.push(took);
        self.failures += answers.iter().filter(|answer| answer.is_failure()).count();
    }

    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Without calls, all are zero.
    pub(super) fn result(&self, is_fresh: bool) -> Spread {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        // The nearest rank: the smallest value that this percentage of all do not exceed.
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Spread {
            calls: sorted.len(),
            failures: self.failures,
            is_fresh,
            least: at(0),
            median: at(50),
            p99: at(99),
        }
    }
}

impl Spread {
    fn instances(&self) -> &'static str {
        match self.is_fresh {
            true => "fresh",
            false => "reused",
        }
    }

    pub(super) fn object(&self) -> Value {
        json!({
            "calls": self.calls,
            "instances": self.instances(),
            "failures": self.failures,
            "min-ms": number(self.least),
            "median-ms": number(self.median),
            "p99-ms": number(self.p99),
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, instances {}: min {}, median {}, p99 {}",
            self.calls,
            self.instances(),
            milliseconds(self.least),
            milliseconds(self.median),
            milliseconds(self.p99)
        )?;
        match self.failures {
            0 => Ok(()),
            failures => write!(f, "; {failures} answers are failures"),
        }
    }
}

/// The time as text for people.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// The time as a number for JSON, to the microsecond.
pub(super) fn number(time: Duration) -> Value {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    Value::from(f64::from(micros) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_slow_end_are_told() {
        let mut measure = Measure::default();
        for millisecond in (1..=200).rev() {
            measure.note(Duration::from_millis(millisecond), &[]);
        }
        let told = measure.result(false).object();
        assert_eq!(told["min-ms"], 1.0);
        assert_eq!(told["median-ms"], 100.0);
        assert_eq!(told["p99-ms"], 198.0);
        let mut one = Measure::default();
        one.note(Duration::from_micros(1500), &[]);
        assert_eq!(one.result(true).object()["p99-ms"], 1.5);
    }
}
