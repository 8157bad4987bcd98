//! Deliveries of one queue, through every reconnection: [`Subscription`], [`Delivery`],
//! [`Settlement`].
//!
//! A subscription has a channel for as long as that lives, and makes a new one when it does not.
//! Whatever ends a channel (the connection, an exception, a queue deleted under it) is the same
//! to it: close the old one, wait a little, subscribe again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::acks::flusher::AckSink;
use super::backoff::Backoff;
use super::fault::describe;
use super::limits::{AskFault, GOODBYE_TIMEOUT, ask};
use super::link::{Link, LinkState, Snapshot};
use super::original::{Original, receive};
use super::session::{Session, SharedSession};
use crate::config::plan::ConsumerPlan;
use crate::lifecycle::Tasks;
use crate::message::Envelope;

/// The pauses between tries to subscribe on a connection that is open.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

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
}

impl Settlement {
    pub(super) fn new(tag: u64, sink: Arc<AckSink>) -> Self {
        Self { tag, sink }
    }

    /// The message is done with.
    pub fn ack(self) -> Settled {
        self.sink.ack(self.tag)
    }

    /// The message goes back to its queue.
    pub fn requeue(self) -> Settled {
        self.sink.requeue(self.tag)
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

/// The deliveries of one consumer, for any number of workers.
#[derive(Debug)]
pub struct Subscription {
    plan: ConsumerPlan,
    tag_prefix: String,
    link: Link,
    tasks: Tasks,
    feed: Mutex<Feed>,
    standing: watch::Sender<Standing>,
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
    sink: Arc<AckSink>,
    session: Weak<Session>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.sink.retire();
    }
}

impl Subscription {
    pub(super) fn new(plan: &ConsumerPlan, host_name: &str, link: Link, tasks: Tasks) -> Self {
        Self {
            plan: plan.clone(),
            tag_prefix: format!("{host_name}.{}", plan.name),
            link,
            tasks,
            standing: watch::Sender::new(Standing::Waiting("not subscribed yet".into())),
            feed: Mutex::new(Feed {
                live: None,
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
            let Feed {
                live: Some(live), ..
            } = &mut *feed
            else {
                self.subscribe(&mut feed).await?;
                continue;
            };
            match live.stream.next().await {
                Some(Ok(delivery)) if live.sink.is_alive() => {
                    return Some(self.deliver(delivery, &live.sink));
                }
                // Buffered deliveries of a dead channel: they cannot be settled and come again.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let session = live.session.clone();
                    self.lost(&mut feed, session, &describe(&error));
                }
                None => {
                    let session = live.session.clone();
                    self.lost(&mut feed, session, "the broker cancelled the consumer");
                }
            }
        }
    }

    fn deliver(&self, delivery: lapin::message::Delivery, sink: &Arc<AckSink>) -> Delivery {
        let tag = delivery.delivery_tag;
        let (envelope, original) = receive(self.plan.queue.clone(), delivery);
        Delivery {
            envelope,
            original,
            settlement: Settlement::new(tag, sink.clone()),
        }
    }

    fn lost(&self, feed: &mut Feed, on: Weak<Session>, reason: &str) {
        feed.live = None;
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
    async fn subscribe(&self, feed: &mut Feed) -> Option<()> {
        let session = self.link.session_for(&self.plan.queue).await?;
        if let Some(failed) = &feed.failed
            && failed.on.as_ptr() == Arc::as_ptr(&session)
        {
            tokio::select! {
                () = tokio::time::sleep_until(failed.not_before) => {}
                () = session.over().cancelled() => return Some(()),
            }
        }
        match self.consume(&session).await {
            Ok(live) => {
                let sink = Arc::downgrade(&live.sink);
                self.standing.send_replace(Standing::Consuming(sink));
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

    async fn open_channel(&self, session: &SharedSession) -> Result<Channel, AskFault> {
        let channel = session.channel().await?;
        ask(channel.basic_qos(self.plan.prefetch, BasicQosOptions::default())).await?;
        Ok(channel)
    }

    async fn consume(&self, session: &SharedSession) -> Result<Live, AskFault> {
        let channel = self.open_channel(session).await.inspect_err(|fault| {
            if matches!(fault, AskFault::Silent) {
                session.discard();
            }
        })?;
        let number = SUBSCRIPTIONS.fetch_add(1, Ordering::Relaxed);
        let tag = short(&format!("{}.{number}", self.tag_prefix));
        let consuming = ask(channel.basic_consume(
            short(&self.plan.queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ));
        let stream = match consuming.await {
            Ok(stream) => stream,
            Err(fault) => {
                // A quorum queue without a leader answers when it has one, and holds up nobody but this
                // channel. What it hands out then goes back when the channel closes behind it.
                if matches!(fault, AskFault::Silent) {
                    leave(&channel).await;
                }
                return Err(fault);
            }
        };
        let sink = AckSink::start(
            channel,
            tag,
            self.plan.prefetch,
            session.clone(),
            &self.tasks,
        );
        Ok(Live {
            stream,
            sink,
            session: Arc::downgrade(session),
        })
    }
}

/// Closes a channel that may not answer.
async fn leave(channel: &Channel) {
    let goodbye = channel.close(200, "the queue does not answer".into());
    if tokio::time::timeout(GOODBYE_TIMEOUT, goodbye)
        .await
        .is_err()
    {
        tracing::debug!("a channel is closed whose consumer was never answered");
    }
}

/// Names in a plan are short enough; a host's name may make a tag too long, and is cut.
fn short(text: &str) -> ShortString {
    let end = text.floor_char_boundary(text.len().min(255));
    ShortString::try_new(&text[..end]).unwrap_or_default()
}
