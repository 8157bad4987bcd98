//! Sends the acks that a channel's ack window owes. It is the only task that settles anything on that channel.
//!
//! It also closes the channel. Whatever ends it (a stop, a new subscription, an error), it first sends what is
//! settled by then and closes the channel afterwards, so that the broker takes back exactly the unsettled
//! deliveries.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hive_lifecycle::Tasks;
use hive_lifecycle::failpoint;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::waits::Waits;
use super::{Due, Frame, Window};
use crate::consume::giving_back::{AtTheEnd, at_the_end};
use crate::consume::settlement::Settled;
use crate::link::Consuming;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, GOODBYE_TIMEOUT, ask, leave};
use crate::wire::endings::{Cause, End};

/// How long an ack may wait for others to go with it.
const SOON: Duration = Duration::from_millis(5);

/// How long an ack may wait for a slow one below it. If the host died meanwhile the message would
/// come again though it is done, so this is not for ever.
const LATE: Duration = Duration::from_secs(1);

/// How long a caller waits for acks that are sent at once. A broker that takes longer is in trouble, and
/// redelivers what it did not receive.
const SENDING: Duration = Duration::from_secs(1);

/// Takes the settlements of one channel.
#[derive(Debug)]
pub(crate) struct AckSink {
    window: Mutex<Window>,
    channel: Channel,
    /// The tags of the consumers on it: one, and for a moment two while the prefetch changes.
    consumer_tags: Mutex<Vec<ShortString>>,
    wake: Notify,
    /// All that is owed is to be sent now.
    is_urgent: AtomicBool,
    /// All that was owed was sent.
    sent: Notify,
    retire: CancellationToken,
    /// No further deliveries are wanted; the channel stays open until nothing is in flight.
    leave: CancellationToken,
    /// Deliveries of this channel that must still be settled.
    in_hand: AtomicUsize,
    /// There was a delivery.
    has_delivered: AtomicBool,
    waits: Waits,
    /// How the broker ends it.
    end: Arc<End>,
    since: Instant,
    /// The last moment, in milliseconds since then, at which nothing was in flight and no delivery was on its
    /// way.
    idle_until: AtomicU64,
    /// Its queue is a stream, in which nothing may be refused.
    is_stream: AtomicBool,
    /// The channel is closed.
    ended: CancellationToken,
}

impl AckSink {
    /// Starts the flusher of a channel that consumes from `queue` as `consumer_tag`, and ends with `end`.
    pub(crate) fn start(
        (channel, end): (Channel, Arc<End>),
        (queue, consumer_tag): (ShortString, ShortString),
        prefetch: u16,
        session: SharedSession,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let sink = Arc::new(Self {
            window: Mutex::new(Window::new(prefetch)),
            channel,
            consumer_tags: Mutex::new(vec![consumer_tag]),
            wake: Notify::new(),
            is_urgent: AtomicBool::new(false),
            sent: Notify::new(),
            retire: CancellationToken::new(),
            leave: CancellationToken::new(),
            in_hand: AtomicUsize::new(0),
            has_delivered: AtomicBool::new(false),
            waits: Waits::default(),
            end,
            since: Instant::now(),
            idle_until: AtomicU64::new(0),
            is_stream: AtomicBool::new(false),
            ended: CancellationToken::new(),
        });
        let flusher = Flusher {
            sink: sink.clone(),
            queue,
            tasks: tasks.clone(),
            session,
            is_consuming: AtomicBool::new(true),
        };
        tasks.spawn_service(flusher.run());
        sink
    }

    /// The delivery is done.
    pub(crate) fn ack(&self, tag: u64) -> Settled {
        let before_and_after = {
            let mut window = self.lock();
            let before = window.due();
            window.ack(tag).map(|after| (before, after))
        };
        self.settled(before_and_after)
    }

