//! Another prefetch for a consumer, on the channel that it has: [`Resizing`].
//!
//! RabbitMQ applies `basic.qos` to new consumers alone. So a second consumer begins on the same channel
//! and the first one is cancelled. What that one was given stays with the host and is acknowledged as
//! before: a channel that is closed would return it.

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio_util::sync::CancellationToken;

use super::live::{Live, Next};
use crate::amqp::acks::flusher::AckSink;
use crate::amqp::limits::{AskFault, ask};

/// A consumer that takes the place of another on its channel.
pub(super) struct Resizing {
    pub(super) queue: ShortString,
    pub(super) prefetch: u16,
    /// The tag of the one that goes.
    pub(super) before: ShortString,
    /// The tag of the one that comes.
    pub(super) after: ShortString,
    /// Cancelled when nothing more is wanted at all.
    pub(super) drain: CancellationToken,
}

/// The consumer that took the place of another.
#[derive(Debug)]
pub(super) struct Resized {
    stream: lapin::Consumer,
    prefetch: u16,
}

impl Resizing {
    /// The new one begins before the old one ends: a queue that is deleted with its last consumer stays.
    pub(super) async fn carry_out(self, sink: &AckSink) -> Result<Resized, AskFault> {
        let Self {
            queue,
            prefetch,
            before,
            after,
            drain,
        } = self;
        let channel = sink.channel();
        ask(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        sink.consumes_as_well(after.clone());
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(queue, after.clone(), options, arguments);
        let stream = ask(consuming).await?;
        ask(channel.basic_cancel(before.clone(), BasicCancelOptions::default())).await?;
        sink.consumes_no_more(&before);
        if sink.is_leaving() || drain.is_cancelled() {
            // It may have been cancelled before it had begun.
            ask(channel.basic_cancel(after, BasicCancelOptions::default())).await?;
        }
        Ok(Resized { stream, prefetch })
    }
}

impl Live {
    /// Takes the deliveries of the new consumer, behind those of the old one. If both had some, the broker gave
    /// them out in turns; they are handed on in its order.
    pub(super) fn resize(&mut self, Resized { stream, prefetch }: Resized) {
        let mut old = std::mem::replace(&mut self.stream, stream);
        // A cancelled one ends with none, after all that came.
        while let Some(Some(next)) = old.next().now_or_never() {
            self.ahead.push_back(Some(next));
        }
        self.look_ahead();
        let tag = |next: &Next| match next {
            Some(Ok(delivery)) => delivery.delivery_tag,
            // Behind an error or the end nothing comes.
            _ => u64::MAX,
        };
        self.ahead.make_contiguous().sort_by_key(tag);
        self.sink.resize(prefetch);
    }
}
