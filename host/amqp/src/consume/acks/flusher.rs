//! Sends the acks that a channel's ack window owes. It is the only task that settles anything on that channel.
//!
//! It also closes the channel. Whatever ends it (a stop, a new subscription, an error), it first sends what is
//! settled by then and closes the channel afterwards, so that the broker takes back exactly the unsettled
//! deliveries.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::maybe_done;
use hive_lifecycle::Tasks;
use hive_lifecycle::failpoint;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::time::Instant;

use super::pace::Pace;
use super::sink::{AckSink, Subscribed};
use super::{Due, Frame};
use crate::consume::giving_back::{AtTheEnd, at_the_end};
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave, leave_at_its_end};
use crate::session::seats::Seat;
use crate::wire::endings::Cause;

/// How long an ack may wait for others to go with it.
const SOON: Duration = Duration::from_millis(5);

/// How long an ack may wait for a slow one below it. If the host died meanwhile the message would
/// come again though it is done, so this is not for ever.
const LATE: Duration = Duration::from_secs(1);

/// Starts the flusher of a channel that consumes. The `seat` is given back when the channel is closed.
pub(crate) fn start(
    subscribed: Subscribed,
    session: SharedSession,
    seat: Option<Seat>,
    tasks: &Tasks,
) -> Arc<AckSink> {
    let queue = subscribed.queue.clone();
    let sink = Arc::new(AckSink::new(subscribed));
    let flusher = Flusher {
        sink: sink.clone(),
        queue,
        tasks: tasks.clone(),
        session,
        _seat: seat,
        is_consuming: AtomicBool::new(true),
    };
    tasks.spawn_service(flusher.run());
    sink
}

struct Flusher {
    sink: Arc<AckSink>,
    queue: ShortString,
    tasks: Tasks,
    session: SharedSession,
    _seat: Option<Seat>,
    is_consuming: AtomicBool,
}

impl Flusher {
    async fn run(self) {
        let _settling_up = self.session.user();
        let _told_in_the_end = self.sink.ended.clone().drop_guard();
        if let Err(fault) = self.serve().await {
            tracing::debug!(%fault, "a channel that consumes is gone");
            if matches!(fault, AskFault::Silent) {
                self.session.discard();
            }
        }
        // A task that waits for something while it holds a delivery of this channel waits in vain.
        self.sink.retire();
        self.sink.lock().close();
        if let Err(fault) = self.refuse_the_rest().await {
            tracing::debug!(%fault, "what is not settled goes back with its channel");
        }
        // It closes with its connection at the latest.
        leave_at_its_end(&self.sink.channel, self.sink.end(), "consumer ended").await;
        drop(self.sink.kept().take());
    }

    async fn serve(&self) -> Result<(), AskFault> {
        let mut pace = Pace::new(Instant::now());
        while !self.sink.is_left() || self.is_consuming() {
            tokio::select! {
                biased;
                // Checked first, since other tasks wait for the cause, and the one that learns of the end
                // retires this.
                () = self.sink.end.over() => {
                    self.find_the_cause().await;
                    break;
                }
                () = self.tasks.close().cancelled() => break,
                () = self.sink.retire.cancelled() => break,
                () = self.session.over().cancelled() => break,
                () = self.tasks.drain().cancelled(), if self.is_consuming() => self.take_no_more().await?,
                () = self.sink.leave.cancelled(), if self.is_consuming() => self.take_no_more().await?,
                () = self.sink.wake.notified() => self.flush_when_due(&mut pace).await?,
            }
        }
        self.flush(true).await
    }

