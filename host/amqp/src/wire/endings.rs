//! The end of a channel's deliveries, known as soon as the broker's frame is on the wire.
//!
//! lapin reports it behind everything that it has buffered, and reports a cancelled consumer only as the end of
//! a stream. By then a prefetch of deliveries may have been handled whose acks go nowhere. The screen sees the
//! frame before lapin does, and the consumer on the channel is notified here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::message::answered::Answered;
use crate::message::arrived::Arrived;
use crate::wire::arrivals::{Arrivals, Taker};
use crate::wire::frame::{Answer, CONNECTION, Ending};
use crate::wire::in_flight::{Arrival, Bodies, InFlight, Share};
use crate::wire::posts::Posts;

/// `channel.close` over a precondition, as RabbitMQ sends it when its consumer timeout has passed.
const PRECONDITION_FAILED: u16 = 406;

/// Those who want to know about the channels of one connection, and the end of the connection. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endings {
    channels: Arc<Mutex<HashMap<u16, Arc<End>>>>,
    connection: Arc<End>,
    in_flight: Arc<InFlight>,
    posts: Arc<Posts>,
}

/// The end of one channel's deliveries, while there is none and after it.
#[derive(Debug, Default)]
pub(crate) struct End {
    is_over: AtomicBool,
    over: CancellationToken,
    cause: watch::Sender<Option<Cause>>,
    answer: OnceLock<Answer>,
    bodies: Bodies,
    /// Who has what comes on it; none for a channel that is lapin's alone.
    takes: Option<Takes>,
}

/// Who has what comes on a channel, past lapin.
#[derive(Debug, Clone)]
pub(super) enum Takes {
    /// A consumer has its deliveries.
    Deliveries(Arc<Arrivals<Arrived>>),
    /// A publisher has the confirms and the messages that come back.
    Answers(Arc<Arrivals<Answered>>),
}

/// Why a channel's deliveries ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A delivery was unacknowledged for longer than the broker's consumer timeout, which is included if the
    /// broker reported it.
    TimedOut(Option<Duration>),
    /// The queue is gone, and everything in it.
    Deleted,
    /// Anything else, in the broker's words.
    Other(String),
}

