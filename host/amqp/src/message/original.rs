//! A delivery off the wire, as the component sees it and as copies are made from it.
//!
//! A retry copy carries the host's bookkeeping. Here it is taken off again, so that every attempt
//! sees the same message, and so does every further copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use hive_core::message::{Attempt, Envelope, Message};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::arrived::Arrived;
use super::bookkeeping::{
    ATTEMPT, EXCHANGE, EXPIRATION, MARK, REASON, RESERVED, RETRY_QUEUE, ROUTING_KEY, STASHED,
    TRACE, USER_ID, is_hidden, is_stashed,
};
use super::broker_headers::{is_brokers_own, is_death, stream_offset};
use super::copies::without_expiration;
use super::death::take_off_delays;
use super::encode::Entries;
use super::headers::{integer, read};
use super::identity::{self, Fingerprint, Mark};
use crate::message::octet_text;

/// A message as it was published, to the byte where AMQP has bytes; nothing here is converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Original {
    pub(crate) queue: Arc<str>,
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    /// With headers always, if only with a table that is empty.
    pub(crate) properties: BasicProperties,
    /// Where in a stream it is.
    pub(crate) stream_offset: Option<u64>,
    /// Distinguishes it from identical messages, if nothing else does.
    pub(crate) mark: Option<Mark>,
    /// The `traceparent` of its first attempt, in a copy.
    pub(crate) first_trace: Option<Box<str>>,
}

impl Original {
    /// What the message is known by: its message-id, or a hash over what it is and what tells it from
    /// others that look the same. `body` is the message's.
    ///
    /// It is the same at every attempt. Only that of a message with an id, or in a stream, is the same too
    /// whenever the broker hands it out again: see `identity`.
    pub fn identity(&self, body: &[u8]) -> String {
        identity::identity(self, body)
    }

    /// A hash of the message, shared only by messages that are equal to the byte, the same at every delivery
    /// and after every crash. `body` is the message's.
    pub fn fingerprint(&self, body: &[u8]) -> Fingerprint {
        identity::fingerprint(self, body)
    }

    /// The mark that was drawn as this delivery arrived; none where nothing had to be drawn.
    pub fn drawn_mark(&self) -> Option<Mark> {
        self.mark.filter(|mark| mark.is_drawn())
    }

    /// Has the message known by `mark` in the place of the one that was drawn for it.
    pub fn set_drawn_mark(&mut self, mark: Mark) {
        if self.drawn_mark().is_some() {
            self.mark = Some(mark);
        }
    }

    /// The `traceparent` of its first attempt, if a copy has carried that.
    pub fn first_trace(&self) -> Option<&str> {
        self.first_trace.as_deref()
    }

    /// The bytes of a short string as a long one, which may hold any.
    pub(crate) fn long(&self, text: &ShortString) -> AMQPValue {
        self.long_of(text.as_str())
    }

    /// See [`Self::long`].
    pub(crate) fn long_of(&self, text: &str) -> AMQPValue {
        let holder = octet_text::holder_of(text);
        let held = holder.and_then(|holder| header(&self.properties, &holder));
        AMQPValue::LongString(match held {
            Some(AMQPValue::ByteArray(octets)) => octets.as_slice().into(),
            _ => octet_text::octets(text).as_ref().into(),
        })
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
        self.properties.headers().iter().flatten()
    }
}

/// Splits a delivery from `queue` into its parts.
pub fn receive(queue: Arc<str>, delivery: impl Into<Arrived>) -> (Envelope, Original) {
    let Arrived {
        exchange,
        routing_key,
        redelivered,
        properties,
        body,
        ..
    } = delivery.into();
    let read_off = ReadOff::from(&properties, &queue);
    let original = read_off.original(queue.clone(), exchange, routing_key, properties);
    let is_dead_letter = header(&original.properties, REASON).is_some();
    let envelope = Envelope {
        message: Message {
            // Hidden headers are gone from the original already, bar those that a dead letter may show.
            properties: read(&original.properties, |name| is_hidden(name, is_dead_letter)),
            body: body.into(),
        },
        queue,
        exchange: original.exchange.to_string(),
        routing_key: original.routing_key.to_string(),
        redelivered,
        attempt: read_off.attempt,
        stream_offset: original.stream_offset,
    };
    (envelope, original)
}

/// The bookkeeping of a message.
struct ReadOff {
    attempt: Attempt,
    /// It returned from one of our delay queues.
    came_back: bool,
    has_bookkeeping: bool,
    /// The queue whose delay queues it went through, this one or another.
    retry_queue: Option<String>,
}

