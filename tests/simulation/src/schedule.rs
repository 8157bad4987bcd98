//! What happens in a run: messages and faults, all of it from a seed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::link::Way;

/// The queues with consumers.
pub(crate) const QUEUES: [&str; 5] = ["work", "ordered", "once", "many", "events"];

/// The keys of the messages that are kept in order.
const KEYS: u32 = 3;

/// Messages of each step that publishes.
const PORTION: RangeInclusive<u32> = 5..=18;

/// Power cuts of a run at most: a message that is in flight at five of them counts as one that ends the host
/// (docs/reliability.md), and is dead-lettered.
const POWER_CUTS: usize = 4;

/// What a message asks of the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Ack,
    Publish,
    /// The same, after a while.
    Slow,
    Retry,
    Reject,
    Trap,
}

impl Behaviour {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Publish => "publish",
            Self::Slow => "slow",
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Trap => "trap",
        }
    }

    fn draw(queue: &str, rng: &mut StdRng) -> Self {
        match (queue, rng.random_range(0..100)) {
            // A batch is a call for all of its messages: a trap would be everybody's, and nothing is printed.
            ("many", 0..70) => Self::Publish,
            ("many", 70..90) => Self::Retry,
            ("many", _) => Self::Reject,
            // What fails in a stream is not retried.
            ("events", 0..20) => Self::Slow,
            ("events", 20..80) => Self::Publish,
            ("events", _) => Self::Reject,
            (_, 0..20) => Self::Ack,
            (_, 20..50) => Self::Publish,
            (_, 50..65) => Self::Slow,
            (_, 65..85) => Self::Retry,
            (_, 85..95) => Self::Reject,
            _ => Self::Trap,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) number: usize,
    pub(crate) queue: &'static str,
    pub(crate) behaviour: Behaviour,
    pub(crate) key: u32,
    /// It is published twice.
    pub(crate) twice: bool,
}

