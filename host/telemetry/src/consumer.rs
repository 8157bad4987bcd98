//! What is told of a consumer's deliveries.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::core::Metric;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use tokio::time::Instant;

use super::facts::Fact;
use super::meters::Meters;
use super::recent::{Failure, Failures, InFlight, Places, Taken, cut_error, cut_name};
use super::share::{Count, Depth, Part};
use super::words::PausedBy;

/// What one consumer tells.
#[derive(Debug)]
pub struct ConsumerTelemetry {
    pub(super) consumer: Arc<str>,
    /// The label of its metrics: its table in hive.toml.
    table: Arc<str>,
    pub(super) component: Arc<str>,
    acked: Count,
    retried: Count,
    dead_lettered: Count,
    requeued: Count,
    skipped: Count,
    stopped: Count,
    abandoned: IntCounter,
    duplicate: Count,
    duplicate_publications: IntCounter,
    pub(super) retries: IntCounter,
    dead_letters: IntCounter,
    replies: IntCounter,
    replies_unsent: IntCounter,
    lost: IntCounter,
    failures: IntCounterVec,
    in_flight: IntGauge,
    /// Of this consumer alone.
    own_in_flight: IntGauge,
    workers: IntGauge,
    pub(super) panics: IntCounter,
    workers_wanted: Part,
    depth: Depth,
    handling: Histogram,
    places: Places,
    recent: Failures,
    pub(super) waiting: Part,
    pub(super) limited: Part,
    pub(super) kept: Part,
    pub(super) quarantined: IntGauge,
    pub(super) paused_by_hand: Part,
    pub(super) paused_over_failures: Part,
    pub(super) pauses_by_hand: IntCounter,
    pub(super) pauses_over_failures: IntCounter,
}

/// How the deliveries of a consumer left the host, and how many are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCounts {
    /// Being handled or settled now.
    pub in_flight: u64,
    /// Acknowledged after they were handled.
    pub acked: u64,
    /// Put into a delay queue for another attempt.
    pub retried: u64,
    /// Put into the dead-letter queue.
    pub dead_lettered: u64,
    /// Back in their queue, through no fault of the component.
    pub requeued: u64,
    /// Acknowledged without being handled, since their key was handled before.
    pub duplicate: u64,
    /// Failed messages of a stream that were passed over.
    pub skipped: u64,
    /// Failed messages of a stream that stopped it.
    pub stopped: u64,
}

/// A delivery that the host has in hand, since its arrival. Counted as in flight until it is
/// dropped, whichever way that comes about.
#[derive(Debug)]
pub struct InHand {
    since: Instant,
    /// Of its consumer, and of the table where several consumers have its series.
    in_flight: [Option<IntGauge>; 2],
    /// Where it is listed.
    _listed: Option<Taken>,
}

/// How long the component took, for all consumers of a table since the host started.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlingTimes {
    /// Upper bounds in seconds, ascending, each with how many took no longer.
    pub up_to: Vec<(f64, u64)>,
    /// How many there were.
    pub all: u64,
}

impl ConsumerTelemetry {
    pub(super) fn new(
        meters: &Meters,
        consumer: &Arc<str>,
        table: &Arc<str>,
        component: &Arc<str>,
    ) -> Self {
        let is_shared = consumer != table;
        let outcome = |outcome| meters.deliveries.with_label_values(&[&**table, outcome]);
        let count = |name| Count::new(outcome(name), is_shared);
        let reply = |result| {
            meters
                .failure_replies
                .with_label_values(&[&**table, result])
        };
        let name: &[&str] = &[table];
        let [by_hand, over_failures] = PausedBy::ALL.map(|by| [&**table, by.as_str()]);
        let in_flight = meters.in_flight.with_label_values(name);
        let own_in_flight = match is_shared {
            true => IntGauge::new("own", "of one consumer").expect("the name of a gauge is a word"),
            false => in_flight.clone(),
        };
        let (paused, pauses) = (&meters.paused, &meters.pauses);
        Self {
            waiting: Part::new(meters.waiting.with_label_values(name)),
            limited: Part::new(meters.limited.with_label_values(name)),
            kept: Part::new(meters.kept.with_label_values(name)),
            quarantined: meters.quarantined.with_label_values(name),
            paused_by_hand: Part::new(paused.with_label_values(&by_hand)),
            paused_over_failures: Part::new(paused.with_label_values(&over_failures)),
            pauses_by_hand: pauses.with_label_values(&by_hand),
            pauses_over_failures: pauses.with_label_values(&over_failures),
            acked: count("acked"),
            retried: count("retried"),
            dead_lettered: count("dead_lettered"),
            requeued: count("requeued"),
            skipped: count("skipped"),
            stopped: count("stopped"),
            abandoned: outcome("abandoned"),
            duplicate: count("duplicate"),
            duplicate_publications: meters
                .publications
                .with_label_values(&[&**table, "duplicate"]),
            retries: meters.retries.with_label_values(name),
            dead_letters: meters.dead_letters.with_label_values(name),
            replies: reply("confirmed"),
            replies_unsent: reply("refused"),
            lost: outcome("lost"),
            failures: meters.failures.clone(),
            in_flight,
            own_in_flight,
            workers: meters.workers.with_label_values(name),
            panics: meters.panics.with_label_values(name),
            workers_wanted: Part::new(meters.workers_wanted.with_label_values(name)),
            depth: Depth::new(meters, table, is_shared),
            handling: meters.handling.with_label_values(&[&**table, component]),
            places: Places::new(),
            recent: Failures::default(),
            consumer: consumer.clone(),
            table: table.clone(),
            component: component.clone(),
        }
    }

