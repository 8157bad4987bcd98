//! What the host tells about itself: one struct a fact, so that no two places word it differently.
//!
//! ERROR is for what an operator must act on, WARN for what they will want to know of, INFO for
//! what the host does, DEBUG for each delivery.

use std::fmt;
use std::time::Duration;

/// A delivery left the host.
pub struct DeliverySettled<'a> {
    /// The consumer it came to.
    pub consumer: &'a str,
    /// The component that had it.
    pub component: &'a str,
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
    /// Tells it.
    pub fn emit(self) {
        let Self {
            consumer,
            component,
            delivery,
            attempt,
            exit,
            acknowledged,
            took,
        } = self;
        let took_ms = took.as_secs_f64() * 1000.0;
        match exit {
            Exit::Acked { publications } => tracing::debug!(
                consumer, component, %delivery, attempt, publications, acknowledged, took_ms,
                "acknowledged"
            ),
            Exit::Retried {
                class,
                error,
                delay,
            } => tracing::info!(
                consumer, component, %delivery, attempt, class, error = brief(error), ?delay,
                acknowledged, took_ms,
                "failed; will be retried"
            ),
            Exit::DeadLettered { class, error } => tracing::warn!(
                consumer, component, %delivery, attempt, class, error = brief(error),
                acknowledged, took_ms,
                "dead-lettered"
            ),
            Exit::Requeued { reason } => tracing::warn!(
                consumer, component, %delivery, attempt, reason = brief(reason), took_ms,
                "went back to its queue; no retry was spent"
            ),
        }
    }
}

/// A delivery was still in hand when `shutdown_timeout` had passed.
#[derive(Debug)]
pub struct DeliveryAbandoned<'a> {
    /// The consumer it came to.
    pub consumer: &'a str,
    /// The component that has it.
    pub component: &'a str,
    /// What tells it from others.
    pub delivery: &'a str,
    /// Since its arrival.
    pub after: Duration,
}

impl DeliveryAbandoned<'_> {
    /// Tells it.
    pub fn emit(self) {
        tracing::warn!(
            consumer = self.consumer,
            component = self.component,
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
