//! What is told of when a consumer consumes, and of deliveries that it keeps in order.

use std::fmt;
use std::time::Duration;

use super::consumer::{ConsumerTelemetry, brief};

/// A consumer was paused.
#[derive(Debug)]
pub enum ConsumerPaused {
    /// Somebody wants it so.
    ByHand,
    /// Its component fails too often.
    Fails {
        /// Deliveries that failed.
        failed: usize,
        /// Of so many.
        of: usize,
        /// Until one is tried.
        pause: Duration,
    },
    /// The one that was tried failed too.
    StillFails {
        /// Until another one is tried.
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
                tracing::info!(
                    %consumer,
                    "paused by hand; what is in hand is finished, and the rest waits in its queue"
                );
            }
            Self::Fails { failed, of, pause } => {
                telemetry.pauses_over_failures.inc();
                tracing::error!(
                    %consumer, failed, of, ?pause,
                    "paused, since its component fails too often; one delivery is tried after the pause"
                );
            }
            Self::StillFails { pause } => {
                tracing::warn!(%consumer, ?pause, "paused on: the delivery that was tried failed too");
            }
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
            Self::ByHand => tracing::info!(%consumer, "resumed by hand"),
            Self::Works => {
                tracing::info!(%consumer, "resumed: the delivery that was tried did not fail");
            }
        }
    }
}

/// A delivery is kept in the host for another try.
pub struct DeliveryKept<'a> {
    /// What tells it from others.
    pub delivery: &'a dyn fmt::Display,
    /// Which try it was.
    pub attempt: u32,
    /// What for.
    pub reason: KeptFor<'a>,
    /// Until the next try.
    pub delay: Duration,
}

/// What a delivery is kept for.
#[derive(Debug)]
pub enum KeptFor<'a> {
    /// Its component failed, which spends a retry.
    Retry {
        /// The class of the failure.
        class: &'static str,
        /// The words of the failure.
        error: &'a str,
    },
    /// The host could not go on, which spends none.
    Trouble {
        /// What kept it.
        reason: &'a str,
        /// Nothing was tried again for it yet.
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
            KeptFor::Retry { class, error } => {
                telemetry.retries.inc();
                telemetry.failed(class);
                tracing::info!(
                    %consumer, %component, %delivery, attempt, class, error = brief(error), ?delay,
                    "failed; will be retried, and those of its key behind it wait"
                );
            }
            KeptFor::Trouble {
                reason,
                is_first: true,
            } => tracing::warn!(
                %consumer, %component, %delivery, attempt, reason = brief(reason), ?delay,
                "kept in the host until it can go on; no retry was spent"
            ),
            KeptFor::Trouble {
                reason,
                is_first: false,
            } => tracing::debug!(
                %consumer, %component, %delivery, attempt, reason = brief(reason), ?delay,
                "still kept in the host"
            ),
        }
    }
}

impl ConsumerTelemetry {
    /// So many deliveries wait in lanes: `hive_deliveries_waiting`.
    pub fn waits_in_lanes(&self, count: usize) {
        self.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
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
