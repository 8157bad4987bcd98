//! The span of a delivery: begun as it arrives, ended as it is settled, and what becomes of it on the way.

use hive_config::plan::Endpoint;
use hive_core::message::Publication;
use hive_core::trace::{TRACEPARENT, text_of};
use hive_otlp::{Arrival, Handling, Sending, Settled};
use hive_telemetry::Exit;

use super::Pipeline;
use super::held::Held;

impl Pipeline {
    /// Begins the span of a single delivery, unless it has one: the component sees it in the headers.
    pub(super) fn traced(&self, held: &mut Held) {
        let Some(otlp) = self.otlp.as_ref().filter(|_| self.batches.is_none()) else {
            return;
        };
        if held.trace.is_some() {
            return;
        }
        let broker = self.connection.endpoint();
        let handling = otlp.handling(self.arrival(held, broker.as_ref()));
        let headers = &mut held.delivery.envelope.message.properties.headers;
        handling.carried().replace_in(headers);
        held.trace = Some(Box::new(handling));
    }

    /// Begins the span of a batch. Its deliveries are seen as they came, since each belongs to a trace of its own.
    pub(super) fn traced_batch(&self, batch: &mut [Held]) -> Option<Handling> {
        let otlp = self.otlp.as_ref()?;
        let broker = self.connection.endpoint();
        let broker = broker.as_ref();
        let handling = otlp.batch(batch.iter().map(|held| self.arrival(held, broker)))?;
        for held in batch {
            held.trace = Some(Box::new(handling.member()));
        }
        Some(handling)
    }

    fn arrival<'a>(&'a self, held: &'a Held, broker: Option<&'a Endpoint>) -> Arrival<'a> {
        let delivery = &held.delivery;
        Arrival {
            envelope: &delivery.envelope,
            tag: delivery.settlement.tag(),
            consumer: &self.plan.name,
            handler: self.plan.handler.name(),
            first: delivery.original.first_trace(),
            broker,
        }
    }
}

impl Held {
    /// The `traceparent` of the attempt, for the copies that are made of the message.
    pub(super) fn traceparent(&self) -> Option<&str> {
        let handling = self.trace.as_deref()?;
        Some(&handling.carried().traceparent)
    }

    /// Begins the span of a publication, which then carries it on. One that the component made a part of another trace is
    /// left as it is.
    pub(super) fn sends(&self, publication: &mut Publication, message_id: &str) -> Option<Sending> {
        let handling = self.trace.as_deref()?;
        let properties = &mut publication.message.properties;
        let own = properties.message_id.as_deref().filter(|id| !id.is_empty());
        let sending = handling.sends(
            &publication.exchange,
            &publication.routing_key,
            Some(own.unwrap_or(message_id)),
        );
        let carried = text_of(&properties.headers, TRACEPARENT);
        if carried.is_none_or(|carried| carried == handling.carried().traceparent) {
            let headers = &mut properties.headers;
            sending.carried(headers).replace_in(headers);
        }
        Some(sending)
    }
}

/// How a delivery left the host, in the words of a span.
pub(super) fn settled<'a>(exit: &Exit<'a>) -> Settled<'a> {
    let (operation, error) = match exit {
        Exit::Acked { .. } | Exit::Duplicate | Exit::Detoured { .. } => (Some("ack"), None),
        Exit::Retried { failure, .. } => (Some("ack"), Some((failure.class, failure.error))),
        Exit::DeadLettered(failure) | Exit::Skipped(failure) => {
            (Some("ack"), Some((failure.class, failure.error)))
        }
        Exit::Stopped(failure) => (None, Some((failure.class, failure.error))),
        Exit::GivenBack => (Some("nack"), None),
        Exit::Requeued { reason } => (Some("nack"), Some(("requeued", *reason))),
        Exit::Lost => (None, None),
    };
    Settled {
        operation,
        outcome: exit.outcome(),
        error,
    }
}