impl ReadOff {
    fn from(properties: &BasicProperties, queue: &str) -> Self {
        let headers = properties.headers().iter().flatten();
        let has_bookkeeping = headers
            .map(|(name, _)| name.as_str())
            .any(|name| name.starts_with(RESERVED) || is_brokers_own(name));
        let retry_queue = match header(properties, RETRY_QUEUE) {
            Some(AMQPValue::LongString(name)) => std::str::from_utf8(name.as_bytes()).ok(),
            _ => None,
        };
        let counts_here = match header(properties, RETRY_QUEUE) {
            // Copies name the queue; a publisher that sets the attempt by hand need not.
            None => true,
            Some(_) => retry_queue == Some(queue),
        };
        let attempt = header(properties, ATTEMPT)
            .filter(|_| counts_here)
            .and_then(integer)
            .and_then(|number| u32::try_from(number).ok())
            .and_then(Attempt::new);
        Self {
            attempt: attempt.unwrap_or(Attempt::FIRST),
            came_back: attempt.is_some(),
            has_bookkeeping,
            retry_queue: retry_queue.map(str::to_owned),
        }
    }

    fn original(
        &self,
        queue: Arc<str>,
        exchange: ShortString,
        routing_key: ShortString,
        properties: BasicProperties,
    ) -> Original {
        let stream_offset = stream_offset(&properties);
        let mark = match header(&properties, MARK) {
            Some(AMQPValue::LongString(mark)) => Mark::read(mark.as_bytes()),
            _ => None,
        };
        let first_trace = match header(&properties, TRACE) {
            Some(AMQPValue::LongString(trace)) => std::str::from_utf8(trace.as_bytes()).ok(),
            _ => None,
        };
        let first_trace = first_trace.map(Box::from);
        let needs_mark = stream_offset.is_none() && identity::own_id(&properties).is_none();
        let whole = |exchange, routing_key, properties| Original {
            queue,
            exchange,
            routing_key,
            properties,
            stream_offset,
            mark: needs_mark.then(|| mark.unwrap_or_else(Mark::draw)),
            first_trace,
        };
        let Some(headers) = properties.headers() else {
            let properties = properties.with_headers(FieldTable::default());
            return whole(exchange, routing_key, properties);
        };
        // As most come: nothing is copied.
        if !self.has_bookkeeping {
            return whole(exchange, routing_key, properties);
        }
        let mut kept = BTreeMap::new();
        let mut stash = BTreeMap::new();
        let is_dead_letter = header(&properties, REASON).is_some();
        for (name, value) in headers {
            match name.as_str().strip_prefix(STASHED) {
                Some(stashed) if is_stashed(stashed) => {
                    stash.insert(stashed.to_owned(), value.clone());
                }
                _ if self.came_back && is_death(name.as_str()) => {}
                // A helper header: it holds the bytes of a name or value that is not UTF-8.
                _ if octet_text::is_holder(name.as_str()) => {
                    kept.insert(name.clone(), value.clone());
                }
                _ if is_hidden(name.as_str(), is_dead_letter) => {}
                _ => {
                    kept.insert(name.clone(), value.clone());
                }
            }
        }
        take_off_delays(&mut kept, self.retry_queue.as_deref());
        let expiration = stash.remove(EXPIRATION);
        let expiration = expiration.and_then(|value| short(&value, &mut kept));
        let user_id = stash.remove(USER_ID);
        let user_id = user_id.and_then(|value| short(&value, &mut kept));
        for (name, value) in stash {
            kept.insert(ShortString::try_new(name).unwrap_or_default(), value);
        }
        let mut named = |name| header(&properties, name).and_then(|text| short(text, &mut kept));
        let (first_exchange, first_routing_key) = (named(EXCHANGE), named(ROUTING_KEY));
        let properties = match self.retry_queue {
            // It ends the delay of the copy, as long as that lasts.
            Some(_) if properties.expiration().is_some() => without_expiration(&properties),
            _ => properties,
        };
        let mut restored = properties.with_headers(FieldTable::from(kept));
        if let Some(expiration) = expiration {
            restored = restored.with_expiration(expiration);
        }
        if let Some(user_id) = user_id {
            restored = restored.with_user_id(user_id);
        }
        whole(
            first_exchange.unwrap_or(exchange),
            first_routing_key.unwrap_or(routing_key),
            restored,
        )
    }
}