    /// The delivery goes back to its queue.
    pub(crate) fn requeue(&self, tag: u64) -> Settled {
        let before_and_after = {
            let mut window = self.lock();
            let before = window.due();
            window.requeue(tag).map(|after| (before, after))
        };
        self.settled(before_and_after)
    }

    /// The flusher is woken only when it has become more urgent than it knows.
    fn settled(&self, before_and_after: Option<(Due, Due)>) -> Settled {
        let Some((before, after)) = before_and_after else {
            return Settled::Lost;
        };
        if !self.is_alive() {
            return Settled::Lost;
        }
        if after > before {
            self.wake.notify_one();
        }
        Settled::Done
    }

    /// Whether what this channel delivered can still be settled.
    pub(crate) fn is_alive(&self) -> bool {
        !self.end.is_over() && self.channel.status().connected()
    }

    /// An awaited delivery has arrived. If nothing else is in flight, no delivery is older.
    pub(crate) fn was_empty(&self) {
        if self.in_hand.load(Ordering::Acquire) == 0 {
            let milliseconds = u64::try_from(self.since.elapsed().as_millis());
            let until = milliseconds.unwrap_or(u64::MAX);
            self.idle_until.store(until, Ordering::Relaxed);
        }
    }

    /// The waits for its deliveries.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// No delivery of this channel is unacknowledged for longer.
    pub(crate) fn busy_for(&self) -> Duration {
        let idle = Duration::from_millis(self.idle_until.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(idle)
    }

    /// How the broker ends it.
    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    /// Resolves when the deliveries of this channel are not wanted any more: it is closed, or will be closed
    /// soon.
    pub(crate) async fn unwanted(&self) {
        tokio::select! {
            () = self.leave.cancelled() => {}
            () = self.retire.cancelled() => {}
            () = self.end.over() => {}
        }
    }

    /// Resolves when nothing can be settled any more.
    pub(crate) async fn gone(&self) {
        tokio::select! {
            () = self.retire.cancelled() => {}
            () = self.end.over() => {}
            () = self.ended.cancelled() => {}
        }
    }

    /// Its queue turned out to be a stream.
    pub(crate) fn is_of_a_stream(&self) {
        self.is_stream.store(true, Ordering::Relaxed);
    }

    /// No more deliveries of this channel are wanted: settle up and close it.
    pub(crate) fn retire(&self) {
        self.retire.cancel();
    }

    /// The same, but deliveries in flight are settled first.
    pub(crate) fn leave(&self) {
        self.leave.cancel();
    }

    /// Sends every ack that is owed, and waits until that is done or the channel is gone.
    pub(crate) async fn send_all(&self) {
        let mut sent = std::pin::pin!(self.sent.notified());
        // From here on, so that it is not missed.
        sent.as_mut().enable();
        self.is_urgent.store(true, Ordering::Release);
        self.wake.notify_one();
        let sent = self.ended.run_until_cancelled(sent);
        // Whether they were sent or not, nothing more can be done.
        let _sent_or_not = tokio::time::timeout(SENDING, sent).await;
    }

    /// Whether the channel will be closed once the deliveries in flight are settled.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leave.is_cancelled()
    }

    /// Its channel.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// One more consumer is about to begin on the channel.
    pub(crate) fn consumes_as_well(&self, tag: ShortString) {
        self.consumer_tags().push(tag);
    }

    /// One was cancelled.
    pub(crate) fn consumes_no_more(&self, tag: &ShortString) {
        self.consumer_tags().retain(|one| one != tag);
    }

    /// From now on the channel holds at most this many deliveries.
    pub(crate) fn resize(&self, prefetch: u16) {
        self.lock().resize(prefetch);
    }

    fn consumer_tags(&self) -> MutexGuard<'_, Vec<ShortString>> {
        self.consumer_tags
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// Cancelled once the channel is closed.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// One more delivery is in flight.
    pub(crate) fn hand_out(&self) {
        self.has_delivered.store(true, Ordering::Relaxed);
        self.in_hand.fetch_add(1, Ordering::AcqRel);
    }

