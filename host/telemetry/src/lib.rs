//! What the host tells about itself, in log lines and in metrics: each fact in one place, so that
//! no two places word it or count it differently.
//!
//! ERROR is for what an operator must act on, WARN for what they will want to know of, INFO for
//! what the host does, DEBUG for each delivery. The metrics have Prometheus' names and units
//! (prometheus.io, "Metric and label naming"); `docs/operations.md` lists them.
//!
//! Whoever tells something often holds its meters: counting is one atomic addition then, with no
//! lock and no look-up on the way of a delivery.

mod batch;
mod bodies;
mod component;
mod consumer;
mod crew;
#[cfg(test)]
mod docs;
mod facts;
mod flow;
mod heard;
mod http;
mod ledger;
mod link;
mod log;
mod meters;
mod publisher;
mod quarantine;
mod recent;
mod replies;
mod schedule;
mod share;
mod spans;
mod stream;
mod swap;
mod words;

use std::sync::Arc;

use prometheus::IntGaugeVec;

pub use self::batch::{BatchAnswered, BatchGivenBack, BatchHanded, BatchTelemetry};
pub use self::bodies::BodiesInFlight;
pub use self::component::{CapabilityDenied, ComponentCounts, ComponentTelemetry, CountedInstance};
pub use self::consumer::{
    ConsumerTelemetry, DeliveryAbandoned, DeliveryCounts, DeliveryOverran, DeliverySettled, Exit,
    Failed, FailureReplied, HandlingTimes, InHand,
};
pub use self::crew::{CrewScaled, WorkerPanicked};
pub use self::facts::{Fact, Here, IN_SENTENCE, Observer, Row, observe, observe_here};
pub use self::flow::{ConsumerPaused, ConsumerResumed, DeliveryKept, KeptFor};
pub use self::heard::{Heard, HeardLines, Printed};
pub use self::http::{HttpConnection, HttpRouteTelemetry, HttpTelemetry};
pub use self::ledger::LedgerTelemetry;
pub use self::link::LinkTelemetry;
pub use self::log::LogTelemetry;
pub use self::publisher::{PublicationEnd, PublisherTelemetry};
pub use self::quarantine::QuarantineTold;
pub use self::recent::{Failure, InFlight};
pub use self::replies::RepliesTelemetry;
pub use self::schedule::ScheduleTelemetry;
pub use self::spans::SpansTelemetry;
pub use self::stream::StreamTelemetry;
pub use self::swap::{CanaryDecided, ComponentServes, SwapRefused};
pub use self::words::{
    BatchReason, Capability, ConnectionState, PausedBy, QueuePurpose, Remembered, RequestEnd, Role,
    ScheduleResult, SwapEnd,
};

use self::meters::{Lifetime, Meters};

/// Where everything is counted. Clones count in the same place.
#[derive(Debug, Clone)]
pub struct Telemetry(Arc<Meters>);

