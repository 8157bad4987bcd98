//! What is told of how many workers a consumer has.

use std::fmt;
use std::time::Duration;

use super::consumer::ConsumerTelemetry;
use super::facts::Fact;

/// A queue was looked at, and it was decided how many workers there are to be.
pub struct CrewScaled<'a> {
    /// How many workers were wanted before.
    pub before: u16,
    /// How many workers are wanted now.
    pub wanted: u16,
    /// So many were asked for before `min` and `max` had their say.
    pub asked: Option<u64>,
    /// Messages that wait; none if it could not be known.
    pub depth: Option<u64>,
    /// How long a worker takes for one message.
    pub pace: Option<Duration>,
    /// Which rule asked.
    pub because: &'a dyn fmt::Display,
    /// Why it could not be known, where that is news.
    pub untold: Option<&'a dyn fmt::Display>,
}

impl CrewScaled<'_> {
    /// Tells it where something has changed, and notes it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        telemetry.depth(self.depth);
        let consumer = telemetry.consumer();
        let Self {
            before,
            wanted,
            asked,
            depth,
            pace,
            because,
            untold,
        } = self;
        if let Some(reason) = untold {
            Fact::DepthUnknown {
                consumer,
                workers: wanted,
                reason,
            }
            .emit();
        }
        if before != wanted {
            Fact::WorkersScaled {
                consumer,
                before,
                wanted,
                asked,
                depth,
                pace,
                because,
            }
            .emit();
        }
    }
}

/// A worker panicked, which is a fault of the host.
#[derive(Debug)]
pub struct WorkerPanicked {
    /// How long it rests before it goes on.
    pub rest: Duration,
}

impl WorkerPanicked {
    /// Tells it, and counts it.
    pub fn emit(self, telemetry: &ConsumerTelemetry) {
        telemetry.panics.inc();
        Fact::WorkerPanicked {
            consumer: telemetry.consumer(),
            rest: self.rest,
        }
        .emit();
    }
}