    /// The consumer's name.
    pub fn consumer(&self) -> &str {
        &self.consumer
    }

    /// What was counted since the host started.
    pub fn counts(&self) -> DeliveryCounts {
        DeliveryCounts {
            in_flight: self.own_in_flight.get().try_into().unwrap_or(0),
            acked: self.acked.get(),
            retried: self.retried.get(),
            dead_lettered: self.dead_lettered.get(),
            requeued: self.requeued.get(),
            duplicate: self.duplicate.get(),
            skipped: self.skipped.get(),
            stopped: self.stopped.get(),
        }
    }

    /// How long the component took so far.
    pub fn handling_times(&self) -> HandlingTimes {
        let metric = self.handling.metric();
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        HandlingTimes {
            up_to: buckets
                .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                .collect(),
            all: histogram.get_sample_count(),
        }
    }

    /// Deliveries that are being handled or settled, the oldest first: of many, not all.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.places.list(Instant::now())
    }

    /// The last deliveries that failed, newest first.
    pub fn failures(&self) -> Vec<Failure> {
        self.recent.list()
    }

    /// A worker has started.
    pub fn worker_came(&self) {
        self.workers.inc();
    }

    /// A worker has ended.
    pub fn worker_went(&self) {
        self.workers.dec();
    }

    /// There are to be so many workers.
    pub fn workers_wanted(&self, wanted: u16) {
        self.workers_wanted.set(wanted.into());
    }

    /// Sets how many messages wait in the queue; `None` if that is not known.
    pub(super) fn depth(&self, depth: Option<u64>) {
        self.depth.set(depth);
    }

    /// A delivery arrived, at this attempt.
    pub fn arrived(&self, delivery: &dyn fmt::Display, attempt: u32) -> InHand {
        let since = Instant::now();
        let is_shared = self.consumer != self.table;
        let in_flight = [
            Some(&self.own_in_flight),
            Some(&self.in_flight).filter(|_| is_shared),
        ];
        let in_flight = in_flight.map(|gauge| gauge.cloned());
        for gauge in in_flight.iter().flatten() {
            gauge.inc();
        }
        InHand {
            since,
            in_flight,
            _listed: self.places.take(since, delivery, attempt),
        }
    }

    /// The component has answered, whatever it was.
    pub fn answered(&self, delivery: &InHand) {
        self.handling.observe(delivery.elapsed().as_secs_f64());
    }

    /// So many publications of a delivery were not published, since they were before.
    pub fn suppressed(&self, delivery: &dyn fmt::Display, publications: usize) {
        let count = u64::try_from(publications).unwrap_or(u64::MAX);
        self.duplicate_publications.inc_by(count);
        Fact::PublicationsSuppressed {
            consumer: &self.consumer,
            component: &self.component,
            delivery,
            publications,
        }
        .emit();
    }

    pub(super) fn failed(&self, class: &str) {
        self.failures
            .with_label_values(&[&*self.table, class])
            .inc();
    }
}

impl InHand {
    /// Since its arrival.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        for gauge in self.in_flight.iter().flatten() {
            gauge.dec();
        }
    }
}

