//! Every fact that the host reports, as a value: observers get it typed, and the log gets its line.
//!
//! A fact has a stable `event` name (`delivery.settled`), which JSON log lines carry as a field. Code
//! and tests match on the event and on fields, never on the sentence, which may change. The facts
//! themselves are in `list.rs`, and the table in docs/operations.md is made from them.
//!
//! Facts go to the whole process, as log lines do, and not through a handle: a frame screen, a panic hook
//! and the settings of the engine report facts too, and would each have to carry that handle for nothing
//! else.

mod list;
mod macros;

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use tracing::Level;

pub use self::list::Fact;

/// The fields that the text format leaves out: the name of the event, and what its sentence has in words.
pub const IN_SENTENCE: [&str; 9] = [
    "event", "request", "why", "change", "warning", "advice", "line", "payload", "limit",
];

/// Gets every fact at the moment at which it is reported, whatever the log's filter is.
///
/// It runs where the fact happens, on the way of a delivery, so it returns at once.
pub trait Observer: Send + Sync {
    /// Takes note of a fact.
    fn observe(&self, fact: &Fact<'_>);
}

/// Whether there is an observer: all that a fact costs where there is none.
static OBSERVED: AtomicBool = AtomicBool::new(false);
static OBSERVERS: LazyLock<ArcSwap<Vec<Arc<dyn Observer>>>> = LazyLock::new(ArcSwap::default);

/// Has `observer` get every fact from here on, to the end of the process.
pub fn observe(observer: Arc<dyn Observer>) {
    OBSERVERS.rcu(|all| {
        let mut all = Vec::clone(all);
        all.push(Arc::clone(&observer));
        all
    });
    OBSERVED.store(true, Ordering::Release);
}

thread_local! {
    /// The observer of this thread alone, if it has one.
    static OWN: RefCell<Option<Arc<dyn Observer>>> = const { RefCell::new(None) };
}

/// A thread has an observer of its own as long as this lives.
pub struct Here {
    before: Option<Arc<dyn Observer>>,
    /// Keeps the value on its thread.
    _thread: PhantomData<*const ()>,
}

/// Has `observer` get the facts of this thread, in the place of every other one, as long as the guard lives.
pub fn observe_here(observer: Arc<dyn Observer>) -> Here {
    let before = OWN.replace(Some(observer));
    OBSERVED.store(true, Ordering::Release);
    Here {
        before,
        _thread: PhantomData,
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        OWN.set(self.before.take());
    }
}

impl Fact<'_> {
    /// Hands it to the log and to every observer.
    pub fn emit(self) {
        self.log();
        if OBSERVED.load(Ordering::Acquire) {
            self.show();
        }
    }

    fn show(&self) {
        // A thread that ends has no observer any more.
        let own = OWN.try_with(|own| own.borrow().clone()).ok().flatten();
        if let Some(own) = own {
            return own.observe(self);
        }
        for observer in OBSERVERS.load().iter() {
            observer.observe(self);
        }
    }
}

/// The sentence of its log line, without the fields.
impl Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence(f)
    }
}

/// One row of the table in docs/operations.md.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The stable name.
    pub event: &'static str,
    /// The level of its log line.
    pub level: Level,
    /// The names of its fields, and whether the sentence has their value.
    pub fields: &'static [(&'static str, bool)],
    /// The field that is the same at each time, if there is one, and its value.
    pub constant: Option<(&'static str, &'static str)>,
    /// What has happened.
    pub meaning: &'static str,
}

#[cfg(test)]
mod tests;
