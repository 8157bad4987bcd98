//! What the page shows of the whole host, once and as it changes: server-sent events (HTML Standard, "Server-sent events").
//! One snapshot is made for all pages, and none where there is no page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream;
use hive_core::moments;
use hive_lifecycle::Tasks;
use hive_telemetry::{ComponentCounts, QueuePurpose};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Sources;
use super::guard::Guard;
use super::pulse::{Pulse, RatesView};
use super::wire::{ErrorView, Shows, StatusView};
use crate::status::Status;

/// Pages that are open at once.
const MOST_PAGES: usize = 200;

/// Between two snapshots.
const PERIOD: Duration = Duration::from_secs(1);

/// With so many consumers, snapshots come less often: they are as much larger.
const CONSUMERS: usize = 500;

/// A snapshot that a new page need not wait for.
const FRESH: Duration = Duration::from_millis(1_500);

/// The snapshots. Clones share them.
#[derive(Clone)]
pub(super) struct Live {
    newest: watch::Sender<Option<Snapshot>>,
    wanted: Arc<Notify>,
    pulse: Pulse,
}

#[derive(Clone)]
struct Snapshot {
    made: Instant,
    text: Arc<str>,
}

/// The whole host, with the rates of its consumers.
#[derive(Debug, Serialize)]
struct OverviewView<'a> {
    /// RFC 3339, in UTC.
    at: String,
    ready: bool,
    #[serde(flatten)]
    status: StatusView<'a>,
    /// By consumer.
    rates: BTreeMap<String, RatesView>,
    /// By component.
    counts: BTreeMap<String, CountsView>,
}

/// A component since the host started.
#[derive(Debug, Serialize)]
struct CountsView {
    /// In memory now.
    instances: u64,
    traps: u64,
    /// What it asked for and was not granted, by capability.
    denied: BTreeMap<&'static str, u64>,
}

impl From<ComponentCounts> for CountsView {
    fn from(counts: ComponentCounts) -> Self {
        let denied = counts.denied.into_iter();
        Self {
            instances: counts.instances,
            traps: counts.traps,
            denied: denied.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl Live {
    /// Makes snapshots for whoever looks, until the host has stopped.
    pub(super) fn start(sources: &Sources, pulse: &Pulse, tasks: &Tasks) -> Self {
        let live = Self {
            newest: watch::Sender::new(None),
            wanted: Arc::default(),
            pulse: pulse.clone(),
        };
        let (making, sources, close) = (live.clone(), sources.clone(), tasks.close().clone());
        tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = making.make(&sources) => {}
            }
        });
        live
    }

    async fn make(&self, sources: &Sources) {
        loop {
            let wanted = self.wanted.notified();
            if self.newest.receiver_count() == 0 {
                wanted.await;
                continue;
            }
            let status = (sources.measured)().await;
            let text = self.text(&status, sources);
            let many = 1 + status.consumers.len() / CONSUMERS;
            self.newest.send_replace(Some(Snapshot {
                made: Instant::now(),
                text: text.into(),
            }));
            let many = u32::try_from(many).unwrap_or(u32::MAX);
            tokio::time::sleep(PERIOD.saturating_mul(many)).await;
        }
    }

    fn text(&self, status: &Status, sources: &Sources) -> String {
        self.pulse.measured(waiting(status));
        let overview = self.overview(
            status,
            sources,
            Shows {
                files: false,
                bodies: sources.shows_bodies,
            },
        );
        serde_json::to_string(&overview).unwrap_or_default()
    }

    fn overview<'a>(
        &self,
        status: &'a Status,
        sources: &'a Sources,
        shows: Shows,
    ) -> OverviewView<'a> {
        OverviewView {
            at: moments::to_the_millisecond(SystemTime::now()),
            ready: status.is_ready(),
            status: StatusView::of(status, sources, shows),
            rates: self.pulse.rates(),
            counts: status
                .components
                .iter()
                .map(|component| {
                    let name = component.component.to_string();
                    let counts = sources.telemetry.component_counts(&name);
                    (name, counts.into())
                })
                .collect(),
        }
    }
}

/// The messages that wait for each consumer, as far as they are known.
fn waiting(status: &Status) -> BTreeMap<Arc<str>, u32> {
    let consumers = status.consumers.iter();
    let known = consumers.filter_map(|consumer| {
        let mut queues = consumer.queues.iter();
        let own = queues.find(|queue| queue.purpose == QueuePurpose::Consumed)?;
        Some((Arc::clone(&consumer.consumer), *own.messages.as_ref().ok()?))
    });
    known.collect()
}

/// The snapshot of this moment.
pub(super) async fn overview(
    State(sources): State<Sources>,
    Extension(live): Extension<Live>,
    Extension(guard): Extension<Guard>,
    headers: axum::http::HeaderMap,
) -> Response {
    let status = (sources.measured)().await;
    let shows = guard.shows(&headers, &sources);
    Json(live.overview(&status, &sources, shows)).into_response()
}

/// Each snapshot, from now on.
pub(super) async fn events(Extension(live): Extension<Live>) -> Response {
    if live.newest.receiver_count() >= MOST_PAGES {
        let error = format!("{MOST_PAGES} pages are open already");
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(ErrorView::new(None, error)),
        )
            .into_response();
    }
    let mut newest = live.newest.subscribe();
    let is_fresh = |snapshot: &Option<Snapshot>| {
        let snapshot = snapshot.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.made.elapsed() < FRESH)
    };
    let is_there = is_fresh(&newest.borrow());
    match is_there {
        true => newest.mark_changed(),
        false => newest.mark_unchanged(),
    }
    live.wanted.notify_one();
    let events = stream::unfold(newest, async |mut newest| {
        newest.changed().await.ok()?;
        let text = newest.borrow_and_update().clone()?.text;
        let event = format!("event: overview\ndata: {text}\n\n");
        Some((Ok::<_, std::convert::Infallible>(event), newest))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
        .into_response()
}
