//! Spans and metrics for a collector: begun with the host, and sent to the last one as it ends.

use std::sync::Arc;

use hive_config::plan::Plan;
use hive_core::codes::Coded;
use hive_lifecycle::Tasks;
use hive_otlp::{Otlp, Report};
use hive_telemetry::{SpansTelemetry, Telemetry};

use super::StartFault;

/// What becomes of spans, for the metrics and the log.
struct Told(SpansTelemetry);

impl Report for Told {
    fn dropped(&self, why: &'static str, spans: u64) {
        self.0.dropped(why, spans);
    }

    fn failed(&self, reason: &str) {
        self.0.failed(reason);
    }

    fn sent(&self) {
        self.0.sent();
    }
}

/// Begins, if a collector is named.
pub(super) fn start(
    plan: &Plan,
    tasks: &Tasks,
    telemetry: &Telemetry,
) -> Result<Option<Otlp>, StartFault> {
    let report = Arc::new(Told(telemetry.spans()));
    let version = env!("CARGO_PKG_VERSION");
    let started = Otlp::start(&plan.telemetry, &plan.host.name, version, report);
    let otlp = started.map_err(|fault| StartFault::Host(Coded::plain(&fault)))?;
    if let Some(otlp) = otlp.clone() {
        let (close, own) = (tasks.close().clone(), tasks.clone());
        tasks.spawn_service(async move {
            close.cancelled().await;
            if let Err(error) = own.spawn_blocking(move || otlp.stop()).await {
                tracing::debug!(%error, "the last spans were not sent");
            }
        });
    }
    Ok(otlp)
}
