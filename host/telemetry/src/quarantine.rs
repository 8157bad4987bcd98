//! Facts about messages that may have ended the host.

use std::fmt;

use super::consumer::ConsumerTelemetry;
use super::facts::Fact;

/// What quarantine has found out about a message, or does with it.
pub enum QuarantineTold<'a> {
    /// A delivery was in flight when the host died.
    HostDied {
        /// What tells it from others.
        delivery: &'a dyn fmt::Display,
        /// The name of that host.
        host: &'a str,
        /// Whether nothing else of the consumer was handled at that moment.
        was_alone: bool,
    },
    /// A delivery is handled now, and nothing else of its consumer.
    TriedAlone {
        /// What tells it from others.
        delivery: &'a dyn fmt::Display,
        /// How often the host died of it so far.
        deaths: u32,
    },
}

impl QuarantineTold<'_> {
    /// Logs it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        let consumer = &telemetry.consumer;
        match self {
            Self::HostDied {
                delivery,
                host,
                was_alone,
            } => Fact::HostDied {
                consumer,
                delivery,
                host,
                was_alone,
            },
            Self::TriedAlone { delivery, deaths } => Fact::QuarantineTrial {
                consumer,
                delivery,
                deaths,
            },
        }
        .emit();
    }
}

impl ConsumerTelemetry {
    /// A delivery waits to be tried alone.
    pub fn entered_quarantine(&self) {
        self.quarantined.inc();
    }

    /// This many were tried, or went back to their queue.
    pub fn left_quarantine(&self, deliveries: usize) {
        self.quarantined
            .sub(i64::try_from(deliveries).unwrap_or(i64::MAX));
    }
}
