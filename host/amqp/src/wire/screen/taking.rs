//! What goes to consumers and publishers past lapin: read off its frames here, as the screen comes to them.
//!
//! A delivery, or a message that comes back, is a method frame, a content header, and as many body frames as the header says
//! (AMQP 0-9-1, section 4.2.6); frames of other channels may stand between them. lapin would parse each frame into a value of
//! its own, hand it through two locks, and wake the consumer at each message. Here the consumer is woken once for all that was
//! read. What is answered to publications comes in the order of the wire, which lapin does not keep (`publish`).

use std::collections::HashMap;
use std::sync::Arc;

use lapin::BasicProperties;
use lapin::protocol::basic::parse_properties;
use lapin::types::ShortString;

use crate::message::answered::{Answered, Returned};
use crate::message::arrived::Arrived;
use crate::wire::endings::{Endings, Takes};
use crate::wire::frame::{self, ACK, DELIVER, NACK, OPEN_OK, RETURN};

/// The class, a weight of no use, and the length of the body, in front of the properties.
const BEFORE_PROPERTIES: usize = 12;
/// A body that is announced as longer is given its room as it comes.
const ROOM_AT_ONCE: u64 = 256 << 20;

/// The channels of a connection on which something is taken.
#[derive(Debug)]
pub(super) struct Taking {
    endings: Endings,
    channels: HashMap<u16, Channel>,
    /// Who was given something since the last time that they were woken.
    to_wake: Vec<Takes>,
}

#[derive(Debug, Default)]
struct Channel {
    /// None for a channel that is lapin's alone.
    to: Option<Takes>,
    partial: Option<Partial>,
}

/// A message of which not all is here.
#[derive(Debug)]
struct Partial {
    content: Content,
    /// What is missing of its body; none before its header.
    missing: Option<u64>,
}

#[derive(Debug)]
enum Content {
    Delivery(Arrived),
    /// Its body is of no use.
    Returned(Returned),
}

impl Taking {
    pub(super) fn new(endings: Endings) -> Self {
        Self {
            endings,
            channels: HashMap::new(),
            to_wake: Vec::new(),
        }
    }

    /// Whether the next frame, which begins like this, is a part of a delivery that is taken. `None` if more of it has to
    /// be here to know.
    pub(super) fn wants(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Option<bool> {
        if kind != frame::METHOD {
            let of_channel = self.channels.get(&channel);
            let partial = of_channel.and_then(|of_channel| of_channel.partial.as_ref());
            return Some(match (kind, partial) {
                (frame::HEADER, Some(partial)) => partial.missing.is_none(),
                (frame::BODY, Some(partial)) => partial.missing.is_some(),
                _ => false,
            });
        }
        let method = *payload.first_chunk::<4>()?;
        if method == OPEN_OK {
            self.channels.remove(&channel);
        }
        Some(match method {
            DELIVER => matches!(self.takes(channel), Some(Takes::Deliveries(_))),
            ACK | NACK | RETURN => matches!(self.takes(channel), Some(Takes::Answers(_))),
            _ => false,
        })
    }

    /// Who has what comes on a channel. It is asked once, for as long as the channel is open.
    fn takes(&mut self, channel: u16) -> Option<&Takes> {
        let endings = &self.endings;
        let of_channel = self.channels.entry(channel).or_insert_with(|| Channel {
            to: endings.takes(channel),
            partial: None,
        });
        of_channel.to.as_ref()
    }

    /// Takes the payload of a method or a header; false if it makes no sense.
    pub(super) fn take(&mut self, kind: u8, channel: u16, payload: &[u8]) -> bool {
        let Some(of_channel) = self.channels.get_mut(&channel) else {
            return false;
        };
        let partial = of_channel.partial.take();
        if kind != frame::METHOD {
            of_channel.partial = partial.and_then(|partial| partial.with_header(payload));
            let makes_sense = of_channel.partial.is_some();
            of_channel.complete(&mut self.to_wake);
            return makes_sense;
        }
        if let (Some(Takes::Answers(to)), Some(answered)) = (&of_channel.to, confirm(payload)) {
            to.put(answered);
            wake_later(&mut self.to_wake, &Takes::Answers(Arc::clone(to)));
            return true;
        }
        of_channel.partial = Partial::of(payload);
        of_channel.partial.is_some()
    }

    /// Takes a piece of a body; false if there is more of it than its header says.
    pub(super) fn take_body(&mut self, channel: u16, piece: &[u8]) -> bool {
        let Some(of_channel) = self.channels.get_mut(&channel) else {
            return false;
        };
        let Some(Partial {
            content,
            missing: Some(missing),
        }) = &mut of_channel.partial
        else {
            return false;
        };
        let Some(rest) = missing.checked_sub(piece.len() as u64) else {
            return false;
        };
        if let Content::Delivery(arrived) = content {
            arrived.body.extend_from_slice(piece);
        }
        *missing = rest;
        of_channel.complete(&mut self.to_wake);
        true
    }

    /// Wakes those who were given something.
    pub(super) fn wake(&mut self) {
        for to in self.to_wake.drain(..) {
            match to {
                Takes::Deliveries(to) => to.wake(),
                Takes::Answers(to) => to.wake(),
            }
        }
    }
}

fn wake_later(to_wake: &mut Vec<Takes>, one: &Takes) {
    if !to_wake.iter().any(|other| other.is(one)) {
        to_wake.push(one.clone());
    }
}

impl Channel {
    /// Hands its message over if nothing of it is missing.
    fn complete(&mut self, to_wake: &mut Vec<Takes>) {
        let Some(to) = &self.to else {
            return;
        };
        let whole = self.partial.take_if(|partial| partial.missing == Some(0));
        let Some(Partial { content, .. }) = whole else {
            return;
        };
        match (to, content) {
            (Takes::Deliveries(to), Content::Delivery(arrived)) => to.put(arrived),
            (Takes::Answers(to), Content::Returned(back)) => {
                to.put(Answered::Returned(Box::new(back)))
            }
            // Of what does not belong on its channel nothing was taken.
            (Takes::Deliveries(_), Content::Returned(_))
            | (Takes::Answers(_), Content::Delivery(_)) => return,
        }
        wake_later(to_wake, to);
    }
}

impl Partial {
    /// What begins with this method.
    fn of(payload: &[u8]) -> Option<Self> {
        let content = match *payload.first_chunk()? {
            DELIVER => Content::Delivery(deliver(payload)?),
            RETURN => Content::Returned(came_back(payload)?),
            _ => return None,
        };
        Some(Self {
            content,
            missing: None,
        })
    }

