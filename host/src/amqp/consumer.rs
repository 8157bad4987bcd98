//! Deliveries of one queue, through every reconnection: [`Subscription`], [`Delivery`],
//! [`Settlement`].
//!
//! A subscription has a channel for as long as that lives, and makes a new one when it does not.
//! Whatever ends a channel (the connection, an exception, a queue deleted under it) is the same
//! to it: close the old one, wait a little, subscribe again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acks::flusher::AckSink;
use super::backoff::Backoff;
use super::fault::describe;
use super::limits::{AskFault, ask, leave};
use super::link::{Link, LinkState, Snapshot};
use super::original::{Original, receive};
use super::session::{Session, SharedSession};
use super::stream::{Beginning, Place, Reading, last_offset};
use crate::config::plan::ConsumerPlan;
use crate::lifecycle::Tasks;
use crate::message::Envelope;

/// The pauses between tries to subscribe on a connection that is open.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A message of a stream that is there is handed out at once; one that is not there never is, and
/// nothing says so.
const OVERDUE: Duration = Duration::from_secs(10);

/// How long a look at what has come waits for its turn. Somebody who keeps it out for so long is waiting
/// for the broker, so that nothing has come.
const TURN_TIMEOUT: Duration = Duration::from_millis(50);

/// Tells apart the consumer tags of one host.
static SUBSCRIPTIONS: AtomicU64 = AtomicU64::new(1);

/// One message that was handed to us, with the duty to settle it.
#[derive(Debug)]
pub struct Delivery {
    /// What the component sees.
    pub envelope: Envelope,
    /// What copies are made from.
    pub original: Original,
    /// How the broker is told.
    pub settlement: Settlement,
}

/// Whether the broker will hear of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Settled {
    /// It is on its way. The broker may still hand the message out again, if the connection
    /// breaks before it got there.
    Done,
    /// The channel that delivered the message is gone. Expect the message again.
    Lost,
}

/// The duty to settle one delivery, on the channel that delivered it.
///
/// Dropped unsettled, it leaves the message unacknowledged on purpose: the broker hands it out
/// again when the channel closes. That is the safe end for a task that panics or is abandoned.
#[derive(Debug)]
#[must_use = "a delivery that is not settled blocks a place in the prefetch window"]
pub struct Settlement {
    tag: u64,
    sink: Arc<AckSink>,
    /// In a stream, whose broker takes an ack for a credit and nothing else for an answer.
    place: Option<Place>,
    /// Let go of when it is settled, or dropped.
    _in_hand: InHand,
}

/// Keeps the channel of a delivery from being closed while it is to be settled.
#[derive(Debug)]
struct InHand(Arc<AckSink>);

impl InHand {
    fn new(sink: &Arc<AckSink>) -> Self {
        sink.hand_out();
        Self(Arc::clone(sink))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl Settlement {
    /// `place` is where it stands in a stream.
    pub(super) fn new(tag: u64, sink: &Arc<AckSink>, place: Option<Place>) -> Self {
        Self {
            tag,
            sink: Arc::clone(sink),
            place,
            _in_hand: InHand::new(sink),
        }
    }

    /// The message is done with.
    pub fn ack(self) -> Settled {
        let acked = self.sink.ack(self.tag);
        match self.place {
            None => acked,
            // A channel that is gone has no use for the credit, and the message is not read again.
            Some(place) => {
                place.handled();
                Settled::Done
            }
        }
    }

    /// The message goes back to its queue; one of a stream is read again.
    pub fn requeue(self) -> Settled {
        match self.place {
            None => self.sink.requeue(self.tag),
            Some(place) => {
                drop(place);
                Settled::Done
            }
        }
    }

    /// Nothing is read beyond this message of a stream, for this reason, until
    /// [`Reading::go_on`].
    pub fn stop(self, reason: &str) -> Settled {
        match self.place {
            None => self.sink.requeue(self.tag),
            Some(place) => {
                place.stop(reason);
                Settled::Done
            }
        }
    }

    /// The broker's number for the delivery, counted from 1 on its channel.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// Whether settling can still reach the broker. A delivery that cannot be settled comes again,
    /// so starting on it would be work done twice.
    pub fn is_live(&self) -> bool {
        self.sink.is_alive()
    }
}

/// How much of its queue a subscription wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Whatever there is, as far as the prefetch goes.
    All,
    /// One delivery and no more; the number tells it from the one wanted before.
    One(u64),
    /// Nothing: the broker is told that nobody consumes.
    Nothing,
}

/// The deliveries of one consumer, for any number of workers.
#[derive(Debug)]
pub struct Subscription {
    plan: ConsumerPlan,
    tag_prefix: String,
    link: Link,
    tasks: Tasks,
    feed: Mutex<Feed>,
    standing: watch::Sender<Standing>,
    /// Where the queue is a stream.
    reading: Option<Arc<Reading>>,
    intake: watch::Sender<Intake>,
}

/// How a subscription stands, by itself: its link may know better.
#[derive(Debug, Clone)]
enum Standing {
    Waiting(Arc<str>),
    Consuming(Weak<AckSink>),
}

/// Whether a consumer consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerState {
    /// The broker hands out deliveries to it.
    Consuming,
    /// It does not, for this reason; it is tried again.
    Waiting(Arc<str>),
}