/// A delivery left the host.
pub struct DeliverySettled<'a> {
    /// What tells it from others.
    pub delivery: &'a dyn fmt::Display,
    /// Which try it was.
    pub attempt: u32,
    /// Which way it left.
    pub exit: Exit<'a>,
    /// False: the channel died first, and the broker hands the delivery out again.
    pub acknowledged: bool,
    /// From its arrival to its settlement.
    pub took: Duration,
}

/// A failure, as facts and metrics tell it.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The class of the error.
    pub class: &'static str,
    /// The code of the class.
    pub code: &'static str,
    /// The words of the error, of any length.
    pub error: &'a str,
}

/// The ways out of the host.
#[derive(Debug)]
pub enum Exit<'a> {
    /// Acknowledged, after so many publications were confirmed.
    Acked {
        /// How many.
        publications: usize,
    },
    /// Acknowledged without being handled, since its key was handled before.
    Duplicate,
    /// The message is in a delay queue.
    Retried {
        /// Why.
        failure: Failed<'a>,
        /// How long it stays there.
        delay: Duration,
    },
    /// The message is in the dead-letter queue.
    DeadLettered(Failed<'a>),
    /// Passed over in its stream.
    Skipped(Failed<'a>),
    /// Still in its stream, which the consumer reads no further.
    Stopped(Failed<'a>),
    /// Back in its queue, since the host or the consumer stops before its batch was due.
    GivenBack,
    /// Back in its queue, through no fault of the component.
    Requeued {
        /// What kept the host from going on.
        reason: &'a str,
    },
    /// Back by way of a delay queue, as a copy with the same attempt, through no fault of the component.
    Detoured {
        /// What kept the host from going on.
        reason: &'a str,
    },
    /// Its channel is gone, so that the broker delivers it again: nothing was published for it.
    Lost,
}

impl Exit<'_> {
    /// The word for it, as metrics have it.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Acked { .. } => "acked",
            Self::Duplicate => "duplicate",
            Self::Retried { .. } => "retried",
            Self::DeadLettered(_) => "dead_lettered",
            Self::Skipped(_) => "skipped",
            Self::Stopped(_) => "stopped",
            Self::GivenBack | Self::Requeued { .. } | Self::Detoured { .. } => "requeued",
            Self::Lost => "lost",
        }
    }
}

impl<'a> Exit<'a> {
    /// Why it went back to its queue, through no fault of the component.
    pub fn reason(&self) -> Option<&'a str> {
        match self {
            Self::Requeued { reason } | Self::Detoured { reason } => Some(reason),
            _ => None,
        }
    }

    /// What failed, and how long its copy waits.
    pub fn failure(&self) -> Option<(Failed<'a>, Option<Duration>)> {
        match self {
            Self::Retried { failure, delay } => Some((*failure, Some(*delay))),
            Self::DeadLettered(failure) | Self::Skipped(failure) | Self::Stopped(failure) => {
                Some((*failure, None))
            }
            _ => None,
        }
    }
}

