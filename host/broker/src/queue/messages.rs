//! The messages of a queue: ready, unacknowledged, expired, dead, in the order in which they were published.

mod acked;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::types::{AMQPValue, FieldTable};

use self::acked::Acked;
use super::arguments::{Arguments, Overflow, QueueKind};
use super::consumers::{ChannelKey, Consumer, ConsumerKey, Consumers, Takeover};
use super::stream::{Offset, Stream};
use crate::message::{Message, Reason};
use crate::time::Time;

/// A queue, also after another one got its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(pub(crate) u64);

/// How long until a dead letter is tried again that no queue took: at-least-once dead-lettering alone.
const DEAD_LETTER_RETRY: u64 = 180_000;

/// A place in the queue: higher priorities first, then the earlier published.
type Place = (u8, u64);

/// The part of a place in front of all others: of what came back to a quorum queue.
const RETURNED: u8 = 0;

#[derive(Debug, Clone)]
struct Entry {
    message: Arc<Message>,
    expires: Option<Time>,
    counts: Counts,
    redelivered: bool,
}

/// How often a message was handed out without being settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// All times.
    pub(crate) acquired: u64,
    /// Only those that count towards the delivery limit.
    pub(crate) failed: u64,
}

#[derive(Debug)]
struct Held {
    place: Place,
    entry: Entry,
}

/// The result of publishing a message to a queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Push {
    Stored,
    /// The queue is full, and the publisher is to hear of it.
    Rejected,
    /// The same, and the message goes to the dead-letter exchange.
    RejectedDead(Dead),
}

/// A message that the queue gave up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dead {
    pub(crate) message: Arc<Message>,
    pub(crate) reason: Reason,
}

/// A message that goes to a consumer or to the asker of `basic.get`.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Names it in [`Queue::settle`]; `None` where it is settled already.
    pub(crate) sequence: Option<u64>,
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
    /// The headers that the broker adds.
    pub(crate) headers: Vec<(&'static str, AMQPValue)>,
}

/// How a client settles a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Acknowledged,
    /// Back to its place, or in a quorum queue to the head, behind what came back earlier.
    Requeued {
        /// Whether it counts towards the delivery limit.
        failed: bool,
    },
    Discarded,
}

/// How often each thing happened to a queue's messages, as RabbitMQ's `message_stats`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// From a publisher, and not from another queue.
    pub(crate) publish: u64,
    pub(crate) deliver: u64,
    pub(crate) get: u64,
    pub(crate) redeliver: u64,
    pub(crate) ack: u64,
}

/// A queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) vhost: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    /// The connection that alone may use it.
    pub(crate) owner: Option<u64>,
    /// The arguments as they were declared.
    pub(crate) table: FieldTable,
    pub(crate) arguments: Arguments,
    /// The same without what a policy adds.
    declared: Arguments,
    pub(crate) counted: Counted,
    /// A fault on command: nothing is delivered and no confirm is sent.
    pub(crate) frozen: bool,
    acked: Acked,
    /// The deadline for which the broker has set its timer.
    pub(crate) scheduled: Option<Time>,
    consumers: Consumers,
    ready: BTreeMap<Place, Entry>,
    ready_bytes: u64,
    unacked: HashMap<u64, Held>,
    next_sequence: u64,
    last_used: Time,
    /// Dead letters that wait for another try.
    stuck: Vec<Dead>,
    retry: Option<Time>,
    stream: Option<Stream>,
}

impl Queue {
    /// Puts a policy in force, or none.
    pub(crate) fn apply(&mut self, policy: Option<&serde_json::Map<String, serde_json::Value>>) {
        self.arguments = match policy {
            Some(policy) => self.declared.clone().with_policy(policy),
            None => self.declared.clone(),
        };
    }

    pub(crate) fn new(
        id: QueueId,
        vhost: &Arc<str>,
        name: &Arc<str>,
        arguments: Arguments,
        now: Time,
    ) -> Self {
        let takeover = match arguments.kind {
            QueueKind::Quorum => Takeover::ByPriority,
            QueueKind::Classic | QueueKind::Stream => Takeover::Never,
        };
        Self {
            id,
            vhost: vhost.clone(),
            name: name.clone(),
            durable: true,
            auto_delete: false,
            owner: None,
            table: FieldTable::default(),
            declared: arguments.clone(),
            counted: Counted::default(),
            frozen: false,
            acked: Acked::default(),
            scheduled: None,
            consumers: Consumers::new(arguments.single_active.then_some(takeover)),
            ready: BTreeMap::new(),
            ready_bytes: 0,
            unacked: HashMap::new(),
            next_sequence: 0,
            last_used: now,
            stuck: Vec::new(),
            retry: None,
            stream: (arguments.kind == QueueKind::Stream).then(Stream::default),
            arguments,
        }
    }