/// Tells whether a consumer consumes, at any time.
#[derive(Debug, Clone)]
pub struct ConsumerWatch {
    queue: Arc<str>,
    link: watch::Receiver<Snapshot>,
    standing: watch::Receiver<Standing>,
}

impl ConsumerWatch {
    /// How it is doing now.
    pub fn now(&self) -> ConsumerState {
        let link = self.link.borrow();
        if let Some(reason) = link.withheld.reason(&self.queue) {
            return ConsumerState::Waiting(reason);
        }
        let down = match &link.state {
            LinkState::Open | LinkState::Blocked(_) => None,
            LinkState::Connecting(Some(reason)) | LinkState::Closed(reason) => Some(reason.clone()),
            LinkState::Connecting(None) => Some("the connection is being opened".into()),
            LinkState::Ended => Some("the connection has ended".into()),
        };
        if let Some(reason) = down {
            return ConsumerState::Waiting(reason);
        }
        match &*self.standing.borrow() {
            Standing::Waiting(reason) => ConsumerState::Waiting(reason.clone()),
            // Its channel may be gone, and every worker too busy to have noticed.
            Standing::Consuming(sink) if sink.upgrade().is_some_and(|sink| sink.is_alive()) => {
                ConsumerState::Consuming
            }
            Standing::Consuming(_) => ConsumerState::Waiting(
                "its channel is gone; it subscribes again when a worker is free".into(),
            ),
        }
    }
}

/// Where deliveries come from now.
#[derive(Debug)]
struct Feed {
    live: Option<Live>,
    wanted: watch::Receiver<Intake>,
    /// The latest single delivery that was handed out.
    served: Option<u64>,
    /// Cancelled once the channel before this one is closed, and the broker has back what was not
    /// settled on it.
    before: Option<CancellationToken>,
    backoff: Backoff,
    failed: Option<Failed>,
    told: bool,
}

/// A session that did not work is tried again after a pause. On another one it may work at once:
/// the link has had its pause then.
#[derive(Debug)]
struct Failed {
    on: Weak<Session>,
    not_before: Instant,
}

#[derive(Debug)]
struct Live {
    stream: lapin::Consumer,
    /// What was taken off the stream by a look at how much there is.
    ahead: VecDeque<Next>,
    sink: Arc<AckSink>,
    session: Weak<Session>,
    /// When the first message of a stream is overdue, which was handled before.
    overdue: Option<Instant>,
    /// It was overdue, and told to be.
    is_overdue: bool,
    /// What was wanted when it was made.
    intake: Intake,
    /// Whether what is in hand is to be settled before the channel is closed.
    gently: bool,
}

/// What comes of waiting for the broker.
enum Came {
    Delivery(Box<lapin::message::Delivery>),
    /// The channel is gone, for this reason.
    Lost(String),
    /// Something else is to be read of the stream, or nothing.
    Interrupted,
    /// A message that the stream must have has not come.
    Overdue,
}

