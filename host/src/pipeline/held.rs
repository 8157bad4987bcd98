//! A delivery in flight, with everything that is owed for it until it is settled.

use std::fmt;

use hive_amqp::Delivery;
use hive_core::policy::Disposition;
use hive_otlp::Handling;
use hive_telemetry::InHand;

use super::by_key::Place;
use super::flow::Watched;
use super::keeping::Patience;
use super::order::Turn;
use super::quarantine::Watcher;
use crate::ledger::Lease;
use crate::tail::Notes;

/// One delivery, from its arrival to its settlement.
///
/// Its duties are held here as owned values: dropped at any step, each is given back, and the broker redelivers
/// the message.
pub(super) struct Held {
    pub(super) delivery: Box<Delivery>,
    /// Counts it as in flight.
    pub(super) in_hand: InHand,
    /// Its lease on its key, if it has a key and `dedup` is on.
    pub(super) lease: Option<Lease>,
    /// Where a breaker is to hear how it ends.
    pub(super) watched: Option<Watched>,
    /// How often something was tried again for it, while it is kept in the host.
    pub(super) patience: Patience,
    /// Of those that its key has, where they are limited. It ends with the call, not with the settlement: what the
    /// limit protects is at work in the call.
    pub(super) place: Option<Place>,
    /// Where its key is kept in order. The last to go: the next one of the key starts when nothing
    /// else is owed for this one.
    pub(super) turn: Option<Turn>,
    /// Where it may end the host, and quarantine is to hear how it leaves.
    pub(super) watcher: Option<Watcher>,
    /// Its span, where spans are sent to a collector.
    pub(super) trace: Option<Box<Handling>>,
    /// What is noted for those who watch, if anyone does.
    pub(super) notes: Notes,
}

impl Held {
    /// The name of the delivery in log lines.
    pub(super) fn label(&self) -> Label<'_> {
        Label::of(&self.delivery)
    }

    /// Reports to the breaker what a disposition says of the component, as soon as it is known: carrying it out
    /// takes a while, in which other deliveries would be started. A success is only known in the end.
    pub(super) fn judge(&mut self, disposition: &Disposition) {
        if let Some(performance) = disposition.performance()
            && let Some(watched) = self.watched.take()
        {
            watched.tell(performance);
        }
    }
}

/// The name of a delivery in log lines: its offset in a stream, its message-id, or its delivery tag if it has
/// neither.
pub(super) struct Label<'a> {
    pub(super) message_id: Option<&'a str>,
    pub(super) offset: Option<u64>,
    pub(super) tag: u64,
}

impl<'a> Label<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> Self {
        let properties = &delivery.envelope.message.properties;
        Self {
            message_id: properties.message_id.as_deref(),
            offset: delivery.envelope.stream_offset,
            tag: delivery.settlement.tag(),
        }
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.offset, self.message_id) {
            (Some(offset), _) => write!(f, "offset {offset}"),
            (None, Some(id)) => f.write_str(id),
            (None, None) => write!(f, "tag {}", self.tag),
        }
    }
}
