//! The settlements of one channel, from whoever settles a delivery: [`AckSink`]. Its flusher sends them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lapin::Channel;
use lapin::types::ShortString;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::waits::{Wait, Waits};
use super::{Due, Window};
use crate::consume::settlement::Settled;
use crate::link::Consuming;
use crate::wire::endings::End;

/// How long a caller waits for acks that are sent at once. A broker that takes longer is in trouble, and
/// redelivers what it did not receive.
const SENDING: Duration = Duration::from_secs(1);

/// A channel that consumes from a queue.
pub(crate) struct Subscribed {
    pub(crate) channel: Channel,
    /// How the broker ends the channel.
    pub(crate) end: Arc<End>,
    pub(crate) queue: ShortString,
    pub(crate) consumer_tag: ShortString,
    pub(crate) prefetch: u16,
    /// Whether one host at a time is to consume the queue.
    pub(crate) is_single: bool,
    /// Whether a consumer that gets nothing may have been forgotten by the broker, and not only stand by.
    pub(crate) may_be_neglected: bool,
    /// Whether its queue was discovered: then it is known by listings whether it is there.
    pub(crate) is_discovered: bool,
}

/// Takes the settlements of one channel.
#[derive(Debug)]
pub(crate) struct AckSink {
    pub(super) window: Mutex<Window>,
    pub(super) channel: Channel,
    /// The tags of the consumers on it: one, and for a moment two while the prefetch changes.
    pub(super) consumer_tags: Mutex<Vec<ShortString>>,
    pub(super) wake: Notify,
    /// All that is owed is to be sent now.
    pub(super) is_urgent: AtomicBool,
    /// All that was owed was sent.
    pub(super) sent: Notify,
    pub(super) retire: CancellationToken,
    /// No further deliveries are wanted; the channel stays open until nothing is in flight.
    pub(super) leave: CancellationToken,
    /// Deliveries of this channel that must still be settled.
    pub(super) in_hand: AtomicUsize,
    /// There was a delivery.
    pub(super) has_delivered: AtomicBool,
    /// One host at a time is to consume the queue, so the next one must not begin before nothing is in flight here.
    pub(super) is_single: bool,
    pub(super) may_be_neglected: bool,
    /// Its queue was discovered: listings tell whether it is there.
    pub(super) is_discovered: bool,
    /// The deliveries of such a consumer, though nobody takes them any more: lapin cancels a consumer that is dropped.
    pub(super) kept: Mutex<Option<lapin::Consumer>>,
    /// When it last delivered.
    pub(super) activity: Activity,
    pub(super) waits: Waits,
    /// How the broker ends it.
    pub(super) end: Arc<End>,
    pub(super) since: Instant,
    /// The last moment, in milliseconds since then, at which nothing was in flight and no delivery was on its
    /// way.
    pub(super) idle_until: AtomicU64,
    /// Its queue is a stream, in which nothing may be refused.
    pub(super) is_stream: AtomicBool,
    /// The channel is closed.
    pub(super) ended: CancellationToken,
}

