//! What is told of a consumer's deliveries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use tokio::time::Instant;

use super::meters::Meters;

/// What one consumer tells.
#[derive(Debug)]
pub struct ConsumerTelemetry {
    consumer: Arc<str>,
    component: Arc<str>,
    acked: IntCounter,
    retried: IntCounter,
    dead_lettered: IntCounter,
    requeued: IntCounter,
    abandoned: IntCounter,
    retries: IntCounter,
    dead_letters: IntCounter,
    replies: IntCounter,
    replies_unsent: IntCounter,
    lost: IntCounter,
    failures: IntCounterVec,
    in_flight: IntGauge,
    handling: Histogram,
}

/// A delivery that the host has in hand, since its arrival. Counted as in flight until it is
/// dropped, whichever way that comes about.
#[derive(Debug)]
pub struct InHand {
    since: Instant,
    in_flight: IntGauge,
}

impl ConsumerTelemetry {
    pub(super) fn new(meters: &Meters, consumer: &Arc<str>, component: &Arc<str>) -> Self {
        let outcome = |outcome| meters.deliveries.with_label_values(&[&**consumer, outcome]);
        let reply = |result| {
            meters
                .failure_replies
                .with_label_values(&[&**consumer, result])
        };
        let name: &[&str] = &[consumer];
        Self {
            acked: outcome("acked"),
            retried: outcome("retried"),
            dead_lettered: outcome("dead_lettered"),
            requeued: outcome("requeued"),
            abandoned: outcome("abandoned"),
            retries: meters.retries.with_label_values(name),
            dead_letters: meters.dead_letters.with_label_values(name),
            replies: reply("confirmed"),
            replies_unsent: reply("refused"),
            lost: outcome("lost"),
            failures: meters.failures.clone(),
            in_flight: meters.in_flight.with_label_values(name),
            handling: meters.handling.with_label_values(&[&**consumer, component]),
            consumer: consumer.clone(),
            component: component.clone(),
        }
    }

    /// A delivery arrived.
    pub fn arrived(&self) -> InHand {
        self.in_flight.inc();
        InHand {
            since: Instant::now(),
            in_flight: self.in_flight.clone(),
        }
    }

    /// The component has answered, whatever it was.
    pub fn answered(&self, delivery: &InHand) {
        self.handling.observe(delivery.elapsed().as_secs_f64());
    }

    fn failed(&self, class: &str) {
        self.failures
            .with_label_values(&[&*self.consumer, class])
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
        self.in_flight.dec();
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

/// The ways out of the host.
#[derive(Debug)]
pub enum Exit<'a> {
    /// Acknowledged, after so many publications were confirmed.
    Acked {
        /// How many.
        publications: usize,
    },
    /// In a delay queue.
    Retried {
        /// The class of the failure.
        class: &'static str,
        /// The words of the failure.
        error: &'a str,
        /// How long it stays there.
        delay: Duration,
    },
    /// In the dead-letter queue.
    DeadLettered {
        /// The class of the failure.
        class: &'static str,
        /// The words of the failure.
        error: &'a str,
    },
    /// Back in its queue, through no fault of the component.
    Requeued {
        /// What kept the host from going on.
        reason: &'a str,
    },
}

impl DeliverySettled<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        self.count(telemetry);
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
            Exit::Acked { publications } => tracing::debug!(
                %consumer, %component, %delivery, attempt, publications, acknowledged, took_ms,
                "acknowledged"
            ),
            Exit::Retried {
                class,
                error,
                delay,
            } => tracing::info!(
                %consumer, %component, %delivery, attempt, class, error = brief(error), ?delay,
                acknowledged, took_ms,
                "failed; will be retried"
            ),
            Exit::DeadLettered { class, error } => tracing::warn!(
                %consumer, %component, %delivery, attempt, class, error = brief(error),
                acknowledged, took_ms,
                "dead-lettered"
            ),
            Exit::Requeued { reason } => tracing::warn!(
                %consumer, %component, %delivery, attempt, reason = brief(reason), took_ms,
                "went back to its queue; no retry was spent"
            ),
        }
    }

    fn count(&self, telemetry: &ConsumerTelemetry) {
        let outcome = match self.exit {
            Exit::Acked { .. } => &telemetry.acked,
            Exit::Retried { class, .. } => {
                telemetry.retries.inc();
                telemetry.failed(class);
                &telemetry.retried
            }
            Exit::DeadLettered { class, .. } => {
                telemetry.dead_letters.inc();
                telemetry.failed(class);
                &telemetry.dead_lettered
            }
            Exit::Requeued { .. } => &telemetry.requeued,
        };
        match self.acknowledged {
            true => outcome.inc(),
            false => telemetry.lost.inc(),
        }
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
                tracing::debug!(%consumer, %delivery, reply_to, "replied that it failed");
            }
            Some(reason) => {
                telemetry.replies_unsent.inc();
                tracing::warn!(
                    %consumer, %delivery, reply_to, reason,
                    "the reply that it failed cannot be sent; the message is dead-lettered all the same"
                );
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
        tracing::warn!(
            consumer = %telemetry.consumer,
            component = %telemetry.component,
            delivery = self.delivery,
            after = ?self.after,
            "still in hand when shutdown_timeout had passed; it goes back to the broker"
        );
    }
}

/// The first line of a text, short enough for a log line: a dead letter keeps the rest.
fn brief(text: &str) -> &str {
    const LONGEST: usize = 1024;
    let text = if text.len() > LONGEST {
        &text[..text.floor_char_boundary(LONGEST)]
    } else {
        text
    };
    text.trim_end()
}
