//! An axis of the plot: logarithmic where what it shows spans decades, from zero where it does not.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// A range wider than this gets a logarithmic axis.
const DECADE: f64 = 10.0;

/// More of them, and powers of ten alone have a tick.
const MOST_TICKS: usize = 9;

/// With a title, and a tick at each of some values.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) title: String,
    is_logarithmic: bool,
    range: Range<f64>,
    /// The positions of the ticks, and their labels.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Logarithmic, with a tick at each of the values.
    pub(crate) fn at(title: &str, values: &[(f64, String)]) -> Self {
        let values_alone = || values.iter().map(|(value, _)| *value);
        let lowest = values_alone().fold(f64::INFINITY, f64::min);
        let highest = values_alone().fold(0.0, f64::max);
        // For the marks of the first and the last one.
        let room = (highest / lowest).powf(0.03);
        Self {
            title: title.to_owned(),
            is_logarithmic: true,
            range: lowest / room..highest * room,
            ticks: values.to_vec(),
        }
    }

    /// With round ticks over all of the values, which are above zero.
    pub(crate) fn over(title: &str, values: &[f64]) -> Self {
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(0.0, f64::max);
        let is_logarithmic = highest / lowest > DECADE;
        let ticks = match is_logarithmic {
            true => over_decades(lowest, highest),
            false => from_zero(highest),
        };
        let labelled = ticks.iter().map(|tick| (*tick, tick.to_string())).collect();
        Self {
            title: title.to_owned(),
            is_logarithmic,
            range: ticks.first().copied().unwrap_or(0.0)..ticks.last().copied().unwrap_or(1.0),
            ticks: labelled,
        }
    }

    /// The label of the tick at this value.
    pub(crate) fn label(&self, value: f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| *tick == value);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }

    fn place(&self, value: f64) -> f64 {
        match self.is_logarithmic {
            true => value.log10(),
            false => value,
        }
    }
}

/// The library's own logarithmic axes choose their ticks by themselves and do not accept labels.
impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let Range { start, end } = self.range;
        let (start, end) = (self.place(start), self.place(end));
        let part = (self.place(*value) - start) / (end - start);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.iter().map(|(value, _)| *value).collect(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// 1, 2, 5, 10, 20 and so on, from the last one below to the first one above.
fn over_decades(lowest: f64, highest: f64) -> Vec<f64> {
    let ticks = |steps: &[f64]| {
        let mut ticks = Vec::new();
        let mut decade = 1e-6;
        while decade < 1e12 {
            ticks.extend(steps.iter().map(|step| rounded(step * decade)));
            decade *= DECADE;
        }
        let first = ticks.partition_point(|tick| *tick <= lowest).max(1) - 1;
        let last = ticks.partition_point(|tick| *tick < highest);
        ticks[first..=last.min(ticks.len() - 1)].to_vec()
    };
    let fine = ticks(&[1.0, 2.0, 5.0]);
    match fine.len() > MOST_TICKS {
        true => ticks(&[1.0]),
        false => fine,
    }
}

/// Zero, and about five more.
fn from_zero(highest: f64) -> Vec<f64> {
    let least = highest / 5.0;
    let magnitude = DECADE.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
    let step = steps.into_iter().find(|step| *step >= least);
    let step = step.unwrap_or(least);
    let mut ticks = vec![0.0];
    while ticks.last().is_some_and(|last| *last < highest) {
        let next = u32::try_from(ticks.len()).map_or(f64::INFINITY, f64::from) * step;
        ticks.push(rounded(next));
    }
    ticks
}

/// Without what binary fractions leave behind the comma.
fn rounded(value: f64) -> f64 {
    match value >= 1.0 {
        true => value.round(),
        false => (value * 1e6).round() / 1e6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks
            .iter()
            .map(|(value, _)| axis.label(*value))
            .collect()
    }

    #[test]
    fn what_stays_within_a_decade_begins_at_zero() {
        let axis = Axis::over("messages/s", &[21_574.0, 39_867.0]);
        assert_eq!(labels(&axis), ["0", "10000", "20000", "30000", "40000"]);
        assert_eq!(axis.range(), 0.0..40_000.0);
        assert_eq!(axis.map(&10_000.0, (200, 0)), 150);
    }

    #[test]
    fn what_spans_decades_is_logarithmic() {
        let axis = Axis::over("MiB", &[38.0, 700.0]);
        assert_eq!(labels(&axis), ["20", "50", "100", "200", "500", "1000"]);
        let wide = Axis::over("MiB/s", &[0.4, 1800.0]);
        let powers = ["0.1", "1", "10", "100", "1000", "10000"];
        assert_eq!(labels(&wide), powers);
        assert_eq!(wide.map(&100.0, (0, 500)), 300);
    }

    #[test]
    fn a_tick_is_at_each_of_the_values() {
        let values = [(1.0, "one".to_owned()), (64.0, "most".to_owned())];
        let axis = Axis::at("concurrency", &values);
        assert_eq!(labels(&axis), ["one", "most"]);
        assert!((0..100).contains(&axis.map(&1.0, (0, 100))));
        assert!((0..100).contains(&axis.map(&64.0, (0, 100))));
    }
}
