//! The file as a whole, and the files that it includes.

use super::component::ComponentPlan;
use super::connection::ConnectionPlan;
use super::consumer::ConsumerPlan;
use super::host::HostPlan;
use super::http::HttpPlan;
use super::schedule::SchedulePlan;
use super::telemetry::TelemetryPlan;
use super::topology::{ExchangePlan, QueuePlan};
use super::{Key, Shape, StoreKeys};

table! {
    /// The sections of hive.toml.
    keys RootKeys of () {
        /// Files and globs; their connections, exchanges, queues, components, consumers and schedules count as part of this file.
        include -> Vec<String> as List(&Shape::Text);

        /// The host as a whole.
        host -> () as Table(HostPlan::KEYS);

        /// Connections by name. `main` is the default, and exists even if the file has no connections.
        connections -> () as Named(ConnectionPlan::KEYS);

        /// Exchanges by name, declared at every connection.
        exchanges -> () as Named(ExchangePlan::KEYS);

        /// Queues by name, declared at every connection.
        queues -> () as Named(QueuePlan::KEYS);

        /// WebAssembly components by name.
        components -> () as Named(ComponentPlan::KEYS);

        /// Consumers by name. At least one is required, unless there is `http` or a schedule.
        consumers -> () as Named(ConsumerPlan::KEYS);

        /// Requests over HTTP that the host publishes.
        http -> () as Table(HttpPlan::KEYS);

        /// Schedules by name: messages that the host publishes at times of the day.
        schedules -> () as Named(SchedulePlan::KEYS);

        /// What the host remembers: keys of dedup, offsets of streams, buckets of components.
        store -> () as Table(StoreKeys::KEYS);

        /// Spans and metrics for an OpenTelemetry collector.
        telemetry -> () as Table(TelemetryPlan::KEYS);
    }
}

/// The keys of the file as a whole.
pub(crate) const ROOT: &[Key] = RootKeys::KEYS;

/// The keys of an included file: the sections of which there are many entries.
pub(crate) const INCLUDED: &[Key] = &included();

const fn included() -> [Key; ROOT.len()] {
    let mut keys = [ROOT[0]; ROOT.len()];
    let mut at = 0;
    while at < ROOT.len() {
        keys[at] = ROOT[at];
        if !matches!(keys[at].shape, Shape::Named(_)) {
            keys[at].shape = Shape::MainFile;
            keys[at].meaning = "Belongs in the file that includes this one.";
        }
        at += 1;
    }
    keys
}