impl AckSink {
    pub(super) fn new(subscribed: Subscribed) -> Self {
        Self {
            window: Mutex::new(Window::new(subscribed.prefetch)),
            channel: subscribed.channel,
            consumer_tags: Mutex::new(vec![subscribed.consumer_tag]),
            wake: Notify::new(),
            is_urgent: AtomicBool::new(false),
            sent: Notify::new(),
            retire: CancellationToken::new(),
            leave: CancellationToken::new(),
            in_hand: AtomicUsize::new(0),
            has_delivered: AtomicBool::new(false),
            is_single: subscribed.is_single,
            may_be_neglected: subscribed.may_be_neglected,
            is_discovered: subscribed.is_discovered,
            kept: Mutex::new(None),
            activity: Activity::default(),
            waits: Waits::default(),
            end: subscribed.end,
            since: Instant::now(),
            idle_until: AtomicU64::new(0),
            is_stream: AtomicBool::new(false),
            ended: CancellationToken::new(),
        }
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

    /// A delivery waits in the host for a time that is not known.
    pub(crate) fn park(&self) {
        let before_and_after = {
            let mut window = self.lock();
            let before = window.due();
            window.park();
            (before, window.due())
        };
        let _settles_nothing = self.settled(Some(before_and_after));
    }

    /// It does not wait any longer.
    pub(crate) fn unpark(&self) {
        self.lock().unpark();
    }

    /// How many deliveries of this channel are parked, and how many it holds at most.
    pub(crate) fn parked(&self) -> (usize, u16) {
        self.lock().parked()
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

    /// A worker begins to wait for a delivery; none is buffered.
    pub(crate) fn waits_for_more(&self) -> Wait<'_> {
        let wait = self.waits.begin();
        if self.is_idle() {
            self.wake.notify_one();
        }
        wait
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

    /// Resolves when nothing can be settled any more and another host may go on with the queue; never where several
    /// hosts consume it. Why the channel is gone is known by then.
    pub(crate) async fn passed_on(&self) {
        match self.is_single {
            true => self.retire.cancelled().await,
            false => std::future::pending().await,
        }
    }

    /// Whether that is so. Its channel may look open for a moment longer, and a call that was cut has made way for the
    /// next delivery of its key, which must not be handled before the cut one comes again.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.is_single && self.retire.is_cancelled()
    }

    /// Its queue turned out to be a stream.
    pub(crate) fn is_of_a_stream(&self) {
        self.is_stream.store(true, Ordering::Relaxed);
    }

    /// No more deliveries of this channel are wanted: settle up and close it.
    pub(crate) fn retire(&self) {
        self.retire.cancel();
        self.takes_no_more();
    }

    /// The same, but deliveries in flight are settled first.
    pub(crate) fn leave(&self) {
        self.leave.cancel();
        self.takes_no_more();
    }

    /// Bodies that are on their way are not to take memory any more: nobody handles them.
    pub(super) fn takes_no_more(&self) {
        self.end.bodies().are_unwanted();
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

    pub(super) fn consumer_tags(&self) -> MutexGuard<'_, Vec<ShortString>> {
        self.consumer_tags
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// Cancelled once the channel is closed.
    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Keeps the only consumer among several hosts until the channel is closed.
    pub(crate) fn keep(&self, consumer: &lapin::Consumer) {
        if self.is_single {
            *self.kept() = Some(consumer.clone());
        }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Option<lapin::Consumer>> {
        self.kept.lock().unwrap_or_else(|error| error.into_inner())
    }

    /// Whether another host seems to consume the queue: this one is only to take over, and the broker has given it
    /// nothing for a while. The broker does not say which consumer is the active one.
    pub(crate) fn stands_by(&self) -> bool {
        self.is_single && self.has_none() && !self.activity.is_recent(self.since.elapsed())
    }

    /// The time since its last delivery, none while one is in flight; `None` before the first.
    pub(crate) fn idle(&self) -> Option<Duration> {
        match self.has_none() {
            true => self.activity.idle(self.since.elapsed()),
            false => Some(Duration::ZERO),
        }
    }

    /// One more delivery is in flight.
    pub(crate) fn hand_out(&self) {
        self.has_delivered.store(true, Ordering::Relaxed);
        self.activity.note(self.since.elapsed());
        self.in_hand.fetch_add(1, Ordering::AcqRel);
    }

    /// The host has one delivery fewer in hand, settled or not.
    pub(crate) fn let_go(&self) {
        if self.in_hand.fetch_sub(1, Ordering::AcqRel) == 1
            && (self.leave.is_cancelled() || self.is_idle())
        {
            self.wake.notify_one();
        }
    }

    /// Whether nothing is in flight, and a worker waits for the next delivery: no ack comes to go with those that are owed.
    pub(super) fn is_idle(&self) -> bool {
        self.has_none() && self.waits.current().is_some()
    }

    /// Whether no delivery is in flight.
    pub(super) fn has_none(&self) -> bool {
        self.in_hand.load(Ordering::Acquire) == 0
    }

    /// Whether every delivery is settled.
    pub(super) fn is_left(&self) -> bool {
        self.leave.is_cancelled() && self.has_none()
    }

    /// How urgent it is; nothing is, once nothing can be sent any more.
    pub(super) fn due(&self) -> Due {
        match (self.is_alive(), self.is_urgent.load(Ordering::Acquire)) {
            (false, _) => Due::Never,
            (true, true) => Due::Now,
            (true, false) => self.lock().due(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Window> {
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
        if !self.may_be_neglected {
            return None;
        }
        let has_room = self.has_none();
        let is_queue = !self.is_stream.load(Ordering::Relaxed);
        (has_room && is_queue)
            .then(|| self.waits.current())
            .flatten()
    }

    fn retire(&self) {
        Self::retire(self);
    }
}
