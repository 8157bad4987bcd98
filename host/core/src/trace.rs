//! The trace that a delivery belongs to, as texts for those who pass it on (W3C Trace Context; W3C Baggage).

use super::message::FieldValue;

/// The header that names a trace and the span in it that caused what carries it.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what other tracers add to it.
pub const TRACESTATE: &str = "tracestate";

/// The header with an application's own names and values, which go along.
pub const BAGGAGE: &str = "baggage";

/// A span, and what carries it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// The value of [`TRACEPARENT`].
    pub traceparent: String,
    /// The value of [`TRACESTATE`], if it is not empty.
    pub tracestate: Option<String>,
    /// The value of [`BAGGAGE`], as it came.
    pub baggage: Option<String>,
}

impl Carried {
    /// The headers, each with its value.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rest = [
            (TRACESTATE, self.tracestate.as_deref()),
            (BAGGAGE, self.baggage.as_deref()),
        ];
        std::iter::once((TRACEPARENT, &*self.traceparent)).chain(
            rest.into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        )
    }

    /// Puts it in the place of the trace that the headers of a message have.
    pub fn replace_in(&self, headers: &mut Vec<(String, FieldValue)>) {
        headers.retain(|(name, _)| !is_of_a_trace(name));
        for (name, value) in self.headers() {
            headers.push((name.to_owned(), FieldValue::Text(value.to_owned())));
        }
    }
}

/// Whether a header belongs to the context of a trace.
pub fn is_of_a_trace(name: &str) -> bool {
    [TRACEPARENT, TRACESTATE, BAGGAGE]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

/// The text of a header by its name, in any case.
pub fn text_of<'a>(headers: &'a [(String, FieldValue)], name: &str) -> Option<&'a str> {
    let (_, value) = headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    match value {
        FieldValue::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried() -> Carried {
        Carried {
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
            span_id: "b7ad6b7169203331".to_owned(),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            tracestate: None,
            baggage: Some("tenant=a".to_owned()),
        }
    }

    #[test]
    fn a_trace_takes_the_place_of_the_one_that_was_there() {
        let text = |text: &str| FieldValue::Text(text.to_owned());
        let mut headers = vec![
            ("Traceparent".to_owned(), text("an older one")),
            ("x-tenant".to_owned(), text("a")),
            ("tracestate".to_owned(), text("older=1")),
        ];
        carried().replace_in(&mut headers);
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-tenant", TRACEPARENT, BAGGAGE]);
        assert_eq!(
            text_of(&headers, "TraceParent"),
            Some(&*carried().traceparent)
        );
        assert_eq!(text_of(&headers, TRACESTATE), None);
    }

    #[test]
    fn what_is_no_text_is_no_trace() {
        let headers = [(TRACEPARENT.to_owned(), FieldValue::Integer(1))];
        assert_eq!(text_of(&headers, TRACEPARENT), None);
    }
}
