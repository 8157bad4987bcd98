//! The message of a request. Pure.

use hive_config::plan::{HttpRoutePlan, Segment};
use hive_core::message::{FieldValue, Message, Properties, Publication};
use hive_routes::{Failure, Request, Template, Why};
use http::{HeaderMap, HeaderName, header};

use crate::answer::Refusal;
use crate::body::Content;

/// The longest routing key and the longest message-id: short strings of AMQP.
const LONGEST: usize = 255;

/// The broker ends the connection over a routing key that begins so and is no address of a reply.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The headers of a trace (W3C Trace Context, W3C Baggage), which the message carries on.
const OF_TRACES: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The message-id that a request asks for.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The id that the client has given the request, which becomes that of the message.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut written = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = written.next() else {
        return Ok(None);
    };
    if written.next().is_some() {
        return Err(Refusal::malformed("the request has two idempotency keys"));
    }
    // The draft of the header has it in quotes, and most clients send none.
    let text = first.to_str().ok().map(|text| {
        let within = text.strip_prefix('"');
        within
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text)
    });
    match text {
        Some(text) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.to_owned())),
        _ => Err(Refusal::malformed(
            "the idempotency key is not 1 to 255 printable ASCII characters",
        )),
    }
}

/// What a route publishes for a request with these headers, whose path captured these parts.
pub(crate) fn publication(
    route: &HttpRoutePlan,
    captured: &[&str],
    headers: &HeaderMap,
    content: Content,
) -> Result<Publication, Refusal> {
    let values = Values {
        route,
        captured,
        headers,
        body: &content.body,
    };
    let (routing_key, own) = values.texts()?;
    check_routing_key(&routing_key)?;
    let traces = OF_TRACES.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), FieldValue::Text(value.to_owned())))
    });
    // A header of the route is meant, and wins.
    let traces = traces.filter(|(name, _)| own.iter().all(|(other, _)| other != name));
    let mut all: Vec<_> = traces.collect();
    all.extend(own.iter().cloned());
    let Content {
        body,
        content_type,
        content_encoding,
    } = content;
    Ok(Publication {
        exchange: route.exchange.to_string(),
        routing_key,
        message: Message {
            properties: Properties {
                content_type,
                content_encoding,
                headers: all,
                persistent: true,
                ..Properties::default()
            },
            body: body.into(),
        },
        mandatory: true,
        delay: None,
    })
}

fn check_routing_key(key: &str) -> Result<(), Refusal> {
    if key.len() > LONGEST {
        let error = format!(
            "the routing key would have {} bytes, and {LONGEST} are possible",
            key.len()
        );
        return Err(Refusal::malformed(error));
    }
    if key.chars().any(char::is_control) {
        let error = "the routing key would have a control character";
        return Err(Refusal::malformed(error));
    }
    if key.starts_with(REPLY_TO) {
        let error = "the routing key would be an address of a reply";
        return Err(Refusal::malformed(error));
    }
    Ok(())
}

/// What texts of a route are made of.
struct Values<'r> {
    route: &'r HttpRoutePlan,
    captured: &'r [&'r str],
    headers: &'r HeaderMap,
    body: &'r [u8],
}

impl Values<'_> {
    /// The routing key, and the headers of the message.
    fn texts(&self) -> Result<(String, Vec<(String, FieldValue)>), Refusal> {
        let HttpRoutePlan {
            routing_key,
            headers,
            ..
        } = self.route;
        let mut texts = headers.iter().map(|(_, text)| text);
        if let (Some(fixed), true) = (
            routing_key.fixed(),
            texts.all(|text| text.fixed().is_some()),
        ) {
            let fixed_text = |text: &Template| text.fixed().unwrap_or_default().to_owned();
            let headers = headers.iter();
            let headers =
                headers.map(|(name, text)| (name.clone(), FieldValue::Text(fixed_text(text))));
            return Ok((fixed.to_owned(), headers.collect()));
        }
        let names: Vec<_> = self.names();
        let captured = self.route.path.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Text(_) => None,
        });
        let request = Request::new(
            captured.zip(self.captured.iter().copied()),
            names.iter().map(|(name, value)| (name.as_str(), *value)),
            self.body,
        );
        let text = |text: &Template| text.text(&request).map_err(without_value);
        let written = headers.iter().map(|(name, header)| {
            let value = FieldValue::Text(text(header)?);
            Ok((name.clone(), value))
        });
        Ok((text(routing_key)?, written.collect::<Result<_, _>>()?))
    }

    /// The headers of the request, under the names that expressions use. What lets a client in stays here.
    fn names(&self) -> Vec<(String, &str)> {
        let headers = self.headers.iter();
        let open = headers.filter(|(name, _)| *name != header::AUTHORIZATION);
        let texts = open.filter_map(|(name, value)| {
            let value = std::str::from_utf8(value.as_bytes()).ok()?;
            Some((name.as_str().replace('-', "_"), value))
        });
        texts.collect()
    }
}

