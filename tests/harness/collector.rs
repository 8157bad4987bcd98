//! An OpenTelemetry collector that keeps what it is sent, decoded by OpenTelemetry's own library.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::eventually;

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    received: Arc<Mutex<Received>>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Received {
    spans: Vec<CollectedSpan>,
    metrics: BTreeSet<String>,
    resource: BTreeMap<String, String>,
}

/// A span as it was received; ids are in hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectedSpan {
    /// The trace.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// That of its parent; empty for one that begins a trace.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `consumer`, `producer`, `client` or another.
    pub kind: &'static str,
    /// Its attributes, each as text.
    pub attributes: BTreeMap<String, String>,
    /// The spans that it is linked to.
    pub links: Vec<String>,
    /// Whether it ended in an error.
    pub is_error: bool,
}

impl CollectedSpan {
    /// An attribute, if it has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// What a message carries that was published in this span.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

impl Collector {
    /// Serves on a free port.
    pub async fn start() -> Result<Self> {
        Self::start_at(0).await
    }

    /// Serves on this port.
    #[expect(
        clippy::disallowed_methods,
        reason = "the ban is for the host, whose tasks a stop has to know"
    )]
    pub async fn start_at(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        let received = Arc::<Mutex<Received>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .with_state(Arc::clone(&received));
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes)
                .await
                .expect("a server without an end of its own does not end");
        });
        Ok(Self {
            port,
            received,
            serving,
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The section of hive.toml that names it.
    pub fn section(&self) -> String {
        format!("otlp = \"{}\"", self.url())
    }

    /// Where clients of its own kind send to.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every span so far, in the order in which they came.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.received().spans.clone()
    }

    /// Waits until so many spans whose names begin like this are there.
    pub async fn wait_for(&self, name: &str, count: usize) -> Result<Vec<CollectedSpan>> {
        let look = async || {
            let mut found = self.spans();
            found.retain(|span| span.name.starts_with(name));
            Ok(found)
        };
        let what = format!("{count} spans {name:?}");
        let is_there = |found: &Vec<CollectedSpan>| found.len() >= count;
        eventually(&what, look, is_there).await
    }

    /// The names of the metrics so far.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.received().metrics.clone()
    }

    /// What the last spans were of.
    pub fn resource(&self) -> BTreeMap<String, String> {
        self.received().resource.clone()
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        locked(&self.received)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn locked(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn traces(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut received = locked(&received);
    for of_resource in request.resource_spans {
        if let Some(resource) = of_resource.resource {
            received.resource = texts(resource.attributes);
        }
        let spans = of_resource
            .scope_spans
            .into_iter()
            .flat_map(|of_scope| of_scope.spans);
        received.spans.extend(spans.map(collected));
    }
    StatusCode::OK
}

async fn metrics(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let of_resources = request.resource_metrics.into_iter();
    let of_scopes = of_resources.flat_map(|of_resource| of_resource.scope_metrics);
    let metrics = of_scopes.flat_map(|of_scope| of_scope.metrics);
    let names = metrics.map(|metric| metric.name);
    locked(&received).metrics.extend(names);
    StatusCode::OK
}

fn collected(span: Span) -> CollectedSpan {
    CollectedSpan {
        kind: match span.kind() {
            SpanKind::Consumer => "consumer",
            SpanKind::Producer => "producer",
            SpanKind::Client => "client",
            SpanKind::Server => "server",
            SpanKind::Internal | SpanKind::Unspecified => "internal",
        },
        is_error: span.status.is_some_and(|status| status.code == 2),
        trace_id: hexadecimal(&span.trace_id),
        span_id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        name: span.name,
        attributes: texts(span.attributes),
        links: span
            .links
            .iter()
            .map(|link| hexadecimal(&link.span_id))
            .collect(),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let attributes = attributes.into_iter();
    attributes.map(|one| (one.key, text(one.value))).collect()
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
