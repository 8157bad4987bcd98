//! The log of a stream: messages with offsets, which stay until they are too old or too many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::AMQPValue;

use super::arguments::age;
use crate::message::Message;
use crate::time::Time;
use crate::wire::{integer, text};

/// Where a consumer of a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offset {
    First,
    Last,
    Next,
    At(u64),
    /// The first message that came at this time or later.
    Since(Time),
}

impl Offset {
    /// Reads `x-stream-offset`; `None` where it is nothing of the kind.
    pub(crate) fn read(value: Option<&AMQPValue>, now: Time) -> Option<Self> {
        let Some(value) = value else {
            return Some(Self::Next);
        };
        if let AMQPValue::Timestamp(seconds) = value {
            return Some(Self::Since(Time::from_millis(seconds.saturating_mul(1000))));
        }
        if let Some(number) = integer(value) {
            return u64::try_from(number).ok().map(Self::At);
        }
        match text(value)?.as_str() {
            "first" => Some(Self::First),
            "last" => Some(Self::Last),
            "next" => Some(Self::Next),
            interval => {
                let age = age(interval)?;
                let millis = u64::try_from(age.as_millis()).ok()?;
                Some(Self::Since(now.before_millis(millis)))
            }
        }
    }
}

#[derive(Debug)]
struct Logged {
    at: Time,
    message: Arc<Message>,
}

/// The messages of a stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    log: VecDeque<Logged>,
    /// The offset of the first message that is still there.
    first: u64,
    bytes: u64,
}

impl Stream {
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// The offset that the next message gets.
    fn next(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    pub(crate) fn append(&mut self, message: Arc<Message>, now: Time, max_bytes: Option<u64>) {
        self.bytes += message.body.len() as u64;
        self.log.push_back(Logged { at: now, message });
        while max_bytes.is_some_and(|most| self.bytes > most) && self.log.len() > 1 {
            self.drop_first();
        }
    }

    /// Removes the messages that are older than `max_age`, except the last one.
    pub(crate) fn drop_aged(&mut self, max_age: Duration, now: Time) {
        while self.log.len() > 1 && self.log[0].at.after(max_age) <= now {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(dropped) = self.log.pop_front() {
            self.bytes -= dropped.message.body.len() as u64;
            self.first += 1;
        }
    }

    /// The message at an offset, or the first one behind it that is still there, with its offset.
    pub(crate) fn at(&self, offset: u64) -> Option<(u64, &Arc<Message>)> {
        let offset = offset.max(self.first);
        let place = usize::try_from(offset - self.first).ok()?;
        let logged = self.log.get(place)?;
        Some((offset, &logged.message))
    }

    /// The offset that a consumer begins with.
    pub(crate) fn start(&self, offset: Offset) -> u64 {
        match offset {
            Offset::First => self.first,
            // RabbitMQ begins with the last chunk of messages; ours are of one message each.
            Offset::Last => self.next().saturating_sub(1).max(self.first),
            Offset::Next => self.next(),
            Offset::At(offset) => offset.max(self.first),
            Offset::Since(time) => {
                let older = self.log.iter().take_while(|logged| logged.at < time);
                self.first + older.count() as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;

    use super::*;
    use crate::message::tests::message;

    fn filled(count: u64) -> Stream {
        let mut stream = Stream::default();
        for number in 0..count {
            let message = Arc::new(message("k", &BasicProperties::default()));
            stream.append(message, Time::from_millis(number * 1000), None);
        }
        stream
    }

    #[test]
    fn a_consumer_begins_where_it_asks_to() {
        let stream = filled(5);
        for (offset, expected) in [
            (Offset::First, 0),
            (Offset::Last, 4),
            (Offset::Next, 5),
            (Offset::At(3), 3),
            (Offset::At(99), 99),
            (Offset::Since(Time::from_millis(1500)), 2),
        ] {
            assert_eq!(stream.start(offset), expected, "{offset:?}");
        }
        assert_eq!(Stream::default().start(Offset::Last), 0);
    }

    #[test]
    fn offsets_are_read_in_all_their_forms() {
        let now = Time::from_millis(7_200_000);
        let read = |value: AMQPValue| Offset::read(Some(&value), now);
        let word = |text: &str| AMQPValue::LongString(text.into());
        assert_eq!(Offset::read(None, now), Some(Offset::Next));
        assert_eq!(read(word("first")), Some(Offset::First));
        assert_eq!(read(word("last")), Some(Offset::Last));
        assert_eq!(read(7_i32.into()), Some(Offset::At(7)));
        let hour_ago = Some(Offset::Since(Time::from_millis(3_600_000)));
        assert_eq!(read(AMQPValue::Timestamp(3600)), hour_ago);
        assert_eq!(read(word("1h")), hour_ago);
        assert_eq!(read(word("tomorrow")), None);
        assert_eq!(read((-1_i32).into()), None);
        assert_eq!(read(true.into()), None);
    }

    #[test]
    fn old_messages_go_and_offsets_stay() {
        let mut stream = filled(5);
        stream.drop_aged(Duration::from_secs(2), Time::from_millis(4000));
        assert_eq!(stream.len(), 2);
        assert_eq!(stream.at(0).map(|(offset, _)| offset), Some(3));
        let body = "body".len() as u64;
        let message = Arc::new(message("k", &BasicProperties::default()));
        stream.append(message, Time::from_millis(5000), Some(body));
        assert_eq!(stream.at(0).map(|(offset, _)| offset), Some(5));
        assert!(stream.at(6).is_none());
    }
}
