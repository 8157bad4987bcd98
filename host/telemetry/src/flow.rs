//! What is told of when a consumer consumes, and of deliveries that it keeps in order.

use std::fmt;
use std::time::Duration;

use super::consumer::{ConsumerTelemetry, Failed, brief};
use super::facts::Fact;

/// A consumer was paused.
#[derive(Debug)]
pub enum ConsumerPaused {
    /// Somebody wants it so.
    ByHand,
    /// The component fails too often.
    Fails {
        /// Deliveries that failed.
        failed: usize,
        /// How many of the last deliveries were looked at.
        of: usize,
        /// How long the consumer rests before one delivery is tried.
        pause: Duration,
    },
    /// The one that was tried failed too.
    StillFails {
        /// How long the consumer rests before another delivery is tried.
        pause: Duration,
    },
}

impl ConsumerPaused {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        let consumer = &telemetry.consumer;
        match self {
            Self::ByHand => {
                telemetry.pauses_by_hand.inc();
                Fact::ConsumerPausedByHand { consumer }.emit();
            }
            Self::Fails { failed, of, pause } => {
                telemetry.pauses_over_failures.inc();
                Fact::ConsumerPausedOverFailures {
                    consumer,
                    failed,
                    of,
                    pause,
                }
                .emit();
            }
            Self::StillFails { pause } => Fact::ConsumerStillPaused { consumer, pause }.emit(),
        }
    }
}

/// A consumer goes on.
#[derive(Debug)]
pub enum ConsumerResumed {
    /// Somebody wants it so.
    ByHand,
    /// The delivery that was tried did not fail.
    Works,
}

impl ConsumerResumed {
    /// Tells it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        let consumer = &telemetry.consumer;
        match self {
            Self::ByHand => Fact::ConsumerResumedByHand { consumer }.emit(),
            Self::Works => Fact::ConsumerResumedAfterTrial { consumer }.emit(),
        }
    }
}

/// A delivery is kept in the host for another try.
pub struct DeliveryKept<'a> {
    /// What tells it from others.
    pub delivery: &'a dyn fmt::Display,
    /// Which try it was.
    pub attempt: u32,
    /// Why the delivery is kept.
    pub reason: KeptFor<'a>,
    /// How long it is kept before the next try.
    pub delay: Duration,
}

/// Why a delivery is kept in the host.
#[derive(Debug)]
pub enum KeptFor<'a> {
    /// The component failed, and the delivery waits for its next attempt, which spends a retry.
    Retry(Failed<'a>),
    /// The host could not go on, which spends no retry.
    Trouble {
        /// What stands in the way.
        reason: &'a str,
        /// Whether this is the first time that the delivery is kept.
        is_first: bool,
    },
}

impl DeliveryKept<'_> {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        let ConsumerTelemetry {
            consumer,
            component,
            ..
        } = telemetry;
        let Self {
            delivery,
            attempt,
            reason,
            delay,
        } = self;
        match reason {
            KeptFor::Retry(Failed { class, code, error }) => {
                telemetry.retries.inc();
                telemetry.failed(class);
                Fact::RetryKept {
                    consumer,
                    component,
                    delivery,
                    attempt,
                    class,
                    code,
                    error: brief(error),
                    delay,
                }
                .emit();
            }
            KeptFor::Trouble {
                reason,
                is_first: true,
            } => Fact::DeliveryKept {
                consumer,
                component,
                delivery,
                attempt,
                reason: brief(reason),
                delay,
            }
            .emit(),
            KeptFor::Trouble {
                reason,
                is_first: false,
            } => Fact::DeliveryStillKept {
                consumer,
                component,
                delivery,
                attempt,
                reason: brief(reason),
                delay,
            }
            .emit(),
        }
    }
}

impl ConsumerTelemetry {
    /// So many deliveries wait in lanes: `hive_deliveries_waiting`.
    pub fn waits_in_lanes(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many deliveries wait because their key is at its limit: `hive_deliveries_limited`.
    pub fn limited(&self, count: usize) {
        self.limited.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Those fill the prefetch, so that hardly any of other keys come.
    pub fn limited_fill_the_prefetch(&self, limited: usize, prefetch: u16) {
        Fact::LimitedFillPrefetch {
            consumer: &self.consumer,
            limited,
            prefetch,
        }
        .emit();
    }

    /// So many deliveries are kept until something works again: `hive_deliveries_kept`.
    pub fn keeps(&self, count: usize) {
        self.kept.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether it is paused, and by whom: `hive_consumer_paused`.
    pub fn is_paused(&self, by_hand: bool, over_failures: bool) {
        self.paused_by_hand.set(i64::from(by_hand));
        self.paused_over_failures.set(i64::from(over_failures));
    }
}
