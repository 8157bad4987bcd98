//! The spans of one delivery: handling it, each message that is published for it, and its settlement.

use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::Endpoint;
use hive_core::message::{Envelope, FieldValue};
use hive_core::trace::Carried;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use crate::context;
use crate::destination;
use crate::meters::Operation;
use crate::start::Otlp;

/// The longest text of an error in a span, in bytes.
const LONGEST_ERROR: usize = 1024;

/// A delivery as it arrives.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// The message, its queue, and where it was published to.
    pub envelope: &'a Envelope,
    /// Its delivery tag.
    pub tag: u64,
    /// The consumer's name.
    pub consumer: &'a str,
    /// What decides over it.
    pub handler: &'a str,
    /// The `traceparent` of its first attempt, where a copy carries that.
    pub first: Option<&'a str>,
    /// The broker that it came from.
    pub broker: Option<&'a Endpoint>,
}

/// The span of a delivery that is handled, or of one of a batch.
pub struct Handling {
    otlp: Otlp,
    context: Context,
    /// None where the span is that of a whole batch.
    own: bool,
    carried: Carried,
    queue: Arc<str>,
    began: Instant,
}

/// The span of one message that is published.
pub struct Sending {
    otlp: Otlp,
    context: Context,
    destination: String,
    /// The delivery's, for a message that has none.
    baggage: Option<String>,
    began: Instant,
    is_over: bool,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    /// `ack`, `nack` or `reject`; none where the broker was not told.
    pub operation: Option<&'static str>,
    /// The outcome, as log lines and metrics name it.
    pub outcome: &'a str,
    /// The class of the failure, and its words.
    pub error: Option<(&'a str, &'a str)>,
}

impl Otlp {
    /// Begins the span of a delivery.
    pub fn handling(&self, arrival: Arrival<'_>) -> Handling {
        let Arrival {
            envelope,
            tag,
            first,
            ..
        } = arrival;
        let headers = &envelope.message.properties.headers;
        let first = first.and_then(context::of_text);
        let mut parent = context::of_message(headers);
        if let Some(first) = &first
            && !parent.span().span_context().is_valid()
        {
            // It came without a trace, so that its first attempt began one.
            parent = Context::new().with_remote_span_context(first.clone());
        }
        let (builder, mut attributes) = self.of_delivery(arrival);
        let properties = &envelope.message.properties;
        let texts = [
            ("messaging.message.id", properties.message_id.as_ref()),
            (
                "messaging.message.conversation_id",
                properties.correlation_id.as_ref(),
            ),
        ];
        for (name, value) in texts {
            attributes.extend(value.map(|value| KeyValue::new(name, value.clone())));
        }
        let tag = i64::try_from(tag).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new(
            "messaging.rabbitmq.message.delivery_tag",
            tag,
        ));
        attributes.push(KeyValue::new(
            "hive.attempt",
            i64::from(envelope.attempt.get()),
        ));
        let links = first.into_iter();
        // The parent is no link besides.
        let links = links.filter(|first| first != parent.span().span_context());
        let links: Vec<_> = links.map(|first| Link::new(first, Vec::new(), 0)).collect();
        let builder = builder.with_attributes(attributes).with_links(links);
        let span = self.tracer().build_with_context(builder, &parent);
        self.begun(Context::new().with_span(span), headers, &envelope.queue)
    }

    /// Begins the span of a batch; its deliveries are links. `None` for an empty one.
    pub fn batch<'a>(&self, arrivals: impl Iterator<Item = Arrival<'a>>) -> Option<Handling> {
        let mut arrivals = arrivals.peekable();
        let first = *arrivals.peek()?;
        let mut links = Vec::new();
        let mut size = 0;
        for arrival in arrivals {
            size += 1;
            let context = context::of_message(&arrival.envelope.message.properties.headers);
            let span = context.span().span_context().clone();
            if span.is_valid() {
                links.push(Link::new(span, Vec::new(), 0));
            }
        }
        let (builder, mut attributes) = self.of_delivery(first);
        attributes.push(KeyValue::new("messaging.batch.message_count", size));
        let builder = builder.with_attributes(attributes).with_links(links);
        let span = self.tracer().build_with_context(builder, &Context::new());
        Some(self.begun(Context::new().with_span(span), &[], &first.envelope.queue))
    }

    fn begun(
        &self,
        context: Context,
        headers: &[(String, FieldValue)],
        queue: &Arc<str>,
    ) -> Handling {
        Handling {
            otlp: self.clone(),
            carried: context::carried(context.span().span_context(), headers),
            context,
            own: true,
            queue: Arc::clone(queue),
            began: Instant::now(),
        }
    }

    /// The span of a delivery, or of a batch whose first delivery is this one, without what differs.
    fn of_delivery(&self, arrival: Arrival<'_>) -> (SpanBuilder, Vec<KeyValue>) {
        let Arrival {
            envelope,
            consumer,
            handler,
            broker,
            ..
        } = arrival;
        let (exchange, routing_key) = (&envelope.exchange, &envelope.routing_key);
        let destination = destination::handled(exchange, routing_key, &envelope.queue);
        let builder = SpanBuilder::from_name(format!("process {destination}"));
        let mut attributes = vec![
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.destination.name", destination),
            KeyValue::new(
                "messaging.rabbitmq.destination.routing_key",
                envelope.routing_key.clone(),
            ),
            KeyValue::new("messaging.client.id", self.client_id().to_owned()),
            KeyValue::new("hive.consumer", consumer.to_owned()),
            KeyValue::new("hive.component", handler.to_owned()),
        ];
        if let Some(Endpoint { host, port }) = broker {
            attributes.push(KeyValue::new("server.address", host.clone()));
            attributes.push(KeyValue::new("server.port", i64::from(*port)));
        }
        (builder.with_kind(SpanKind::Consumer), attributes)
    }
}

