//! Sweeps: one thing grows, from the same point, all else as it is there.

use anyhow::{Context, Result, ensure};
use hive_tests::Broker;

use super::bout::Bout;
use super::contender::Contender;
use super::report::Table;
use super::ring::Ring;
use super::turns::turns;

/// The largest size of a prefetch in bytes, so that it is only a part of the waiting messages.
const MOST_OUT: u32 = 64 << 20;

/// The one thing that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    Concurrency,
    Prefetch,
    Body,
    Consumers,
}

/// The measurement at this value.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) value: u32,
    pub(crate) table: Table,
}

impl Sweep {
    pub(crate) const ALL: [Self; 4] = [
        Self::Concurrency,
        Self::Prefetch,
        Self::Body,
        Self::Consumers,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Prefetch => "prefetch",
            Self::Body => "body size",
            Self::Consumers => "consumers",
        }
    }

    /// The label of its axis, with the unit.
    pub(crate) fn axis(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency (calls at once)",
            Self::Prefetch => "prefetch (messages)",
            Self::Body => "body size (bytes)",
            Self::Consumers => "consumers, each with its own queue",
        }
    }

    pub(crate) fn values(self) -> &'static [u32] {
        match self {
            Self::Concurrency => &[1, 2, 4, 8, 16, 32, 64],
            Self::Prefetch => &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
            Self::Body => &[
                128,
                1 << 10,
                4 << 10,
                16 << 10,
                64 << 10,
                256 << 10,
                1 << 20,
                4 << 20,
                16 << 20,
            ],
            Self::Consumers => &[1, 3, 10, 30, 100, 300, 1000],
        }
    }

    /// A value as an axis and a table have it.
    pub(crate) fn label(self, value: u32) -> String {
        match self {
            Self::Body if value >= 1 << 20 => format!("{} MiB", value >> 20),
            Self::Body if value >= 1 << 10 => format!("{} KiB", value >> 10),
            Self::Body => format!("{value} B"),
            _ => value.to_string(),
        }
    }

    /// The conditions where its thing has this value.
    pub(crate) fn bout(self, value: u32) -> Result<Bout> {
        let base = Bout::BASE;
        Ok(match self {
            Self::Concurrency => Bout {
                concurrency: value.try_into()?,
                ..base
            },
            // The concurrency is at most the prefetch: a host refuses anything else.
            Self::Prefetch => Bout {
                prefetch: value.try_into()?,
                concurrency: base.concurrency.min(value.try_into()?),
                ..base
            },
            Self::Body => Bout {
                size: value.try_into()?,
                prefetch: base
                    .prefetch
                    .min((MOST_OUT / value).try_into().unwrap_or(u16::MAX)),
                ..base
            },
            Self::Consumers => Bout {
                consumers: value,
                ..base
            },
        })
    }

    /// Who is measured there. The best native consumer is one task, whatever the concurrency, and is not
    /// made for many queues.
    fn contenders(self, value: u32) -> &'static [Contender] {
        const BOTH: &[Contender] = &[Contender::HiveReused, Contender::NativeBest];
        match self {
            Self::Consumers => &BOTH[..1],
            Self::Concurrency if value > 1 => &BOTH[..1],
            _ => BOTH,
        }
    }

    /// Whether it has anything to measure of who is wanted.
    pub(crate) fn is_for(self, is_wanted: impl Fn(Contender) -> bool) -> bool {
        let mut values = self.values().iter();
        values.any(|value| self.contenders(*value).iter().any(|one| is_wanted(*one)))
    }

    /// Measures it: all of its points in each round, so that whatever else the machine does meets them all.
    pub(crate) async fn measure(
        self,
        broker: &Broker,
        rounds: usize,
        percent: u32,
        is_wanted: impl Fn(Contender) -> bool,
    ) -> Result<Vec<Point>> {
        let mut rings = Vec::new();
        let mut points = Vec::new();
        for &value in self.values() {
            let ring = Ring::enter(broker, self.bout(value)?, percent).await;
            rings.push(ring.with_context(|| self.at(value))?);
            points.push(Point {
                value,
                table: Table::default(),
            });
        }
        for round in 0..rounds {
            for (ring, point) in rings.iter().zip(&mut points) {
                let contenders = self.contenders(point.value).iter().copied();
                let contenders: Vec<_> = contenders.filter(|one| is_wanted(*one)).collect();
                for contender in turns(&contenders, round) {
                    let run = || format!("{}, {}", contender.name(), self.at(point.value));
                    let taken = ring.run(contender).await.with_context(run)?;
                    point.table.add(contender, taken);
                }
            }
        }
        ensure!(
            !broker.log().contains("resource limit alarm set"),
            "the broker was short of memory or disk: what was measured is that"
        );
        Ok(points)
    }

    fn at(self, value: u32) -> String {
        format!("{} {}", self.name(), self.label(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_go_through_the_same_point() {
        for sweep in Sweep::ALL {
            let bouts = sweep.values().iter().map(|value| sweep.bout(*value));
            let bouts: Vec<Bout> = bouts.map(|bout| bout.expect("it is in range")).collect();
            assert!(bouts.contains(&Bout::BASE), "{sweep:?} leaves it out");
        }
    }

    #[test]
    fn a_point_has_messages_beyond_its_prefetch_and_calls_within_it() {
        for sweep in Sweep::ALL {
            for value in sweep.values() {
                let bout = sweep.bout(*value).expect("it is in range");
                let messages = bout.messages(Contender::HiveReused, 40);
                let of_each = u32::from(bout.prefetch);
                assert!(bout.concurrency <= bout.prefetch, "{bout:?}");
                if bout.consumers == 1 {
                    assert!(messages > 2 * of_each, "{bout:?} has {messages} messages");
                }
            }
        }
    }

    #[test]
    fn the_spread_over_queues_leaves_none_out() {
        let bout = Sweep::Consumers.bout(1000).expect("it is in range");
        assert_eq!(bout.queues().len(), 1000);
        assert!(bout.messages(Contender::HiveReused, 40) >= 50_000);
    }
}