/// Something that goes wrong, or that an operator does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line is cut.
    LineCut { line: usize },
    /// A line is cut at an octet, in the midst of a frame.
    LineCutAt {
        line: usize,
        way: Way,
        octets: usize,
    },
    /// Nothing comes through a line in one direction, while it looks well.
    LineStalled {
        line: usize,
        way: Way,
        held: Duration,
    },
    /// The broker is killed and started again; what was acknowledged within the last second comes back.
    BrokerKilled { away: Duration },
    /// The same, after it has written everything down.
    BrokerRestarted { away: Duration },
    /// The broker stores publications and does not confirm them.
    ConfirmsDropped { times: u64 },
    /// The broker refuses publications.
    PublicationsRefused { times: u64 },
    /// The connection ends at the next method of a kind.
    CutAtMethod { method: &'static str },
    /// The broker answers the next method of a kind with an error.
    Error { method: &'static str, code: u16 },
    /// The broker takes no publications.
    Blocked { held: Duration },
    /// A queue delivers nothing and confirms nothing.
    QueueFrozen { queue: &'static str, held: Duration },
    /// The consumers of a queue are cancelled.
    ConsumersCancelled { queue: &'static str },
    /// Somebody deletes a queue, with its messages.
    QueueDeleted { queue: &'static str },
    /// The store does not answer.
    StoreAway { held: Duration },
    /// The store does what it is asked, and its answers are lost.
    StoreAnswersLost { times: u32 },
    /// The host's machine loses power after so many steps of its threads; another host starts later.
    PowerCut {
        after: u64,
        away: Duration,
        /// The broker still gets what was written.
        written: bool,
    },
    /// The host is stopped and started again.
    HostRestarted,
    /// Another host is started, and the one before is stopped a while later.
    HandedOver { after: Duration },
    /// The time of day jumps.
    ClockJumps { by: Duration },
    /// A consumer is paused, and resumed.
    Paused {
        consumer: &'static str,
        held: Duration,
    },
    /// hive.toml is read again, with another prefetch.
    Reloaded,
    /// The component is replaced by another build of it.
    Swapped,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Publish(Vec<Message>),
    Fault(Fault),
}

/// How long until the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// So many steps of all threads: into the midst of whatever goes on.
    Steps(u64),
    /// A time: most of what goes on has come to an end.
    Time(Duration),
}

/// All of a run.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) steps: Vec<(Step, Pause)>,
    /// The runtime's threads of each host; one runs it on the thread that it begins on.
    pub(crate) workers: usize,
}

impl Schedule {
    /// The schedule of a seed, without the steps of these places.
    pub(crate) fn new(seed: u64, left_out: &[usize]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut steps = Vec::new();
        let mut number = 0;
        let mut power_cuts = 0;
        let faults = rng.random_range(1..=6);
        let workers = rng.random_range(1..=2);
        for _ in 0..faults {
            for _ in 0..rng.random_range(1..=3) {
                let portion = rng.random_range(PORTION);
                let messages = (0..portion).map(|_| message(&mut number, &mut rng));
                let step = Step::Publish(messages.collect());
                steps.push((step, pause(&mut rng)));
            }
            let mut fault = Fault::draw(&mut rng);
            if matches!(fault, Fault::PowerCut { .. }) {
                power_cuts += 1;
                if power_cuts > POWER_CUTS {
                    fault = Fault::HostRestarted;
                }
            }
            steps.push((Step::Fault(fault), pause(&mut rng)));
        }
        let messages = (0..5).map(|_| message(&mut number, &mut rng));
        steps.push((Step::Publish(messages.collect()), pause(&mut rng)));
        let kept = steps.into_iter().enumerate();
        let kept = kept.filter(|(place, _)| !left_out.contains(place));
        Self {
            steps: kept.map(|(_, step)| step).collect(),
            workers,
        }
    }

    /// The faults.
    pub(crate) fn faults(&self) -> Vec<&Fault> {
        let faults = self.steps.iter().filter_map(|(step, _)| match step {
            Step::Fault(fault) => Some(fault),
            Step::Publish(_) => None,
        });
        faults.collect()
    }
}

fn message(number: &mut usize, rng: &mut StdRng) -> Message {
    *number += 1;
    let queue = QUEUES[rng.random_range(0..QUEUES.len())];
    Message {
        number: *number,
        queue,
        behaviour: Behaviour::draw(queue, rng),
        key: rng.random_range(0..KEYS),
        twice: queue == "once" && rng.random_ratio(1, 3),
    }
}

fn pause(rng: &mut StdRng) -> Pause {
    match rng.random_range(0..10) {
        0..6 => Pause::Steps(rng.random_range(0..600)),
        6..9 => Pause::Time(Duration::from_millis(rng.random_range(1..3000))),
        _ => Pause::Time(Duration::from_secs(rng.random_range(3..40))),
    }
}

/// A few seconds, or half a minute: longer than the host waits for an answer.
fn held(rng: &mut StdRng) -> Duration {
    let most = *[500, 5_000, 40_000].choose(rng).unwrap_or(&500);
    Duration::from_millis(rng.random_range(50..most))
}

fn way(rng: &mut StdRng) -> Way {
    *[Way::ToBroker, Way::ToHost]
        .choose(rng)
        .unwrap_or(&Way::ToHost)
}

impl Fault {
    fn draw(rng: &mut StdRng) -> Self {
        let queue = QUEUES[rng.random_range(0..QUEUES.len())];
        let line = rng.random_range(0..8);
        match rng.random_range(0..25) {
            0 => Self::LineCut { line },
            1 | 2 => Self::LineCutAt {
                line,
                way: way(rng),
                octets: rng.random_range(1..3000),
            },
            3 => Self::LineStalled {
                line,
                way: way(rng),
                held: held(rng),
            },
            4 | 5 => Self::BrokerKilled { away: held(rng) },
            6 => Self::BrokerRestarted { away: held(rng) },
            7 => Self::ConfirmsDropped {
                times: rng.random_range(1..5),
            },
            8 => Self::PublicationsRefused {
                times: rng.random_range(1..5),
            },
            9 | 10 => Self::CutAtMethod {
                method: [
                    "basic.ack",
                    "basic.publish",
                    "basic.consume",
                    "queue.declare",
                ]
                .choose(rng)
                .unwrap_or(&"basic.ack"),
            },
            11 => {
                let errors = [
                    ("basic.consume", 541),
                    ("basic.consume", 404),
                    ("queue.declare", 541),
                    ("channel.open", 504),
                    ("basic.ack", 406),
                    ("basic.publish", 541),
                ];
                let (method, code) = *errors.choose(rng).unwrap_or(&errors[0]);
                Self::Error { method, code }
            }
            12 => Self::Blocked { held: held(rng) },
            13 => Self::QueueFrozen {
                queue: ["work", "ordered", "once", "many", "out"]
                    .choose(rng)
                    .unwrap_or(&"out"),
                held: held(rng),
            },
            14 => Self::ConsumersCancelled { queue },
            15 => Self::QueueDeleted {
                queue: ["work", "once"].choose(rng).unwrap_or(&"work"),
            },
            16 => Self::StoreAway { held: held(rng) },
            17 => Self::StoreAnswersLost {
                times: rng.random_range(1..4),
            },
            18 | 19 => Self::PowerCut {
                after: rng.random_range(1..400),
                away: held(rng),
                written: rng.random(),
            },
            20 => Self::HostRestarted,
            21 => Self::HandedOver { after: held(rng) },
            22 => Self::ClockJumps {
                by: Duration::from_secs(rng.random_range(1..100_000)),
            },
            23 => Self::Paused {
                consumer: queue,
                held: held(rng),
            },
            _ => [Self::Reloaded, Self::Swapped]
                .choose(rng)
                .cloned()
                .unwrap_or(Self::Reloaded),
        }
    }

    /// The kind of a fault, for counts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LineCut { .. } => "line cut",
            Self::LineCutAt { .. } => "line cut in a frame",
            Self::LineStalled { .. } => "line stalled",
            Self::BrokerKilled { .. } => "broker killed, without its last second",
            Self::BrokerRestarted { .. } => "broker restarted",
            Self::ConfirmsDropped { .. } => "confirms dropped",
            Self::PublicationsRefused { .. } => "publications refused",
            Self::CutAtMethod { .. } => "cut at a method",
            Self::Error { .. } => "error of the broker",
            Self::Blocked { .. } => "publications blocked",
            Self::QueueFrozen { .. } => "queue frozen",
            Self::ConsumersCancelled { .. } => "consumers cancelled",
            Self::QueueDeleted { .. } => "queue deleted",
            Self::StoreAway { .. } => "store away",
            Self::StoreAnswersLost { .. } => "answers of the store lost",
            Self::PowerCut { .. } => "power cut of the host",
            Self::HostRestarted => "host restarted",
            Self::HandedOver { .. } => "handed over to another host",
            Self::ClockJumps { .. } => "jump of the clock",
            Self::Paused { .. } => "consumer paused",
            Self::Reloaded => "hive.toml reloaded",
            Self::Swapped => "component swapped",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_schedule_and_what_is_left_out_changes_nothing_else() {
        for seed in 0..200 {
            let whole = Schedule::new(seed, &[]);
            let again = Schedule::new(seed, &[]);
            assert_eq!(whole.steps, again.steps);
            let fewer = Schedule::new(seed, &[0]);
            assert_eq!(fewer.steps, whole.steps[1..]);
        }
    }

    #[test]
    fn every_kind_comes_up() {
        let kinds = |seed| {
            let schedule = Schedule::new(seed, &[]);
            let kinds = schedule.faults().into_iter().map(Fault::kind);
            kinds.collect::<Vec<_>>()
        };
        let seen: std::collections::BTreeSet<_> = (0..300).flat_map(kinds).collect();
        assert_eq!(seen.len(), 22, "{seen:?}");
    }
}
