//! The answer of `/v1/consumers/NAME/demand`.

use serde::Serialize;

use crate::status::ConsumerStatus;

/// Numbers to scale hosts by. None of them but the workers' own is about this host alone.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct DemandView<'a> {
    consumer: &'a str,
    queue: &'a str,
    /// Messages that are ready at the broker.
    messages: u32,
    /// Deliveries that this host is handling or settling.
    in_flight: u64,
    /// Workers of this host.
    workers: u16,
    /// The most workers that this host starts.
    workers_most: u16,
    /// Workers that the rules of `scale` ask for, `max` aside; null without `scale`, or if they ask for no number.
    workers_asked: Option<u64>,
}

impl<'a> DemandView<'a> {
    pub(in crate::admin) fn of(status: &'a ConsumerStatus, messages: u32) -> Self {
        let crew = status.crew.as_ref();
        Self {
            consumer: &status.consumer,
            queue: &status.queue,
            messages,
            in_flight: crew.map_or(0, |crew| crew.deliveries.in_flight),
            workers: crew.map_or(0, |crew| crew.workers),
            workers_most: status.most_workers,
            workers_asked: crew.and_then(|crew| crew.asked),
        }
    }
}
