//! The subscriptions of a link that consume, and the ones of them that the broker has forgotten.
//!
//! A broker says when it ends a subscription. One that ended without a word is found where messages wait and the
//! broker counts no consumer, or gives nothing to one that has nothing to do. RabbitMQ 3.10 does the latter to the
//! consumers of a quorum queue that is deleted and declared again at once.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hive_telemetry::Fact;

use crate::message::names::short;
use crate::session::Session;
use crate::session::depth::{Seen, seen};

/// The pause before a queue is looked at again that seems to neglect its consumer, and before the first look: a
/// binding that was just made again has brought messages by then.
const PAUSE: Duration = Duration::from_secs(2);

/// From 4.0 on RabbitMQ ends the connection over a missing queue with a longer name that is not ASCII.
const LONGEST_TO_ASK: usize = 128;

/// A subscription, as its link sees it.
pub(crate) trait Consuming: Debug + Send + Sync {
    /// Whether it can deliver, and is to.
    fn is_wanted(&self) -> bool;

    /// Whether it has ever delivered anything.
    fn has_delivered(&self) -> bool;

    /// The number of the wait that it is in, where the broker may deliver and nothing is in flight or buffered.
    /// `None` for a stream, whose messages stay in it.
    fn starves(&self) -> Option<u64>;

    /// Ends it.
    fn retire(&self);
}

#[derive(Debug, Default)]
pub(crate) struct Consumers {
    all: Mutex<All>,
    /// The queues that were subscribed to again since they gave nothing, and have given nothing since. That may be
    /// their right: the broker prefers the single active consumer, and those of a higher priority.
    renewed: Mutex<HashSet<Arc<str>>>,
}

#[derive(Debug, Default)]
struct All {
    /// Each with its queue.
    known: Vec<Known>,
    /// How many there were when those that are gone were last left out.
    swept: usize,
}

/// A queue, and a subscription of it that may be gone.
type Known = (Arc<str>, Weak<dyn Consuming>);

/// What is wrong with a subscription of a queue in which messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Neglect {
    /// The broker counts no consumer of the queue.
    Forgotten,
    /// Nothing was delivered during the wait of this number, although nothing was in flight.
    Starved(u64),
}

impl Consumers {
    /// One consumes from now on.
    pub(super) fn add(&self, queue: &Arc<str>, one: Weak<dyn Consuming>) {
        self.all().add((queue.clone(), one));
    }

    /// Ends the subscriptions that the broker does not know of, or gives nothing, though messages wait: their
    /// consumers subscribe again. A queue that does not answer has neither messages nor consumers, by the broker's
    /// word.
    pub(super) async fn end_forgotten(&self, session: &Session) {
        tokio::time::sleep(PAUSE).await;
        for (queue, one) in self.wanted() {
            let Some(first) = self.neglect(session, &queue, &*one).await else {
                continue;
            };
            tokio::time::sleep(PAUSE).await;
            let second = self.neglect(session, &queue, &*one).await;
            if second == Some(first) && one.is_wanted() {
                self.end(&queue, &*one, first);
            }
        }
    }

    fn end(&self, queue: &Arc<str>, one: &dyn Consuming, neglect: Neglect) {
        match neglect {
            Neglect::Forgotten => Fact::ConsumerForgotten { queue }.emit(),
            Neglect::Starved(_) => {
                Fact::ConsumerStarved { queue }.emit();
                self.renewed().insert(Arc::clone(queue));
            }
        }
        one.retire();
    }

    async fn neglect(
        &self,
        session: &Session,
        queue: &Arc<str>,
        one: &dyn Consuming,
    ) -> Option<Neglect> {
        let wait = one.starves();
        let seen = messages_wait(session, queue).await?;
        if seen.consumers == 0 {
            return Some(Neglect::Forgotten);
        }
        if one.has_delivered() {
            self.renewed().remove(queue);
        }
        let is_new = !self.renewed().contains(queue);
        wait.filter(|_| is_new).map(Neglect::Starved)
    }

    fn wanted(&self) -> Vec<(Arc<str>, Arc<dyn Consuming>)> {
        let all = self.all();
        let all = all.known.iter();
        let alive = all.filter_map(|(queue, one)| Some((queue.clone(), one.upgrade()?)));
        alive.filter(|(_, one)| one.is_wanted()).collect()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(|error| error.into_inner())
    }

    fn renewed(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.renewed
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }
}

impl All {
    /// Those that are gone are left out each time that the number has doubled: looking at all of them for each would
    /// take a host with ten thousand consumers seconds.
    fn add(&mut self, one: Known) {
        if self.known.len() >= 2 * self.swept {
            self.known
                .retain(|(_, one)| one.upgrade().is_some_and(|one| one.is_wanted()));
            self.swept = self.known.len();
        }
        self.known.push(one);
    }
}

/// What the broker says of a queue in which messages wait. One that does not say is not taken at its word, nor asked
/// about a name that it could not put into its answer.
async fn messages_wait(session: &Session, queue: &str) -> Option<Seen> {
    let can_be_asked = queue.is_ascii() || queue.len() < LONGEST_TO_ASK;
    if !can_be_asked {
        return None;
    }
    let seen = seen(session, short(queue)).await.ok()?;
    (seen.messages > 0).then_some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct One;

    impl Consuming for One {
        fn is_wanted(&self) -> bool {
            true
        }

        fn has_delivered(&self) -> bool {
            false
        }

        fn starves(&self) -> Option<u64> {
            None
        }

        fn retire(&self) {}
    }

    #[test]
    fn those_that_are_gone_are_not_kept_for_long() {
        let consumers = Consumers::default();
        let stays: Arc<One> = Arc::new(One);
        let add = |one: &Arc<One>| {
            let one: Weak<One> = Arc::downgrade(one);
            consumers.add(&"letters".into(), one);
        };
        add(&stays);
        for _ in 0..100 {
            add(&Arc::new(One));
        }
        assert_eq!(consumers.wanted().len(), 1);
        let known = consumers.all().known.len();
        assert!(known < 5, "{known}");
    }
}