impl Handling {
    /// The same span for a delivery of the batch, which ends with the batch.
    pub fn member(&self) -> Self {
        Self {
            otlp: self.otlp.clone(),
            context: self.context.clone(),
            own: false,
            carried: self.carried.clone(),
            queue: Arc::clone(&self.queue),
            began: self.began,
        }
    }

    /// What carries the span on.
    pub fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Begins the span of a message that is published for the delivery.
    pub fn sends(&self, exchange: &str, routing_key: &str, message_id: Option<&str>) -> Sending {
        let destination = destination::published(exchange, routing_key);
        let mut attributes = vec![
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.operation.name", "publish"),
            KeyValue::new("messaging.destination.name", destination.clone()),
            KeyValue::new(
                "messaging.rabbitmq.destination.routing_key",
                routing_key.to_owned(),
            ),
            KeyValue::new("messaging.client.id", self.otlp.client_id().to_owned()),
        ];
        attributes
            .extend(message_id.map(|id| KeyValue::new("messaging.message.id", id.to_owned())));
        let builder = SpanBuilder::from_name(format!("publish {destination}"))
            .with_kind(SpanKind::Producer)
            .with_attributes(attributes);
        let span = (self.otlp.tracer()).build_with_context(builder, &self.context);
        Sending {
            otlp: self.otlp.clone(),
            context: Context::new().with_span(span),
            destination: match exchange.is_empty() {
                // Of the default exchange each queue is a destination.
                true => routing_key.to_owned(),
                false => exchange.to_owned(),
            },
            baggage: self.carried.baggage.clone(),
            began: Instant::now(),
            is_over: false,
        }
    }

    /// The broker was told how the delivery ended, or will hand it out again.
    pub fn settled(self, settled: Settled<'_>) {
        let Settled {
            operation,
            outcome,
            error,
        } = settled;
        if let Some(operation) = operation {
            self.settles(operation);
        }
        let span = self.context.span();
        if self.own {
            span.set_attribute(KeyValue::new("hive.outcome", outcome.to_owned()));
            if let Some((class, words)) = error {
                span.set_attribute(KeyValue::new("error.type", class.to_owned()));
                span.set_status(Status::error(cut(words)));
            }
            span.end();
        }
        self.otlp.meters().processed(&Operation {
            name: "process",
            destination: &self.queue,
            error: error.map(|(class, _)| class),
            took: self.began.elapsed(),
        });
    }

    fn settles(&self, operation: &'static str) {
        let attributes = vec![
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.operation.type", "settle"),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.destination.name", self.queue.to_string()),
        ];
        let builder = SpanBuilder::from_name(format!("{operation} {}", self.queue))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        // It ends as it is dropped: the broker answers no ack.
        drop((self.otlp.tracer()).build_with_context(builder, &self.context));
        self.otlp.meters().settled(&Operation {
            name: operation,
            destination: &self.queue,
            error: None,
            took: Duration::ZERO,
        });
    }

    /// A batch was answered; its deliveries are settled after that.
    pub fn answered(self) {
        self.context.span().end();
    }
}

impl Sending {
    /// What the message carries on. The baggage in `headers`, which the message has already, stays; without any, that of
    /// the delivery goes along.
    pub fn carried(&self, headers: &[(String, FieldValue)]) -> Carried {
        let carried = context::carried(self.context.span().span_context(), headers);
        Carried {
            baggage: carried.baggage.or_else(|| self.baggage.clone()),
            ..carried
        }
    }

    /// The broker has confirmed it.
    pub fn confirmed(mut self) {
        self.end(None);
    }

    fn end(&mut self, error: Option<&'static str>) {
        self.is_over = true;
        let span = self.context.span();
        if let Some(error) = error {
            span.set_attribute(KeyValue::new("error.type", error));
            span.set_status(Status::error(error));
        }
        span.end();
        self.otlp.meters().sent(&Operation {
            name: "publish",
            destination: &self.destination,
            error,
            took: self.began.elapsed(),
        });
    }
}

/// What was not confirmed was not published, as far as anybody knows.
impl Drop for Sending {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Some("unconfirmed"));
        }
    }
}

fn cut(words: &str) -> String {
    words[..words.floor_char_boundary(LONGEST_ERROR)].to_owned()
}
