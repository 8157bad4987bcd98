//! What is told of a bout.

use std::fmt::Write as _;

use super::bout::{Bout, Taken};
use super::contender::Contender;

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
        let mut text = format!(
            "\n### {bout}\n\n\
             | | messages/s | lowest to highest | to the simplest | to the best | client, us/message | to the best |\n\
             |---|---|---|---|---|---|---|\n"
        );
        let of = |contender: Contender| self.median(contender);
        let (simplest, best) = (of(Contender::NativeSimplest), of(Contender::NativeBest));
        for (contender, runs) in &self.0 {
            let Some(median) = of(*contender) else {
                continue;
            };
            let rates = || runs.iter().map(|taken| taken.rate);
            let lowest = rates().fold(f64::INFINITY, f64::min);
            let highest = rates().fold(0.0, f64::max);
            let to = |other: Option<Taken>, value: fn(&Taken) -> f64| {
                other.map_or_else(
                    || "–".to_owned(),
                    |other| format!("{:.2}", value(&median) / value(&other)),
                )
            };
            let cells = [
                contender.name().to_owned(),
                format!("{:.0}", median.rate),
                format!("{lowest:.0} to {highest:.0}"),
                to(simplest, |taken| taken.rate),
                to(best, |taken| taken.rate),
                format!("{:.1}", median.client),
                to(best, |taken| taken.client),
            ];
            writeln!(text, "| {} |", cells.join(" | ")).expect("a String takes everything");
        }
        text
    }

    fn median(&self, contender: Contender) -> Option<Taken> {
        let (_, runs) = self.0.iter().find(|(one, _)| *one == contender)?;
        Some(Taken {
            rate: median(runs.iter().map(|taken| taken.rate))?,
            client: median(runs.iter().map(|taken| taken.client))?,
        })
    }
}

/// The one in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What the figures are of.
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
