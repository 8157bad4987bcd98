//! A channel that consumes: [`Live`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use lapin::types::ShortString;
use tokio::time::Instant;

use super::Intake;
use crate::consume::acks::sink::AckSink;
use crate::consume::stream::Reading;
use crate::message::arrived::Arrived;
use crate::session::Session;
use crate::session::fault::describe;
use crate::wire::arrivals::Taker;

#[derive(Debug)]
pub(super) struct Live {
    /// Tells the end of the consumer. Its deliveries come past it.
    pub(super) stream: lapin::Consumer,
    pub(super) arrivals: Taker<Arrived>,
    /// Its consumer tag.
    pub(super) tag: ShortString,
    /// Deliveries that have arrived, in the broker's order.
    pub(super) ahead: VecDeque<Arrived>,
    /// The consumer has ended behind them.
    pub(super) ended: Option<String>,
    pub(super) sink: Arc<AckSink>,
    pub(super) session: Weak<Session>,
    /// When the first message of a stream counts as overdue, which was handled before.
    pub(super) overdue: Option<Instant>,
    /// The subscription was overdue, and it was reported.
    pub(super) is_overdue: bool,
    /// The demand when it was made.
    pub(super) intake: Intake,
    /// Whether deliveries in flight are settled before the channel is closed.
    pub(super) gently: bool,
}

/// Results of waiting for the broker other than a delivery.
pub(super) enum NoneCame {
    /// The channel is gone, for this reason.
    Lost(String),
    /// There was no room in memory for a body of this length.
    NoRoom(u64),
    /// Something else is to be read of the stream, or nothing.
    Interrupted,
    /// A message that the stream must have has not come.
    Overdue,
}

impl Live {
    pub(super) async fn next(&mut self, reading: Option<&Reading>) -> Result<Arrived, NoneCame> {
        let Some(reading) = reading else {
            return self.arrives().await;
        };
        let overdue = self.overdue;
        let is_overdue = async {
            match overdue {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = reading.interrupted() => Err(NoneCame::Interrupted),
            came = self.arrives() => came,
            () = is_overdue => Err(NoneCame::Overdue),
        }
    }

    async fn arrives(&mut self) -> Result<Arrived, NoneCame> {
        if let Some(arrived) = self.ahead.pop_front() {
            return Ok(arrived);
        }
        poll_fn(|context| self.poll_arrives(context)).await
    }

    fn poll_arrives(&mut self, context: &mut Context<'_>) -> Poll<Result<Arrived, NoneCame>> {
        if self
            .arrivals
            .poll_take(context, &mut self.ahead)
            .is_pending()
            && self.ended.is_none()
        {
            let end = ready!(self.stream.poll_next_unpin(context));
            self.ended = Some(match end {
                // The screen has let one through: it made no sense, and lapin ends the connection over it.
                Some(Ok(_)) => "a delivery could not be read".into(),
                Some(Err(error)) => describe(&error),
                None => "the broker cancelled the consumer".into(),
            });
            // What came before the end.
            self.arrivals.take(&mut self.ahead);
        }
        Poll::Ready(match self.ahead.pop_front() {
            Some(arrived) => Ok(arrived),
            None => Err(NoneCame::Lost(self.ended.clone().unwrap_or_default())),
        })
    }

    /// How many deliveries have arrived and were not handed out.
    pub(super) fn look_ahead(&mut self) -> usize {
        self.arrivals.take(&mut self.ahead);
        self.ahead.len()
    }

    /// Takes no further deliveries. Those in flight are settled, then the channel is closed, and prefetched
    /// deliveries that were not handed out go back.
    pub(super) fn leave(mut self) {
        self.gently = true;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        match self.gently {
            true => self.sink.leave(),
            false => self.sink.retire(),
        }
    }
}
