//! The duty to settle a delivery, on the channel that delivered it: [`Delivery`], [`Settlement`].

use std::sync::Arc;
use std::time::Duration;

use hive_core::message::Envelope;

use super::acks::sink::AckSink;
use super::stream::Place;
use crate::message::came_back::CameBack;
use crate::message::original::Original;
use crate::wire::endings::Cause;
use crate::wire::in_flight::Part;

/// One message that was handed to us, with the duty to settle it.
#[derive(Debug)]
pub struct Delivery {
    /// The message for the component.
    pub envelope: Envelope,
    /// The source of copies.
    pub original: Original,
    /// Whether it was delivered before.
    pub came_back: CameBack,
    /// The duty to answer the broker.
    pub settlement: Settlement,
    /// The memory that its body takes, if it is large.
    pub(crate) _part: Option<Part>,
}

/// The acks of a delivery's channel, for code that outlives the delivery.
#[derive(Debug)]
pub struct Acks(Arc<AckSink>);

impl Acks {
    /// Sends every ack that is owed, without waiting for others to go with it.
    pub async fn send(&self) {
        self.0.send_all().await;
    }

    /// Resolves when the channel is gone.
    pub async fn gone(&self) {
        self.0.gone().await;
    }

    /// Whether this delivery came over the same channel.
    pub fn are_of(&self, settlement: &Settlement) -> bool {
        Arc::ptr_eq(&self.0, &settlement.sink)
    }

    /// How many deliveries of the channel are parked, and how many it holds at most.
    pub fn parked(&self) -> (usize, u16) {
        self.0.parked()
    }
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

/// The fate of a delivery that cannot be settled any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The broker hands it out again.
    ComesAgain,
    /// It was deleted with its queue.
    Deleted,
}

/// The duty to settle one delivery, on the channel that delivered it.
///
/// If it is dropped unsettled, the message stays unacknowledged on purpose: the broker redelivers it when the
/// channel closes. That is the safe end for a task that is abandoned. After a panic the channel stays open, so
/// there the message goes back at once.
#[derive(Debug)]
#[must_use = "a delivery that is not settled blocks a place in the prefetch window"]
pub struct Settlement {
    tag: u64,
    sink: Arc<AckSink>,
    /// In a stream, whose broker takes an ack for a credit and nothing else for an answer.
    place: Option<Place>,
    is_settled: bool,
    /// Its channel delivers nothing else, and is to be closed once this one is settled.
    is_the_only_one: bool,
    /// While it waits in the host.
    parked: Option<Parked>,
    /// Released when it is settled, or dropped.
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

/// Counts a delivery as one that waits in the host.
#[derive(Debug)]
struct Parked(Arc<AckSink>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl Settlement {
    /// `place` is its position in a stream.
    pub(crate) fn new(tag: u64, sink: &Arc<AckSink>, place: Option<Place>) -> Self {
        Self {
            tag,
            sink: Arc::clone(sink),
            place,
            is_settled: false,
            is_the_only_one: false,
            parked: None,
            _in_hand: InHand::new(sink),
        }
    }

    /// A channel that will be closed is no reason to give it back: it was delivered to be tried.
    pub(crate) fn is_the_only_one(&mut self) {
        self.is_the_only_one = true;
    }

    /// From now on it waits in the host without a worker, for a time that is not known. Others are asked for in its
    /// place, as far as the prefetch may grow, and their acks do not wait for it.
    pub fn park(&mut self) {
        if self.parked.is_none() {
            self.sink.park();
            self.parked = Some(Parked(Arc::clone(&self.sink)));
        }
    }

    /// It does not wait any longer.
    pub fn unpark(&mut self) {
        self.parked = None;
    }

    /// The message is done with.
    pub fn ack(mut self) -> Settled {
        self.is_settled = true;
        let acked = self.sink.ack(self.tag);
        match self.place.take() {
            None => acked,
            // A channel that is gone has no use for the credit, and the message is not read again.
            Some(place) => {
                place.handled();
                Settled::Done
            }
        }
    }

    /// The message goes back to its queue; one of a stream is read again.
    pub fn requeue(mut self) -> Settled {
        self.refuse()
    }

    /// Nothing is read beyond this message of a stream, for this reason, until
    /// [`super::stream::Reading::go_on`].
    pub fn stop(mut self, reason: &str) -> Settled {
        match self.place.take() {
            None => self.refuse(),
            Some(place) => {
                self.is_settled = true;
                place.stop(reason);
                Settled::Done
            }
        }
    }

    fn refuse(&mut self) -> Settled {
        self.is_settled = true;
        match self.place.take() {
            None => self.sink.requeue(self.tag),
            Some(place) => {
                drop(place);
                Settled::Done
            }
        }
    }

    /// The broker's number for the delivery, counted from 1 on its channel.
    pub fn tag(&self) -> u64 {
        self.tag
    }

    /// The acks of its channel.
    pub fn acks(&self) -> Acks {
        Acks(Arc::clone(&self.sink))
    }

    /// Whether it is still to be begun, if it was not: its channel neither is gone nor is to be closed
    /// once what was begun is settled.
    pub fn is_wanted(&self) -> bool {
        self.is_live() && (self.is_the_only_one || !self.sink.is_leaving())
    }

    /// Whether settling can still reach the broker. A delivery that cannot be settled comes again,
    /// so starting on it would be work done twice.
    pub fn is_live(&self) -> bool {
        self.sink.is_alive() && !self.sink.is_passed_on()
    }

    /// Whether it is a message of a stream, which can be settled on any channel.
    pub fn is_of_a_stream(&self) -> bool {
        self.place.is_some()
    }

    /// Resolves when its channel is gone, or will be closed once nothing on it is in flight.
    pub async fn unwanted(&self) {
        match self.is_the_only_one {
            true => self.sink.gone().await,
            false => self.sink.unwanted().await,
        }
    }

    /// Resolves when its channel is gone because one of its deliveries was unacknowledged for longer than the
    /// broker's consumer timeout. Returns an upper bound of that timeout.
    pub async fn timed_out(&self) -> Duration {
        let end = self.sink.end();
        end.over().await;
        match end.cause().await {
            Cause::TimedOut(after) => after.unwrap_or_else(|| self.sink.busy_for()),
            Cause::Deleted | Cause::Other(_) => std::future::pending().await,
        }
    }

    /// Resolves when its channel is gone and the broker may have given the message to another host, where one host at
    /// a time is to handle those of the queue.
    pub async fn passed_on(&self) {
        self.sink.passed_on().await;
    }

    /// The fate of the message; `None` while it can be settled. May ask the broker first.
    pub async fn fate(&self) -> Option<Fate> {
        if self.is_live() || self.is_of_a_stream() {
            return None;
        }
        let end = self.sink.end();
        if !end.is_over() {
            return Some(Fate::ComesAgain);
        }
        let cause = tokio::select! {
            biased;
            cause = end.cause() => cause,
            // The channel was closed for another reason meanwhile, so no answer is needed.
            () = self.sink.ended().cancelled() => return Some(Fate::ComesAgain),
        };
        Some(match cause {
            Cause::Deleted => Fate::Deleted,
            Cause::TimedOut(_) | Cause::Other(_) => Fate::ComesAgain,
        })
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.is_settled && std::thread::panicking() {
            let _settled_or_lost = self.refuse();
        }
    }
}
