//! Deliveries of one queue, through every reconnection: [`Subscription`].
//!
//! A subscription has a channel for as long as that lives, and makes a new one when it does not.
//! Whatever ends a channel (the connection, an exception, a queue deleted under it) is the same
//! to it: close the old one, wait a little, subscribe again. Where the broker says so on the wire, it
//! is known before what is buffered has been handled (`endings`).

mod feed;
mod lead;
mod live;
mod prefetch;
mod resizing;
mod standing;
mod subscribing;
mod terms;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{ConsumerPlan, QueueKind};
use hive_core::codes::{Code, Reason};
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use tokio::sync::watch;

use self::feed::{FIRST_PAUSE, Feed};
pub use self::lead::Lead;
use self::lead::Leads;
use self::live::{Live, NoneCame};
use self::standing::Standing;
pub use self::standing::{ConsumerState, ConsumerWatch};
use self::subscribing::Subscribing;
use self::terms::Terms;
use super::acks::sink::AckSink;
use super::settlement::{Delivery, Settlement};
use super::stream::Reading;
use crate::link::Link;
use crate::message::arrived::Arrived;
use crate::message::came_back::CameBack;
use crate::message::original::receive;
use crate::wire::endings::Cause;
use crate::wire::in_flight::Share;

/// How long counting the buffered deliveries waits for its turn. A worker that holds the turn for this long is
/// waiting for the broker, so nothing is buffered.
const TURN_TIMEOUT: Duration = Duration::from_millis(50);

/// How much of its queue a subscription wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Whatever there is, as far as the prefetch goes.
    All,
    /// One delivery and no more; the number distinguishes it from the one wanted before.
    One(u64),
    /// Nothing: the consumer is cancelled at the broker.
    Nothing,
}

/// The deliveries of one consumer, for any number of workers.
#[derive(Debug)]
pub struct Subscription {
    subscribing: Arc<Subscribing>,
    /// The kind of its queue, if hive.toml declares it.
    kind: Option<QueueKind>,
    link: Link,
    leads: Leads,
    standing: watch::Sender<Standing>,
    intake: watch::Sender<Intake>,
    /// Nothing is handed out for now, though the subscription stands.
    held_back: watch::Sender<bool>,
}

impl Subscription {
    pub(crate) fn new(
        plan: &Arc<ConsumerPlan>,
        kind: Option<QueueKind>,
        host_name: &str,
        link: Link,
        tasks: Tasks,
    ) -> Self {
        let (intake, wanted) = watch::channel(Intake::All);
        let (hold_back, held_back) = watch::channel(false);
        Self {
            subscribing: Arc::new(Subscribing {
                plan: Arc::clone(plan),
                tag_prefix: format!("{host_name}.{}", plan.name),
                terms: Terms::new(plan, host_name),
                tasks,
                share: Share::new(link.in_flight(), plan.max_bytes_in_flight),
                reading: plan
                    .stream
                    .as_ref()
                    .map(|stream| Arc::new(Reading::new(stream.offset))),
                fatal: Arc::clone(link.fatal()),
            }),
            kind,
            link,
            standing: watch::Sender::new(Standing::Waiting("not subscribed yet".into())),
            intake,
            held_back: hold_back,
            leads: Leads::new(Feed::new(plan, wanted, held_back)),
        }
    }

    /// Reports whether it consumes.
    pub fn watch(&self) -> ConsumerWatch {
        ConsumerWatch {
            queue: self.subscribing.plan.queue.clone(),
            kind: self.kind,
            link: self.link.watch(),
            standing: self.standing.subscribe(),
        }
    }

    /// How far the stream is read, where the queue is one.
    pub fn reading(&self) -> Option<&Arc<Reading>> {
        self.subscribing.reading.as_ref()
    }

    /// Records why it does not consume although the broker could be asked.
    pub fn waits(&self, reason: &str) {
        self.standing.send_replace(Standing::Waiting(reason.into()));
    }

    /// The demand from now on. The worker that waits for the next delivery applies it: while every worker is
    /// busy, the broker delivers as much as before.
    pub fn take_in(&self, intake: Intake) {
        self.intake.send_replace(intake);
    }

    /// Whether deliveries are held back for now. Meanwhile the broker delivers no more than the prefetch, and
    /// gets nothing back.
    pub fn hold_back(&self, is_held: bool) {
        self.held_back.send_if_modified(|held| {
            let changes = *held != is_held;
            *held = is_held;
            changes
        });
    }