impl Live {
    async fn next(&mut self, reading: Option<&Reading>) -> Came {
        let Some(reading) = reading else {
            return self.arrives().await;
        };
        let overdue = self.overdue;
        let is_overdue = async {
            match overdue {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = reading.interrupted() => Came::Interrupted,
            came = self.arrives() => came,
            () = is_overdue => Came::Overdue,
        }
    }

    async fn arrives(&mut self) -> Came {
        let next = match self.ahead.pop_front() {
            Some(next) => next,
            None => self.stream.next().await,
        };
        match next {
            Some(Ok(delivery)) => Came::Delivery(Box::new(delivery)),
            Some(Err(error)) => Came::Lost(describe(&error)),
            None => Came::Lost("the broker cancelled the consumer".into()),
        }
    }
}

/// What a stream of deliveries gives; none at its end.
type Next = Option<Result<lapin::message::Delivery, lapin::Error>>;

impl Live {
    /// How many deliveries have come that nobody has taken.
    fn look_ahead(&mut self) -> usize {
        let is_delivery = |next: &Next| matches!(next, Some(Ok(_)));
        // Behind an error or the end nothing comes.
        while self.ahead.back().is_none_or(is_delivery)
            && let Some(next) = self.stream.next().now_or_never()
        {
            self.ahead.push_back(next);
        }
        self.ahead.iter().filter(|next| is_delivery(next)).count()
    }

    /// Takes nothing more. What is in hand is settled, and then the channel is closed: what was let
    /// out and not handed out goes back.
    fn leave(mut self) {
        self.gently = true;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        match self.gently {
            true => self.sink.leave(),
            false => self.sink.retire(),
        }
    }
}

impl Subscription {
    pub(super) fn new(plan: &ConsumerPlan, host_name: &str, link: Link, tasks: Tasks) -> Self {
        let (intake, wanted) = watch::channel(Intake::All);
        Self {
            plan: plan.clone(),
            tag_prefix: format!("{host_name}.{}", plan.name),
            link,
            tasks,
            standing: watch::Sender::new(Standing::Waiting("not subscribed yet".into())),
            reading: plan
                .stream
                .as_ref()
                .map(|stream| Arc::new(Reading::new(stream.offset))),
            intake,
            feed: Mutex::new(Feed {
                live: None,
                wanted,
                served: None,
                before: None,
                backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
                failed: None,
                told: false,
            }),
        }
    }

    /// Tells whether it consumes.
    pub fn watch(&self) -> ConsumerWatch {
        ConsumerWatch {
            queue: self.plan.queue.clone(),
            link: self.link.watch(),
            standing: self.standing.subscribe(),
        }
    }

    /// How far the stream is read, where the queue is one.
    pub fn reading(&self) -> Option<&Arc<Reading>> {
        self.reading.as_ref()
    }

    /// Tells why it does not consume though the broker could be asked.
    pub fn waits(&self, reason: &str) {
        self.standing.send_replace(Standing::Waiting(reason.into()));
    }

    /// From now on so much is wanted. Whoever waits for the next delivery carries it out: while every
    /// worker is busy, the broker lets out as much as before.
    pub fn take_in(&self, intake: Intake) {
        self.intake.send_replace(intake);
    }

    /// The next delivery; none once the host drains.
    ///
    /// Any number of workers may wait here. One of them waits for the broker and subscribes again
    /// where needed, the others wait for that one, and whoever has a delivery lets go: no task and
    /// no queue stands between the socket and the worker. Dropping the future loses no delivery.
    pub async fn next(&self) -> Option<Delivery> {
        tokio::select! {
            biased;
            () = self.tasks.drain().cancelled() => None,
            delivery = self.lead() => delivery,
        }
    }

    /// None once the link has ended.
    async fn lead(&self) -> Option<Delivery> {
        let mut feed = self.feed.lock().await;
        loop {
            self.stay_stopped(&mut feed).await;
            let intake = *feed.wanted.borrow_and_update();
            let wants_none = match intake {
                Intake::All => false,
                Intake::One(number) => feed.served == Some(number),
                Intake::Nothing => true,
            };
            if feed
                .live
                .as_ref()
                .is_some_and(|live| wants_none || live.intake != intake)
            {
                self.rest(&mut feed);
            }
            if wants_none {
                // It cannot end before this subscription does.
                feed.wanted.changed().await.ok()?;
                continue;
            }
            let Feed {
                live: Some(live),
                wanted,
                ..
            } = &mut *feed
            else {
                self.subscribe(&mut feed, intake).await?;
                continue;
            };
            let came = tokio::select! {
                biased;
                came = live.next(self.reading.as_deref()) => came,
                _ = wanted.changed() => continue,
            };
            match came {
                Came::Delivery(delivery) if live.sink.is_alive() => {
                    live.overdue = None;
                    if std::mem::take(&mut live.is_overdue) {
                        self.consumes(&live.sink);
                    }
                    if let Some(delivery) = self.deliver(*delivery, &live.sink) {
                        if let Intake::One(number) = intake {
                            feed.served = Some(number);
                            // At once, so that the broker has no time to let out another.
                            self.rest(&mut feed);
                        }
                        return Some(delivery);
                    }
                }
                // Buffered deliveries of a dead channel: they cannot be settled and come again.
                Came::Delivery(_) => {}
                Came::Lost(reason) => {
                    let session = live.session.clone();
                    self.lost(&mut feed, session, &reason);
                }
                Came::Interrupted => self.read_again(&mut feed).await,
                Came::Overdue => self.tell_overdue(live),
            }
        }
    }

