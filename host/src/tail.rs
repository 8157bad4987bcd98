//! Deliveries as they are settled, for those who watch: `hive-host tail`, and the page.
//!
//! A delivery costs one look at a number while nobody watches. While someone does, it carries a [`Trail`], on which the
//! pipeline notes what is known before the settlement alone. At its settlement each watcher gets a [`Report`] if the
//! delivery passes the watcher's filter and the watcher has room; otherwise it is counted as left out. No delivery
//! waits for a watcher, and no lock is taken.
//!
//! A busy host settles more than people can read. So a delivery that comes while no watcher has room costs another look,
//! carries nothing, and is counted once for all of them. Those that have room at the same moment share one report.

mod filter;
mod message;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use self::filter::{Condition, FIELDS, Filter};
pub use self::message::ShownMessage;
pub use self::report::{Called, Failure, Notes, Report, Settled, Shown, Trail};

/// Those that watch at once.
pub const MOST_WATCHERS: usize = 32;

/// Reports that a watcher has not taken yet. With messages they are larger, so there are fewer.
const ROOM: usize = 512;
const ROOM_WITH_MESSAGES: usize = 128;

/// A watcher counts among those that want to know of the next delivery.
const ROOMY: u8 = 0;
/// It takes any delivery and has no room.
const FULL: u8 = 1;
/// It has ended.
const GONE: u8 = 2;

/// Where deliveries are watched. Clones share it.
#[derive(Clone, Default)]
pub struct Tail(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many watch: all that a delivery looks at while none does.
    watching: AtomicUsize,
    /// How many of them want to know of the next delivery: those that ask for certain ones, and those that have room.
    wanting: AtomicUsize,
    /// Deliveries that none of them wanted to know of.
    unwanted: AtomicU64,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
}

struct Watcher {
    filter: Filter,
    with_messages: bool,
    to: mpsc::Sender<Arc<Shown>>,
    /// Whether it wants to know of the next delivery: [`ROOMY`], [`FULL`] or [`GONE`].
    state: AtomicU8,
    /// Deliveries that passed the filter and found no room, since the watcher looked last.
    left_out: AtomicU64,
}

/// Watches until it is dropped.
pub struct Watch {
    tail: Tail,
    watcher: Arc<Watcher>,
    reports: mpsc::Receiver<Arc<Shown>>,
    /// How many deliveries nobody had wanted to know of when it was looked at last.
    unwanted: u64,
}

/// What a watcher takes at once.
#[derive(Debug, Default)]
pub struct Sample {
    /// In the order of their settlement.
    pub reports: Vec<Arc<Shown>>,
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
        let Shared {
            watching,
            wanting,
            unwanted,
            watchers,
        } = &*self.0;
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
            state: AtomicU8::new(ROOMY),
            left_out: AtomicU64::new(0),
        });
        let unwanted = unwanted.load(Ordering::Relaxed);
        wanting.fetch_add(1, Ordering::Relaxed);
        watchers.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push(Arc::clone(&watcher));
            all
        });
        Ok(Watch {
            tail: self.clone(),
            watcher,
            reports,
            unwanted,
        })
    }

    /// Whether anyone watches.
    pub fn is_watched(&self) -> bool {
        self.0.watching.load(Ordering::Relaxed) > 0
    }

    /// What is noted of a delivery that has arrived.
    pub fn notes(&self) -> Notes {
        match (self.is_watched(), self.is_wanted()) {
            (false, _) => Notes::None,
            (true, false) => Notes::Unwanted,
            (true, true) => Notes::Taken(Box::default()),
        }
    }

    fn is_wanted(&self) -> bool {
        self.0.wanting.load(Ordering::Relaxed) > 0
    }

    /// Reports a delivery that was settled.
    pub fn report(&self, settled: &Settled<'_>) {
        if !self.is_wanted() {
            self.0.unwanted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut reports = Reports::default();
        for watcher in self.0.watchers.load().iter() {
            watcher.take(settled, &self.0.wanting, &mut reports);
        }
    }
}

/// What is made of one delivery, for all who take it: without its message, and with it.
#[derive(Default)]
struct Reports([Option<Arc<Shown>>; 2]);

impl Reports {
    fn of(&mut self, settled: &Settled<'_>, with_message: bool) -> Arc<Shown> {
        let report = self.0[usize::from(with_message)]
            .get_or_insert_with(|| Arc::new(settled.report(with_message).into()));
        Arc::clone(report)
    }
}

impl Watcher {
    fn take(&self, settled: &Settled<'_>, wanting: &AtomicUsize, reports: &mut Reports) {
        if !self.filter.passes(settled) {
            return;
        }
        let was_unwanted = matches!(settled.notes, Notes::Unwanted);
        if self.asks() || !was_unwanted {
            match self.to.try_reserve() {
                Ok(room) => return room.send(reports.of(settled, self.with_messages)),
                Err(_) => self.fills(wanting),
            }
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it takes certain deliveries alone.
    fn asks(&self) -> bool {
        self.filter != Filter::default()
    }

    /// It has no room.
    fn fills(&self, wanting: &AtomicUsize) {
        if self.asks() || !self.becomes(ROOMY, FULL) {
            return;
        }
        wanting.fetch_sub(1, Ordering::Relaxed);
        // It may have made room before it could see that it was full. One of the two sees what the other did.
        fence(Ordering::SeqCst);
        if self.to.capacity() > 0 {
            self.has_room(wanting);
        }
    }

    /// It has room again.
    fn has_room(&self, wanting: &AtomicUsize) {
        if self.becomes(FULL, ROOMY) {
            wanting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it was this, and is that now.
    fn becomes(&self, this: u8, that: u8) -> bool {
        let order = Ordering::Relaxed;
        let changed = self.state.compare_exchange(this, that, order, order);
        changed.is_ok()
    }
}

impl Watch {
    /// Waits for deliveries, and takes at most this many. Dropping the future loses none.
    pub async fn next(&mut self, most: usize) -> Sample {
        let mut reports = Vec::new();
        // The watcher itself holds a sender, so there is always one.
        self.reports.recv_many(&mut reports, most).await;
        let Shared {
            wanting, unwanted, ..
        } = &*self.tail.0;
        fence(Ordering::SeqCst);
        self.watcher.has_room(wanting);
        let unwanted = unwanted.load(Ordering::Relaxed);
        let left_out = match self.watcher.asks() {
            // While it is there, all are wanted.
            true => 0,
            false => unwanted - self.unwanted,
        };
        self.unwanted = unwanted;
        Sample {
            reports,
            left_out: left_out + self.watcher.left_out.swap(0, Ordering::Relaxed),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Shared {
            watching,
            wanting,
            watchers,
            ..
        } = &*self.tail.0;
        watchers.rcu(|all| {
            let others = all.iter().filter(|one| !Arc::ptr_eq(one, &self.watcher));
            others.cloned().collect::<Vec<_>>()
        });
        if self.watcher.state.swap(GONE, Ordering::Relaxed) == ROOMY {
            wanting.fetch_sub(1, Ordering::Relaxed);
        }
        watching.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