impl Telemetry {
    /// Nothing counted yet.
    ///
    /// # Errors
    ///
    /// Two metrics of one name, which is a fault of the host.
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Meters::new()?)))
    }

    /// What a consumer tells; its component is `component`. Metrics name its `table`, which several consumers may have.
    pub fn consumer(
        &self,
        consumer: &Arc<str>,
        table: &Arc<str>,
        component: &Arc<str>,
    ) -> ConsumerTelemetry {
        ConsumerTelemetry::new(&self.0, consumer, table, component)
    }

    /// What is told of what consumers of a table remember: of their `deliveries`, or of their `publications`.
    pub fn ledger(&self, table: &str, of: Remembered) -> LedgerTelemetry {
        LedgerTelemetry::new(&self.0, table, of)
    }

    /// What a consumer tells of the stream that it reads.
    pub fn stream(
        &self,
        consumer: &Arc<str>,
        queue: &Arc<str>,
        group: &Arc<str>,
    ) -> StreamTelemetry {
        StreamTelemetry::new(&self.0, consumer, queue, group)
    }

    /// What a consumer with batches tells of them.
    pub fn batches(
        &self,
        consumer: &Arc<str>,
        table: &Arc<str>,
        component: &Arc<str>,
    ) -> BatchTelemetry {
        BatchTelemetry::new(&self.0, consumer, table, component)
    }

    /// What the publisher of a consumer of this table tells.
    pub fn publisher(&self, table: &str) -> PublisherTelemetry {
        PublisherTelemetry::new(&self.0, table)
    }

    /// What is told of the replies that come over a connection.
    pub fn replies(&self, connection: &Arc<str>) -> RepliesTelemetry {
        RepliesTelemetry::new(&self.0, connection)
    }

    /// What is counted of requests over HTTP.
    pub fn http(&self) -> HttpTelemetry {
        HttpTelemetry::new(&self.0)
    }

    /// What is counted of a schedule.
    pub fn schedule(&self, schedule: &Arc<str>) -> ScheduleTelemetry {
        ScheduleTelemetry::new(&self.0, schedule)
    }

    /// What becomes of spans.
    pub fn spans(&self) -> SpansTelemetry {
        SpansTelemetry::new(&self.0)
    }

    /// What is counted of the bodies of deliveries in memory.
    pub fn bodies(&self) -> BodiesInFlight {
        BodiesInFlight::new(&self.0)
    }

    /// What one link of a connection tells; `name` is what the broker calls it.
    pub fn link(&self, connection: &str, role: Role, name: &str) -> LinkTelemetry {
        LinkTelemetry::new(&self.0, connection, role, name)
    }

    /// What is counted of the log.
    pub fn log(&self) -> LogTelemetry {
        LogTelemetry::new(&self.0)
    }

    /// What a component's instances tell.
    pub fn component(&self, component: &Arc<str>) -> ComponentTelemetry {
        ComponentTelemetry::new(&self.0, component)
    }

    /// What was counted of a component.
    pub fn component_counts(&self, component: &str) -> ComponentCounts {
        ComponentCounts::new(&self.0, component)
    }

    /// Notes the state of a link: `hive_connection_state`.
    pub fn link_state(&self, connection: &str, role: Role, state: ConnectionState) {
        self.0.link_state(connection, role, state);
    }

    /// Notes how many consumers of a table consume: `hive_consumer_up`.
    pub fn consumers_up(&self, consumer: &str, queue: &str, up: i64) {
        let gauge = self.0.consumer_up.with_label_values(&[consumer, queue]);
        gauge.set(up);
    }

    /// Notes how many consumers of a table stand by for another host: `hive_consumer_standby`.
    pub fn consumers_standing_by(&self, consumer: &str, queue: &str, standing_by: i64) {
        let gauge = self
            .0
            .consumer_standby
            .with_label_values(&[consumer, queue]);
        gauge.set(standing_by);
    }

    /// Notes how many messages wait in a queue of a consumer, `None` where that is unknown: `hive_queue_messages`.
    pub fn queue_depth(
        &self,
        consumer: &str,
        queue: &str,
        purpose: QueuePurpose,
        messages: Option<u64>,
    ) {
        let labels = [consumer, queue, purpose.as_str()];
        note_depth(&self.0.queue_messages, labels, messages);
    }

    /// The same of a queue that the consumers of a connection share: `hive_shared_queue_messages`.
    pub fn shared_queue_depth(
        &self,
        connection: &str,
        queue: &str,
        purpose: QueuePurpose,
        messages: Option<u64>,
    ) {
        let labels = [connection, queue, purpose.as_str()];
        note_depth(&self.0.shared_queue_messages, labels, messages);
    }

    /// A consumer is not in hive.toml any more, or starts anew.
    pub fn consumer_gone(&self, consumer: &str) {
        self.0.forget(Lifetime::Consumer, consumer);
    }

    /// A connection is not in hive.toml any more, or is opened anew.
    pub fn connection_gone(&self, connection: &str) {
        self.0.forget(Lifetime::Connection, connection);
    }

    /// A schedule is not in hive.toml any more, or starts anew.
    pub fn schedule_gone(&self, schedule: &str) {
        self.0.forget(Lifetime::Schedule, schedule);
    }

    /// Everything counted, in Prometheus' text format.
    ///
    /// # Errors
    ///
    /// A metric that cannot be written, which is a fault of the host.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        self.0.render()
    }
}

fn note_depth(depths: &IntGaugeVec, labels: [&str; 3], messages: Option<u64>) {
    match messages {
        Some(messages) => {
            let messages = messages.try_into().unwrap_or(i64::MAX);
            depths.with_label_values(&labels).set(messages);
        }
        None if depths.remove_label_values(&labels).is_err() => {
            tracing::trace!(?labels, "the depth of a queue is still unknown");
        }
        None => {}
    }
}
