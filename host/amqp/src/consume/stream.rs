//! Reading a stream: [`Reading`], which a subscription and its deliveries share.
//!
//! To the broker, an ack on a stream is a credit for more, and a refusal is an error that ends the connection.
//! So the reader itself records which messages are handled. Messages that must come again are read again: over
//! the same connection, from the lowest unhandled offset.

mod end;
mod offsets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hive_config::plan::StreamOffset;
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::{Notify, watch};

pub(crate) use self::end::last_offset;
use self::offsets::{Arrival, Offsets};
use crate::message::broker_headers::STREAM_OFFSET;

/// How far one consumer has read its stream, and whether it continues.
#[derive(Debug)]
pub struct Reading {
    /// Where to begin as long as the position is not known.
    offset: StreamOffset,
    state: Mutex<State>,
    /// Wakes the task that reads from the broker: something has to be read again, or reading ends.
    interrupt: Notify,
    /// Wakes the task that stores the position.
    moved: Notify,
    /// Why nothing is read, while it has stopped.
    stopped: watch::Sender<Option<Arc<str>>>,
}

#[derive(Debug, Default)]
struct State {
    offsets: Offsets,
    /// Something was given back that the reading under way has come past.
    again: bool,
    /// Nothing more is handed out.
    closed: bool,
}

/// A message of a stream in flight. If it is dropped, the stream is read again from there.
#[derive(Debug)]
pub(crate) struct Place {
    offset: u64,
    /// None once it is handled.
    reading: Option<Arc<Reading>>,
}

/// Where a reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    offset: StreamOffset,
    /// The message there was handled before, and comes first if the stream is still the same.
    pub(crate) is_handled: bool,
}

impl Reading {
    /// Nothing was read yet; it begins at `offset`, unless it resumes.
    pub fn new(offset: StreamOffset) -> Self {
        Self {
            offset,
            state: Mutex::default(),
            interrupt: Notify::new(),
            moved: Notify::new(),
            stopped: watch::Sender::new(None),
        }
    }

    /// Skips everything below `position`. To be called before the first delivery.
    pub fn resume(&self, position: u64) {
        self.lock().offsets.resume(position);
        self.moved.notify_one();
    }

    /// Whether it begins at the end of the stream, wherever that is.
    pub(crate) fn begins_at_the_end(&self) -> bool {
        self.offset == StreamOffset::Next && self.position().is_none()
    }

    /// The lowest unhandled offset; `None` before the first message.
    pub fn position(&self) -> Option<u64> {
        self.lock().offsets.position()
    }

    /// Waits until something was handled or given back since this was last waited for. For one waiter.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Hands out nothing more.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    /// Whether no message is in flight.
    pub fn is_idle(&self) -> bool {
        self.lock().offsets.in_hand() == 0
    }

    /// Reads no further, for this reason, until [`Reading::go_on`].
    fn stop(&self, reason: &str) {
        self.stopped.send_replace(Some(reason.into()));
        self.interrupt.notify_one();
    }

    /// Reads on from the position, if it had stopped.
    pub fn go_on(&self) {
        self.stopped.send_replace(None);
    }

    /// Reports why nothing is read while it has stopped.
    pub fn stopped(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.stopped.subscribe()
    }

    /// Stops over a message that a stream would not have sent.
    pub(crate) fn stop_over_no_stream(&self) {
        self.stop("the queue is not a stream: its messages have no offset; remove `stream`");
    }

    /// Begins to read again.
    pub(crate) fn begin(&self) -> Beginning {
        let mut state = self.lock();
        state.again = false;
        state.offsets.begin();
        match state.offsets.position() {
            None => Beginning {
                offset: self.offset,
                is_handled: false,
            },
            // The message before it shows that the stream is still the one that was read.
            Some(position) => Beginning {
                offset: StreamOffset::Number(position.saturating_sub(1)),
                is_handled: position > 0,
            },
        }
    }

