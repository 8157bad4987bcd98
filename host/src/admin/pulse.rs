//! How fast each consumer handles deliveries, and how long they take: samples of the counters over the last five minutes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hive_lifecycle::Tasks;
use hive_telemetry::{ConsumerTelemetry, DeliveryCounts, HandlingTimes};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::topology::Way;

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(5);

/// Five minutes of them.
const SAMPLES: usize = 60;

/// The samples of a minute.
const MINUTE: usize = 12;

/// The consumers at the moment of the call.
pub type Telemetries = Arc<dyn Fn() -> Vec<Arc<ConsumerTelemetry>> + Send + Sync>;

/// The samples of every consumer. Clones share them. One task writes them, and readers see whole ones.
#[derive(Clone, Default)]
pub(super) struct Pulse {
    consumers: Arc<ArcSwap<Consumers>>,
    /// Messages that wait, of consumers that were measured a moment ago.
    waiting: Arc<ArcSwap<BTreeMap<Arc<str>, u32>>>,
}

type Consumers = BTreeMap<Arc<str>, History>;

/// What one look finds of a consumer.
type Look = (Arc<str>, DeliveryCounts, HandlingTimes);

#[derive(Clone, Default)]
struct History {
    counts: DeliveryCounts,
    times: Option<HandlingTimes>,
    /// The newest last; `None` where nothing was in flight and nothing came.
    samples: VecDeque<Option<Arc<Sample>>>,
}

/// What happened between two looks.
#[derive(Debug, Clone, PartialEq, Default)]
struct Sample {
    acked: u64,
    retried: u64,
    dead_lettered: u64,
    others: u64,
    in_flight: u64,
    waiting: Option<u32>,
    /// How many took no longer than each bound, and longer than the one before; the last has no bound.
    took: Vec<u64>,
}

/// A consumer over the last five seconds, minute and five minutes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RatesView {
    seconds_5: Option<RateView>,
    minute_1: Option<RateView>,
    minutes_5: Option<RateView>,
    /// Handled a second, for each sample, the newest last.
    trend: Vec<f64>,
}

/// Deliveries a second, by the way they left, and how long they were in the component.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct RateView {
    handled: f64,
    acked: f64,
    retried: f64,
    dead_lettered: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
}

impl RatesView {
    /// Deliveries a second that went this way over the last samples; `None` if they are not counted, or before the
    /// first.
    pub(super) fn along(&self, way: Way) -> Option<f64> {
        let now = self.seconds_5.as_ref()?;
        match way {
            Way::Delivers | Way::Handles => Some(now.handled),
            Way::Retries => Some(now.retried),
            Way::DeadLetters => Some(now.dead_lettered),
            Way::Binding | Way::Publishes | Way::Requests | Way::Returns => None,
        }
    }
}

/// The samples of one consumer, for charts.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct SeriesView {
    period_seconds: u64,
    acked: Vec<f64>,
    retried: Vec<f64>,
    dead_lettered: Vec<f64>,
    p50_ms: Vec<Option<f64>>,
    p95_ms: Vec<Option<f64>>,
    in_flight: Vec<u64>,
    waiting: Vec<Option<u32>>,
}

impl Pulse {
    /// Samples until the host has stopped.
    pub(super) fn start(&self, telemetries: Telemetries, tasks: &Tasks) {
        let (pulse, close) = (self.clone(), tasks.close().clone());
        tasks.spawn_service(async move {
            let mut ticks = tokio::time::interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = close.cancelled() => break,
                    _ = ticks.tick() => pulse.sample(&telemetries()),
                }
            }
        });
    }

    fn sample(&self, telemetries: &[Arc<ConsumerTelemetry>]) {
        let looks = telemetries.iter().map(|telemetry| {
            let name = telemetry.consumer().into();
            (name, telemetry.counts(), telemetry.handling_times())
        });
        // A number is good for one sample: nobody may look any more.
        let waiting = self.waiting.swap(Arc::default());
        let before = self.consumers.load();
        self.consumers
            .store(Arc::new(sampled(&before, looks, &waiting)));
    }

    /// Notes how many messages wait, for the next sample.
    pub(super) fn measured(&self, waiting: BTreeMap<Arc<str>, u32>) {
        self.waiting.store(Arc::new(waiting));
    }

    /// Every consumer that was sampled.
    pub(super) fn rates(&self) -> BTreeMap<String, RatesView> {
        let consumers = self.consumers.load();
        let consumers = consumers.iter();
        consumers
            .map(|(name, history)| (name.to_string(), history.rates()))
            .collect()
    }

    /// One consumer; empty if it was not sampled.
    pub(super) fn series(&self, consumer: &str) -> SeriesView {
        let consumers = self.consumers.load();
        let history = consumers.get(consumer);
        history.map(History::series).unwrap_or_default()
    }
}

