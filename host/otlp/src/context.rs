//! From the headers of a message to the trace that it belongs to, and back.

use hive_core::message::FieldValue;
use hive_core::trace::{BAGGAGE, Carried, TRACEPARENT, text_of};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The headers of a message, as a propagator reads them.
struct Headers<'a>(&'a [(String, FieldValue)]);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        text_of(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The context that a message came with; an empty one if it has none that can be read.
pub(crate) fn of_message(headers: &[(String, FieldValue)]) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// The span that one text names, as in a header that the host itself wrote.
pub(crate) fn of_text(traceparent: &str) -> Option<SpanContext> {
    let value = FieldValue::Text(traceparent.to_owned());
    let context = of_message(&[(TRACEPARENT.to_owned(), value)]);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

/// What a propagator writes.
#[derive(Default)]
struct Written {
    traceparent: String,
    tracestate: Option<String>,
}

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        match key {
            TRACEPARENT => self.traceparent = value,
            _ => self.tracestate = Some(value).filter(|value| !value.is_empty()),
        }
    }
}

/// A span as it goes on. `headers` are those of the message that caused it, whose baggage goes along.
pub(crate) fn carried(span: &SpanContext, headers: &[(String, FieldValue)]) -> Carried {
    let mut written = Written::default();
    let context = Context::new().with_remote_span_context(span.clone());
    TraceContextPropagator::new().inject_context(&context, &mut written);
    Carried {
        trace_id: span.trace_id().to_string(),
        span_id: span.span_id().to_string(),
        traceparent: written.traceparent,
        tracestate: written.tracestate,
        baggage: text_of(headers, BAGGAGE).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(all: &[(&str, &str)]) -> Vec<(String, FieldValue)> {
        let all = all.iter();
        all.map(|&(name, value)| (name.to_owned(), FieldValue::Text(value.to_owned())))
            .collect()
    }

    #[test]
    fn what_comes_in_goes_out_again() {
        let headers = headers(&[
            ("Traceparent", PARENT),
            ("tracestate", "vendor=1"),
            ("baggage", "tenant=a"),
        ]);
        let context = of_message(&headers);
        let carried = carried(context.span().span_context(), &headers);
        assert_eq!(carried.traceparent, PARENT);
        assert_eq!(carried.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(carried.span_id, "b7ad6b7169203331");
        assert_eq!(carried.tracestate.as_deref(), Some("vendor=1"));
        assert_eq!(carried.baggage.as_deref(), Some("tenant=a"));
    }

    #[test]
    fn a_message_without_a_trace_or_with_a_broken_one_has_none() {
        for value in [
            "",
            "00-00-00-00",
            "nothing",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            let context = of_message(&headers(&[("traceparent", value)]));
            assert!(!context.span().span_context().is_valid(), "{value}");
            assert_eq!(of_text(value), None);
        }
        assert!(!of_message(&[]).span().span_context().is_valid());
        assert!(of_text(PARENT).is_some());
    }
}
