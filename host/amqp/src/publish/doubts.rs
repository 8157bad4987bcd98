//! Publications that the broker is likely to refuse: [`Doubts`].
//!
//! The broker closes the channel over a publication that it refuses, and what was published beside it and is
//! not confirmed by then is published again. A message that fails is tried many times, and a missing exchange
//! is missing for all that is published to it. So both are remembered, and published by themselves: their
//! neighbours are repeated once, and not at each attempt. Pure.

use hive_core::recent::Recent;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::message::bookkeeping::MARK;
use crate::message::outgoing::Outgoing;

/// How many exchanges and how many messages are remembered.
const MOST: usize = 1024;

/// What the broker has refused, until it takes it.
#[derive(Debug)]
pub(super) struct Doubts {
    exchanges: Recent<String, ()>,
    /// By their ids.
    messages: Recent<Vec<u8>, ()>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self {
            exchanges: Recent::of(MOST),
            messages: Recent::of(MOST),
        }
    }
}

impl Doubts {
    /// Whether the broker refused this publication, or the last one to its exchange.
    pub(super) fn concern(&self, outgoing: &Outgoing) -> bool {
        if self.is_empty() {
            return false;
        }
        self.exchanges.has(outgoing.exchange.as_str())
            || id_of(outgoing).is_some_and(|id| self.messages.has(id))
    }

    /// The broker closed the channel or the connection over this publication.
    pub(super) fn refused(&mut self, outgoing: &Outgoing) {
        // The default exchange is always there, and takes what the host publishes to any queue.
        if !outgoing.exchange.as_str().is_empty() {
            self.exchanges.note(outgoing.exchange.to_string(), ());
        }
        if let Some(id) = id_of(outgoing) {
            self.messages.note(id.to_owned(), ());
        }
    }

    /// The broker took this publication, whether or not a queue did.
    pub(super) fn taken(&mut self, outgoing: &Outgoing) {
        if self.is_empty() {
            return;
        }
        self.exchanges.take(outgoing.exchange.as_str());
        if let Some(id) = id_of(outgoing) {
            self.messages.take(id);
        }
    }

    fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.messages.is_empty()
    }
}

fn id_of(outgoing: &Outgoing) -> Option<&[u8]> {
    id(&outgoing.properties, Some(&outgoing.headers))
}

/// What a publication has in common with itself at the next attempt, and when it comes back: its message-id, or the mark of a
/// copy whose message has none.
pub(super) fn id<'a>(
    properties: &'a BasicProperties,
    headers: Option<&'a FieldTable>,
) -> Option<&'a [u8]> {
    if let Some(id) = properties.message_id()
        && !id.as_str().is_empty()
    {
        return Some(id.as_str().as_bytes());
    }
    match headers?.inner().get(MARK)? {
        AMQPValue::LongString(mark) => Some(mark.as_bytes()),
        _ => None,
    }
}
