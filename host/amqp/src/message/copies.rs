//! Copies of a message: for another attempt, and for the dead-letter queue.
//!
//! Both keep every property and header of the original, except those that the broker acts on; they are stashed
//! under names of ours and restored in [`super::original`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hive_core::dead::Death;
use hive_core::message::Attempt;
use hive_core::policy::{Failure, FailureClass};
use hive_telemetry::Fact;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::bookkeeping::{
    ATTEMPT, ATTEMPTS, CONSUMER, EDIT, EDIT_OF, ERROR, EXCHANGE, EXPIRATION, MARK, QUEUE, REASON,
    RETRY_CONSUMER, RETRY_DUE, RETRY_ERROR, RETRY_LIMIT, RETRY_QUEUE, RETRY_REASON, RETRY_TIME,
    ROUTING_KEY, STASHED, TIME, TRACE, USER_ID, is_acted_on,
};
use super::broker_headers::STREAM_OFFSET;
use super::delay::{DelayQueue, whole_milliseconds};
use super::edit::EditOf;
use super::encode::{Entries, header_frame_length, value_length};
use super::headers::{Unpublishable, short};
use super::original::Original;
use super::outgoing::{Outgoing, PublishLimits, ROOM_FOR_THE_BROKER};
use crate::message::octet_text::literal;

/// The longest error text in a dead letter.
pub(crate) const LONGEST_ERROR: usize = 4096;

/// The longest error text in a retry copy. The copy lives as long as its delay, and there is one for each attempt.
pub(super) const LONGEST_RETRY_ERROR: usize = 1024;

/// Ends an error text that was cut.
const CUT: &str = " [cut]";

/// Why a message is dead-lettered.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterNote<'a> {
    /// The consumer that failed on it.
    pub consumer: &'a str,
    /// The last attempt.
    pub attempt: Attempt,
    /// The failure.
    pub failure: &'a Failure,
    /// When.
    pub time: SystemTime,
    /// The `traceparent` of the attempt, where there are spans.
    pub trace: Option<&'a str>,
}

/// Why a message waits for another attempt, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct RetryNote<'a> {
    /// The consumer that failed on it.
    pub consumer: &'a str,
    /// The attempt that it waits for.
    pub attempt: Attempt,
    /// How many retries the consumer allows.
    pub limit: u32,
    /// The class of the failure; `None` where none spent a retry.
    pub class: Option<FailureClass>,
    /// The error text. Not bounded yet.
    pub error: &'a str,
    /// When it begins to wait.
    pub time: SystemTime,
    /// How long it waits: as long as its delay queue holds a message, or shorter.
    pub wait: Duration,
    /// The `traceparent` of the attempt, where there are spans.
    pub trace: Option<&'a str>,
}

impl Outgoing {
    /// A copy of a message that waits in `delay_queue` for another attempt.
    ///
    /// What it says of the failure shrinks where the original is large, and is left out before anything of the
    /// original is.
    pub fn retry_copy(
        original: &Original,
        body: Bytes,
        delay_queue: &DelayQueue,
        note: RetryNote<'_>,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let error = cut(note.error, LONGEST_RETRY_ERROR);
        let mut copy = Copy::of(original, limits);
        copy.set_number(ATTEMPT, note.attempt.get());
        copy.set_text(RETRY_QUEUE, &original.queue);
        if let Some(class) = note.class {
            copy.set_text(RETRY_REASON, class.as_str());
        }
        copy.set_text(RETRY_ERROR, &error);
        copy.set_number(RETRY_LIMIT, note.limit);
        copy.set_text(RETRY_CONSUMER, note.consumer);
        copy.set_time(RETRY_TIME, whole_seconds(note.time));
        copy.set_time(RETRY_DUE, due(note.time, note.wait));
        if note.wait < delay_queue.delay {
            copy.expire_after(note.wait)?;
        }
        copy.carry_if_it_fits(note.trace, limits);
        copy.fit_with_shorter_error(RETRY_ERROR, &error, limits);
        copy.fit_without_retry_notes(limits);
        copy.fit_without_deaths(limits);
        let outgoing = match delay_queue.is_shared {
            true => copy.outgoing_through(&delay_queue.name, &original.queue, body),
            false => copy.outgoing(&delay_queue.name, body),
        };
        outgoing?.checked(limits, ROOM_FOR_THE_BROKER)
    }