    /// The message of this offset came: its place, if it is to be handled.
    pub(crate) fn arrived(self: &Arc<Self>, offset: u64) -> Option<Place> {
        let mut state = self.lock();
        let is_wanted = !state.closed && state.offsets.arrived(offset) == Arrival::Wanted;
        is_wanted.then(|| Place {
            offset,
            reading: Some(Arc::clone(self)),
        })
    }

    /// Whether the broker must be asked again; true only once for each reason.
    pub(crate) fn take_again(&self) -> bool {
        std::mem::take(&mut self.lock().again)
    }

    /// Resolves when the current reading is not the wanted one any more.
    pub(crate) async fn interrupted(&self) {
        while !self.lock().again && self.stopped.borrow().is_none() {
            self.interrupt.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// It is handled, and not read again.
    pub(crate) fn handled(mut self) {
        if let Some(reading) = self.reading.take() {
            reading.lock().offsets.handled(self.offset);
            reading.moved.notify_one();
        }
    }

    /// The stream is read up to it and no further, for this reason.
    pub(crate) fn stop(self, reason: &str) {
        if let Some(reading) = &self.reading {
            reading.stop(reason);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        let has_to_come_again = {
            let mut state = reading.lock();
            let passed = state.offsets.given_back(self.offset);
            state.again |= passed;
            passed
        };
        if has_to_come_again {
            reading.interrupt.notify_one();
        }
        reading.moved.notify_one();
    }
}

impl Beginning {
    /// As the broker is asked for it.
    pub(crate) fn arguments(self) -> FieldTable {
        let text = |word: &str| AMQPValue::LongString(word.into());
        let offset = match self.offset {
            StreamOffset::First => text("first"),
            StreamOffset::Last => text("last"),
            StreamOffset::Next => text("next"),
            StreamOffset::Number(offset) => {
                AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX))
            }
            StreamOffset::Time(seconds) => AMQPValue::Timestamp(seconds),
        };
        let mut arguments = FieldTable::default();
        arguments.insert(STREAM_OFFSET.into(), offset);
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Arc<Reading> {
        Arc::new(Reading::new(StreamOffset::First))
    }

    #[test]
    fn a_reading_begins_where_the_plan_says_until_the_position_is_known() {
        let reading = reading();
        assert_eq!(
            reading.begin(),
            Beginning {
                offset: StreamOffset::First,
                is_handled: false
            }
        );
        let place = reading.arrived(41).expect("it is wanted");
        place.handled();
        assert_eq!(
            reading.begin(),
            Beginning {
                offset: StreamOffset::Number(41),
                is_handled: true
            }
        );
        assert!(reading.arrived(41).is_none(), "it was handled");
    }

    #[test]
    fn a_place_that_is_dropped_is_read_again() {
        let reading = reading();
        reading.begin();
        let (first, second) = (reading.arrived(0), reading.arrived(1));
        second.expect("it is wanted").handled();
        assert!(!reading.is_idle() && !reading.take_again());
        drop(first);
        assert!(reading.is_idle());
        assert!(reading.take_again(), "it was passed");
        assert_eq!(reading.position(), Some(0));
        reading.begin();
        assert!(reading.arrived(0).is_some());
        assert!(reading.arrived(1).is_none());
    }

    #[test]
    fn a_reading_that_is_closed_hands_out_nothing() {
        let reading = reading();
        reading.begin();
        reading.close();
        assert!(reading.arrived(0).is_none());
        assert_eq!(reading.position(), None);
    }

    #[tokio::test]
    async fn it_stops_and_goes_on() {
        let reading = reading();
        reading.begin();
        reading.arrived(0).expect("it is wanted").stop("no");
        reading.interrupted().await;
        assert_eq!(reading.stopped().borrow().as_deref(), Some("no"));
        reading.go_on();
        assert!(reading.stopped().borrow().is_none());
        assert_eq!(reading.position(), Some(0));
    }
}
