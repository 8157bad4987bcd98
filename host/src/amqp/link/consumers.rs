//! The subscriptions of a link that consume, and the ones of them that the broker has forgotten.
//!
//! A broker says when it ends a subscription, and RabbitMQ 3.10 does not where a quorum queue is deleted and
//! made again in the same moment: the subscription is gone, and nothing comes for ever.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::amqp::acks::flusher::AckSink;
use crate::amqp::depth::{Seen, seen};
use crate::amqp::session::Session;

/// The pause before queues are looked at again that seem to have no consumer.
const NEXT_LOOK: Duration = Duration::from_secs(2);

/// How often they are looked at: long enough for a message to come to a queue that has just got its bindings again.
const LOOKS: u32 = 6;

/// From 4.0 on RabbitMQ ends the connection over a missing queue with a longer name that is not ASCII.
const LONGEST_TO_ASK: usize = 128;

/// Each with its queue.
#[derive(Debug, Default)]
pub(in crate::amqp) struct Consumers(Mutex<Vec<(Arc<str>, Weak<AckSink>)>>);

impl Consumers {
    /// One consumes from now on.
    pub(super) fn add(&self, queue: &Arc<str>, sink: &Arc<AckSink>) {
        let mut all = self.all();
        all.retain(|(_, sink)| sink.upgrade().is_some_and(|sink| sink.is_wanted()));
        all.push((queue.clone(), Arc::downgrade(sink)));
    }

    /// Ends the subscriptions that the broker does not know of though messages wait, at two looks in a row: their
    /// consumers subscribe again. A queue that does not answer has neither messages nor consumers, by the broker's
    /// word.
    pub(super) async fn end_forgotten(&self, session: &Session) {
        let mut suspects: Vec<_> = self.wanted().into_iter().map(Suspect::new).collect();
        for _ in 0..LOOKS {
            let mut left = Vec::new();
            for suspect in suspects {
                left.extend(suspect.look(session).await);
            }
            if left.is_empty() {
                return;
            }
            suspects = left;
            tokio::time::sleep(NEXT_LOOK).await;
        }
    }

    fn wanted(&self) -> Vec<(Arc<str>, Arc<AckSink>)> {
        let all = self.all();
        let all = all.iter();
        let alive = all.filter_map(|(queue, sink)| Some((queue.clone(), sink.upgrade()?)));
        alive.filter(|(_, sink)| sink.is_wanted()).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Arc<str>, Weak<AckSink>)>> {
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }
}

/// A subscription that the broker may not know of.
struct Suspect {
    queue: Arc<str>,
    sink: Arc<AckSink>,
    /// Messages waited and no consumer was there, at the last look.
    had_messages: bool,
}

impl Suspect {
    fn new((queue, sink): (Arc<str>, Arc<AckSink>)) -> Self {
        Self {
            queue,
            sink,
            had_messages: false,
        }
    }

    /// Looks once, and gives itself back if it is to be looked at again.
    async fn look(mut self, session: &Session) -> Option<Self> {
        let seen = look_at(session, &self.queue).await?;
        if seen.consumers > 0 || !self.sink.is_wanted() {
            return None;
        }
        if seen.messages > 0 && self.had_messages {
            let queue = &self.queue;
            tracing::warn!(%queue, "the broker has forgotten a consumer of this queue; subscribing again");
            self.sink.retire();
            return None;
        }
        self.had_messages = seen.messages > 0;
        Some(self)
    }
}

/// What a queue has. One that does not say is not taken at its word, nor asked about a name that it could not put
/// into its answer.
async fn look_at(session: &Session, queue: &str) -> Option<Seen> {
    let can_be_asked = queue.is_ascii() || queue.len() < LONGEST_TO_ASK;
    match can_be_asked {
        true => seen(session, queue).await.ok(),
        false => None,
    }
}