    /// A cancelled consumer says no reason: its queue is gone, or a delivery was unacknowledged for too
    /// long.
    async fn find_the_cause(&self) {
        let end = self.sink.end();
        if end.known_cause().is_some() {
            return;
        }
        // With nothing in flight, no delivery can have timed out: the queue is gone. Asking would cost the connection a
        // channel for each such queue. If the queue is there after all, a listing has it, and the consumer begins anew.
        if self.sink.is_discovered && self.sink.has_none() {
            end.because(Cause::Deleted);
            return;
        }
        let cause = match self.queue_is_there().await {
            // RabbitMQ 4.3 cancels the consumer a moment before the queue is gone.
            Ok(()) if self.sink.has_none() => Cause::Other(
                "the broker cancelled the consumer: its queue was deleted, or a prefetched delivery timed out"
                    .to_owned(),
            ),
            Ok(()) => Cause::TimedOut(None),
            Err(fault) if fault.is_not_found() => Cause::Deleted,
            Err(fault) => Cause::Other(format!("the broker cancelled the consumer: {fault}")),
        };
        end.because(cause);
    }

    async fn queue_is_there(&self) -> Result<(), AskFault> {
        let channel = self.session.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asked = channel.queue_declare(self.queue.clone(), options, FieldTable::default());
        ask(asked).await?;
        leave(&channel, "the queue is there").await;
        Ok(())
    }

    /// Gives back the unsettled deliveries in the way that the broker does not count, if closing the channel
    /// would be counted.
    async fn refuse_the_rest(&self) -> Result<(), AskFault> {
        let sink = &self.sink;
        if at_the_end(self.session.broker()) == AtTheEnd::Close
            || sink.is_stream.load(Ordering::Relaxed)
            || !sink.is_alive()
            || self.session.over().is_cancelled()
        {
            return Ok(());
        }
        // Otherwise the refused deliveries would be redelivered at once. A consumer that was cancelled before
        // stays cancelled. The only one among several hosts is cancelled here, with nothing in flight any more:
        // RabbitMQ 4.3.6 never forgets a consumer that it has told to make way for a higher priority, and whose
        // channel closes with deliveries on it.
        self.cancel().await?;
        let options = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        // Tag 0 means every delivery of the channel that is not settled.
        ask(sink.channel.basic_nack(0, options)).await
    }

    fn is_consuming(&self) -> bool {
        self.is_consuming.load(Ordering::Relaxed)
    }

    /// Deliveries that are already in the buffer are not handed out any more. They go back when the channel
    /// closes, which is when the last delivery in flight is settled.
    ///
    /// The only consumer among several hosts is not cancelled: with that, the broker activates the next host at once,
    /// while deliveries are in flight here, and with messages that are behind those. When a channel closes, the broker
    /// takes back first, and then activates the next. What it delivers until then only fills the buffer.
    async fn take_no_more(&self) -> Result<(), AskFault> {
        self.is_consuming.store(false, Ordering::Relaxed);
        self.sink.takes_no_more();
        match self.sink.is_single {
            true => Ok(()),
            false => self.cancel().await,
        }
    }

    async fn cancel(&self) -> Result<(), AskFault> {
        let tags = self.sink.consumer_tags().clone();
        for tag in tags {
            let options = BasicCancelOptions::default();
            ask(self.sink.channel.basic_cancel(tag, options)).await?;
        }
        Ok(())
    }

    /// Sends what is due.
    async fn flush_when_due(&self, pace: &mut Pace) -> Result<(), AskFault> {
        loop {
            let Some(patience) = patience(
                self.sink.due(),
                self.sink.is_idle(),
                pace.wait(Instant::now()),
            ) else {
                return Ok(());
            };
            let more_urgent = tokio::select! {
                biased;
                () = self.sink.end.over() => return Ok(()),
                () = self.tasks.close().cancelled() => return Ok(()),
                () = self.sink.retire.cancelled() => return Ok(()),
                () = self.session.over().cancelled() => return Ok(()),
                () = self.sink.wake.notified(), if !patience.is_zero() => true,
                () = pause(patience) => false,
            };
            if !more_urgent {
                let is_urgent = self.sink.is_urgent.swap(false, Ordering::AcqRel);
                self.flush(is_urgent || patience == LATE).await?;
                pace.sent(Instant::now());
                if is_urgent {
                    self.sink.sent.notify_waiters();
                }
            }
        }
    }