    /// A dead letter as it was before it died, on its way to `queue` and to no other.
    ///
    /// What the host and the broker wrote on it at its end is gone, so it begins at its first try. Where
    /// it was first published to stays written on it, since a component sees that.
    pub fn republication(
        letter: &Original,
        body: Bytes,
        death: &Death,
        queue: &str,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let mut copy = Copy::of(letter, limits);
        let notes = [
            REASON,
            ERROR,
            ATTEMPTS,
            TIME,
            QUEUE,
            CONSUMER,
            STREAM_OFFSET,
        ];
        for name in notes {
            copy.headers.remove(name);
        }
        copy.set_first_published(letter, death);
        // Its time to live starts again, as its publisher set it.
        if let Some(expiration) = letter.properties.expiration() {
            copy.unstash(EXPIRATION);
            copy.properties = copy.properties.with_expiration(expiration.clone());
        }
        copy.outgoing(queue, body)?
            .checked(limits, ROOM_FOR_THE_BROKER)
    }

    /// A dead letter for the dead-letter queue `queue` that it is in: after an edit that it is the result of, or as it
    /// was before one.
    ///
    /// What it died of stays written on it, so that it can be sent as any other. The broker's own record cannot: a
    /// copy with it is dropped as a cycle before RabbitMQ 4.0.1.
    pub fn dead_again(
        letter: &Original,
        body: Bytes,
        death: &Death,
        (queue, edit): (&str, Option<&EditOf>),
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let mut copy = Copy::of(letter, limits);
        copy.set_first_published(letter, death);
        if let Some(home) = &death.queue {
            copy.set(QUEUE, letter.long_of(home));
        }
        if let Some(time) = death.time {
            copy.set_time(TIME, time);
        }
        if let Some(edit) = edit {
            copy.set_text(EDIT, &edit.identity);
            copy.set_text(EDIT_OF, &edit.fingerprint);
        }
        copy.outgoing(queue, body)?
            .checked(limits, ROOM_FOR_THE_BROKER)
    }

    /// A copy out of a delay queue on its way to `queue`, the one that it came from, before its delay ends. It is
    /// what it would have been at the end: the same attempt, of the same message.
    pub fn retry_now(
        waiting: &Original,
        body: Bytes,
        queue: &str,
        attempt: Attempt,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let mut copy = Copy::of(waiting, limits);
        copy.set_number(ATTEMPT, attempt.get());
        copy.set_text(RETRY_QUEUE, queue);
        copy.outgoing(queue, body)?
            .checked(limits, ROOM_FOR_THE_BROKER)
    }

    /// A copy out of a delay queue on its way to the dead-letter queue `dead_letter`: what the host would have put
    /// there, had `failure` been the last one that its consumer allows.
    pub fn dead_letter_now(
        waiting: &Original,
        body: Bytes,
        dead_letter: &str,
        (failure, time): (&Death, SystemTime),
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let end = End {
            // A dead letter is known by having a class. One of an earlier host says none.
            class: failure
                .class
                .as_deref()
                .unwrap_or(FailureClass::Retry.as_str()),
            error: failure.error.as_deref().unwrap_or_default(),
            attempts: failure.attempts.unwrap_or_default(),
            time,
            queue: failure.queue.as_deref().unwrap_or(&waiting.queue),
            consumer: failure.consumer.as_deref(),
            trace: None,
        };
        Self::dead(waiting, body, dead_letter, end, limits)
    }

    /// A copy of a message for the dead-letter queue `dead_letter`.
    ///
    /// It always fits in a frame: what the host adds shrinks where the original is large already,
    /// and if that is not enough its largest headers stay behind, rather than the message.
    pub fn dead_letter(
        original: &Original,
        body: Bytes,
        dead_letter: &str,
        note: DeadLetterNote<'_>,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let end = End {
            class: note.failure.class.as_str(),
            error: &note.failure.error,
            attempts: note.attempt.get().into(),
            time: note.time,
            queue: &original.queue,
            consumer: Some(note.consumer),
            trace: note.trace,
        };
        Self::dead(original, body, dead_letter, end, limits)
    }

    fn dead(
        original: &Original,
        body: Bytes,
        dead_letter: &str,
        end: End<'_>,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let error = cut(end.error, LONGEST_ERROR);
        let mut copy = Copy::of(original, limits);
        copy.set_text(REASON, end.class);
        copy.set_text(ERROR, &error);
        let attempts = i64::try_from(end.attempts).unwrap_or(i64::MAX);
        copy.set(ATTEMPTS, AMQPValue::LongLongInt(attempts));
        copy.set_time(TIME, whole_seconds(end.time));
        copy.set_text(QUEUE, end.queue);
        if let Some(consumer) = end.consumer {
            copy.set_text(CONSUMER, consumer);
        }
        if let Some(offset) = original.stream_offset {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            copy.set(STREAM_OFFSET, AMQPValue::LongLongInt(offset));
        }
        copy.carry_if_it_fits(end.trace, limits);
        copy.fit_with_shorter_error(ERROR, &error, limits);
        copy.fit_without_deaths(limits);
        copy.fit_without_the_largest(limits);
        copy.outgoing(dead_letter, body)?
            .checked(limits, ROOM_FOR_THE_BROKER)
    }
}

