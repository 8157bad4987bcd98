//! Another prefetch for a consumer, on the channel that it has: [`Resizing`].
//!
//! RabbitMQ applies `basic.qos` to new consumers alone. So the first consumer is cancelled and a second one begins
//! on the same channel. What the first one was given stays with the host and is acknowledged as before: a channel
//! that is closed would return it.
//!
//! Messages that a quorum queue was about to give to the first consumer go back to the head of the queue. The second
//! one then gets them first, unless it consumes already: they would come after messages that were behind them.

use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::consume::acks::sink::AckSink;
use crate::session::limits::{AskFault, ask};

/// A consumer that takes the place of another on its channel.
pub(super) struct Resizing {
    pub(super) queue: ShortString,
    pub(super) prefetch: u16,
    /// Whether the queue stays between the two consumers. One that is deleted with its last consumer needs the
    /// second before the first ends.
    pub(super) queue_stays: bool,
    /// The tag of the one that goes.
    pub(super) before: ShortString,
    /// The tag of the one that comes.
    pub(super) after: ShortString,
    /// What the one that comes asks for.
    pub(super) arguments: FieldTable,
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
    pub(super) async fn carry_out(self, sink: &AckSink) -> Result<Resized, AskFault> {
        let channel = sink.channel();
        ask(channel.basic_qos(self.prefetch, BasicQosOptions::default())).await?;
        let stream = match self.queue_stays {
            true => {
                self.end_the_old(sink).await?;
                self.begin_the_new(sink).await?
            }
            false => {
                let stream = self.begin_the_new(sink).await?;
                self.end_the_old(sink).await?;
                stream
            }
        };
        if sink.is_leaving() || self.drain.is_cancelled() {
            // It may have been cancelled before it had begun.
            ask(channel.basic_cancel(self.after, BasicCancelOptions::default())).await?;
        }
        let prefetch = self.prefetch;
        Ok(Resized { stream, prefetch })
    }

    async fn begin_the_new(&self, sink: &AckSink) -> Result<lapin::Consumer, AskFault> {
        let (queue, tag) = (self.queue.clone(), self.after.clone());
        sink.consumes_as_well(tag.clone());
        let (options, arguments) = (BasicConsumeOptions::default(), self.arguments.clone());
        ask(sink.channel().basic_consume(queue, tag, options, arguments)).await
    }

    async fn end_the_old(&self, sink: &AckSink) -> Result<(), AskFault> {
        let options = BasicCancelOptions::default();
        ask(sink.channel().basic_cancel(self.before.clone(), options)).await?;
        sink.consumes_no_more(&self.before);
        Ok(())
    }
}

impl Live {
    /// Has the end of the new consumer told. The deliveries of both come by the same way, in the broker's order.
    pub(super) fn resize(&mut self, Resized { stream, prefetch }: Resized) {
        self.stream = stream;
        self.sink.resize(prefetch);
    }
}