    async fn flush(&self, with_late: bool) -> Result<(), AskFault> {
        if !self.sink.is_alive() {
            return Ok(());
        }
        let takes_no_more = self.tasks.drain().is_cancelled() || self.sink.is_leaving();
        let frames = {
            let mut window = self.sink.lock();
            // Refused alone, it would be delivered here again, out of its order: nothing is cancelled yet.
            if takes_no_more && self.sink.is_single {
                window.leave_requeued_to_the_channel();
            }
            window.take(with_late)
        };
        // The consumer is cancelled first. Otherwise the broker would deliver again what goes back now, or more
        // for what is acknowledged, and count another return when the channel closes.
        if takes_no_more && self.is_consuming() {
            self.take_no_more().await?;
        }
        // All are on their way before the first is waited for: each wait costs two threads a wake-up. They are begun in
        // this order, and lapin writes them in the order in which they are begun: a `multiple` in front of a requeue would
        // ack what is to go back.
        let sending = frames.into_iter().map(|frame| maybe_done(self.send(frame)));
        let mut sending: Vec<_> = sending.map(Box::pin).collect();
        poll_fn(|context| {
            let polls = sending.iter_mut().map(|one| one.as_mut().poll(context));
            match polls.filter(Poll::is_pending).count() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
        let sent = sending.iter_mut().map(|one| one.as_mut().take_output());
        sent.flatten().collect()
    }

    async fn send(&self, frame: Frame) -> Result<(), AskFault> {
        let channel = &self.sink.channel;
        match frame {
            Frame::AckUpTo(tag) => {
                ask(channel.basic_ack(tag, BasicAckOptions { multiple: true })).await?;
            }
            Frame::Ack(tag) => {
                ask(channel.basic_ack(tag, BasicAckOptions { multiple: false })).await?;
            }
            Frame::Requeue(tag) => {
                let options = BasicNackOptions {
                    multiple: false,
                    requeue: true,
                };
                ask(channel.basic_nack(tag, options)).await?;
            }
        }
        failpoint::reached("ack.sent");
        Ok(())
    }
}

/// No sleep is as short as none: the shortest takes a millisecond.
async fn pause(patience: Duration) {
    if !patience.is_zero() {
        tokio::time::sleep(patience).await;
    }
}

/// How long what is owed may wait; nothing is owed without it. `is_idle` says that no other ack comes to go with it, and
/// `alone` how long an ack without others has to wait.
fn patience(due: Due, is_idle: bool, alone: Duration) -> Option<Duration> {
    match due {
        Due::Never => None,
        Due::Now => Some(Duration::ZERO),
        Due::Soon if is_idle => Some(alone),
        Due::Soon => Some(SOON),
        Due::Late => Some(LATE),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_due_at_once_waits_for_no_timer() {
        assert!(pause(Duration::ZERO).now_or_never().is_some());
        assert!(pause(SOON).now_or_never().is_none());
    }

    #[test]
    fn an_ack_waits_for_others_only_while_others_can_come() {
        for alone in [Duration::ZERO, Duration::from_micros(100)] {
            assert_eq!(patience(Due::Soon, true, alone), Some(alone));
            assert_eq!(patience(Due::Soon, false, alone), Some(SOON));
        }
    }

    #[test]
    fn what_is_urgent_or_late_is_so_in_an_idle_host_too() {
        for is_idle in [true, false] {
            for alone in [Duration::ZERO, Duration::from_micros(100)] {
                assert_eq!(patience(Due::Never, is_idle, alone), None);
                assert_eq!(patience(Due::Now, is_idle, alone), Some(Duration::ZERO));
                assert_eq!(patience(Due::Late, is_idle, alone), Some(LATE));
            }
        }
    }
}
