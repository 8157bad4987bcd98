//! Every metric by its name.

use prometheus::{
    Encoder, Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

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

/// The states of `hive_connection_state`.
const LINK_STATES: [&str; 4] = ["connecting", "open", "blocked", "closed"];

#[derive(Debug)]
pub(super) struct Meters {
    registry: Registry,
    pub(super) deliveries: IntCounterVec,
    pub(super) in_flight: IntGaugeVec,
    pub(super) workers: IntGaugeVec,
    pub(super) panics: IntCounterVec,
    pub(super) workers_wanted: IntGaugeVec,
    pub(super) depth: IntGaugeVec,
    pub(super) waiting: IntGaugeVec,
    pub(super) kept: IntGaugeVec,
    pub(super) quarantined: IntGaugeVec,
    pub(super) paused: IntGaugeVec,
    pub(super) pauses: IntCounterVec,
    pub(super) handling: HistogramVec,
    pub(super) batches: IntCounterVec,
    pub(super) batch_size: HistogramVec,
    pub(super) failures: IntCounterVec,
    pub(super) retries: IntCounterVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) failure_replies: IntCounterVec,
    pub(super) publications: IntCounterVec,
    pub(super) confirm: HistogramVec,
    pub(super) dedup_keys: IntGaugeVec,
    pub(super) reconnects: IntCounterVec,
    connection_state: IntGaugeVec,
    pub(super) consumer_up: IntGaugeVec,
    pub(super) stream_offset: IntGaugeVec,
    pub(super) stream_stored: IntGaugeVec,
    pub(super) instances: IntGaugeVec,
    pub(super) traps: IntCounterVec,
    pub(super) generation: IntGaugeVec,
    pub(super) component_info: IntGaugeVec,
    pub(super) swaps: IntCounterVec,
    pub(super) denied: IntCounterVec,
    pub(super) lines_dropped: IntCounterVec,
    pub(super) log_lines_dropped: IntCounterVec,
}

