//! The report of a bout, and of a sweep.

use std::time::SystemTime;

use anyhow::{Context, Result};
use hive_tests::Broker;

use super::bout::Bout;
use super::contender::Contender;
use super::ring::Taken;
use super::sweep::{Point, Sweep};

/// The runs of a bout.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(Contender, Vec<Taken>)>);

impl Table {
    pub(crate) fn add(&mut self, contender: Contender, taken: Taken) {
        match self.0.iter_mut().find(|(one, _)| *one == contender) {
            Some((_, runs)) => runs.push(taken),
            None => self.0.push((contender, vec![taken])),
        }
    }

    /// The medians, with the ratios that the aims are about.
    pub(crate) fn text(&self, bout: &Bout) -> String {
        let of = |contender: Contender| self.median(contender);
        let (simplest, best) = (of(Contender::NativeSimplest), of(Contender::NativeBest));
        let rows = self.medians().map(|(contender, median, spread)| {
            let to = |other: Option<Taken>, value: fn(&Taken) -> f64| {
                other.map_or_else(
                    || "–".to_owned(),
                    |other| format!("{:.2}", value(&median) / value(&other)),
                )
            };
            [
                contender.name().to_owned(),
                format!("{:.0}", median.rate),
                spread,
                to(simplest, |taken| taken.rate),
                to(best, |taken| taken.rate),
                format!("{:.1}", median.client),
                to(best, |taken| taken.client),
            ]
        });
        let columns = [
            "",
            "messages/s",
            "lowest to highest",
            "relative to lapin, simplest",
            "relative to lapin, best",
            "client, us/message",
            "relative to lapin, best",
        ];
        markdown(&bout.to_string(), columns, rows)
    }

    /// Of each contender: the medians, and what its rates lie between.
    fn medians(&self) -> impl Iterator<Item = (Contender, Taken, String)> {
        self.0.iter().filter_map(|(contender, runs)| {
            let rates = || runs.iter().map(|taken| taken.rate);
            let lowest = rates().fold(f64::INFINITY, f64::min);
            let highest = rates().fold(0.0, f64::max);
            let spread = format!("{lowest:.0} to {highest:.0}");
            Some((*contender, self.median(*contender)?, spread))
        })
    }

    pub(crate) fn median(&self, contender: Contender) -> Option<Taken> {
        let (_, runs) = self.0.iter().find(|(one, _)| *one == contender)?;
        let of = |value: fn(&Taken) -> f64| median(runs.iter().map(value));
        Some(Taken {
            rate: of(|taken| taken.rate)?,
            client: of(|taken| taken.client)?,
            broker: of(|taken| taken.broker)?,
            memory: of(|taken| taken.memory)?,
        })
    }
}

/// The medians at each point of a sweep.
pub(crate) fn sweep(sweep: Sweep, points: &[Point]) -> String {
    let rows = points.iter().flat_map(|point| {
        let value = point.value;
        point
            .table
            .medians()
            .map(move |(contender, median, spread)| {
                [
                    sweep.label(value),
                    contender.name().to_owned(),
                    format!("{:.0}", median.rate),
                    spread,
                    format!("{:.1}", median.client),
                    format!("{:.1}", median.broker),
                    format!("{:.0}", median.memory),
                ]
            })
    });
    let columns = [
        sweep.name(),
        "",
        "messages/s",
        "lowest to highest",
        "client, us/message",
        "broker, us/message",
        "client's peak, MiB",
    ];
    markdown(sweep.axis(), columns, rows)
}

/// The medians of each contender on RabbitMQ and on the broker in the process, and the ratio of both.
pub(crate) fn brokers(bout: &Bout, rabbitmq: &Table, in_process: &Table) -> String {
    let rows = rabbitmq
        .medians()
        .filter_map(|(contender, theirs, spread)| {
            let mut others = in_process.medians();
            let (_, ours, our_spread) = others.find(|(other, ..)| *other == contender)?;
            Some([
                contender.name().to_owned(),
                format!("{:.0}", theirs.rate),
                spread,
                format!("{:.0}", ours.rate),
                our_spread,
                format!("{:.2}", ours.rate / theirs.rate),
                format!("{:.1}", theirs.broker),
                format!("{:.1}", ours.broker),
            ])
        });
    let columns = [
        "",
        "RabbitMQ, messages/s",
        "lowest to highest",
        "hive-broker, messages/s",
        "lowest to highest",
        "relative to RabbitMQ",
        "RabbitMQ, us/message",
        "hive-broker, us/message",
    ];
    markdown(&bout.to_string(), columns, rows)
}

