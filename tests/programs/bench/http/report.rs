//! The report of the runs of services.

use super::{Service, Taken};
use crate::report::{markdown, median, percentile};

/// The runs at full rate.
#[derive(Default)]
pub(crate) struct Table(Runs);

/// The runs with all requests at once.
#[derive(Default)]
pub(crate) struct Crowd(Runs);

/// What is reported of a run.
#[derive(Clone, Copy)]
struct Run {
    rate: f64,
    seconds: f64,
    p50: f64,
    p99: f64,
    service: f64,
    broker: f64,
    stored: usize,
    errors: usize,
}

#[derive(Default)]
struct Runs(Vec<(Service, Vec<Run>)>);

impl Table {
    pub(crate) fn add(&mut self, service: Service, taken: Taken) {
        self.0.add(service, &taken);
    }

    /// The medians, with the ratio that the aim is about.
    pub(crate) fn text(&self, title: &str) -> String {
        let by_hand = self.0.median_of(Service::ByHand, |run| run.rate);
        let rows = self.0.0.iter().map(|(service, runs)| {
            let of = |value: fn(&Run) -> f64| median(runs.iter().map(value)).unwrap_or_default();
            let rate = of(|run| run.rate);
            [
                service.name().to_owned(),
                format!("{rate:.0}"),
                spread(runs, |run| run.rate, 0),
                ratio(rate, by_hand),
                format!("{:.1}", of(|run| run.p50)),
                format!("{:.1}", of(|run| run.p99)),
                format!("{:.1}", of(|run| run.service)),
                format!("{:.1}", of(|run| run.broker)),
                errors(runs),
            ]
        });
        let columns = [
            "",
            "requests/s",
            "lowest to highest",
            "relative to axum and lapin",
            "p50, ms",
            "p99, ms",
            "service, us/request",
            "broker, us/request",
            "errors",
        ];
        markdown(title, columns, rows)
    }
}

impl Crowd {
    pub(crate) fn add(&mut self, service: Service, taken: Taken) {
        self.0.add(service, &taken);
    }

    /// How long it took until the last one was answered.
    pub(crate) fn text(&self, title: &str) -> String {
        let by_hand = self.0.median_of(Service::ByHand, |run| run.seconds);
        let rows = self.0.0.iter().map(|(service, runs)| {
            let of = |value: fn(&Run) -> f64| median(runs.iter().map(value)).unwrap_or_default();
            let seconds = of(|run| run.seconds);
            let stored: usize = runs.iter().map(|run| run.stored).sum();
            [
                service.name().to_owned(),
                format!("{seconds:.2}"),
                spread(runs, |run| run.seconds, 2),
                ratio(seconds, by_hand),
                format!("{:.0}", of(|run| run.p50)),
                format!("{:.0}", of(|run| run.p99)),
                errors(runs),
                format!("{stored} in {} runs", runs.len()),
            ]
        });
        let columns = [
            "",
            "all answered after, s",
            "lowest to highest",
            "relative to axum and lapin",
            "p50, ms",
            "p99, ms",
            "errors",
            "answered with 2xx, and in the queue",
        ];
        markdown(title, columns, rows)
    }
}

impl Runs {
    fn add(&mut self, service: Service, taken: &Taken) {
        let Taken {
            answered,
            service: of_service,
            broker,
        } = taken;
        let seconds = answered.took.as_secs_f64();
        let millis = |share| percentile(&answered.micros, share) / 1000.0;
        let run = Run {
            rate: answered.stored() as f64 / seconds,
            seconds,
            p50: millis(0.5),
            p99: millis(0.99),
            service: *of_service,
            broker: *broker,
            stored: answered.stored(),
            errors: answered.errors,
        };
        match self.0.iter_mut().find(|(one, _)| *one == service) {
            Some((_, runs)) => runs.push(run),
            None => self.0.push((service, vec![run])),
        }
    }

    fn median_of(&self, service: Service, value: fn(&Run) -> f64) -> Option<f64> {
        let (_, runs) = self.0.iter().find(|(one, _)| *one == service)?;
        median(runs.iter().map(value))
    }
}

fn ratio(value: f64, to: Option<f64>) -> String {
    to.map_or_else(|| "–".to_owned(), |to| format!("{:.2}", value / to))
}

fn spread(runs: &[Run], value: fn(&Run) -> f64, digits: usize) -> String {
    let lowest = runs.iter().map(value).fold(f64::INFINITY, f64::min);
    let highest = runs.iter().map(value).fold(0.0, f64::max);
    format!("{lowest:.digits$} to {highest:.digits$}")
}

/// Of all runs.
fn errors(runs: &[Run]) -> String {
    let errors: usize = runs.iter().map(|run| run.errors).sum();
    errors.to_string()
}