/// The samples with one more; those of consumers that are gone are left out.
fn sampled(
    before: &Consumers,
    looks: impl Iterator<Item = Look>,
    waiting: &BTreeMap<Arc<str>, u32>,
) -> Consumers {
    looks
        .map(|(name, counts, times)| {
            let mut history = before.get(&name).cloned().unwrap_or_default();
            history.add(counts, times, waiting.get(&name).copied());
            (name, history)
        })
        .collect()
}

impl History {
    fn add(&mut self, counts: DeliveryCounts, times: HandlingTimes, waiting: Option<u32>) {
        let before = std::mem::replace(&mut self.counts, counts);
        let Some(times_before) = self.times.replace(times.clone()) else {
            // The first look says since when there is something to count.
            return;
        };
        // A counter begins again with its consumer.
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        let others = |counts: &DeliveryCounts| {
            counts.requeued + counts.duplicate + counts.skipped + counts.stopped
        };
        let sample = Sample {
            acked: since(counts.acked, before.acked),
            retried: since(counts.retried, before.retried),
            dead_lettered: since(counts.dead_lettered, before.dead_lettered),
            others: since(others(&counts), others(&before)),
            in_flight: counts.in_flight,
            waiting,
            took: between(&times, &times_before),
        };
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        let is_idle = sample.handled() == 0 && counts.in_flight == 0 && waiting.is_none();
        self.samples.push_back((!is_idle).then(|| Arc::new(sample)));
    }

    fn rates(&self) -> RatesView {
        RatesView {
            seconds_5: self.rate(1),
            minute_1: self.rate(MINUTE),
            minutes_5: self.rate(SAMPLES),
            trend: self.each(|sample| a_second(sample.handled(), 1)),
        }
    }

    /// Over the last samples; `None` before the first.
    fn rate(&self, samples: usize) -> Option<RateView> {
        let there = self.samples.len().min(samples);
        if there == 0 {
            return None;
        }
        let mut sum = Sample::default();
        for sample in self.samples.iter().rev().take(samples).flatten() {
            sum.add(sample);
        }
        Some(RateView {
            handled: a_second(sum.handled(), there),
            acked: a_second(sum.acked, there),
            retried: a_second(sum.retried, there),
            dead_lettered: a_second(sum.dead_lettered, there),
            p50_ms: self.quantile(&sum, 0.5),
            p95_ms: self.quantile(&sum, 0.95),
        })
    }

    fn series(&self) -> SeriesView {
        SeriesView {
            period_seconds: PERIOD.as_secs(),
            acked: self.each(|sample| a_second(sample.acked, 1)),
            retried: self.each(|sample| a_second(sample.retried, 1)),
            dead_lettered: self.each(|sample| a_second(sample.dead_lettered, 1)),
            p50_ms: self.each(|sample| self.quantile(sample, 0.5)),
            p95_ms: self.each(|sample| self.quantile(sample, 0.95)),
            in_flight: self.each(|sample| sample.in_flight),
            waiting: self.each(|sample| sample.waiting),
        }
    }

    fn each<T: Default>(&self, of: impl Fn(&Sample) -> T) -> Vec<T> {
        let samples = self.samples.iter();
        samples
            .map(|sample| sample.as_deref().map(&of).unwrap_or_default())
            .collect()
    }