/// The times of clients at a pace, in microseconds.
pub(crate) fn times(bout: &Bout, pace: f64, rows: &[(Contender, Vec<u32>)]) -> String {
    let best = rows
        .iter()
        .find(|(contender, _)| *contender == Contender::NativeBest)
        .map(|(_, times)| times);
    let rows = rows.iter().map(|(contender, times)| {
        let ratio = |share| match (best, percentile(times, share)) {
            (Some(best), time) if percentile(best, share) > 0.0 => {
                format!("{:.2}", time / percentile(best, share))
            }
            _ => "–".to_owned(),
        };
        [
            contender.name().to_owned(),
            format!("{:.0}", percentile(times, 0.5)),
            ratio(0.5),
            format!("{:.0}", percentile(times, 0.99)),
            ratio(0.99),
            format!("{:.0}", percentile(times, 0.999)),
        ]
    });
    let columns = [
        "",
        "p50, us",
        "relative to lapin, best",
        "p99, us",
        "relative to lapin, best",
        "p99.9, us",
    ];
    let title = format!("{bout}: from a delivery to its ack, at {pace:.0} messages a second");
    markdown(&title, columns, rows)
}

/// Of sorted times.
pub(crate) fn percentile(times: &[u32], share: f64) -> f64 {
    let index = (times.len() as f64 * share) as usize;
    let at = times.get(index.min(times.len().saturating_sub(1)));
    at.map_or(0.0, |time| f64::from(*time))
}

pub(crate) fn markdown<const N: usize>(
    title: &str,
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("\n### {title}\n\n{}|{}\n", line(&columns), "---|".repeat(N));
    for row in rows {
        text.push_str(&line(&row.each_ref().map(String::as_str)));
    }
    text
}

/// The one in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The machine that the figures are from.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({model}), Linux {}", kernel.trim())
}

/// The machine, the versions and the day.
pub(crate) fn versions(rabbitmq: &str) -> Result<String> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let (day, _) = now.split_once('T').context("a date ends at its T")?;
    Ok(format!(
        "{}; hive-host {}, RabbitMQ {rabbitmq} on the same machine; {day}",
        machine(),
        env!("CARGO_PKG_VERSION")
    ))
}

/// How and where the figures of a plot were measured.
pub(crate) fn caption(broker: &Broker, rounds: usize) -> Result<[String; 2]> {
    let overview = broker.management().get("/overview")?;
    let rabbitmq = overview["rabbitmq_version"].as_str().unwrap_or("unknown");
    Ok([
        format!(
            "{}, prefetch {}, one consumer where nothing else is said; medians of {rounds}",
            Bout::BASE,
            Bout::BASE.prefetch
        ),
        versions(rabbitmq)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_tells_the_median_of_each_of_its_points() {
        let point = |value, rates: [f64; 3]| {
            let mut table = Table::default();
            for rate in rates {
                let taken = Taken {
                    rate,
                    ..Taken::default()
                };
                table.add(Contender::HiveReused, taken);
            }
            Point { value, table }
        };
        let points = [
            point(128, [300.0, 100.0, 200.0]),
            point(1 << 20, [7.0, 9.0, 8.0]),
        ];
        let text = sweep(Sweep::Body, &points);
        assert!(text.contains("| 128 B | hive, reused | 200 | 100 to 300 |"));
        assert!(text.contains("| 1 MiB | hive, reused | 8 | 7 to 9 |"));
    }

    #[test]
    fn the_broker_in_the_process_is_compared_with_rabbitmq() {
        let table = |rate, broker| {
            let mut table = Table::default();
            let taken = Taken {
                rate,
                broker,
                ..Taken::default()
            };
            table.add(Contender::HiveReused, taken);
            table
        };
        let text = brokers(&Bout::BASE, &table(200.0, 40.0), &table(300.0, 8.0));
        let row = "| hive, reused | 200 | 200 to 200 | 300 | 300 to 300 | 1.50 | 40.0 | 8.0 |";
        assert!(text.contains(row), "{text}");
    }
}