    /// The name of the queue in error texts.
    pub(crate) fn described(&self) -> String {
        described(&self.name, &self.vhost)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Messages that no consumer has.
    pub(crate) fn ready_count(&self) -> usize {
        match &self.stream {
            Some(stream) => stream.len(),
            None => self.ready.len(),
        }
    }

    /// Messages that a consumer has and has not settled. Those of a stream stay in it, so its consumers have the count.
    pub(crate) fn unacked_count(&self) -> usize {
        match &self.stream {
            Some(_) => self.consumers.iter().map(|one| one.unacked as usize).sum(),
            None => self.unacked.len(),
        }
    }

    /// Dead letters that wait for a queue that takes them.
    pub(crate) fn stuck_count(&self) -> usize {
        self.stuck.len()
    }

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    pub(crate) fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter()
    }

    pub(crate) fn has_exclusive_consumer(&self) -> bool {
        self.consumers.has_exclusive()
    }

    /// Notes that a client asked for it, which puts off `x-expires`.
    pub(crate) fn touch(&mut self, now: Time) {
        self.last_used = now;
    }

    pub(crate) fn add_consumer(&mut self, mut consumer: Consumer, offset: Offset, now: Time) {
        if let Some(stream) = &self.stream {
            consumer.offset = stream.start(offset);
        }
        self.consumers.add(consumer);
        self.touch(now);
    }

    /// Removes a consumer; what it holds stays unacknowledged. Says whether it was there.
    pub(crate) fn remove_consumer(&mut self, key: &ConsumerKey, now: Time) -> bool {
        self.touch(now);
        self.consumers.remove(key)
    }

    /// Stores a message, unless the queue is full and rejects publications.
    pub(crate) fn push(&mut self, message: &Arc<Message>, now: Time) -> Push {
        if let Some(stream) = &mut self.stream {
            stream.append(message.clone(), now, self.arguments.max_bytes);
            self.drop_aged(now);
            return Push::Stored;
        }
        if self.is_full_for(message) {
            match self.arguments.overflow {
                Overflow::DropHead => {}
                Overflow::RejectPublish => return Push::Rejected,
                Overflow::RejectPublishDlx => {
                    return Push::RejectedDead(Dead {
                        message: message.clone(),
                        reason: Reason::MaxLength,
                    });
                }
            }
        }
        let ttl = self
            .arguments
            .message_ttl
            .into_iter()
            .chain(message.ttl)
            .min();
        let priority = match self.arguments.max_priority {
            Some(most) => message.priority.min(most),
            None => 0,
        };
        let place = (u8::MAX - priority, self.next_sequence);
        self.next_sequence += 1;
        let entry = Entry {
            message: message.clone(),
            expires: ttl.map(|ttl| now.after_millis(ttl)),
            counts: Counts::default(),
            redelivered: false,
        };
        self.insert(place, entry);
        Push::Stored
    }

    fn insert(&mut self, place: Place, entry: Entry) {
        self.ready_bytes += entry.message.body.len() as u64;
        self.ready.insert(place, entry);
    }

    fn pop(&mut self) -> Option<(Place, Entry)> {
        let (place, entry) = self.ready.pop_first()?;
        self.ready_bytes -= entry.message.body.len() as u64;
        Some((place, entry))
    }

    /// Whether this message would be one too many.
    fn is_full_for(&self, message: &Message) -> bool {
        let Arguments {
            max_length,
            max_bytes,
            ..
        } = self.arguments;
        max_length.is_some_and(|most| self.ready.len() as u64 >= most)
            || max_bytes.is_some_and(|most| self.ready_bytes + message.body.len() as u64 > most)
    }

    /// Whether a publication would be rejected now.
    pub(crate) fn rejects(&self, message: &Message) -> bool {
        self.arguments.overflow != Overflow::DropHead
            && self.stream.is_none()
            && self.is_full_for(message)
    }