    /// Estimated within a bucket as Prometheus does (`histogram_quantile`), in milliseconds.
    fn quantile(&self, sample: &Sample, share: f64) -> Option<f64> {
        let bounds = &self.times.as_ref()?.up_to;
        let all: u64 = sample.took.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = share * all as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for ((bound, _), count) in bounds.iter().zip(&sample.took) {
            let count = *count as f64;
            if below + count >= wanted && count > 0.0 {
                return Some((lower + (bound - lower) * (wanted - below) / count) * 1e3);
            }
            below += count;
            lower = *bound;
        }
        Some(lower * 1e3)
    }
}

impl Sample {
    fn handled(&self) -> u64 {
        self.acked + self.retried + self.dead_lettered + self.others
    }

    fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.retried += other.retried;
        self.dead_lettered += other.dead_lettered;
        self.others += other.others;
        self.took.resize(other.took.len().max(self.took.len()), 0);
        for (sum, count) in self.took.iter_mut().zip(&other.took) {
            *sum += count;
        }
    }
}

fn a_second(count: u64, samples: usize) -> f64 {
    count as f64 / (samples as f64 * PERIOD.as_secs_f64())
}

/// How many took no longer than each bound and longer than the one before, between two looks.
fn between(now: &HandlingTimes, before: &HandlingTimes) -> Vec<u64> {
    let up_to = now.up_to.iter().map(|(_, count)| *count);
    let up_to_before = before.up_to.iter().map(|(_, count)| *count);
    let all = up_to.chain([now.all]);
    let all_before = up_to_before.chain([before.all]);
    let since: Vec<u64> = all
        .zip(all_before)
        .map(|(now, before)| now.saturating_sub(before))
        .collect();
    let lower = [0].into_iter().chain(since.iter().copied());
    let each = since.iter().zip(lower);
    each.map(|(upper, lower)| upper.saturating_sub(lower))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(acked: u64, dead_lettered: u64) -> (DeliveryCounts, HandlingTimes) {
        let counts = DeliveryCounts {
            acked,
            dead_lettered,
            ..DeliveryCounts::default()
        };
        // Half of them within 10 ms, and all within 100.
        let all = acked + dead_lettered;
        let up_to = vec![(0.01, all / 2), (0.1, all)];
        (counts, HandlingTimes { up_to, all })
    }

    fn history(looks: &[(u64, u64)]) -> History {
        let mut history = History::default();
        for (acked, dead_lettered) in looks {
            let (counts, times) = look(*acked, *dead_lettered);
            history.add(counts, times, None);
        }
        history
    }

    #[test]
    fn rates_are_what_came_between_two_looks() {
        assert_eq!(history(&[(1_000, 0)]).rate(1), None);
        let history = history(&[(1_000, 0), (1_050, 50), (1_050, 50)]);
        let idle = history.rate(1).expect("it was looked at");
        assert_eq!((idle.handled, idle.p50_ms), (0.0, None));
        let minute = history.rate(MINUTE).expect("it was looked at");
        assert_eq!((minute.acked, minute.dead_lettered), (5.0, 5.0));
        assert_eq!(minute.p50_ms, Some(10.0));
        assert_eq!(minute.p95_ms.map(f64::round), Some(91.0));
        assert_eq!(history.rates().trend, [20.0, 0.0]);
    }

    #[test]
    fn a_counter_that_begins_again_is_no_negative_rate() {
        let history = history(&[(1_000, 0), (10, 0)]);
        assert_eq!(history.rate(1).expect("it was looked at").acked, 2.0);
    }

    #[test]
    fn five_minutes_are_kept_and_consumers_go() {
        let mut consumers = Consumers::new();
        let none = BTreeMap::new();
        for number in 0..100 {
            let (counts, times) = look(number, 0);
            let looks = [("orders".into(), counts, times)].into_iter();
            consumers = sampled(&consumers, looks, &none);
        }
        assert_eq!(consumers["orders"].samples.len(), SAMPLES);
        assert!(sampled(&consumers, std::iter::empty(), &none).is_empty());
    }
}