impl DeliverySettled<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        self.count(telemetry);
        if let Some((failure, delay)) = self.exit.failure() {
            telemetry.recent.note(|| Failure {
                at: SystemTime::now(),
                delivery: cut_name(self.delivery),
                attempt: self.attempt,
                outcome: self.exit.outcome(),
                class: failure.class,
                code: failure.code,
                error: cut_error(failure.error),
                delay,
                took: self.took,
            });
        }
        let ConsumerTelemetry {
            consumer,
            component,
            ..
        } = telemetry;
        let Self {
            delivery,
            attempt,
            exit,
            acknowledged,
            took,
        } = self;
        let took_ms = took.as_secs_f64() * 1000.0;
        match exit {
            Exit::Acked { publications } => Fact::DeliveryAcked {
                consumer,
                component,
                delivery,
                attempt,
                publications,
                acknowledged,
                took_ms,
            },
            Exit::Duplicate => Fact::DeliveryDuplicate {
                consumer,
                component,
                delivery,
                attempt,
                acknowledged,
                took_ms,
            },
            Exit::Retried {
                failure: Failed { class, code, error },
                delay,
            } => Fact::DeliveryRetried {
                consumer,
                component,
                delivery,
                attempt,
                class,
                code,
                error: brief(error),
                delay,
                acknowledged,
                took_ms,
            },
            Exit::DeadLettered(Failed { class, code, error }) => Fact::DeliveryDeadLettered {
                consumer,
                component,
                delivery,
                attempt,
                class,
                code,
                error: brief(error),
                acknowledged,
                took_ms,
            },
            Exit::Skipped(Failed { class, code, error }) => Fact::DeliverySkipped {
                consumer,
                component,
                delivery,
                class,
                code,
                error: brief(error),
                took_ms,
            },
            Exit::Stopped(Failed { class, code, error }) => Fact::DeliveryStopped {
                consumer,
                component,
                delivery,
                class,
                code,
                error: brief(error),
                took_ms,
            },
            Exit::GivenBack => Fact::DeliveryGivenBack {
                consumer,
                component,
                delivery,
                attempt,
                acknowledged,
            },
            Exit::Requeued { reason } => Fact::DeliveryRequeued {
                consumer,
                component,
                delivery,
                attempt,
                reason: brief(reason),
                took_ms,
            },
            Exit::Detoured { reason } => Fact::DeliveryDetoured {
                consumer,
                component,
                delivery,
                attempt,
                reason: brief(reason),
                took_ms,
            },
            Exit::Lost => Fact::DeliveryLost {
                consumer,
                component,
                delivery,
                attempt,
                took_ms,
            },
        }
        .emit();
    }

    fn count(&self, telemetry: &ConsumerTelemetry) {
        let outcome = match self.exit {
            Exit::Acked { .. } => &telemetry.acked,
            Exit::Duplicate => &telemetry.duplicate,
            Exit::Retried { failure, .. } => {
                telemetry.retries.inc();
                telemetry.failed(failure.class);
                &telemetry.retried
            }
            Exit::DeadLettered(failure) => {
                telemetry.dead_letters.inc();
                telemetry.failed(failure.class);
                &telemetry.dead_lettered
            }
            Exit::Skipped(failure) => {
                telemetry.failed(failure.class);
                &telemetry.skipped
            }
            Exit::Stopped(failure) => {
                telemetry.failed(failure.class);
                &telemetry.stopped
            }
            Exit::GivenBack | Exit::Requeued { .. } | Exit::Detoured { .. } => &telemetry.requeued,
            Exit::Lost => {
                telemetry.lost.inc();
                return;
            }
        };
        match self.acknowledged {
            true => outcome.inc(),
            false => telemetry.lost.inc(),
        }
    }
}

/// A delivery was handled for longer than the broker's consumer timeout, which took it back.
pub struct DeliveryOverran<'a> {
    /// What tells it from others.
    pub delivery: &'a dyn fmt::Display,
    /// Which try it was.
    pub attempt: u32,
    /// How long the call ran.
    pub ran: Duration,
}

impl DeliveryOverran<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        telemetry.failed("timeout");
        Fact::DeliveryOverran {
            consumer: &telemetry.consumer,
            component: &telemetry.component,
            delivery: self.delivery,
            attempt: self.attempt,
            ran: self.ran,
        }
        .emit();
    }
}

/// Whoever asked for a reply was told that there will be none but this.
pub struct FailureReplied<'a> {
    /// What tells the delivery from others.
    pub delivery: &'a dyn fmt::Display,
    /// Where the reply was sent.
    pub reply_to: &'a str,
    /// Why the broker did not take it; none where it did.
    pub refused: Option<&'a str>,
}

impl FailureReplied<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        let ConsumerTelemetry { consumer, .. } = telemetry;
        let Self {
            delivery,
            reply_to,
            refused,
        } = self;
        match refused {
            None => {
                telemetry.replies.inc();
                Fact::FailureReplied {
                    consumer,
                    delivery,
                    reply_to,
                }
                .emit();
            }
            Some(reason) => {
                telemetry.replies_unsent.inc();
                Fact::FailureReplyRefused {
                    consumer,
                    delivery,
                    reply_to,
                    reason,
                }
                .emit();
            }
        }
    }
}

/// A delivery was still in hand when `shutdown_timeout` had passed.
#[derive(Debug)]
pub struct DeliveryAbandoned<'a> {
    /// What tells it from others.
    pub delivery: &'a str,
    /// Since its arrival.
    pub after: Duration,
}

impl DeliveryAbandoned<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        telemetry.abandoned.inc();
        Fact::DeliveryAbandoned {
            consumer: &telemetry.consumer,
            component: &telemetry.component,
            delivery: self.delivery,
            after: self.after,
        }
        .emit();
    }
}

/// The first line of a text, short enough for a log line: a dead letter keeps the rest.
pub(super) fn brief(text: &str) -> &str {
    const LONGEST: usize = 1024;
    let text = if text.len() > LONGEST {
        &text[..text.floor_char_boundary(LONGEST)]
    } else {
        text
    };
    text.trim_end()
}