    /// With the properties and the length of the header that follows the method, and room for the body.
    fn with_header(mut self, payload: &[u8]) -> Option<Self> {
        let (length, properties) = content_header(payload)?;
        match &mut self.content {
            Content::Delivery(arrived) => {
                arrived.properties = properties;
                let room = usize::try_from(length.min(ROOM_AT_ONCE)).ok()?;
                arrived.body.reserve_exact(room);
            }
            Content::Returned(back) => {
                back.properties = properties;
                back.length = length;
            }
        }
        self.missing = Some(length);
        Some(self)
    }
}

/// basic.ack and basic.nack: delivery tag, multiple.
fn confirm(payload: &[u8]) -> Option<Answered> {
    let (method, rest) = payload.split_first_chunk()?;
    let (tag, rest) = rest.split_first_chunk()?;
    let tag = u64::from_be_bytes(*tag);
    let multiple = rest.first()? & 1 == 1;
    match *method {
        ACK => Some(Answered::Ack { tag, multiple }),
        NACK => Some(Answered::Nack { tag, multiple }),
        _ => None,
    }
}

/// basic.return: code, text, exchange, routing key.
fn came_back(payload: &[u8]) -> Option<Returned> {
    let (code, rest) = payload.get(RETURN.len()..)?.split_first_chunk()?;
    let (words, rest) = short_string(rest)?;
    let (exchange, rest) = short_string(rest)?;
    let (routing_key, _) = short_string(rest)?;
    Some(Returned {
        code: u16::from_be_bytes(*code),
        text: text(words)?,
        exchange: text(exchange)?,
        routing_key: text(routing_key)?,
        properties: Default::default(),
        length: 0,
    })
}

/// basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
fn deliver(payload: &[u8]) -> Option<Arrived> {
    let (_consumer_tag, rest) = short_string(payload.get(DELIVER.len()..)?)?;
    let (tag, rest) = rest.split_first_chunk()?;
    let (flags, rest) = rest.split_first()?;
    let (exchange, rest) = short_string(rest)?;
    let (routing_key, _) = short_string(rest)?;
    Some(Arrived {
        tag: u64::from_be_bytes(*tag),
        redelivered: flags & 1 == 1,
        exchange: text(exchange)?,
        routing_key: text(routing_key)?,
        properties: Default::default(),
        body: Vec::new(),
    })
}

fn short_string(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn text(octets: &[u8]) -> Option<ShortString> {
    std::str::from_utf8(octets).ok().map(ShortString::from)
}

/// The length of the body, and the properties.
fn content_header(payload: &[u8]) -> Option<(u64, BasicProperties)> {
    let (before, properties) = payload.split_first_chunk::<BEFORE_PROPERTIES>()?;
    let (_class_and_weight, length) = before.split_last_chunk()?;
    let (_rest, properties) = parse_properties(properties).ok()?;
    Some((u64::from_be_bytes(*length), properties))
}

#[cfg(test)]
mod tests;