    /// How many deliveries the broker has handed out that nobody has taken off with
    /// [`Subscription::next`]. It counts them as given, so no question to it tells.
    pub async fn prefetched(&self) -> usize {
        let Ok(mut feed) = tokio::time::timeout(TURN_TIMEOUT, self.feed.lock()).await else {
            return 0;
        };
        match &mut feed.live {
            // What came over a dead channel waits at the broker again.
            Some(live) if live.sink.is_alive() => live.look_ahead(),
            _ => 0,
        }
    }

    /// None where it is not to be handled.
    fn deliver(&self, delivery: lapin::message::Delivery, sink: &Arc<AckSink>) -> Option<Delivery> {
        let tag = delivery.delivery_tag;
        let (mut envelope, original) = receive(self.plan.queue.clone(), delivery);
        let place = match (&self.reading, envelope.stream_offset) {
            (None, _) => {
                // A copy of a message that was in a stream once.
                envelope.stream_offset = None;
                None
            }
            (Some(reading), None) => {
                reading.stop_over_no_stream();
                return None;
            }
            (Some(reading), Some(offset)) => match reading.arrived(offset) {
                Some(place) => Some(place),
                None => {
                    // The credit is for another one.
                    let _known = sink.ack(tag);
                    return None;
                }
            },
        };
        Some(Delivery {
            envelope,
            original,
            settlement: Settlement::new(tag, sink, place),
        })
    }

    /// Waits for as long as its stream is not to be read.
    async fn stay_stopped(&self, feed: &mut Feed) {
        let Some(reading) = &self.reading else {
            return;
        };
        let mut stopped = reading.stopped();
        loop {
            let why = stopped.borrow_and_update().clone();
            let Some(reason) = why else {
                return;
            };
            feed.live = None;
            self.waits(&reason);
            if stopped.changed().await.is_err() {
                return;
            }
        }
    }