impl Meters {
    /// A help text is kept once more for each series: it is short, and docs/operations.md says the rest.
    pub(super) fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, Error>(gauge)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], bounds: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
            let histogram = HistogramVec::new(options, labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, Error>(histogram)
        };
        let seconds =
            |name: &str, help: &str, labels: &[&str]| histogram(name, help, labels, SECONDS);
        let version = gauge(
            "hive_build_info",
            "Always 1; the label tells the host's version.",
            &["version"],
        )?;
        version
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Self {
            deliveries: counter(
                "hive_deliveries_total",
                "Deliveries that left the host, by the way they left.",
                &["consumer", "outcome"],
            )?,
            in_flight: gauge(
                "hive_deliveries_in_flight",
                "Deliveries that are being handled or settled now.",
                &["consumer"],
            )?,
            workers: gauge("hive_workers", "Workers of a consumer.", &["consumer"])?,
            panics: counter(
                "hive_worker_panics_total",
                "Workers that panicked, which is a fault of the host, and that continued.",
                &["consumer"],
            )?,
            workers_wanted: gauge(
                "hive_workers_wanted",
                "Workers that a consumer is to have.",
                &["consumer"],
            )?,
            depth: gauge(
                "hive_waiting_messages",
                "Messages that wait for a consumer with scale.",
                &["consumer"],
            )?,
            waiting: gauge(
                "hive_deliveries_waiting",
                "Deliveries that wait in the host for others of their key.",
                &["consumer"],
            )?,
            kept: gauge(
                "hive_deliveries_kept",
                "Deliveries that are kept in the host until something that they need works again.",
                &["consumer"],
            )?,
            quarantined: gauge(
                "hive_deliveries_quarantined",
                "Deliveries that may have ended the host and are tried alone.",
                &["consumer"],
            )?,
            paused: gauge(
                "hive_consumer_paused",
                "1 while a consumer is paused, by what paused it.",
                &["consumer", "by"],
            )?,
            pauses: counter(
                "hive_consumer_pauses_total",
                "Times that a consumer was paused, by what paused it.",
                &["consumer", "by"],
            )?,
            handling: seconds(
                "hive_handling_seconds",
                "Time that the component took for a delivery or a batch.",
                &["consumer", "component"],
            )?,
            batches: counter(
                "hive_batches_total",
                "Batches handed to the component, by why they were.",
                &["consumer", "reason"],
            )?,
            batch_size: histogram(
                "hive_batch_size",
                "Deliveries in a batch.",
                &["consumer"],
                SIZES,
            )?,
            failures: counter(
                "hive_failures_total",
                "Deliveries that were not handled, by class.",
                &["consumer", "class"],
            )?,
            retries: counter(
                "hive_retries_total",
                "Deliveries that get another attempt.",
                &["consumer"],
            )?,
            dead_letters: counter(
                "hive_dead_letters_total",
                "Deliveries put into the dead-letter queue.",
                &["consumer"],
            )?,
            failure_replies: counter(
                "hive_failure_replies_total",
                "Replies that say why a message was dead-lettered.",
                &["consumer", "result"],
            )?,
            publications: counter(
                "hive_publications_total",
                "Publications, copies included, by how they ended.",
                &["consumer", "result"],
            )?,
            confirm: seconds(
                "hive_confirm_seconds",
                "Time until a batch of publications was confirmed.",
                &["consumer"],
            )?,
            dedup_keys: gauge(
                "hive_dedup_keys",
                "Keys that a consumer remembers.",
                &["consumer", "of"],
            )?,
            reconnects: counter(
                "hive_reconnects_total",
                "Connections that were opened again.",
                &["connection", "role"],
            )?,
            connection_state: gauge(
                "hive_connection_state",
                "1 for the state that a connection is in, 0 for the others.",
                &["connection", "role", "state"],
            )?,
            consumer_up: gauge(
                "hive_consumer_up",
                "1 while the consumer is subscribed to its queue.",
                &["consumer", "queue"],
            )?,
            stream_offset: gauge(
                "hive_stream_offset",
                "The lowest offset that is not handled.",
                &["consumer", "queue"],
            )?,
            stream_stored: gauge(
                "hive_stream_stored_offset",
                "The offset that the store has.",
                &["consumer", "queue"],
            )?,
            instances: gauge(
                "hive_instances",
                "Instances of a component that are in memory.",
                &["component"],
            )?,
            generation: gauge(
                "hive_component_generation",
                "The generation of a component that serves, counted from 1 since the host started.",
                &["component"],
            )?,
            component_info: gauge(
                "hive_component_info",
                "Always 1; the label tells the SHA-256 of the file that serves.",
                &["component", "sha256"],
            )?,
            swaps: counter(
                "hive_swaps_total",
                "Versions of a component that were to take over, by what became of them: swapped, refused, rolled_back.",
                &["component", "result"],
            )?,
            traps: counter(
                "hive_traps_total",
                "Instances that ended by a trap, a timeout or a limit.",
                &["component"],
            )?,
            denied: counter(
                "hive_denied_total",
                "What a component asked of the host and was not granted, by capability: http, dirs, sockets, publish.",
                &["component", "capability"],
            )?,
            lines_dropped: counter(
                "hive_guest_lines_dropped_total",
                "Lines that a component printed beyond its log_lines a second, and that were left out of the log.",
                &["component"],
            )?,
            log_lines_dropped: counter(
                "hive_log_lines_dropped_total",
                "Log lines that were dropped: standard error was not read, or could not be written.",
                &[],
            )?,
            registry,
        })
    }

    pub(super) fn link_state(&self, connection: &str, role: &str, state: &str) {
        for known in LINK_STATES {
            let labels = [connection, role, known];
            let gauge = self.connection_state.with_label_values(&labels);
            gauge.set(i64::from(known == state));
        }
    }

    /// Both links of a connection that is not there any more.
    pub(super) fn forget_link(&self, connection: &str) {
        for role in ["consume", "publish"] {
            for state in LINK_STATES {
                let labels = [connection, role, state];
                // It may never have been asked for.
                let _was_there = self.connection_state.remove_label_values(&labels);
            }
        }
    }

    pub(super) fn render(&self) -> Result<String, Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| Error::Msg(error.to_string()))
    }
}