pub(crate) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// A property that was a short string when it was stashed. Its bytes, if they are not text, are put beside the
/// `kept` headers.
fn short(value: &AMQPValue, kept: &mut Entries) -> Option<ShortString> {
    let AMQPValue::LongString(octets) = value else {
        return None;
    };
    let octets = octets.as_bytes();
    let Some(standing) = octet_text::standing_for(octets) else {
        return ShortString::try_new(std::str::from_utf8(octets).ok()?).ok();
    };
    if octets.len() > usize::from(u8::MAX) {
        return None;
    }
    if let Some(holder) = octet_text::holder_of(&standing.text) {
        kept.insert(holder.into(), AMQPValue::ByteArray(octets.into()));
    }
    ShortString::try_new(standing.text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use lapin::message::Delivery;

    use super::*;
    use crate::message::bookkeeping::PUBLISH_ID;
    use crate::message::strategies::{any_integer, any_value};

    #[test]
    fn the_bookkeeping_of_publications_is_hidden_too() {
        let mut headers = FieldTable::default();
        headers.insert(PUBLISH_ID.into(), AMQPValue::LongLongInt(3));
        headers.insert("kept".into(), AMQPValue::Void);
        let mut delivery = Delivery::mock(1, "shop".into(), "order".into(), false, b"{}".to_vec());
        delivery.properties = BasicProperties::default().with_headers(headers);
        let (envelope, original) = receive("orders".into(), delivery);
        assert_eq!(envelope.message.properties.headers.len(), 1);
        assert_eq!(envelope.attempt, Attempt::FIRST);
        assert_eq!(header(&original.properties, PUBLISH_ID), None);
    }

    /// Found by the fuzz target `messages`: every attempt has to see the same original, or a
    /// publication has another id each time.
    #[test]
    fn bookkeeping_is_not_smuggled_in_through_the_stash() {
        let mut headers = FieldTable::default();
        let name = format!("{STASHED}{ATTEMPT}");
        headers.insert(name.into(), AMQPValue::LongLongInt(9));
        let mut delivery = Delivery::mock(1, "".into(), "orders".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(headers);
        let (envelope, original) = receive("orders".into(), delivery);
        assert_eq!(envelope.attempt, Attempt::FIRST);
        assert_eq!(original.headers().count(), 0);
    }

    fn attempt_of(headers: &[(&str, AMQPValue)]) -> u32 {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        let mut delivery = Delivery::mock(1, "".into(), "orders".into(), false, Vec::new());
        delivery.properties = BasicProperties::default().with_headers(table);
        receive("orders".into(), delivery).0.attempt.get()
    }

    #[test]
    fn the_attempt_is_read_from_any_width_and_never_trusted_beyond_reason() {
        assert_eq!(attempt_of(&[]), 1);
        assert_eq!(attempt_of(&[(ATTEMPT, AMQPValue::ShortShortUInt(4))]), 4);
        assert_eq!(attempt_of(&[(ATTEMPT, AMQPValue::LongLongInt(4))]), 4);
        assert_eq!(attempt_of(&[(ATTEMPT, AMQPValue::LongInt(-4))]), 1);
        assert_eq!(attempt_of(&[(ATTEMPT, AMQPValue::LongLongInt(0))]), 1);
        assert_eq!(
            attempt_of(&[(ATTEMPT, AMQPValue::LongLongInt(i64::MAX))]),
            1
        );
        assert_eq!(attempt_of(&[(ATTEMPT, AMQPValue::Boolean(true))]), 1);
    }

    #[test]
    fn an_attempt_counts_in_its_own_queue_only() {
        let attempt = (ATTEMPT, AMQPValue::LongLongInt(4));
        let queue = |name: &str| (RETRY_QUEUE, AMQPValue::LongString(name.into()));
        assert_eq!(attempt_of(&[attempt.clone(), queue("orders")]), 4);
        assert_eq!(attempt_of(&[attempt, queue("others")]), 1);
    }

    proptest! {
        #[test]
        fn an_attempt_of_any_width_counts_where_it_is_one(number in any_integer()) {
            let told = integer(&number).and_then(|number| u32::try_from(number).ok());
            let expected = told.filter(|number| *number > 0).unwrap_or(1);
            prop_assert_eq!(attempt_of(&[(ATTEMPT, number)]), expected);
        }

        #[test]
        fn malformed_bookkeeping_is_no_bookkeeping(
            values in proptest::collection::vec(any_value(), 6),
            number in any::<u32>(),
        ) {
            let names = [ATTEMPT, EXCHANGE, ROUTING_KEY, REASON, PUBLISH_ID, "x-delivery-count"];
            let malformed = names.into_iter().zip(values);
            let malformed = malformed.filter(|(_, value)| integer(value).is_none());
            let headers: Vec<_> = malformed.collect();
            prop_assert_eq!(attempt_of(&headers), 1);
            // Nor does it keep an attempt that is given beside it from counting.
            let mut headers: Vec<_> = headers.into_iter().filter(|(name, _)| *name != ATTEMPT).collect();
            headers.push((ATTEMPT, AMQPValue::LongUInt(number)));
            prop_assert_eq!(attempt_of(&headers), number.max(1));
        }
    }
}