fn without_value(failure: Failure) -> Refusal {
    match failure.why {
        Why::Missing(what) => {
            Refusal::malformed(format!("the request has no {what}, which the route needs"))
        }
        Why::Body(error) => Refusal::bad_body(format!("the body is not JSON: {error}")),
        why => Refusal::malformed(format!("a value that the route needs: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use hive_config::Environment;

    use super::*;

    fn route(keys: &str) -> HttpRoutePlan {
        let folder = std::env::temp_dir();
        let file = folder.join(format!(
            "hive-http-{}-{}.toml",
            std::process::id(),
            rand::random::<u64>()
        ));
        let text = format!(
            "[http]\nlisten = '127.0.0.1:0'\n[http.routes.'POST /api/{{tenant}}/t']\nexchange = 'x'\n{keys}"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = hive_config::load(&file, &Environment::default());
        std::fs::remove_file(&file).unwrap();
        let http = loaded.expect("it is a plan").plan.http.unwrap();
        http.routes.into_values().next().unwrap()
    }

    fn published(keys: &str, headers: &[(&str, &str)], body: &str) -> Result<Publication, Refusal> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let content = Content {
            body: body.as_bytes().to_vec(),
            content_type: None,
            content_encoding: None,
        };
        publication(&route(keys), &["acme"], &headers, content)
    }

    fn routing_key(text: &str, headers: &[(&str, &str)], body: &str) -> Result<String, Refusal> {
        let keys = format!("routing_key = '{text}'");
        published(&keys, headers, body).map(|publication| publication.routing_key)
    }

    #[test]
    fn the_routing_key_has_what_the_request_says() {
        let key = |text, body| routing_key(text, &[("X-Request", "r-1")], body);
        assert_eq!(key("tracks", "no json").unwrap(), "tracks");
        let all = "{{ path.tenant }}.{{ headers.x_request }}.{{ body.kind }}";
        assert_eq!(key(all, r#"{"kind":"play"}"#).unwrap(), "acme.r-1.play");
        assert_eq!(key(all, "{}").unwrap_err().status, 400);
        assert_eq!(
            key(all, "{").unwrap_err().code,
            hive_core::codes::Code::HttpBody
        );
    }

    #[test]
    fn what_no_routing_key_may_be_is_refused() {
        let key = |value: &str| {
            let body = serde_json::json!({ "key": value }).to_string();
            routing_key("{{ body.key }}", &[], &body)
        };
        assert!(key(&"x".repeat(255)).is_ok());
        for bad in [&*"x".repeat(256), "a\0b", "a\nb", "amq.rabbitmq.reply-to.x"] {
            assert_eq!(key(bad).unwrap_err().status, 400, "{bad:?}");
        }
    }

    #[test]
    fn the_token_is_no_value_of_a_message() {
        let key = routing_key(
            "{{ headers.authorization }}",
            &[("authorization", "Bearer x")],
            "",
        );
        assert_eq!(key.unwrap_err().status, 400);
    }

    #[test]
    fn a_message_is_persistent_and_carries_the_trace_on() {
        let keys =
            "routing_key = 'q'\nheaders = { tenant = '{{ path.tenant }}', baggage = 'ours' }";
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let sent = [
            ("traceparent", trace),
            ("baggage", "a=1"),
            ("cookie", "secret"),
        ];
        let publication = published(keys, &sent, "").unwrap();
        assert!(publication.mandatory && publication.message.properties.persistent);
        let text = |text: &str| FieldValue::Text(text.to_owned());
        assert_eq!(
            publication.message.properties.headers,
            [
                ("traceparent".to_owned(), text(trace)),
                ("tenant".to_owned(), text("acme")),
                ("baggage".to_owned(), text("ours")),
            ]
        );
    }

    #[test]
    fn an_idempotency_key_is_read_with_quotes_and_without() {
        let key = |values: &[&str]| {
            let values = values.iter();
            let headers: HeaderMap = values
                .map(|value| (IDEMPOTENCY_KEY, value.parse().unwrap()))
                .collect();
            idempotency_key(&headers)
        };
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["k-1"]), Ok(Some("k-1".to_owned())));
        assert_eq!(key(&["\"k-1\""]), Ok(Some("k-1".to_owned())));
        for bad in [&[""][..], &["\"\""], &["a", "b"], &[&"x".repeat(256)]] {
            assert_eq!(key(bad).unwrap_err().status, 400, "{bad:?}");
        }
    }
}