    /// Removes messages above the limits from the head, after consumers have got as many as they can take. A queue
    /// that rejects publications drops none: what comes back to it stays.
    pub(crate) fn trim(&mut self) -> Vec<Dead> {
        let mut dead = Vec::new();
        if self.arguments.overflow != Overflow::DropHead {
            return dead;
        }
        let Arguments {
            max_length,
            max_bytes,
            ..
        } = self.arguments;
        while max_length.is_some_and(|most| self.ready.len() as u64 > most)
            || max_bytes.is_some_and(|most| self.ready_bytes > most)
        {
            let Some((_, entry)) = self.pop() else {
                break;
            };
            dead.push(Dead {
                message: entry.message,
                reason: Reason::MaxLength,
            });
        }
        dead
    }

    /// Removes expired messages from the head. As in RabbitMQ, a message behind one that lives longer waits
    /// until it reaches the head.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<Dead> {
        self.drop_aged(now);
        let mut dead = Vec::new();
        while let Some((_, entry)) = self.ready.first_key_value() {
            if entry.expires.is_none_or(|expires| expires > now) {
                break;
            }
            if let Some((_, entry)) = self.pop() {
                dead.push(Dead {
                    message: entry.message,
                    reason: Reason::Expired,
                });
            }
        }
        dead
    }

    fn drop_aged(&mut self, now: Time) {
        if let (Some(stream), Some(age)) = (&mut self.stream, self.arguments.max_age) {
            stream.drop_aged(age, now);
        }
    }

    /// The next delivery to a consumer that `accepts` one.
    pub(crate) fn deliver(
        &mut self,
        accepts: impl Fn(&Consumer) -> bool,
    ) -> Option<(Consumer, Delivery)> {
        if self.frozen {
            return None;
        }
        if let Some(stream) = &self.stream {
            let behind = |consumer: &Consumer| stream.at(consumer.offset).is_some();
            let consumer = self
                .consumers
                .next(|consumer| behind(consumer) && accepts(consumer))?;
            let (offset, message) = stream.at(consumer.offset)?;
            consumer.offset = offset + 1;
            consumer.unacked += 1;
            let sequence = self.next_sequence;
            self.next_sequence += 1;
            let delivery = Delivery {
                sequence: Some(sequence),
                message: message.clone(),
                redelivered: false,
                headers: vec![("x-stream-offset", AMQPValue::LongLongInt(offset as i64))],
            };
            return Some((consumer.clone(), delivery));
        }
        if self.ready.is_empty() {
            return None;
        }
        let consumer = self.consumers.next(accepts)?;
        if !consumer.no_ack {
            consumer.unacked += 1;
        }
        let consumer = consumer.clone();
        let delivery = self.hand_out(consumer.no_ack)?;
        self.counted.deliver += 1;
        Some((consumer, delivery))
    }

    /// The message at the head, for `basic.get`.
    pub(crate) fn get(&mut self, no_ack: bool, now: Time) -> Option<Delivery> {
        self.touch(now);
        let delivery = self.hand_out(no_ack)?;
        self.counted.get += 1;
        Some(delivery)
    }

    fn hand_out(&mut self, no_ack: bool) -> Option<Delivery> {
        let (place, entry) = self.pop()?;
        let delivery = Delivery {
            sequence: (!no_ack).then_some(place.1),
            message: entry.message.clone(),
            redelivered: entry.redelivered,
            headers: self.headers(entry.counts),
        };
        self.counted.redeliver += u64::from(entry.redelivered);
        if !no_ack {
            self.unacked.insert(place.1, Held { place, entry });
        }
        Some(delivery)
    }

    /// The counts that a quorum queue sends along from the second delivery on.
    fn headers(&self, counts: Counts) -> Vec<(&'static str, AMQPValue)> {
        let mut headers = Vec::new();
        if self.arguments.kind == QueueKind::Quorum && counts.acquired > 0 {
            let number = |count: u64| AMQPValue::LongLongInt(count as i64);
            headers.push(("x-acquired-count", number(counts.acquired)));
            if counts.failed > 0 {
                headers.push(("x-delivery-count", number(counts.failed)));
            }
        }
        headers
    }

    /// Settles a delivery of `channel`; returns the message if that makes it a dead letter.
    pub(crate) fn settle(
        &mut self,
        delivered: &Delivered,
        how: Settlement,
        now: Time,
    ) -> Option<Dead> {
        let key = delivered.consumer_key();
        if let Some(consumer) = key.as_ref().and_then(|key| self.consumers.get_mut(key)) {
            consumer.unacked = consumer.unacked.saturating_sub(1);
        }
        let mut held = self.unacked.remove(&delivered.sequence)?;
        match how {
            Settlement::Acknowledged => {
                self.counted.ack += 1;
                self.acked.note(held, now);
                None
            }
            Settlement::Discarded => Some(Dead {
                message: held.entry.message,
                reason: Reason::Rejected,
            }),
            Settlement::Requeued { failed } => {
                let counts = &mut held.entry.counts;
                counts.acquired += 1;
                counts.failed += u64::from(failed);
                if self
                    .arguments
                    .delivery_limit
                    .is_some_and(|limit| counts.failed > limit)
                {
                    return Some(Dead {
                        message: held.entry.message,
                        reason: Reason::DeliveryLimit,
                    });
                }
                held.entry.redelivered = true;
                if self.arguments.kind == QueueKind::Quorum {
                    held.place = (RETURNED, self.next_sequence);
                    self.next_sequence += 1;
                }
                self.insert(held.place, held.entry);
                None
            }
        }
    }

    /// From now on a crash undoes acknowledgements that are younger than this.
    pub(crate) fn has_acks_written_after(&mut self, time: Duration) {
        self.acked = Acked::unsafe_for(time);
    }

    /// Messages that somebody has, and those whose acknowledgement was not safe yet, are where they were: what a crash has
    /// undone comes in the order that it had.
    pub(crate) fn recover(&mut self, now: Time) {
        let unacked = std::mem::take(&mut self.unacked).into_values();
        let undone: Vec<Held> = self.acked.undone(now).chain(unacked).collect();
        for held in undone {
            let Held { place, mut entry } = held;
            entry.redelivered = true;
            entry.counts.acquired += 1;
            self.insert(place, entry);
        }
    }

    /// Keeps dead letters that no queue took, to try them again later.
    pub(crate) fn keep_stuck(&mut self, dead: Dead, now: Time) {
        self.stuck.push(dead);
        self.retry = Some(now.after_millis(DEAD_LETTER_RETRY));
    }

    /// The dead letters to try again, once it is time.
    pub(crate) fn due_stuck(&mut self, now: Time) -> Vec<Dead> {
        if self.retry.is_some_and(|retry| retry <= now) {
            self.retry = None;
            return std::mem::take(&mut self.stuck);
        }
        Vec::new()
    }

    /// Removes all ready messages and says how many there were.
    pub(crate) fn purge(&mut self) -> usize {
        let count = self.ready.len();
        self.ready.clear();
        self.ready_bytes = 0;
        count
    }

    /// Whether the queue has been unused for `x-expires`.
    pub(crate) fn has_lapsed(&self, now: Time) -> bool {
        self.lapses().is_some_and(|lapses| lapses <= now)
    }

    fn lapses(&self) -> Option<Time> {
        let expires = self.arguments.expires?;
        (self.consumers.len() == 0).then(|| self.last_used.after_millis(expires))
    }

    /// When the next message or the queue expires, or a dead letter is tried again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let head = self
            .ready
            .first_key_value()
            .and_then(|(_, entry)| entry.expires);
        [head, self.lapses(), self.retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// The bodies and keys at the head, to look at without consuming them.
    pub(crate) fn peek(&self, count: usize) -> Vec<Arc<Message>> {
        let messages = self.ready.values().take(count);
        messages.map(|entry| entry.message.clone()).collect()
    }
}

/// A delivery as the channel that has it remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) queue: QueueId,
    pub(crate) sequence: u64,
    pub(crate) channel: ChannelKey,
    /// The tag of the consumer; `None` for `basic.get`.
    pub(crate) consumer: Option<Arc<str>>,
}

impl Delivered {
    fn consumer_key(&self) -> Option<ConsumerKey> {
        self.consumer.as_ref().map(|tag| ConsumerKey {
            channel: self.channel,
            tag: tag.clone(),
        })
    }
}

/// The description of a queue in RabbitMQ's error texts.
pub(crate) fn described(name: &str, vhost: &str) -> String {
    format!("queue '{name}' in vhost '{vhost}'")
}

#[cfg(test)]
mod tests;
