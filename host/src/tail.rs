//! Deliveries as they are settled, for those who watch: `hive-host tail`, and the page.
//!
//! A delivery costs one look at a number while nobody watches. While someone does, it carries a [`Trail`], on which the
//! pipeline notes what is known before the settlement alone. At its settlement each watcher gets a [`Report`] if the
//! delivery passes the watcher's filter and the watcher has room; otherwise it is counted as left out. No delivery
//! waits for a watcher, and no lock is taken.

mod filter;
mod message;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use self::filter::{Condition, FIELDS, Filter};
pub use self::message::ShownMessage;
pub use self::report::{Called, Failure, Report, Settled, Trail};

/// Those that watch at once.
pub const MOST_WATCHERS: usize = 32;

/// Reports that a watcher has not taken yet. With messages they are larger, so there are fewer.
const ROOM: usize = 512;
const ROOM_WITH_MESSAGES: usize = 128;

/// Where deliveries are watched. Clones share it.
#[derive(Clone, Default)]
pub struct Tail(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many watch: all that a delivery looks at while none does.
    watching: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
}

struct Watcher {
    filter: Filter,
    with_messages: bool,
    to: mpsc::Sender<Report>,
    /// Deliveries that passed the filter and found no room, since the watcher looked last.
    left_out: AtomicU64,
}

/// Watches until it is dropped.
pub struct Watch {
    tail: Tail,
    watcher: Arc<Watcher>,
    reports: mpsc::Receiver<Report>,
}

/// What a watcher takes at once.
#[derive(Debug, Default)]
pub struct Sample {
    /// In the order of their settlement.
    pub reports: Vec<Report>,
    /// Deliveries that found no room.
    pub left_out: u64,
}

/// As many watch as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_WATCHERS} watch the deliveries of this host already")]
pub struct TooMany;

impl Tail {
    /// Watches the deliveries that pass `filter`; `with_messages` adds their headers and bodies.
    ///
    /// # Errors
    ///
    /// [`MOST_WATCHERS`] watch already.
    pub fn watch(&self, filter: Filter, with_messages: bool) -> Result<Watch, TooMany> {
        let Shared { watching, watchers } = &*self.0;
        let one_more = |many: usize| (many < MOST_WATCHERS).then_some(many + 1);
        let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        watching
            .fetch_update(order, failed, one_more)
            .map_err(|_| TooMany)?;
        let room = match with_messages {
            true => ROOM_WITH_MESSAGES,
            false => ROOM,
        };
        let (to, reports) = mpsc::channel(room);
        let watcher = Arc::new(Watcher {
            filter,
            with_messages,
            to,
            left_out: AtomicU64::new(0),
        });
        watchers.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push(Arc::clone(&watcher));
            all
        });
        Ok(Watch {
            tail: self.clone(),
            watcher,
            reports,
        })
    }

    /// Whether anyone watches.
    pub fn is_watched(&self) -> bool {
        self.0.watching.load(Ordering::Relaxed) > 0
    }

    /// The trail of a delivery that has arrived; `None` while nobody watches.
    pub fn trail(&self) -> Option<Box<Trail>> {
        self.is_watched().then(Box::default)
    }

    /// Reports a delivery that was settled.
    pub fn report(&self, settled: &Settled<'_>) {
        for watcher in self.0.watchers.load().iter() {
            watcher.take(settled);
        }
    }
}

impl Watcher {
    fn take(&self, settled: &Settled<'_>) {
        if !self.filter.passes(settled) {
            return;
        }
        match self.to.try_reserve() {
            Ok(room) => room.send(settled.report(self.with_messages)),
            Err(_) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Watch {
    /// Waits for deliveries, and takes at most this many. Dropping the future loses none.
    pub async fn next(&mut self, most: usize) -> Sample {
        let mut reports = Vec::new();
        // The watcher itself holds a sender, so there is always one.
        self.reports.recv_many(&mut reports, most).await;
        Sample {
            reports,
            left_out: self.watcher.left_out.swap(0, Ordering::Relaxed),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Shared { watching, watchers } = &*self.tail.0;
        watchers.rcu(|all| {
            let others = all.iter().filter(|one| !Arc::ptr_eq(one, &self.watcher));
            others.cloned().collect::<Vec<_>>()
        });
        watching.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