/// What a dead letter says of its end.
struct End<'a> {
    class: &'a str,
    error: &'a str,
    attempts: u64,
    time: SystemTime,
    queue: &'a str,
    consumer: Option<&'a str>,
    trace: Option<&'a str>,
}

/// A copy in the making.
struct Copy {
    properties: BasicProperties,
    headers: Entries,
}

impl Copy {
    fn of(original: &Original, limits: &PublishLimits) -> Self {
        let mut copy = Self {
            properties: without_acted_on(&original.properties),
            headers: Entries::new(),
        };
        for (name, value) in original.headers() {
            match is_acted_on(name.as_str()) {
                true => copy.stash(name.as_str(), value.clone()),
                false => {
                    copy.headers.insert(name.clone(), value.clone());
                }
            }
        }
        let properties = &original.properties;
        if let Some(expiration) = properties.expiration() {
            copy.stash(EXPIRATION, original.long(expiration));
        }
        match properties.user_id() {
            // The broker takes our own, and refuses anybody else's.
            Some(user_id) if limits.user.as_deref() == Some(user_id.as_str()) => {
                copy.properties = copy.properties.with_user_id(user_id.clone());
            }
            Some(user_id) => copy.stash(USER_ID, original.long(user_id)),
            None => {}
        }
        copy.set(EXCHANGE, original.long(&original.exchange));
        copy.set(ROUTING_KEY, original.long(&original.routing_key));
        if let Some(mark) = original.mark {
            copy.set_text(MARK, &mark.to_string());
        }
        if let Some(trace) = &original.first_trace {
            copy.set_text(TRACE, trace);
        }
        copy
    }

    /// Where it was published to before it died: a component sees that.
    fn set_first_published(&mut self, letter: &Original, death: &Death) {
        if let Some(exchange) = &death.exchange {
            self.set(EXCHANGE, letter.long_of(exchange));
        }
        if let Some(routing_key) = &death.routing_key {
            self.set(ROUTING_KEY, letter.long_of(routing_key));
        }
    }

    fn set(&mut self, name: &'static str, value: AMQPValue) {
        self.headers.insert(name.into(), value);
    }

    fn set_text(&mut self, name: &'static str, text: &str) {
        self.set(name, AMQPValue::LongString(text.into()));
    }

    fn set_number(&mut self, name: &'static str, number: u32) {
        self.set(name, AMQPValue::LongLongInt(number.into()));
    }

    fn set_time(&mut self, name: &'static str, seconds: u64) {
        self.set(name, AMQPValue::Timestamp(seconds));
    }

    fn stash(&mut self, name: &str, value: AMQPValue) {
        self.headers
            .insert(format!("{STASHED}{name}").into(), value);
    }

    fn unstash(&mut self, name: &str) {
        self.headers.remove(format!("{STASHED}{name}").as_str());
    }

    /// The broker moves it on after this time; its own expiration is stashed.
    fn expire_after(&mut self, wait: Duration) -> Result<(), Unpublishable> {
        let milliseconds = whole_milliseconds(wait).to_string();
        let properties = std::mem::take(&mut self.properties);
        self.properties = properties.with_expiration(short(EXPIRATION, &milliseconds)?);
        Ok(())
    }

    /// Names the span of the first attempt, so that later ones and what happens to a dead letter are of its trace.
    ///
    /// The first to be left out where the copy is large. The message's own headers stay as they were published.
    fn carry_if_it_fits(&mut self, trace: Option<&str>, limits: &PublishLimits) {
        let Some(trace) = trace.filter(|_| !self.headers.contains_key(TRACE)) else {
            return;
        };
        self.set_text(TRACE, trace);
        if self.excess(limits) > 0 {
            self.headers.remove(TRACE);
        }
    }

