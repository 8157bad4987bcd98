//! Deliveries of one queue, through every reconnection: [`Subscription`], [`Delivery`],
//! [`Settlement`].
//!
//! A subscription has a channel for as long as that lives, and makes a new one when it does not.
//! Whatever ends a channel (the connection, an exception, a queue deleted under it) is the same
//! to it: close the old one, wait a little, subscribe again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::acks::flusher::AckSink;
use super::backoff::Backoff;
use super::fault::{broker_error, describe};
use super::limits::{AskFault, ask};
use super::link::Link;
use super::original::{Original, receive};
use super::session::SharedSession;
use super::topology::Topology;
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
    topology: Arc<Topology>,
    tasks: Tasks,
    feed: Mutex<Feed>,
}

/// Where deliveries come from now.
#[derive(Debug)]
struct Feed {
    live: Option<Live>,
    backoff: Backoff,
    not_before: Instant,
    told: bool,
}

#[derive(Debug)]
struct Live {
    stream: lapin::Consumer,
    sink: Arc<AckSink>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.sink.retire();
    }
}

impl Subscription {
    pub(super) fn new(
        plan: &ConsumerPlan,
        host_name: &str,
        link: Link,
        topology: Arc<Topology>,
        tasks: Tasks,
    ) -> Self {
        Self {
            plan: plan.clone(),
            tag_prefix: format!("{host_name}.{}", plan.name),
            link,
            topology,
            tasks,
            feed: Mutex::new(Feed {
                live: None,
                backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
                not_before: Instant::now(),
                told: false,
            }),
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
                Some(Err(error)) => self.lost(&mut feed, &describe(&error)),
                None => self.lost(&mut feed, "the broker cancelled the consumer"),
            }
        }
    }

    fn deliver(&self, delivery: lapin::message::Delivery, sink: &Arc<AckSink>) -> Delivery {
        let tag = delivery.delivery_tag;
        let (envelope, original) = receive(self.plan.queue.clone(), delivery);
        Delivery {
            envelope,
            original,
            settlement: Settlement {
                tag,
                sink: sink.clone(),
            },
        }
    }

    fn lost(&self, feed: &mut Feed, reason: &str) {
        feed.live = None;
        feed.not_before = Instant::now() + feed.backoff.fail();
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
        tokio::time::sleep_until(feed.not_before).await;
        let session = self.link.session().await?;
        match self.consume(&session).await {
            Ok(live) => {
                feed.live = Some(live);
                feed.backoff.reset();
                feed.told = false;
                tracing::info!(
                    consumer = %self.plan.name, queue = %self.plan.queue, "consuming"
                );
            }
            Err(fault) => {
                if matches!(fault, AskFault::Silent) {
                    session.discard();
                }
                self.lost(feed, &fault.to_string());
                self.declare_missing(&session, &fault).await;
            }
        }
        Some(())
    }

    async fn consume(&self, session: &SharedSession) -> Result<Live, AskFault> {
        let channel = session.channel().await?;
        ask(channel.basic_qos(self.plan.prefetch, BasicQosOptions::default())).await?;
        let number = SUBSCRIPTIONS.fetch_add(1, Ordering::Relaxed);
        let tag = short(&format!("{}.{number}", self.tag_prefix));
        let stream = ask(channel.basic_consume(
            short(&self.plan.queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ))
        .await?;
        let sink = AckSink::start(
            channel,
            tag,
            self.plan.prefetch,
            session.clone(),
            &self.tasks,
        );
        Ok(Live { stream, sink })
    }

    /// A queue that somebody deleted is declared again, where the plan declares it.
    async fn declare_missing(&self, session: &SharedSession, fault: &AskFault) {
        let AskFault::Failed(error) = fault else {
            return;
        };
        if broker_error(error).is_none_or(|answer| answer.get_id() != 404) {
            return;
        }
        match self.topology.declare_again(session, &self.plan.queue).await {
            Ok(()) => tracing::info!(queue = %self.plan.queue, "declared again"),
            Err(fault) => tracing::debug!(%fault, "cannot declare again"),
        }
    }
}

/// Names in a plan are short enough; a host's name may make a tag too long, and is cut.
fn short(text: &str) -> ShortString {
    let end = text.floor_char_boundary(text.len().min(255));
    ShortString::try_new(&text[..end]).unwrap_or_default()
}
