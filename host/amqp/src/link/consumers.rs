//! The subscriptions of a link that consume, and the ones of them that the broker has forgotten.
//!
//! A broker says when it ends a subscription. One that ended without a word is found where messages wait and the
//! broker counts no consumer. It is not found where the broker goes on counting it, as RabbitMQ 3.10 does for a
//! quorum queue that is deleted and declared again at once.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::acks::flusher::AckSink;
use crate::depth::seen;
use crate::session::Session;

/// The pause before a queue is looked at again that seems to have no consumer.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// From 4.0 on RabbitMQ ends the connection over a missing queue with a longer name that is not ASCII.
const LONGEST_TO_ASK: usize = 128;

/// Each with its queue.
#[derive(Debug, Default)]
pub(crate) struct Consumers(Mutex<Vec<(Arc<str>, Weak<AckSink>)>>);

impl Consumers {
    /// One consumes from now on.
    pub(super) fn add(&self, queue: &Arc<str>, sink: &Arc<AckSink>) {
        let mut all = self.all();
        all.retain(|(_, sink)| sink.upgrade().is_some_and(|sink| sink.is_wanted()));
        all.push((queue.clone(), Arc::downgrade(sink)));
    }

    /// Ends the subscriptions that the broker does not know of though messages wait: their consumers
    /// subscribe again. A queue that does not answer has neither, by the broker's word.
    pub(super) async fn end_forgotten(&self, session: &Session) {
        for (queue, sink) in self.wanted() {
            if !is_forgotten(session, &queue).await {
                continue;
            }
            tokio::time::sleep(SECOND_LOOK).await;
            if is_forgotten(session, &queue).await && sink.is_wanted() {
                tracing::warn!(%queue, "the broker has forgotten a consumer of this queue; subscribing again");
                sink.retire();
            }
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

/// Whether messages wait and the broker knows of no consumer. One that does not say is not taken at its word,
/// nor asked about a name that it could not put into its answer.
async fn is_forgotten(session: &Session, queue: &str) -> bool {
    let can_be_asked = queue.is_ascii() || queue.len() < LONGEST_TO_ASK;
    if !can_be_asked {
        return false;
    }
    let seen = seen(session, queue).await;
    seen.is_ok_and(|seen| seen.consumers == 0 && seen.messages > 0)
}
