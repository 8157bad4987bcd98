//! The channels of a connection that consumers, or publishers, may have, each for as long as it is open: [`Seat`].
//!
//! A broker limits the channels of a connection (`channel_max`; RabbitMQ allows 2047 by default). Some stay free for
//! what is declared and asked beside them. Each consumer has a channel of its own. Several on one channel would
//! share what AMQP has once for a channel: an ack of many takes them all, the prefetch is applied to new consumers only,
//! and one queue that is deleted or does not answer ends or holds up the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::SharedSession;

/// One channel in this many stays free, within the bounds below.
const ONE_FREE_IN: u16 = 16;

/// See [`ONE_FREE_IN`].
const FEWEST_FREE: u16 = 4;

/// See [`ONE_FREE_IN`].
const MOST_FREE: u16 = 64;

/// How many seats there are, and how many are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seats {
    room: u16,
    taken: u16,
    /// Nobody may take a seat any more.
    is_closed: bool,
}

impl Seats {
    /// The seats of a connection on which both sides agreed on `channel_max`.
    pub(super) fn within(channel_max: u16) -> Self {
        // lapin counts channel 0, which is the connection's own.
        let channels = channel_max.saturating_sub(1);
        let free = (channels / ONE_FREE_IN).clamp(FEWEST_FREE, MOST_FREE);
        Self {
            // A connection on which nothing fits would be followed by others like it.
            room: channels.saturating_sub(free).max(1),
            taken: 0,
            is_closed: false,
        }
    }

    /// Whether there was one.
    fn take(&mut self) -> bool {
        let is_free = !self.is_closed && self.taken < self.room;
        self.taken += u16::from(is_free);
        is_free
    }

    fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Closes the seats if none is taken. Whether none is.
    fn close_if_empty(&mut self) -> bool {
        self.is_closed |= self.taken == 0;
        self.is_closed
    }
}

/// The seats of an open connection.
#[derive(Debug)]
pub(super) struct SharedSeats(Mutex<Seats>);

impl SharedSeats {
    pub(super) fn new(seats: Seats) -> Self {
        Self(Mutex::new(seats))
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one channel of a session.
#[derive(Debug)]
pub(crate) struct Seat {
    session: SharedSession,
}

impl Seat {
    /// `None` if every seat of the session is taken, or the session is over.
    pub(crate) fn take(session: &SharedSession) -> Option<Self> {
        let is_taken = !session.over().is_cancelled() && session.seats.lock().take();
        is_taken.then(|| Self {
            session: Arc::clone(session),
        })
    }

    /// The session that it is on.
    pub(crate) fn session(&self) -> &SharedSession {
        &self.session
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.session.seats.lock().give_back();
    }
}

/// Lets nobody take a seat of the session any more, if none is taken. Whether none is.
pub(crate) fn close_if_empty(session: &SharedSession) -> bool {
    session.seats.lock().close_if_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(channel_max: u16) -> u16 {
        Seats::within(channel_max).room
    }

    #[test]
    fn some_channels_stay_free() {
        assert_eq!(room(2047), 1982);
        assert_eq!(room(u16::MAX), 65_470);
        assert_eq!(room(100), 93);
        assert_eq!(room(10), 5);
        assert_eq!(room(5), 1);
    }

    #[test]
    fn one_fits_on_any_connection() {
        for channel_max in 0..4 {
            assert_eq!(room(channel_max), 1, "{channel_max}");
        }
    }

    #[test]
    fn a_seat_is_taken_once() {
        let mut seats = Seats::within(7);
        assert!(seats.take());
        assert!(seats.take());
        assert!(!seats.take());
        seats.give_back();
        assert!(seats.take());
        assert!(!seats.take());
    }

    #[test]
    fn only_an_empty_connection_is_closed() {
        let mut seats = Seats::within(7);
        assert!(seats.take());
        assert!(!seats.close_if_empty());
        assert!(seats.take());
        seats.give_back();
        seats.give_back();
        assert!(seats.close_if_empty());
        assert!(!seats.take());
    }
}
