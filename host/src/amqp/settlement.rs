//! The duty to settle a delivery, on the channel that delivered it: [`Delivery`], [`Settlement`].

use std::sync::Arc;

use super::acks::flusher::AckSink;
use super::original::Original;
use super::stream::Place;
use crate::message::Envelope;

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
    /// [`super::stream::Reading::go_on`].
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
