//! A delivery that was settled, as JSON.

use hive_core::json::write_delivery;
use hive_core::moments;
use serde::Serialize;
use serde_json::Value;

use crate::tail::{Report, ShownMessage};

/// A delivery that was settled.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct DeliveryView<'a> {
    /// RFC 3339, in UTC.
    at: String,
    consumer: &'a str,
    queue: &'a str,
    /// Its name in log lines.
    delivery: &'a str,
    message_id: Option<&'a str>,
    exchange: &'a str,
    routing_key: &'a str,
    attempt: u32,
    redelivered: bool,
    /// Null for routes.
    component: Option<&'a str>,
    /// The version that handled it; null where none did.
    generation: Option<u64>,
    sha256: Option<&'a str>,
    /// `acked`, `retried`, `dead_lettered`, `requeued`, `duplicate`, `skipped`, `stopped` or `lost`.
    outcome: &'static str,
    /// `ack`, `publish`, `retry`, `reject` or `failed`; null where it came of something else.
    action: Option<&'static str>,
    /// How many publications it caused.
    publications: usize,
    /// Where the first ten of them went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    published_to: Vec<TargetView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// Why it went back to its queue, through no fault of the component.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// How long its retry waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<f64>,
    /// Its retry waits in the host, since later ones of its key must not overtake it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    /// How long the call took; null where there was none.
    call_ms: Option<f64>,
    /// How many deliveries the call was about, of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
    /// From its arrival to its settlement.
    took_ms: f64,
    /// The first lines that the component printed.
    log: Vec<LineView<'a>>,
    /// How many came after them.
    #[serde(skip_serializing_if = "is_none")]
    log_left_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView>,
}

#[derive(Debug, Serialize)]
struct TargetView<'a> {
    exchange: &'a str,
    routing_key: &'a str,
}

#[derive(Debug, Serialize)]
struct LineView<'a> {
    stream: &'static str,
    line: &'a str,
}

/// The message, as docs/message-format.md has it.
#[derive(Debug, Serialize)]
struct MessageView {
    delivery: Value,
    /// The size of the body.
    bytes: usize,
    /// The body, or the headers, are cut.
    cut: bool,
}

impl<'a> From<&'a Report> for DeliveryView<'a> {
    fn from(report: &'a Report) -> Self {
        let failure = report.failure.as_ref();
        let version = report.version.as_ref();
        let publications = report.publications.iter();
        let lines = report.log.lines.iter();
        Self {
            at: moments::to_the_millisecond(report.at),
            consumer: &report.consumer,
            queue: &report.queue,
            delivery: &report.delivery,
            message_id: report.message_id.as_deref(),
            exchange: &report.exchange,
            routing_key: &report.routing_key,
            attempt: report.attempt,
            redelivered: report.redelivered,
            component: report.component.as_deref(),
            generation: version.map(|version| version.generation),
            sha256: version.map(|version| &*version.sha256),
            outcome: report.outcome,
            action: report.action,
            publications: report.count,
            published_to: publications
                .map(|(exchange, routing_key)| TargetView {
                    exchange,
                    routing_key,
                })
                .collect(),
            class: failure.map(|failure| failure.class),
            code: failure.map(|failure| failure.code),
            error: failure.map(|failure| failure.error.as_str()),
            reason: report.reason.as_deref(),
            delay_ms: report.delay.map(|delay| delay.as_secs_f64() * 1e3),
            kept: report.kept,
            call_ms: report.call.map(|call| call.as_secs_f64() * 1e3),
            batch: report.batch,
            took_ms: report.took.as_secs_f64() * 1e3,
            log: lines
                .map(|(on, line)| LineView {
                    stream: on.as_str(),
                    line,
                })
                .collect(),
            log_left_out: report.log.left_out,
            message: report.message.as_ref().map(MessageView::from),
        }
    }
}

impl From<&ShownMessage> for MessageView {
    fn from(shown: &ShownMessage) -> Self {
        Self {
            delivery: write_delivery(&shown.envelope),
            bytes: shown.bytes,
            cut: shown.is_cut,
        }
    }
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
