//! The beginning and the end of what is sent to a collector.

use std::env;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use hive_config::plan::TelemetryPlan;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter as _};

use crate::client::Client;
use crate::meters::Meters;
use crate::queue::{Queue, Report};

/// The name of what made the spans and the metrics.
const SCOPE: &str = "hive-host";

/// How long a request to a collector may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end waits for the last spans to be sent.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// An address, a header or another setting cannot be used.
    #[error(
        "spans and metrics cannot be sent to a collector: {0}; correct `[telemetry]` or the variables OTEL_EXPORTER_OTLP_…"
    )]
    Setting(String),
    /// The operating system gives no thread.
    #[error("the thread that sends spans could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What a host tells a collector. Clones are the same.
#[derive(Clone)]
pub struct Otlp(Arc<Inner>);

struct Inner {
    tracer: SdkTracer,
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
    meters: Meters,
    client_id: String,
}

impl Otlp {
    /// Begins, if hive.toml or the environment names a collector. Variables of the environment are those of
    /// OpenTelemetry's specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
    ///
    /// # Errors
    ///
    /// What is named cannot be used. A collector that does not answer is no error.
    pub fn start(
        plan: &TelemetryPlan,
        host: &str,
        version: &'static str,
        report: Arc<dyn Report>,
    ) -> Result<Option<Self>, StartFault> {
        let is_disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value == "true");
        let is_named = plan.otlp.is_some() || variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some();
        if is_disabled || !is_named {
            return Ok(None);
        }
        let resource = resource(host, version);
        let client = Client::new(patience());
        let endpoint = |signal: &Signal| signal.endpoint(plan.otlp.as_deref());
        let mut spans = SdkTracerProvider::builder().with_resource(resource.clone());
        if TRACES.is_wanted() {
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(client.clone());
            let exporter = match endpoint(&TRACES) {
                Some(endpoint) => exporter.with_endpoint(endpoint).build(),
                None => exporter.build(),
            };
            let mut exporter = exporter.map_err(|fault| StartFault::Setting(fault.to_string()))?;
            exporter.set_resource(&resource);
            spans = spans.with_span_processor(Queue::start(exporter, report)?);
        }
        if variable("OTEL_TRACES_SAMPLER").is_none() {
            let share = Sampler::TraceIdRatioBased(plan.sample.unwrap_or(1.0));
            spans = spans.with_sampler(Sampler::ParentBased(Box::new(share)));
        }
        let spans = spans.build();
        let mut metrics = SdkMeterProvider::builder().with_resource(resource);
        if METRICS.is_wanted() {
            let exporter = MetricExporter::builder()
                .with_http()
                .with_http_client(client);
            let exporter = match endpoint(&METRICS) {
                Some(endpoint) => exporter.with_endpoint(endpoint).build(),
                None => exporter.build(),
            };
            let exporter = exporter.map_err(|fault| StartFault::Setting(fault.to_string()))?;
            metrics = metrics.with_periodic_exporter(exporter);
        }
        let metrics = metrics.build();
        Ok(Some(Self(Arc::new(Inner {
            tracer: spans.tracer(SCOPE),
            meters: Meters::of(&metrics.meter(SCOPE)),
            spans,
            metrics,
            client_id: host.to_owned(),
        }))))
    }

    /// Sends what there is, and ends. Blocks for as long as the collector takes, up to some seconds.
    pub fn stop(&self) {
        let metrics = self.0.metrics.clone();
        let (done, ended) = sync_channel(1);
        // The library's own limit is longer than a stop may take: what still waits then ends with the process.
        let sending = std::thread::Builder::new()
            .name("hive-metrics".into())
            .spawn(move || {
                let _metrics_are_dropped = metrics.shutdown();
                let _nobody_waits = done.try_send(());
            });
        // A collector that is away has been reported.
        let _spans_are_dropped = self.0.spans.shutdown_with_timeout(GOODBYE);
        if sending.is_ok() {
            let _ended_or_not = ended.recv_timeout(GOODBYE);
        }
    }

    pub(crate) fn tracer(&self) -> &SdkTracer {
        &self.0.tracer
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.0.client_id
    }
}

/// One kind of what is sent.
struct Signal {
    path: &'static str,
    /// The variable with its own address.
    endpoint: &'static str,
    /// The variable that may turn it off.
    exporter: &'static str,
}

const TRACES: Signal = Signal {
    path: "/v1/traces",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    exporter: "OTEL_TRACES_EXPORTER",
};

const METRICS: Signal = Signal {
    path: "/v1/metrics",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    exporter: "OTEL_METRICS_EXPORTER",
};

impl Signal {
    fn is_wanted(&self) -> bool {
        variable(self.exporter).is_none_or(|exporter| exporter != "none")
    }

    /// The address in hive.toml, unless the environment has one, which the library reads itself.
    fn endpoint(&self, written: Option<&str>) -> Option<String> {
        let of_environment =
            variable(self.endpoint).or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT"));
        match of_environment {
            Some(_) => None,
            None => Some(format!("{}{}", written?, self.path)),
        }
    }
}

/// A variable that is not empty: an empty one counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn patience() -> Duration {
    let milliseconds = variable("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|text| text.parse().ok());
    milliseconds.map_or(PATIENCE, Duration::from_millis)
}

/// What the spans and the metrics are of. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence.
fn resource(host: &str, version: &'static str) -> Resource {
    let of_environment = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let has = |name: &str| {
        let mut names = of_environment
            .split(',')
            .filter_map(|one| one.split_once('='));
        names.any(|(other, _)| other.trim() == name)
    };
    let mut resource = Resource::builder();
    if variable("OTEL_SERVICE_NAME").is_none() && !has("service.name") {
        resource = resource.with_service_name(SCOPE);
    }
    let own = [
        ("service.instance.id", host.to_owned()),
        ("service.version", version.to_owned()),
    ];
    let own = own.into_iter().filter(|(name, _)| !has(name));
    resource
        .with_attributes(own.map(|(name, value)| KeyValue::new(name, value)))
        .build()
}
