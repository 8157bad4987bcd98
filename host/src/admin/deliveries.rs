//! The deliveries of one consumer: in flight, failed, and its samples for charts.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hive_core::codes::Code;
use hive_core::{moments, nearest};
use hive_telemetry::{ConsumerTelemetry, Failure, InFlight};
use serde::Serialize;

use super::Sources;
use super::pulse::Pulse;
use super::wire::ErrorView;

#[derive(Debug, Serialize)]
struct DeliveriesView {
    consumer: String,
    /// How many are in flight; of many, not all are listed.
    in_flight: u64,
    /// The oldest first.
    listed: Vec<InFlightView>,
    /// Newest first. One that was retried waits for its next attempt until it is due.
    failures: Vec<FailureView>,
}

#[derive(Debug, Serialize)]
struct InFlightView {
    delivery: String,
    attempt: u32,
    age_ms: u64,
}

#[derive(Debug, Serialize)]
struct FailureView {
    /// RFC 3339, in UTC.
    at: String,
    delivery: String,
    attempt: u32,
    /// `retried`, `dead_lettered`, `skipped` or `stopped`.
    outcome: &'static str,
    class: &'static str,
    code: &'static str,
    error: String,
    /// When the next attempt is due, of one that was retried. Jitter may bring it forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    took_ms: f64,
}

impl From<InFlight> for InFlightView {
    fn from(one: InFlight) -> Self {
        Self {
            delivery: one.delivery,
            attempt: one.attempt,
            age_ms: one.age.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }
}

impl From<Failure> for FailureView {
    fn from(one: Failure) -> Self {
        let due = one.delay.and_then(|delay| one.at.checked_add(delay));
        Self {
            at: moments::to_the_millisecond(one.at),
            delivery: one.delivery,
            attempt: one.attempt,
            outcome: one.outcome,
            class: one.class,
            code: one.code,
            error: one.error,
            due: due.map(|due: SystemTime| moments::to_the_millisecond(due)),
            took_ms: one.took.as_secs_f64() * 1e3,
        }
    }
}

/// Those in flight with their age, and the last failures.
pub(super) async fn deliveries(
    State(sources): State<Sources>,
    Path(name): Path<String>,
) -> Response {
    match consumer(&sources, &name) {
        Ok(telemetry) => Json(DeliveriesView {
            in_flight: telemetry.counts().in_flight,
            listed: telemetry
                .in_flight()
                .into_iter()
                .map(InFlightView::from)
                .collect(),
            failures: telemetry
                .failures()
                .into_iter()
                .map(FailureView::from)
                .collect(),
            consumer: name,
        })
        .into_response(),
        Err(unknown) => (StatusCode::NOT_FOUND, Json(unknown)).into_response(),
    }
}

/// The last five minutes, in samples.
pub(super) async fn series(
    State(sources): State<Sources>,
    Extension(pulse): Extension<Pulse>,
    Path(name): Path<String>,
) -> Response {
    match consumer(&sources, &name) {
        Ok(_) => Json(pulse.series(&name)).into_response(),
        Err(unknown) => (StatusCode::NOT_FOUND, Json(unknown)).into_response(),
    }
}

/// The consumer at work with this name.
pub(super) fn consumer(sources: &Sources, name: &str) -> Result<Arc<ConsumerTelemetry>, ErrorView> {
    let all = (sources.telemetries)();
    let found = all.iter().find(|one| one.consumer() == name);
    found.cloned().ok_or_else(|| {
        let names = all.iter().map(|one| one.consumer());
        let advice = nearest::advice(name, names, "the consumers at work are");
        let error = format!("no consumer {name:?} is at work; {advice}");
        ErrorView::new(Code::UnknownAtHost, error)
    })
}
