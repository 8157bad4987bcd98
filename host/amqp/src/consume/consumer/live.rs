//! A channel that consumes: [`Live`].

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use futures_util::{FutureExt, StreamExt};
use lapin::types::ShortString;
use tokio::time::Instant;

use super::Intake;
use crate::consume::acks::sink::AckSink;
use crate::consume::stream::Reading;
use crate::session::Session;
use crate::session::fault::describe;

#[derive(Debug)]
pub(super) struct Live {
    pub(super) stream: lapin::Consumer,
    /// Its consumer tag.
    pub(super) tag: ShortString,
    /// Deliveries that were taken off the stream to count them.
    pub(super) ahead: VecDeque<Next>,
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
    pub(super) async fn next(
        &mut self,
        reading: Option<&Reading>,
    ) -> Result<lapin::message::Delivery, NoneCame> {
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

    async fn arrives(&mut self) -> Result<lapin::message::Delivery, NoneCame> {
        let next = match self.ahead.pop_front() {
            Some(next) => next,
            None => self.stream.next().await,
        };
        match next {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => Err(NoneCame::Lost(describe(&error))),
            None => Err(NoneCame::Lost("the broker cancelled the consumer".into())),
        }
    }
}

/// The next item of a stream of deliveries; `None` at its end.
pub(super) type Next = Option<Result<lapin::message::Delivery, lapin::Error>>;

impl Live {
    /// How many deliveries have arrived and were not taken.
    pub(super) fn look_ahead(&mut self) -> usize {
        let is_delivery = |next: &Next| matches!(next, Some(Ok(_)));
        // Behind an error or the end nothing comes.
        while self.ahead.back().is_none_or(is_delivery)
            && let Some(next) = self.stream.next().now_or_never()
        {
            self.ahead.push_back(next);
        }
        self.ahead.iter().filter(|next| is_delivery(next)).count()
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
