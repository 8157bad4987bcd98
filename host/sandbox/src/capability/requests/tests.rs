//! What a component may request, and what comes back to it.

use std::sync::Mutex;

use hive_core::glob::Glob;
use hive_core::message::Properties;
use hive_telemetry::Telemetry;

use super::*;

/// Replies with so many bytes, and notes the headers of what it was asked.
struct Echo(usize, Mutex<Vec<(String, FieldValue)>>);

impl Requester for Echo {
    fn request(
        &self,
        publication: Publication,
        _until: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Message, Unanswered>> + Send + '_>> {
        *self.1.lock().unwrap() = publication.message.properties.headers;
        let body = vec![0; self.0].into();
        let properties = Properties::default();
        Box::pin(std::future::ready(Ok(Message { properties, body })))
    }
}

fn requests() -> Requests {
    let telemetry = Telemetry::new().expect("its metrics have names of their own");
    let glob = |text| Glob::parse(text).expect("it is a pattern");
    Requests {
        component: "orders".into(),
        granted: [PublishGrant {
            exchange: glob(""),
            routing_key: glob("rpc.*"),
        }]
        .into(),
        largest_reply: 10,
        telemetry: telemetry.component(&"orders".into()),
        requester: None,
        trace: Vec::new(),
    }
}

fn to(routing_key: &str) -> Publication {
    Publication {
        exchange: String::new(),
        routing_key: routing_key.to_owned(),
        message: Message::default(),
        mandatory: true,
        delay: None,
    }
}

async fn end(requests: &Requests, routing_key: &str) -> RequestEnd {
    let reply = requests.request(to(routing_key), Instant::now()).await;
    reply.map_or_else(|unanswered| unanswered.end, |_| RequestEnd::Answered)
}

#[tokio::test]
async fn what_is_not_named_is_denied_with_its_key() {
    let denied = requests().request(to("prices"), Instant::now()).await;
    let denied = denied.expect_err("it is not named");
    assert_eq!(denied.end, RequestEnd::NotAllowed);
    let words = "`components.orders.allow.request` does not name it";
    assert!(denied.text.contains(words), "{}", denied.text);
}

#[tokio::test]
async fn without_a_delivery_there_is_nobody_to_ask() {
    assert_eq!(end(&requests(), "rpc.a").await, RequestEnd::Disconnected);
}

#[tokio::test]
async fn a_reply_has_a_largest_size() {
    for (bytes, ends) in [(10, RequestEnd::Answered), (11, RequestEnd::TooLarge)] {
        let mut requests = requests();
        let echo: Arc<dyn Requester> = Arc::new(Echo(bytes, Mutex::default()));
        requests.begin(Some(&echo), None);
        assert_eq!(end(&requests, "rpc.a").await, ends);
    }
}

#[tokio::test]
async fn the_span_of_the_call_goes_along_unless_the_component_has_its_own() {
    let carried = Carried {
        trace_id: String::new(),
        span_id: String::new(),
        traceparent: "00-the-call".to_owned(),
        tracestate: None,
        baggage: None,
    };
    let mut requests = requests();
    let echo = Arc::new(Echo(0, Mutex::default()));
    let requester: Arc<dyn Requester> = echo.clone();
    requests.begin(Some(&requester), Some(&carried));
    let own = FieldValue::Text("00-its-own".to_owned());
    for header in [None, Some(("traceparent".to_owned(), own))] {
        let expected = header
            .as_ref()
            .map_or_else(|| "00-the-call", |_| "00-its-own");
        let mut publication = to("rpc.a");
        publication.message.properties.headers.extend(header);
        let reply = requests.request(publication, Instant::now()).await;
        assert!(reply.is_ok(), "{reply:?}");
        let sent = echo.1.lock().unwrap().clone();
        assert_eq!(text_of(&sent, TRACEPARENT), Some(expected));
        assert_eq!(sent.len(), 1);
    }
}
