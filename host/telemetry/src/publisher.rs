//! What is told of publications.

use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::meters::Meters;

/// How a publication ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicationEnd {
    /// The broker has it.
    Confirmed,
    /// No queue took it.
    Returned,
    /// The broker closed the channel over it, or it is too large to be sent.
    Refused,
    /// A queue is full, or the broker failed to store it.
    Nacked,
    /// The broker said nothing in time.
    TimedOut,
    /// There was no connection for too long.
    Disconnected,
}

impl PublicationEnd {
    const ALL: [Self; 6] = [
        Self::Confirmed,
        Self::Returned,
        Self::Refused,
        Self::Nacked,
        Self::TimedOut,
        Self::Disconnected,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Returned => "returned",
            Self::Refused => "refused",
            Self::Nacked => "nacked",
            Self::TimedOut => "timed_out",
            Self::Disconnected => "disconnected",
        }
    }
}

/// The meters of one consumer's publisher.
#[derive(Debug, Clone)]
pub struct PublisherTelemetry {
    ends: [IntCounter; PublicationEnd::ALL.len()],
    confirm: Histogram,
}

impl PublisherTelemetry {
    pub(super) fn new(meters: &Meters, consumer: &str) -> Self {
        Self {
            ends: PublicationEnd::ALL.map(|end| {
                let labels = [consumer, end.as_str()];
                meters.publications.with_label_values(&labels)
            }),
            confirm: meters.confirm.with_label_values(&[consumer]),
        }
    }

    /// A publication ended.
    pub fn ended(&self, end: PublicationEnd) {
        self.ends[end as usize].inc();
    }

    /// The broker has answered for all publications of one call.
    pub fn confirmed_after(&self, took: Duration) {
        self.confirm.observe(took.as_secs_f64());
    }
}
