//! Every metric, once: its name, labels, lifetime and texts. Registration, removal and the table in
//! docs/operations.md come from it.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::words::{ConnectionState, Role};

/// Bounds in seconds, from what a small component takes to a `timeout` of some length.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Bounds in deliveries.
const SIZES: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
    20_000.0, 50_000.0,
];

/// How long the series of a metric are there: as long as what the label of that name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// To the end of the process: counters, so that a rate over a reload is right.
    Host,
    /// As long as hive.toml has `[connections.NAME]`.
    Connection,
    /// As long as hive.toml has `[consumers.NAME]`.
    Consumer,
    /// As long as hive.toml has `[components.NAME]`.
    Component,
    /// As long as hive.toml has `[schedules.NAME]`.
    Schedule,
}

impl Lifetime {
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Connection => Some("connection"),
            Self::Consumer => Some("consumer"),
            Self::Component => Some("component"),
            Self::Schedule => Some("schedule"),
        }
    }
}

/// One metric, for the table in docs/operations.md.
#[cfg(test)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) lifetime: Lifetime,
    pub(super) page: &'static str,
}

/// Declares the metrics: `field: kind "name" [labels], lifetime, "help", "text of the page";`. The help is
/// kept once more for each series, so it is short, and the page says the rest.
macro_rules! meters {
    ($($field:ident: $kind:ident $(($bounds:ident))? $name:literal [$($label:ident),*], $lifetime:ident,
        $help:literal, $page:literal;)*) => {
        #[derive(Debug)]
        pub(super) struct Meters {
            registry: Registry,
            $(pub(super) $field: vec_of!($kind),)*
        }

        impl Meters {
            #[cfg(test)]
            pub(super) const ROWS: &[Row] = &[
                $(Row {
                    name: $name,
                    kind: stringify!($kind),
                    labels: &[$(stringify!($label)),*],
                    lifetime: Lifetime::$lifetime,
                    page: $page,
                },)*
            ];

            pub(super) fn new() -> Result<Self, Error> {
                let registry = Registry::new();
                let meters = Self {
                    $($field: $kind(&registry, $name, $help, &[$(stringify!($label)),*] $(, $bounds)?)?,)*
                    registry,
                };
                meters.begin()?;
                Ok(meters)
            }

            /// The gauges, with their lifetimes.
            fn gauges(&self) -> impl Iterator<Item = (&IntGaugeVec, Lifetime)> {
                let all = [$(gauge_of!($kind, &self.$field, Lifetime::$lifetime),)*];
                all.into_iter().flatten()
            }
        }
    };
}

macro_rules! vec_of {
    (counter) => {
        IntCounterVec
    };
    (gauge) => {
        IntGaugeVec
    };
    (histogram) => {
        HistogramVec
    };
}

macro_rules! gauge_of {
    (gauge, $vec:expr, $lifetime:expr) => {
        Some(($vec, $lifetime))
    };
    ($other:ident, $vec:expr, $lifetime:expr) => {
        None
    };
}

fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, Error> {
    let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    bounds: &[f64],
) -> Result<HistogramVec, Error> {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    let histogram = HistogramVec::new(options, labels)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

meters! {
    deliveries: counter "hive_deliveries_total" [consumer, outcome], Host,
        "Deliveries that left the host, by the way they left.",
        "Settled deliveries, by outcome: `acked`, `retried`, `dead_lettered`, `requeued` (because of a problem outside the component), `abandoned` (still in flight at the end of `shutdown_timeout`), `duplicate` (acknowledged without being handled: [deduplication](deduplication.md)), `skipped` and `stopped` (a message of a [stream](streams.md) that failed), `lost` (the channel closed before the acknowledgement; the broker delivers the message again).";
    in_flight: gauge "hive_deliveries_in_flight" [consumer], Consumer,
        "Deliveries that are being handled or settled now.",
        "Deliveries that are being handled or settled now.";
    body_bytes: gauge "hive_body_bytes_in_flight" [], Host,
        "Bytes of the bodies of deliveries in memory, without small ones.",
        "Bytes of the bodies of deliveries in memory, over all consumers, without those of at most 4 KiB. At most [`host.memory_in_flight`](reliability.md#memory), or one body that is larger.";
    handling: histogram(SECONDS) "hive_handling_seconds" [consumer, component], Host,
        "Time that the component took for a delivery or a batch.",
        "Time that the component needed for a delivery, or for a [batch](batches.md).";
    batches: counter "hive_batches_total" [consumer, reason], Host,
        "Batches handed to the component, by why they were.",
        "Batches handed to the component: `size` (full), `wait` (its first delivery had waited long enough).";
    batch_size: histogram(SIZES) "hive_batch_size" [consumer], Host,
        "Deliveries in a batch.",
        "Deliveries in a batch.";
    workers: gauge "hive_workers" [consumer], Consumer,
        "Workers of a consumer.",
        "Current workers: deliveries, or batches, that the consumer can handle at once.";
    panics: counter "hive_worker_panics_total" [consumer], Host,
        "Workers that panicked, which is a fault of the host, and that continued.",
        "Workers that panicked, which is a fault of the host. The delivery went back to its queue, and the worker continued after a pause.";
    workers_wanted: gauge "hive_workers_wanted" [consumer], Consumer,
        "Workers that a consumer is to have.",
        "Wanted workers, by `concurrency` or [`scale`](scaling.md).";
    depth: gauge "hive_waiting_messages" [consumer], Consumer,
        "Messages that wait for a consumer with scale.",
        "Messages that wait for a consumer with `scale`: at the broker, or prefetched and not started. Missing while the number is unknown.";
    queue_messages: gauge "hive_queue_messages" [consumer, queue, purpose], Consumer,
        "Messages that wait in a queue of a consumer, as the broker reports them.",
        "Messages that wait at the broker in a queue of the consumer, by `purpose`: `consumed`, `delay` (retries), `dead_letter`. The host asks the broker at a scrape. Missing while the number is unknown.";
    shared_queue_messages: gauge "hive_shared_queue_messages" [connection, queue, purpose], Connection,
        "Messages that wait in a queue that consumers share, as the broker reports them.",
        "Messages that wait at the broker in a queue that all consumers of a vhost share for their retries, by `purpose`: `delay`, or `lost` for those whose queue was deleted. Missing while the number is unknown, or as long as there is no such queue.";
    failures: counter "hive_failures_total" [consumer, class], Host,
        "Deliveries that were not handled, by class.",
        "Failures by class, as in [retry and dead letters](retry-and-dead-letters.md).";
    waiting: gauge "hive_deliveries_waiting" [consumer], Consumer,
        "Deliveries that wait in the host for others of their key.",
        "Deliveries that wait in the host for earlier ones of their [key](ordering.md), or for their own next attempt.";
    limited: gauge "hive_deliveries_limited" [consumer], Consumer,
        "Deliveries that wait in the host because their key is at its limit.",
        "Deliveries that wait in the host because their [key](by-key.md) is at the limit of `concurrency_by` or `rate_by`.";
    kept: gauge "hive_deliveries_kept" [consumer], Consumer,
        "Deliveries that are kept in the host until something that they need works again.",
        "Deliveries that are [kept in the host](reliability.md#kept-in-the-host) because something outside the component failed. Zero when all is well.";
    quarantined: gauge "hive_deliveries_quarantined" [consumer], Consumer,
        "Deliveries that may have ended the host and are tried alone.",
        "Deliveries that the host may have [died of](reliability.md#a-message-that-ends-the-host): waiting to be handled alone, or being handled so.";
    retries: counter "hive_retries_total" [consumer], Host,
        "Deliveries that get another attempt.",
        "Deliveries put into a delay queue, or [kept in the host](ordering.md) for their retry.";
    dead_letters: counter "hive_dead_letters_total" [consumer], Host,
        "Deliveries put into the dead-letter queue.",
        "Messages put into the dead-letter queue.";
    dedup_keys: gauge "hive_dedup_keys" [consumer, of], Consumer,
        "Keys that a consumer remembers.",
        "Remembered keys of `deliveries` or of `publications`: [deduplication](deduplication.md#metrics).";
    publications: counter "hive_publications_total" [consumer, result], Host,
        "Publications, copies included, by how they ended.",
        "Publications by result, including the host's copies for retries and dead letters: `confirmed`, `returned`, `refused`, `nacked`, `timed_out`, `disconnected`; `duplicate` if [deduplication](deduplication.md#publications) left it out.";
    failure_replies: counter "hive_failure_replies_total" [consumer, result], Host,
        "Replies that say why a message was dead-lettered.",
        "Replies of `reply_on_failure`: `confirmed` (even if the requester no longer waits), `refused`.";
    confirm: histogram(SECONDS) "hive_confirm_seconds" [consumer], Host,
        "Time until the publications of one call were confirmed.",
        "Time from when the publisher takes the publications of one call, or a copy of a message, until the broker has answered for all of them.";
    consumer_up: gauge "hive_consumer_up" [consumer, queue], Consumer,
        "1 while the consumer is subscribed to its queue.",
        "1 while the consumer consumes; of a consumer with [`queues`](discovery.md#metrics), the number of queues that are consumed.";
    consumer_standby: gauge "hive_consumer_standby" [consumer, queue], Consumer,
        "1 while a consumer with placement = single is subscribed and the broker gives it nothing.",
        "1 while a consumer with `placement = \"single\"` [stands by](placement.md#standby), 0 while it handles messages.";
    stream_offset: gauge "hive_stream_offset" [consumer, queue], Consumer,
        "The lowest offset that is not handled.",
        "The lowest offset of the [stream](streams.md) that is not handled.";
    stream_stored: gauge "hive_stream_stored_offset" [consumer, queue], Consumer,
        "The offset that the store has.",
        "The offset in the store: where the consumer continues after a restart.";
    paused: gauge "hive_consumer_paused" [consumer, by], Consumer,
        "1 while a consumer is paused, by what paused it.",
        "1 while the consumer is [paused](flow.md); `by` is `hand` or `failures`.";
    pauses: counter "hive_consumer_pauses_total" [consumer, by], Host,
        "Times that a consumer was paused, by what paused it.",
        "How often the consumer was paused.";
    connection_state: gauge "hive_connection_state" [connection, role, state], Connection,
        "1 for the state that a connection is in, 0 for the others.",
        "1 for the current state.";
    reconnects: counter "hive_reconnects_total" [connection, role], Host,
        "Connections that were opened again.",
        "How often the connection was opened again after a loss.";
    instances: gauge "hive_instances" [component], Component,
        "Instances of a component that are in memory.",
        "Instances in memory.";
    traps: counter "hive_traps_total" [component], Host,
        "Instances that ended by a trap, a timeout or a limit.",
        "Instances that ended because of a trap, a timeout or a limit.";
    generation: gauge "hive_component_generation" [component], Component,
        "The generation of a component that serves, counted from 1 since the host started.",
        "The [generation](hot-swap.md) that serves now, counted from 1.";
    component_info: gauge "hive_component_info" [component, sha256], Component,
        "Always 1; the label tells the SHA-256 of the file that serves.",
        "Always 1, with the SHA-256 of the file that serves now.";
    swaps: counter "hive_swaps_total" [component, result], Host,
        "Versions of a component that were to take over, by what became of them: swapped, refused, rolled_back.",
        "Swaps by result: `swapped`, `refused`, `rolled_back` (a canary).";
    lines_dropped: counter "hive_guest_lines_dropped_total" [component], Host,
        "Lines that a component printed beyond its log_lines a second, and that were left out of the log.",
        "Lines beyond `log_lines` a second, which the host left out of the log.";
    log_lines_dropped: counter "hive_log_lines_dropped_total" [], Host,
        "Log lines that were dropped: standard error was not read, or could not be written.",
        "Lines that are missing in the [log](#the-log): standard error was not read, or could not be written.";
    denied: counter "hive_denied_total" [component, capability], Host,
        "What a component asked of the host and was not granted, by capability: http, dirs, keyvalue, sockets, publish, request, blobstore.",
        "Requests of a component that were not granted: `http`, `dirs`, `keyvalue`, `sockets`, `publish`, `request`, `blobstore`. See [the sandbox](sandbox.md).";
    requests: counter "hive_requests_total" [component, result], Host,
        "Requests of a component to others over the broker, by result.",
        "[Requests](requests.md) of a component over the broker: `answered`, `not_allowed`, `refused`, `unroutable`, `timed_out`, `disconnected`, `too_large`.";
    request_seconds: histogram(SECONDS) "hive_request_seconds" [component], Host,
        "Time from a request over the broker to its end.",
        "Time from a [request](requests.md) over the broker to its reply, or to the end without one.";
    replies_dropped: counter "hive_replies_dropped_total" [connection], Host,
        "Replies that no request waits for.",
        "Replies that no [request](requests.md) waits for: they came too late or twice, or have the correlation id of no request.";
    spans_dropped: counter "hive_spans_dropped_total" [reason], Host,
        "Spans that did not reach the collector.",
        "Spans that did not reach the collector: `queue` where there was no room for them, `collector` where it did not take them.";
    http_requests: counter "hive_http_requests_total" [route, status], Host,
        "Requests over HTTP, by their answer.",
        "Requests of [HTTP in](http.md), by the route as hive.toml names it and the status of the answer. `route` is empty where no route took the request.";
    http_seconds: histogram(SECONDS) "hive_http_request_seconds" [route], Host,
        "Time from the head of a request to its answer.",
        "Time from the head of a request to its answer, its body and the broker's confirmation included.";
    http_connections: gauge "hive_http_connections" [], Host,
        "Connections of clients over HTTP.",
        "Connections of clients of [HTTP in](http.md).";
    schedule_firings: counter "hive_schedule_firings_total" [schedule, result], Host,
        "Firings of a schedule, by what became of them.",
        "Firings of a [schedule](schedules.md): `fired`, `left_out` (missed, by its `missed`), `failed` (an attempt that the broker did not confirm; the firing is tried again).";
    schedule_active: gauge "hive_schedule_active" [schedule], Schedule,
        "1 while this host fires the schedule.",
        "1 while this host fires the [schedule](schedules.md); 0 while it stands by for another one. The sum over all hosts is 1.";
    schedule_next: gauge "hive_schedule_next_timestamp_seconds" [schedule], Schedule,
        "When the schedule fires next, in seconds since 1970.",
        "When the [schedule](schedules.md) fires next, in seconds since 1970. On the host that fires, a time that is over means a firing that cannot be published.";
    build_info: gauge "hive_build_info" [version], Host,
        "Always 1; the label tells the host's version.",
        "Always 1.";
}

impl Meters {
    /// What is told from the start on.
    fn begin(&self) -> Result<(), Error> {
        let version = self
            .build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION")]);
        version.set(1);
        #[cfg(target_os = "linux")]
        self.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(())
    }

    pub(super) fn link_state(&self, connection: &str, role: Role, state: ConnectionState) {
        for known in ConnectionState::ALL {
            let labels = [connection, role.as_str(), known.as_str()];
            let gauge = self.connection_state.with_label_values(&labels);
            gauge.set(i64::from(known == state));
        }
    }

    /// Removes every series of what has this name and is no more.
    pub(super) fn forget(&self, lifetime: Lifetime, name: &str) {
        let Some(label) = lifetime.label() else {
            return;
        };
        for (gauge, _) in self.gauges().filter(|(_, its)| *its == lifetime) {
            for family in gauge.collect() {
                for series in family.get_metric() {
                    let labels = series.get_label().iter();
                    let labels = labels.map(|label| (label.name(), label.value()));
                    let labels: HashMap<&str, &str> = labels.collect();
                    if labels.get(label) == Some(&name) && gauge.remove(&labels).is_err() {
                        tracing::trace!(label, name, "a series was removed meanwhile");
                    }
                }
            }
        }
    }

    pub(super) fn render(&self) -> Result<String, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| Error::Msg(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