    /// By how much the copy is too large for a frame.
    fn excess(&self, limits: &PublishLimits) -> usize {
        (header_frame_length(&self.properties, &self.headers) + ROOM_FOR_THE_BROKER)
            .saturating_sub(limits.frame_max as usize)
    }

    fn fit_with_shorter_error(&mut self, name: &'static str, error: &str, limits: &PublishLimits) {
        match self.excess(limits) {
            0 => {}
            excess => self.set_text(name, &cut(error, error.len().saturating_sub(excess))),
        }
    }

    /// A retry needs its attempt and its queue alone; the rest is for people, and leaves before anything of the
    /// publisher's does.
    fn fit_without_retry_notes(&mut self, limits: &PublishLimits) {
        let for_people = [
            RETRY_ERROR,
            RETRY_CONSUMER,
            RETRY_REASON,
            RETRY_LIMIT,
            RETRY_TIME,
            RETRY_DUE,
        ];
        for name in for_people {
            if self.excess(limits) == 0 {
                return;
            }
            self.headers.remove(name);
        }
    }

    fn fit_without_deaths(&mut self, limits: &PublishLimits) {
        if self.excess(limits) > 0 {
            self.unstash("x-death");
        }
    }

    fn fit_without_the_largest(&mut self, limits: &PublishLimits) {
        while self.excess(limits) > 0 {
            let largest = self
                .headers
                .iter()
                .max_by_key(|(_, value)| value_length(value));
            let Some(name) = largest.map(|(name, _)| name.clone()) else {
                return;
            };
            let header = name.as_str();
            Fact::HeaderDropped { header }.emit();
            self.headers.remove(&name);
        }
    }

    /// For one queue and no other.
    fn outgoing(self, queue: &str, body: Bytes) -> Result<Outgoing, Unpublishable> {
        self.outgoing_through("", queue, body)
    }

    /// For `queue`, by way of `exchange`.
    fn outgoing_through(
        self,
        exchange: &str,
        queue: &str,
        body: Bytes,
    ) -> Result<Outgoing, Unpublishable> {
        Ok(Outgoing {
            exchange: short("the exchange's name", exchange)?,
            routing_key: short("the queue's name", &literal(queue))?,
            properties: self.properties,
            headers: FieldTable::from(self.headers),
            body,
            mandatory: true,
            header_frame: 0,
        })
    }
}

/// Since the Unix epoch; 0 for a moment before it.
fn whole_seconds(moment: SystemTime) -> u64 {
    moment
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The second in which a delay is over: never an earlier one.
fn due(from: SystemTime, delay: Duration) -> u64 {
    let since = from.duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = since.saturating_add(delay);
    end.as_secs()
        .saturating_add(u64::from(end.subsec_nanos() > 0))
}

/// All properties but the headers and the expiration.
pub(crate) fn without_expiration(properties: &BasicProperties) -> BasicProperties {
    let kept = without_acted_on(properties);
    match properties.user_id() {
        Some(user_id) => kept.with_user_id(user_id.clone()),
        None => kept,
    }
}

/// All properties but the two that the broker acts on; lapin has no way to take one off.
pub(crate) fn without_acted_on(properties: &BasicProperties) -> BasicProperties {
    let mut kept = BasicProperties::default();
    if let Some(value) = properties.content_type() {
        kept = kept.with_content_type(value.clone());
    }
    if let Some(value) = properties.content_encoding() {
        kept = kept.with_content_encoding(value.clone());
    }
    if let Some(value) = properties.delivery_mode() {
        kept = kept.with_delivery_mode(*value);
    }
    if let Some(value) = properties.priority() {
        kept = kept.with_priority(*value);
    }
    if let Some(value) = properties.correlation_id() {
        kept = kept.with_correlation_id(value.clone());
    }
    if let Some(value) = properties.reply_to() {
        kept = kept.with_reply_to(value.clone());
    }
    if let Some(value) = properties.message_id() {
        kept = kept.with_message_id(value.clone());
    }
    if let Some(value) = properties.timestamp() {
        kept = kept.with_timestamp(*value);
    }
    if let Some(value) = properties.kind() {
        kept = kept.with_type(value.clone());
    }
    if let Some(value) = properties.app_id() {
        kept = kept.with_app_id(value.clone());
    }
    if let Some(value) = properties.cluster_id() {
        kept = kept.with_cluster_id(value.clone());
    }
    kept
}

/// At most `longest` bytes of `text`, marked when that is not all of it.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests;
