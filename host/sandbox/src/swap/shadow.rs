//! A shadow at work: copies of what the current version was handed wait for it, and what comes of them is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_config::plan::ConsumerPlan;
use hive_core::message::Envelope;
use hive_core::policy::Outcome;
use hive_core::shadow::{Account, LastShadow, Repeated, ShadowEnd, ShadowRule, Took};
use hive_store::Notes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::pool::generation::Generation;

/// Calls that wait to be repeated.
const MOST_WAITING: usize = 100;
/// Bytes of those that wait or are being repeated.
const MOST_BYTES: usize = 32 << 20;
/// A delivery without its body, about.
const ENVELOPE: usize = 1024;

/// A new version that gets a copy of each delivery of the current one.
pub struct Shadow {
    generation: Arc<Generation>,
    rule: ShadowRule,
    waiting: Mutex<Waiting>,
    came: Notify,
    account: Mutex<Account>,
    over: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    copies: VecDeque<Left>,
    /// How many there are, those among them that are being made.
    places: usize,
    /// Those that are being repeated among them.
    bytes: usize,
}

/// A call that waits, with what the current version found in the store.
struct Left {
    copied: Copied,
    before: Arc<Notes>,
    bytes: usize,
}

/// A call of the current version that a shadow is to repeat.
pub struct Observed {
    shadow: Arc<Shadow>,
    notes: Option<Arc<Notes>>,
}

/// What the current version was handed in one call, and what it answered.
pub struct Copied {
    /// Whose deliveries; `None` for a request over HTTP.
    pub consumer: Option<Arc<ConsumerPlan>>,
    /// The name of the consumer, or of the route.
    pub name: Arc<str>,
    /// The deliveries.
    pub deliveries: Vec<Delivered>,
    /// Whether they were handed over as a batch.
    pub is_batch: bool,
    /// How long the call took.
    pub took: Duration,
}

/// A delivery, with the answer of the current version.
pub struct Delivered {
    /// What the log calls it.
    pub label: String,
    /// The delivery. It shares its body with the one that is settled.
    pub envelope: Envelope,
    /// The answer, which shares the bodies of its publications.
    pub outcome: Outcome,
}

/// A call that the shadow repeats.
pub struct Repeating {
    shadow: Arc<Shadow>,
    copy: Left,
    notes: Arc<Notes>,
}

impl Shadow {
    pub(crate) fn new(generation: Arc<Generation>, rule: ShadowRule) -> Self {
        Self {
            generation,
            rule,
            waiting: Mutex::default(),
            came: Notify::new(),
            account: Mutex::default(),
            over: CancellationToken::new(),
        }
    }

    /// The new version.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// After how many deliveries there is a report.
    pub fn rule(&self) -> ShadowRule {
        self.rule
    }

    /// What came of the copies so far.
    pub fn account(&self) -> Account {
        self.counting().clone()
    }

    /// Ends it: nothing is repeated any more.
    pub(crate) fn end(&self) {
        self.over.cancel();
        self.waiting().copies.clear();
    }

    /// Resolves when it is over.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// The end of it, with what came of the copies.
    pub(crate) fn ended(&self, end: ShadowEnd) -> LastShadow {
        let version = self.generation.version();
        LastShadow {
            generation: version.generation,
            sha256: Arc::clone(&version.sha256),
            rule: self.rule,
            end,
            account: self.account(),
        }
    }

    /// A call begins that is to be repeated.
    pub(crate) fn observe(self: &Arc<Self>) -> Observed {
        Observed {
            shadow: Arc::clone(self),
            notes: self.generation.keeps().then(Arc::default),
        }
    }

    /// The next call to repeat.
    pub async fn next(self: &Arc<Self>) -> Repeating {
        loop {
            if let Some(repeating) = self.take() {
                return repeating;
            }
            self.came.notified().await;
        }
    }

    fn take(self: &Arc<Self>) -> Option<Repeating> {
        let mut waiting = self.waiting();
        let copy = waiting.copies.pop_front()?;
        waiting.places -= 1;
        if !waiting.copies.is_empty() {
            // For another one that waits for a call.
            self.came.notify_one();
        }
        drop(waiting);
        Some(Repeating {
            shadow: Arc::clone(self),
            notes: Arc::new(Notes::after(Arc::clone(&copy.before))),
            copy,
        })
    }

    /// Whether there is room for one more call, which is kept then.
    fn has_room(&self, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let has_room = waiting.places < MOST_WAITING && waiting.bytes + bytes <= MOST_BYTES;
        if has_room {
            waiting.places += 1;
            waiting.bytes += bytes;
        }
        has_room
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counting(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    /// Where the call notes what it finds in the store; `None` if the component keeps nothing there.
    pub fn notes(&self) -> Option<&Arc<Notes>> {
        self.notes.as_ref()
    }

    /// Leaves a copy of the call for the shadow, if there is room for it. `handled` are the deliveries with their outcomes.
    pub fn copy<'a>(
        self,
        handled: impl Iterator<Item = (&'a Envelope, &'a Outcome)> + Clone,
        copied: impl FnOnce() -> Copied,
    ) {
        let Self { shadow, notes } = self;
        if shadow.over.is_cancelled() {
            return;
        }
        // Of a call that was not made there is nothing to compare.
        let made = handled.clone().filter(|(_, of)| of.is_handled().is_some());
        let deliveries = u32::try_from(made.count()).unwrap_or(u32::MAX);
        if deliveries == 0 {
            return;
        }
        let before = notes.unwrap_or_default();
        let bytes = before.bytes() + handled.map(size).sum::<usize>();
        if !shadow.has_room(bytes) {
            shadow.counting().leave_out(deliveries);
            return;
        }
        let copied = copied();
        let copy = Left {
            copied,
            before,
            bytes,
        };
        shadow.waiting().copies.push_back(copy);
        shadow.came.notify_one();
    }
}

/// Bytes of a delivery and of its answer, about.
fn size((envelope, outcome): (&Envelope, &Outcome)) -> usize {
    let published = match outcome {
        Outcome::Handled(publications) => publications.iter(),
        _ => [].iter(),
    };
    let published = published.map(|one| ENVELOPE + one.message.body.len());
    ENVELOPE + envelope.message.body.len() + published.sum::<usize>()
}

impl Repeating {
    /// What the current version was handed, and answered.
    pub fn copied(&self) -> &Copied {
        &self.copy.copied
    }

    /// Where the call of the shadow finds what the current version found, and leaves what it writes.
    pub fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// Compares the answers of the shadow and counts them, in the order of the deliveries. Gives the account once there is
    /// enough for a report.
    pub fn count(&self, outcomes: &[Outcome], took: Duration) -> Option<Account> {
        let Left { copied, before, .. } = &self.copy;
        let spoilt = self.notes.spoilt().or_else(|| before.spoilt());
        let deliveries = copied.deliveries.iter().zip(outcomes);
        let compared: Vec<_> = deliveries
            .filter_map(|(delivered, outcome)| {
                let repeated = Repeated {
                    consumer: &copied.name,
                    delivery: &delivered.label,
                    current: &delivered.outcome,
                    shadow: outcome,
                    spoilt: spoilt.as_deref(),
                };
                repeated.compared()
            })
            .collect();
        let rule = self.shadow.rule;
        let mut account = self.shadow.counting();
        account.time(Took {
            current: copied.took,
            shadow: took,
        });
        let mut is_due = false;
        for compared in compared {
            is_due |= account.count(rule, compared);
        }
        is_due.then(|| account.clone())
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        self.shadow.waiting().bytes -= self.copy.bytes;
    }
}
