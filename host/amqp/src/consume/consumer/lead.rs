//! The right to wait for the broker, and what it costs to hand it on: [`Lead`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::feed::Feed;

/// The right to wait for the broker, which one worker of a subscription has at a time. A worker that got a
/// delivery gives it up, or continues with it at once.
#[derive(Debug, Default)]
pub struct Lead<'a>(Option<Turn<'a>>);

/// The lead of one worker, for as long as it has it.
#[derive(Debug)]
struct Turn<'a> {
    feed: MutexGuard<'a, Feed>,
    of: &'a Leads,
}

/// The leads of one subscription.
#[derive(Debug)]
pub(super) struct Leads {
    feed: Mutex<Feed>,
    since: Instant,
    /// When the last one was given up, in nanoseconds since then.
    given_up: AtomicU64,
    /// How long the next worker took to have it, in nanoseconds: of the latest times, the older the less they count.
    took: AtomicU64,
}

/// What is assumed before it was seen.
const FIRST: Duration = Duration::from_micros(10);
/// A worker that takes longer was held up by something else.
const LONGEST: Duration = Duration::from_millis(1);
/// The part of each time in the average: an eighth.
const WEIGHT: u64 = 8;

impl Leads {
    pub(super) fn new(feed: Feed) -> Self {
        Self {
            feed: Mutex::new(feed),
            since: Instant::now(),
            given_up: AtomicU64::new(0),
            took: AtomicU64::new(nanoseconds(FIRST)),
        }
    }

    /// Takes the lead, once whoever has it gives it up.
    pub(super) async fn take<'a, 'b>(&'a self, lead: &'b mut Lead<'a>) -> &'b mut Feed {
        let turn = match &mut lead.0 {
            Some(turn) => turn,
            none => {
                let feed = match self.feed.try_lock() {
                    Ok(feed) => feed,
                    Err(_) => {
                        let feed = self.feed.lock().await;
                        self.was_handed_over();
                        feed
                    }
                };
                none.insert(Turn { feed, of: self })
            }
        };
        &mut turn.feed
    }

    /// The feed for someone who does not wait for the broker.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().await
    }

    /// How long a worker takes until it has the lead that another one gives up.
    pub(super) fn hand_over(&self) -> Duration {
        Duration::from_nanos(self.took.load(Ordering::Relaxed))
    }

    fn was_handed_over(&self) {
        let now = nanoseconds(self.since.elapsed());
        let took = now.saturating_sub(self.given_up.load(Ordering::Relaxed));
        let took = took.min(nanoseconds(LONGEST));
        let before = self.took.load(Ordering::Relaxed);
        let now = before - before / WEIGHT + took / WEIGHT;
        // Only the one who leads writes.
        self.took.store(now, Ordering::Relaxed);
    }
}

impl Lead<'_> {
    /// The next one has it.
    pub fn give_up(&mut self) {
        self.0 = None;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = nanoseconds(self.of.since.elapsed());
        self.of.given_up.store(now, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