    /// Subscribes to its stream anew where something in it has to come again.
    async fn read_again(&self, feed: &mut Feed) {
        if self
            .reading
            .as_ref()
            .is_some_and(|reading| reading.take_again())
        {
            feed.live = None;
            self.waits("a message of the stream has to be read again");
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// The stream ends before a message that was handled: it was deleted and made anew, or the broker
    /// has lost its end. What is published comes once its offsets are as high again.
    fn tell_overdue(&self, live: &mut Live) {
        live.overdue = None;
        live.is_overdue = true;
        let position = self.reading.as_ref().and_then(|reading| reading.position());
        let position = position.unwrap_or_default();
        let reason = format!(
            "the stream ends before offset {position}, up to which it was handled: was it deleted and made \
             anew? Another `stream.group` begins anew; without it messages are waited for from there on"
        );
        tracing::error!(consumer = %self.plan.name, queue = %self.plan.queue, position, "{reason}");
        self.waits(&reason);
    }

    fn consumes(&self, sink: &Arc<AckSink>) {
        let sink = Arc::downgrade(sink);
        self.standing.send_replace(Standing::Consuming(sink));
    }

    /// Stops to consume, because somebody wants it so.
    fn rest(&self, feed: &mut Feed) {
        if let Some(live) = feed.live.take() {
            feed.before = Some(live.sink.ended().clone());
            live.leave();
        }
        let reason = "it was paused; it subscribes again when a worker is free";
        self.standing.send_replace(Standing::Waiting(reason.into()));
    }

    fn lost(&self, feed: &mut Feed, on: Weak<Session>, reason: &str) {
        if let Some(live) = feed.live.take() {
            feed.before = Some(live.sink.ended().clone());
        }
        self.standing.send_replace(Standing::Waiting(reason.into()));
        feed.failed = Some(Failed {
            on,
            not_before: Instant::now() + feed.backoff.fail(),
        });
        if !feed.told {
            feed.told = true;
            tracing::warn!(
                consumer = %self.plan.name, queue = %self.plan.queue, reason,
                "not consuming; subscribing again"
            );
        }
    }

    /// One try. None once the link has ended.
    async fn subscribe(&self, feed: &mut Feed, intake: Intake) -> Option<()> {
        let session = self.link.session_for(&self.plan.queue).await?;
        // What that one held is older than what the broker would let out now.
        if let (Some(before), true) = (&feed.before, self.plan.ordering.is_some()) {
            before.cancelled().await;
        }
        if *self.intake.borrow() != intake || session.over().is_cancelled() {
            return Some(());
        }
        if let Some(failed) = &feed.failed
            && failed.on.as_ptr() == Arc::as_ptr(&session)
        {
            tokio::select! {
                () = tokio::time::sleep_until(failed.not_before) => {}
                () = session.over().cancelled() => return Some(()),
            }
        }
        match self.consume(&session, intake).await {
            Ok(live) => {
                self.consumes(&live.sink);
                feed.live = Some(live);
                feed.backoff.reset();
                feed.told = false;
                tracing::info!(
                    consumer = %self.plan.name, queue = %self.plan.queue, "consuming"
                );
            }
            Err(fault) => {
                self.lost(feed, Arc::downgrade(&session), &fault.to_string());
                if fault.is_not_found() {
                    self.link.is_missing(&self.plan.queue);
                }
            }
        }
        Some(())
    }

    async fn open_channel(
        &self,
        session: &SharedSession,
        prefetch: u16,
    ) -> Result<Channel, AskFault> {
        let channel = session.channel().await?;
        ask(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        Ok(channel)
    }

    /// A consumer tag that was not used before.
    fn tag(&self) -> ShortString {
        let number = SUBSCRIPTIONS.fetch_add(1, Ordering::Relaxed);
        short(&format!("{}.{number}", self.tag_prefix))
    }

    /// Makes a number of the place at which its stream is begun with `offset = "next"`: without one, what
    /// is published while the connection is down, before the first message, would be passed over.
    async fn find_the_end(&self, session: &SharedSession) -> Result<(), AskFault> {
        let Some(reading) = self.reading.as_ref().filter(|r| r.begins_at_the_end()) else {
            return Ok(());
        };
        let channel = self.open_channel(session, 1).await?;
        let found = last_offset(&channel, short(&self.plan.queue), self.tag()).await;
        leave(&channel, "the end of the stream is known").await;
        if let Some(last) = found? {
            reading.resume(last + 1);
        }
        Ok(())
    }

    async fn consume(&self, session: &SharedSession, intake: Intake) -> Result<Live, AskFault> {
        let prefetch = match intake {
            Intake::One(_) => 1,
            Intake::All | Intake::Nothing => self.plan.prefetch,
        };
        let channel = self
            .open_channel(session, prefetch)
            .await
            .inspect_err(|fault| {
                if matches!(fault, AskFault::Silent) {
                    session.discard();
                }
            })?;
        self.find_the_end(session).await?;
        let tag = self.tag();
        let beginning = self.reading.as_ref().map(|reading| reading.begin());
        let consuming = ask(channel.basic_consume(
            short(&self.plan.queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            beginning.map_or_else(FieldTable::default, Beginning::arguments),
        ));
        let stream = match consuming.await {
            Ok(stream) => stream,
            Err(fault) => {
                // A quorum queue without a leader answers when it has one, and holds up nobody but this
                // channel. What it hands out then goes back when the channel closes behind it.
                if matches!(fault, AskFault::Silent) {
                    leave(&channel, "the queue does not answer").await;
                }
                return Err(fault);
            }
        };
        let sink = AckSink::start(channel, tag, prefetch, session.clone(), &self.tasks);
        Ok(Live {
            stream,
            ahead: VecDeque::new(),
            sink,
            session: Arc::downgrade(session),
            overdue: beginning
                .is_some_and(|beginning| beginning.is_handled)
                .then(|| Instant::now() + OVERDUE),
            is_overdue: false,
            intake,
            gently: false,
        })
    }
}

/// Names in a plan are short enough; a host's name may make a tag too long, and is cut.
pub(super) fn short(text: &str) -> ShortString {
    let end = text.floor_char_boundary(text.len().min(255));
    ShortString::try_new(&text[..end]).unwrap_or_default()
}
