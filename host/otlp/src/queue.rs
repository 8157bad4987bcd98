//! Ended spans on their way to the collector: a bounded queue, and one thread that sends them in batches.
//!
//! The library's own processor does the same, and does not say how many spans it drops.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use futures_executor::block_on;
use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::time::Instant;

/// Spans that may wait.
const ROOM: usize = 4096;

/// Spans in one request.
const BATCH: usize = 512;

/// How long a span waits for others at most.
const GATHERS: Duration = Duration::from_secs(1);

/// Gets what becomes of spans, on any thread.
pub trait Report: Send + Sync {
    /// So many spans are gone; `why` is `queue` where there was no room, and `collector` where it did not take them.
    fn dropped(&self, why: &'static str, spans: u64);

    /// The collector did not take spans.
    fn failed(&self, reason: &str);

    /// It took some.
    fn sent(&self);
}

enum Order {
    Span(Box<SpanData>),
    /// Sends what there is, and answers.
    Flush(SyncSender<()>),
}

/// Takes ended spans, and never blocks.
pub(crate) struct Queue {
    orders: SyncSender<Order>,
    report: Arc<dyn Report>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// Starts the thread, which ends when the queue is dropped.
    pub(crate) fn start(
        exporter: impl SpanExporter + 'static,
        report: Arc<dyn Report>,
    ) -> std::io::Result<Self> {
        let (orders, ordered) = sync_channel(ROOM);
        let exporting = Exporting {
            exporter,
            report: Arc::clone(&report),
            batch: Vec::with_capacity(BATCH),
        };
        std::thread::Builder::new()
            .name("hive-spans".into())
            .spawn(move || exporting.run(&ordered))?;
        Ok(Self { orders, report })
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        // No room, or the process ends: the delivery goes on in both cases.
        match self.orders.try_send(Order::Span(Box::new(span))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.report.dropped("queue", 1);
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.shutdown_with_timeout(Duration::from_secs(5))
    }

    /// Sends what there is. The thread ends with the queue itself.
    #[expect(
        clippy::disallowed_methods,
        reason = "it is called where waiting for a collector is all that is left to do"
    )]
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let (done, sent) = sync_channel(1);
        let ends = Instant::now() + timeout;
        let mut order = Order::Flush(done);
        // A full queue of a collector that does not answer is not waited for longer than that.
        loop {
            match self.orders.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < ends => {
                    order = back;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(_) => return Err(OTelSdkError::Timeout(timeout)),
            }
        }
        let left = ends.saturating_duration_since(Instant::now());
        sent.recv_timeout(left)
            .map_err(|_| OTelSdkError::Timeout(timeout))
    }
}

/// The thread.
struct Exporting<E> {
    exporter: E,
    report: Arc<dyn Report>,
    batch: Vec<SpanData>,
}

impl<E: SpanExporter> Exporting<E> {
    fn run(mut self, ordered: &Receiver<Order>) {
        while let Ok(first) = ordered.recv() {
            self.take(first);
            let ends = Instant::now() + GATHERS;
            while !self.batch.is_empty() && self.batch.len() < BATCH {
                let left = ends.saturating_duration_since(Instant::now());
                match ordered.recv_timeout(left) {
                    Ok(order) => self.take(order),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            self.send();
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Span(span) => self.batch.push(*span),
            Order::Flush(done) => {
                self.send();
                // Whoever asked may have stopped waiting.
                let _nobody_waits = done.try_send(());
            }
        }
    }

    fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let spans = batch.len();
        match block_on(self.exporter.export(batch)) {
            Ok(()) => self.report.sent(),
            Err(error) => {
                self.report
                    .dropped("collector", u64::try_from(spans).unwrap_or(u64::MAX));
                self.report.failed(&error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry::{InstrumentationScope, KeyValue};

    use super::*;

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn note(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Report for Told {
        fn dropped(&self, why: &'static str, spans: u64) {
            self.note(format!("{why} {spans}"));
        }

        fn failed(&self, reason: &str) {
            self.note(format!("failed {reason}"));
        }

        fn sent(&self) {
            self.note("sent".to_owned());
        }
    }

    /// Takes what it is told to take, once it may.
    #[derive(Debug)]
    struct Collector {
        takes: bool,
        may: Mutex<Receiver<()>>,
    }

    impl SpanExporter for Collector {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            let _nobody_holds_it_up = self.may.lock().unwrap().recv();
            match self.takes {
                true => Ok(()),
                false => Err(OTelSdkError::InternalFailure("away".to_owned())),
            }
        }
    }

    fn span() -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "one".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: Vec::<KeyValue>::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn queue(takes: bool) -> (Queue, SyncSender<()>, Arc<Told>) {
        let (lets, may) = sync_channel(10);
        let may = Mutex::new(may);
        let told = Arc::<Told>::default();
        let report: Arc<dyn Report> = Arc::<Told>::clone(&told);
        let queue = Queue::start(Collector { takes, may }, report).unwrap();
        (queue, lets, told)
    }

    #[test]
    fn what_a_collector_takes_is_sent_and_what_it_does_not_take_is_counted() {
        for (takes, wanted) in [
            (true, vec!["sent"]),
            (false, vec!["collector 2", "failed Operation failed: away"]),
        ] {
            let (queue, lets, told) = queue(takes);
            queue.on_end(span());
            queue.on_end(span());
            lets.send(()).unwrap();
            queue.force_flush().unwrap();
            assert_eq!(*told.0.lock().unwrap(), wanted);
        }
    }

    #[test]
    fn a_collector_that_stands_still_costs_spans_and_no_time() {
        let (queue, lets, told) = queue(true);
        for _ in 0..2 * (ROOM + BATCH) {
            queue.on_end(span());
        }
        let dropped = told.0.lock().unwrap().len();
        assert!(dropped >= ROOM, "only {dropped} were dropped");
        let late = queue.shutdown_with_timeout(Duration::from_millis(20));
        assert!(matches!(late, Err(OTelSdkError::Timeout(_))), "{late:?}");
        // Nobody holds it up any more.
        drop(lets);
    }
}