    /// The next delivery; `None` once the host drains.
    ///
    /// Any number of workers may wait here. One of them waits for the broker and subscribes again if necessary,
    /// the others wait for that one. A worker that has a delivery gives up the `lead`: there is no task and no
    /// queue between the socket and the worker. Dropping the future loses no delivery.
    pub async fn next<'a>(&'a self, lead: &mut Lead<'a>) -> Option<Box<Delivery>> {
        tokio::select! {
            biased;
            () = self.subscribing.tasks.drain().cancelled() => None,
            delivery = self.lead(lead) => delivery,
        }
    }

    /// None once the link has ended.
    async fn lead<'a>(&'a self, lead: &mut Lead<'a>) -> Option<Box<Delivery>> {
        let feed = self.leads.take(lead).await;
        loop {
            self.conclude(feed).await;
            self.conclude_resizing(feed).await;
            self.stay_stopped(feed).await;
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
                self.rest(feed);
            }
            if wants_none {
                // It cannot end before this subscription does.
                feed.wanted.changed().await.ok()?;
                continue;
            }
            let Feed {
                live: Some(live),
                wanted,
                held_back,
                prefetch,
                resizing,
                ..
            } = &mut *feed
            else {
                self.subscribe(feed, intake).await?;
                continue;
            };
            let sink = Arc::clone(&live.sink);
            if sink.end().is_over() {
                // Buffered deliveries cannot be settled, and are redelivered.
                let (session, reason) = (live.session.clone(), reason_of(&sink).await);
                self.lost(feed, session, reason);
                continue;
            }
            let is_held_back = *held_back.borrow_and_update();
            let mut wait = None;
            let came = {
                let mut next = pin!(live.next(self.subscribing.reading.as_deref()));
                let next = poll_fn(|context| {
                    let polled = next.as_mut().poll(context);
                    if polled.is_pending() {
                        wait.get_or_insert_with(|| sink.waits_for_more());
                    }
                    polled
                });
                tokio::select! {
                    biased;
                    came = next, if !is_held_back => came,
                    _ = wanted.changed() => continue,
                    _ = held_back.changed() => continue,
                    // Those before it are handled first.
                    bytes = sink.end().bodies().full() => Err(NoneCame::NoRoom(bytes)),
                    () = sink.unwanted() => match sink.end().is_over() {
                        true => continue,
                        false => Err(NoneCame::Lost("the channel is closed".into())),
                    },
                }
            };
            if wait.take().is_some() {
                sink.was_empty();
            }
            match came {
                Ok(delivery) if sink.is_alive() => {
                    if intake == Intake::All
                        && let Some(prefetch) =
                            prefetch.came(delivery.body.len(), || sink.parked().0)
                    {
                        *resizing = Some(self.subscribing.resize(live, prefetch));
                    }
                    live.overdue = None;
                    if std::mem::take(&mut live.is_overdue) {
                        self.consumes(&sink, &live.session);
                    }
                    if let Some(mut delivery) = self.deliver(delivery, &sink) {
                        if let Intake::One(number) = intake {
                            feed.served = Some(number);
                            delivery.settlement.is_the_only_one();
                            // At once, so that the broker has no time to deliver another.
                            self.rest(feed);
                        }
                        return Some(delivery);
                    }
                }
                // Buffered deliveries of a dead channel: they cannot be settled and come again.
                Ok(_) => {}
                // Only the end is known here; the cause was handled above.
                Err(NoneCame::Lost(_)) if sink.end().is_over() => {}
                Err(NoneCame::Lost(reason)) => {
                    let session = live.session.clone();
                    self.lost(feed, session, reason.into());
                }
                Err(NoneCame::NoRoom(bytes)) => self.without_room(feed, bytes),
                Err(NoneCame::Interrupted) => self.read_again(feed).await,
                Err(NoneCame::Overdue) => self.tell_overdue(live),
            }
        }
    }

    /// How long a worker takes at the moment until it has the lead that another one gives up.
    pub fn hand_over(&self) -> Duration {
        self.leads.hand_over()
    }

    /// How many deliveries have arrived and were not taken by [`Subscription::next`]. The broker counts them as
    /// delivered, so asking it does not help.
    pub async fn prefetched(&self) -> usize {
        let Ok(mut feed) = tokio::time::timeout(TURN_TIMEOUT, self.leads.lock()).await else {
            return 0;
        };
        match &mut feed.live {
            // Deliveries over a dead channel wait at the broker again.
            Some(live) if live.sink.is_alive() => live.look_ahead(),
            _ => 0,
        }
    }

    /// `None` if it must not be handled.
    fn deliver(&self, delivery: Arrived, sink: &Arc<AckSink>) -> Option<Box<Delivery>> {
        let tag = delivery.tag;
        let part = sink.end().bodies().part_of(tag, delivery.body.len());
        let came_back = CameBack::of(delivery.redelivered, &delivery.properties);
        let (mut envelope, original) = receive(self.subscribing.plan.queue.clone(), delivery);
        let place = match (&self.subscribing.reading, envelope.stream_offset) {
            (None, None) => None,
            (None, Some(_)) => {
                // A copy of a message that was in a stream once, or a stream that hive.toml does not
                // call one.
                sink.is_of_a_stream();
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
        // It goes through many hands, and is a kilobyte.
        Some(Box::new(Delivery {
            envelope,
            original,
            came_back,
            settlement: Settlement::new(tag, sink, place),
            _part: part,
        }))
    }

    /// Waits for as long as its stream is not to be read.
    async fn stay_stopped(&self, feed: &mut Feed) {
        let Some(reading) = &self.subscribing.reading else {
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

    /// Subscribes to its stream again if a message of it must be read again.
    async fn read_again(&self, feed: &mut Feed) {
        if self.reading().is_some_and(|reading| reading.take_again()) {
            feed.live = None;
            self.waits("a message of the stream has to be read again");
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    /// The stream ends before a message that was handled: it was deleted and made again, or the broker has lost
    /// its end. New messages are delivered once their offsets are as high again.
    fn tell_overdue(&self, live: &mut Live) {
        live.overdue = None;
        live.is_overdue = true;
        let position = self.reading().and_then(|reading| reading.position());
        let position = position.unwrap_or_default();
        let reason = format!(
            "the stream ends before offset {position}, up to which it was handled: was it deleted and made \
             anew? Another `stream.group` begins anew; without it messages are waited for from there on"
        );
        Fact::StreamTooShort {
            consumer: &self.subscribing.plan.name,
            queue: &self.subscribing.plan.queue,
            position,
            why: &reason,
        }
        .emit();
        self.waits(&reason);
    }
}

/// Why the broker has ended what a channel consumes.
async fn reason_of(sink: &AckSink) -> Reason {
    tokio::select! {
        biased;
        cause = sink.end().cause() => {
            let code = matches!(cause, Cause::Deleted).then_some(Code::EntityMissing);
            Reason::new(code, cause)
        }
        () = sink.ended().cancelled() => "the broker cancelled the consumer".into(),
    }
}
