//! `[telemetry]`.

use std::sync::Arc;

table! {
    /// `[telemetry]`.
    #[derive(Debug, Clone, PartialEq, Default)]
    pub struct TelemetryPlan, meant TelemetryMeant {
        /// Where an OpenTelemetry collector takes OTLP over HTTP: spans at `/v1/traces`, metrics at `/v1/metrics`. See
        /// [traces](traces.md). `OTEL_EXPORTER_OTLP_ENDPOINT` takes precedence.
        otlp => Option<Arc<str>> as Text [restart],
            else "neither spans nor metrics are sent",
            written "URL",
            from |telemetry| telemetry.otlp.clone().unwrap_or_else(|| Arc::from("unset"));

        /// The share of traces that begin in this host and are sent. A message that belongs to a trace already is sent or
        /// not as the one that began it decided. `OTEL_TRACES_SAMPLER` takes precedence.
        sample: Option<f64> as Ratio [restart], else "1, which is all of them";
    }
}