    /// One fewer is, settled or not.
    pub(crate) fn let_go(&self) {
        if self.in_hand.fetch_sub(1, Ordering::AcqRel) == 1 && self.leave.is_cancelled() {
            self.wake.notify_one();
        }
    }

    /// Whether every delivery is settled.
    fn is_left(&self) -> bool {
        self.leave.is_cancelled() && self.in_hand.load(Ordering::Acquire) == 0
    }

    /// How urgent it is; nothing is, once nothing can be sent any more.
    fn due(&self) -> Due {
        match (self.is_alive(), self.is_urgent.load(Ordering::Acquire)) {
            (false, _) => Due::Never,
            (true, true) => Due::Now,
            (true, false) => self.lock().due(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }
}

impl Consuming for AckSink {
    fn is_wanted(&self) -> bool {
        self.is_alive() && !self.retire.is_cancelled() && !self.leave.is_cancelled()
    }

    fn has_delivered(&self) -> bool {
        self.has_delivered.load(Ordering::Relaxed)
    }

    fn starves(&self) -> Option<u64> {
        let has_room = self.in_hand.load(Ordering::Acquire) == 0;
        let is_queue = !self.is_stream.load(Ordering::Relaxed);
        (has_room && is_queue)
            .then(|| self.waits.current())
            .flatten()
    }

    fn retire(&self) {
        Self::retire(self);
    }
}

struct Flusher {
    sink: Arc<AckSink>,
    queue: ShortString,
    tasks: Tasks,
    session: SharedSession,
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
        self.sink.retire.cancel();
        self.sink.lock().close();
        if let Err(fault) = self.refuse_the_rest().await {
            tracing::debug!(%fault, "what is not settled goes back with its channel");
        }
        let goodbye = self.sink.channel.close(200, "consumer ended".into());
        // It closes with its connection at the latest.
        if tokio::time::timeout(GOODBYE_TIMEOUT, goodbye)
            .await
            .is_err()
        {
            tracing::debug!("the broker did not confirm that a channel is closed");
        }
    }

    async fn serve(&self) -> Result<(), AskFault> {
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
                () = self.tasks.drain().cancelled(), if self.is_consuming() => self.cancel_consumer().await?,
                () = self.sink.leave.cancelled(), if self.is_consuming() => self.cancel_consumer().await?,
                () = self.sink.wake.notified() => self.flush_when_due().await?,
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
        let cause = match self.queue_is_there().await {
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
        // stays cancelled.
        self.cancel_consumer().await?;
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
    async fn cancel_consumer(&self) -> Result<(), AskFault> {
        self.is_consuming.store(false, Ordering::Relaxed);
        let tags = self.sink.consumer_tags().clone();
        for tag in tags {
            let options = BasicCancelOptions::default();
            ask(self.sink.channel.basic_cancel(tag, options)).await?;
        }
        Ok(())
    }

    async fn flush_when_due(&self) -> Result<(), AskFault> {
        loop {
            let patience = match self.sink.due() {
                Due::Never => return Ok(()),
                Due::Now => Duration::ZERO,
                Due::Soon => SOON,
                Due::Late => LATE,
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
        let frames = self.sink.lock().take(with_late);
        let takes_no_more = self.tasks.drain().is_cancelled() || self.sink.is_leaving();
        // The consumer is cancelled first. Otherwise the broker would deliver again what goes back now, or more
        // for what is acknowledged, and count another return when the channel closes.
        if takes_no_more && self.is_consuming() {
            self.cancel_consumer().await?;
        }
        for frame in frames {
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
        }
        Ok(())
    }
}

/// No sleep is as short as none: the shortest takes a millisecond.
async fn pause(patience: Duration) {
    if !patience.is_zero() {
        tokio::time::sleep(patience).await;
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
}