impl Takes {
    /// Whether both are the same one's.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deliveries(one), Self::Deliveries(other)) => Arc::ptr_eq(one, other),
            (Self::Answers(one), Self::Answers(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Endings {
    /// Those of a connection whose deliveries have this memory for their bodies.
    pub(crate) fn within(in_flight: &Arc<InFlight>) -> Self {
        Self {
            in_flight: Arc::clone(in_flight),
            ..Self::default()
        }
    }

    /// The memory for the bodies of its deliveries.
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Watches a channel that was opened just now to consume on it: the bodies of its deliveries are counted, and its
    /// deliveries are for the one who takes them here.
    pub(crate) fn watch_consuming(
        &self,
        channel: u16,
        share: &Arc<Share>,
    ) -> (Arc<End>, Taker<Arrived>) {
        let arrivals = Arc::default();
        let taker = Taker::new(&arrivals);
        let end = End::of(Takes::Deliveries(arrivals));
        end.bodies.count(share);
        (self.watched(channel, end), taker)
    }

    /// Watches a channel that was opened just now to publish on it: what the broker answers is for the one who takes it
    /// here.
    pub(crate) fn watch_publishing(&self, channel: u16) -> (Arc<End>, Taker<Answered>) {
        let arrivals = Arc::default();
        let taker = Taker::new(&arrivals);
        let end = End::of(Takes::Answers(arrivals));
        (self.watched(channel, end), taker)
    }

    /// Who has what comes on a channel, if that is not lapin.
    pub(super) fn takes(&self, channel: u16) -> Option<Takes> {
        self.lock().get(&channel)?.takes.clone()
    }

    /// What is published over the connection.
    pub(crate) fn posts(&self) -> &Arc<Posts> {
        &self.posts
    }

    /// A delivery with a body of so many bytes is about to be read.
    pub(crate) fn arrives(&self, channel: u16, tag: u64, bytes: u64) -> Arrival {
        let end = self.lock().get(&channel).cloned();
        end.map_or(Arrival::LetIn, |end| end.bodies.arrives(tag, bytes))
    }

    /// The body of a delivery has waited for room for too long.
    pub(crate) fn are_full(&self, channel: u16, bytes: u64) {
        let end = self.lock().get(&channel).cloned();
        if let Some(end) = end {
            end.bodies.are_full(bytes);
        }
    }

    /// Watches a channel that was opened just now. Numbers of channels are used again.
    pub(crate) fn watch(&self, channel: u16) -> Arc<End> {
        self.watched(channel, End::default())
    }

    fn watched(&self, channel: u16, end: End) -> Arc<End> {
        let end = Arc::new(end);
        self.lock().insert(channel, Arc::clone(&end));
        end
    }

    /// The end of the connection, which the broker may have closed.
    pub(crate) fn of_the_connection(&self) -> &End {
        &self.connection
    }

    /// See [`Endings::saw`].
    pub(crate) fn saw_all(&self, endings: impl Iterator<Item = (u16, Ending)>) {
        endings.for_each(|(channel, ending)| self.saw(channel, ending));
    }

    /// The broker has said that nothing more comes on a channel.
    pub(crate) fn saw(&self, channel: u16, ending: Ending) {
        // lapin answers that next, and behind its answer nothing may follow on the channel.
        self.posts.ends(channel);
        let end = match channel {
            CONNECTION => Some(Arc::clone(&self.connection)),
            _ => self.lock().remove(&channel),
        };
        let Some(end) = end else {
            return;
        };
        if let Ending::Closed(answer) = ending {
            end.because(cause(&answer));
            // A channel, or a connection, is closed once.
            end.answer.get_or_init(|| answer);
        }
        end.is_over.store(true, Ordering::Release);
        end.over.cancel();
        end.bodies.are_unwanted();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, Arc<End>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    fn of(takes: Takes) -> Self {
        Self {
            takes: Some(takes),
            ..Self::default()
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Resolves when nothing more comes.
    pub(crate) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// The bodies of its deliveries.
    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    /// With what the broker closed it, if it has.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.answer.get()
    }

    /// The cause was found out, or reported. The first cause counts.
    pub(crate) fn because(&self, cause: Cause) {
        self.cause.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(cause);
            is_first
        });
    }

    /// Why it ended, if that is known already.
    pub(crate) fn known_cause(&self) -> Option<Cause> {
        self.cause.borrow().clone()
    }

    /// Why it ended, once that is known.
    pub(crate) async fn cause(&self) -> Cause {
        let mut known = self.cause.subscribe();
        let cause = known.wait_for(Option::is_some).await;
        match cause.ok().and_then(|cause| cause.clone()) {
            Some(cause) => cause,
            // The sender lives as long as this.
            None => std::future::pending().await,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut(None) => f.write_str(
                "the broker cancelled the consumer: a delivery timed out, since it was unacknowledged for \
                 longer than the broker's consumer timeout",
            ),
            Self::TimedOut(Some(after)) => write!(
                f,
                "the broker closed the channel: a delivery timed out, since it was unacknowledged for \
                 longer than the broker's consumer timeout of {after:?}"
            ),
            Self::Deleted => f.write_str("the broker cancelled the consumer: its queue is gone"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// The cause behind the broker's text when it closes a channel that consumes: "PRECONDITION_FAILED - delivery
/// acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms. ...".
fn cause(Answer { code, text }: &Answer) -> Cause {
    if *code != PRECONDITION_FAILED || !text.contains("timed out") {
        return Cause::Other(format!("{code} {text}"));
    }
    let behind = text.split_once("Timeout value used: ");
    let milliseconds = behind.and_then(|(_, value)| value.split_once(' ')?.0.parse().ok());
    Cause::TimedOut(milliseconds.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn answer(code: u16, text: &str) -> Answer {
        let text = text.to_owned();
        Answer { code, text }
    }

    #[test]
    fn the_brokers_words_tell_a_timeout_and_its_length() {
        let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value \
                    used: 2000 ms. This timeout value can be configured, see consumers doc guide";
        let after = Duration::from_secs(2);
        assert_eq!(cause(&answer(406, text)), Cause::TimedOut(Some(after)));
        let cut = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out";
        assert_eq!(cause(&answer(406, cut)), Cause::TimedOut(None));
        for (code, text) in [(404, "timed out"), (406, "unknown delivery tag 1")] {
            assert!(matches!(cause(&answer(code, text)), Cause::Other(_)));
        }
    }

    #[test]
    fn an_end_is_told_to_whoever_watches_that_channel_and_no_other() {
        let endings = Endings::default();
        let (one, two) = (endings.watch(1), endings.watch(2));
        endings.saw(1, Ending::Cancelled);
        assert!(one.is_over() && one.over().now_or_never().is_some());
        assert!(!two.is_over() && two.over().now_or_never().is_none());
        assert_eq!(one.known_cause(), None, "a cancel does not say why");
        one.because(Cause::Deleted);
        one.because(Cause::TimedOut(None));
        assert_eq!(one.cause().now_or_never(), Some(Cause::Deleted));
    }

    #[test]
    fn a_number_that_is_used_again_is_another_channel() {
        let endings = Endings::default();
        let before = endings.watch(1);
        let after = endings.watch(1);
        endings.saw(1, Ending::Closed(answer(404, "NOT_FOUND")));
        assert!(!before.is_over() && after.is_over());
        assert_eq!(
            after.known_cause(),
            Some(Cause::Other("404 NOT_FOUND".into()))
        );
    }

    #[test]
    fn a_connection_that_is_closed_is_no_channel() {
        let endings = Endings::default();
        let one = endings.watch(1);
        endings.saw(0, Ending::Closed(answer(541, "INTERNAL_ERROR")));
        assert!(!one.is_over());
        let end = endings.of_the_connection();
        assert!(end.is_over());
        assert_eq!(end.answer(), Some(&answer(541, "INTERNAL_ERROR")));
        assert_eq!(one.answer(), None);
    }
}
