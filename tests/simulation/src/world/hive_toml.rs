//! The hive.toml of the hosts: a consumer of each kind.

use super::Components;

/// The values between which a reload changes the prefetch.
const PREFETCHES: [u16; 2] = [20, 7];

/// That of the ordered queue stays: a smaller one may cost the order (docs/ordering.md).
const ORDERED_PREFETCH: u16 = 20;

/// Its text, after so many reloads.
pub(super) fn text(components: &Components, reloads: usize) -> String {
    let prefetch = PREFETCHES[reloads % PREFETCHES.len()];
    let Components { soak, batch, .. } = components;
    format!(
        r#"[host]
admin = "off"
shutdown_timeout = "10s"

[connections.main]
url = "amqp://guest:guest@broker:5672"
heartbeat = "10s"
connect_timeout = "5s"
reconnect = {{ first = "100ms", max = "5s" }}

[components.soak]
path = {soak:?}
log_lines = 1000000
timeout = "10m"

[components.batch]
path = {batch:?}
log_lines = 1000000
timeout = "10m"

[queues.out]
type = "quorum"

[queues.events]
type = "stream"

[consumers.work]
queue = "work"
component = "soak"
concurrency = 3
prefetch = {prefetch}
concurrency_by = {{ key = "header:key", limit = 1 }}
rate_by = {{ key = "header:key", rate = "1/s", burst = 3 }}
retry = {{ limit = 3, delays = ["2s", "10s"] }}

[consumers.ordered]
queue = "ordered"
component = "soak"
concurrency = 3
prefetch = {ORDERED_PREFETCH}
ordered_by = "header:key"
placement = "single"
retry = {{ limit = 3, delays = ["2s"] }}

[consumers.once]
queue = "once"
component = "soak"
concurrency = 2
prefetch = {prefetch}
dedup = {{ key = "message-id" }}
publish_dedup = {{ key = "message-id" }}
retry = {{ limit = 3, delays = ["2s", "10s"] }}

[consumers.many]
queue = "many"
component = "batch"
batch = {{ size = 4, wait = "500ms", by = "header:key" }}
retry = {{ limit = 3, delays = ["2s"] }}

[consumers.events]
queue = "events"
component = "soak"
concurrency = 2
stream = {{ offset = "first", on_error = "dead-letter" }}

[queues.work]
[queues.ordered]
[queues.once]
[queues.many]
"#
    )
}
