//! The workers of one consumer: as many as are wanted at the moment.
//!
//! The work (single deliveries, batches) is a future over its [`Seat`]. A worker that is not needed any more
//! learns of it between two pieces of work, so that deliveries in flight are always finished.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hive_lifecycle::Tasks;
use hive_sandbox::Slot;
use hive_telemetry::{ConsumerTelemetry, WorkerPanicked};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a worker rests after a panic.
const FIRST_REST: Duration = Duration::from_millis(100);
/// See [`FIRST_REST`]. After a longer time without a panic the pauses begin again from the first.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The work of one worker until its seat gives it nothing more. It is started again after a panic.
type Worker = dyn for<'a> Fn(&'a mut Seat) -> Working<'a> + Send + Sync;

/// A worker at work.
pub(super) type Working<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The workers of one consumer.
pub(super) struct Crew {
    worker: Box<Worker>,
    roster: watch::Sender<Roster>,
    toil: Toil,
    /// The place of the component; `None` for routes, which need no instances.
    slot: Option<Arc<Slot>>,
    telemetry: Arc<ConsumerTelemetry>,
    tasks: Tasks,
}

/// How many workers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roster {
    /// How many workers there are.
    pub present: u16,
    /// How many workers there should be.
    pub wanted: u16,
    /// Waiting messages at the last look; `None` if they are not measured, or were unknown.
    pub waiting: Option<u64>,
    /// The workers that the last look asked for, before the bounds of `scale`; `None` if it asked for no number.
    pub asked: Option<u64>,
}

/// The work of all workers of a crew together.
#[derive(Default)]
struct Toil {
    busy: AtomicU16,
    messages: AtomicU64,
    nanos: AtomicU64,
}

impl Crew {
    /// A crew without workers. Its workers will ask for instances of `slot`.
    pub(super) fn new(
        worker: impl for<'a> Fn(&'a mut Seat) -> Working<'a> + Send + Sync + 'static,
        slot: Option<&Arc<Slot>>,
        telemetry: &Arc<ConsumerTelemetry>,
        tasks: &Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            worker: Box::new(worker),
            roster: watch::Sender::new(Roster::default()),
            toil: Toil::default(),
            slot: slot.cloned(),
            telemetry: Arc::clone(telemetry),
            tasks: tasks.clone(),
        })
    }

    /// Sets the number of workers: missing ones start at once, superfluous ones leave when they have no
    /// delivery in flight.
    pub(super) fn resize(self: &Arc<Self>, wanted: u16) {
        let mut missing = 0;
        self.roster.send_modify(|roster| {
            missing = wanted.saturating_sub(roster.present);
            roster.present += missing;
            roster.wanted = wanted;
        });
        for _ in 0..missing {
            let seat = Seat::take(self);
            self.tasks.spawn_calls(seat.hold());
        }
        self.telemetry.workers_wanted(wanted);
    }

    /// Records the number of waiting messages, and the number of workers that they ask for.
    pub(super) fn saw(&self, waiting: Option<u64>, asked: Option<u64>) {
        self.roster.send_modify(|roster| {
            roster.waiting = waiting;
            roster.asked = asked;
        });
    }

    /// Watches how many there are.
    pub(super) fn roster(&self) -> watch::Receiver<Roster> {
        self.roster.subscribe()
    }

    /// How many there are to be.
    pub(super) fn wanted(&self) -> u16 {
        self.roster.borrow().wanted
    }

    /// How many have a delivery in flight.
    pub(super) fn busy(&self) -> u16 {
        self.toil.busy.load(Ordering::Relaxed)
    }

    /// The messages that were done with since this was last asked, and the time of workers that they
    /// took.
    pub(super) fn done(&self) -> (u64, Duration) {
        // A worker may add to one of them in between; the next call includes that.
        let nanos = self.toil.nanos.swap(0, Ordering::Relaxed);
        let messages = self.toil.messages.swap(0, Ordering::Relaxed);
        (messages, Duration::from_nanos(nanos))
    }

    /// Gives back the instances that the current workers do not need.
    pub(super) fn give_back(&self) {
        if let Some(slot) = &self.slot {
            slot.give_back();
        }
    }
}

/// The place of one worker, counted for as long as it is held.
pub(super) struct Seat {
    crew: Arc<Crew>,
    roster: watch::Receiver<Roster>,
    /// Whether it was taken off the count already.
    left: bool,
}

impl Seat {
    /// The caller has counted it in the roster.
    fn take(crew: &Arc<Crew>) -> Self {
        if let Some(slot) = &crew.slot {
            slot.worker_comes();
        }
        crew.telemetry.worker_came();
        Self {
            crew: Arc::clone(crew),
            roster: crew.roster(),
            left: false,
        }
    }

    /// Works until there is nothing more to do, or until the worker is not needed any more.
    async fn hold(mut self) {
        let crew = Arc::clone(&self.crew);
        let mut in_a_row = 0;
        // A fault of the host in one delivery must not leave its consumer a worker short. The delivery
        // goes back to its queue as it is dropped.
        loop {
            let since = Instant::now();
            let working = AssertUnwindSafe((crew.worker)(&mut self)).catch_unwind();
            if working.await.is_ok() {
                return;
            }
            in_a_row = match since.elapsed() < LONGEST_REST {
                true => in_a_row + 1,
                false => 1,
            };
            let rest = rest(in_a_row);
            WorkerPanicked { rest }.emit(&crew.telemetry);
            let drain = crew.tasks.drain();
            // Whether it rested or the host drains, the worker looks by itself.
            let _rested = tokio::time::timeout(rest, drain.cancelled()).await;
        }
    }

    /// The result of `wait`; `None` if it has none, or if this worker is not needed any more. A worker learns
    /// that only here, also while it waits: `wait` is dropped then, and must lose nothing by it.
    pub(super) async fn next<T>(
        &mut self,
        mut wait: Pin<&mut impl Future<Output = Option<T>>>,
    ) -> Option<T> {
        while !self.leave() {
            tokio::select! {
                biased;
                next = &mut wait => return next,
                () = self.surplus() => {}
            }
        }
        None
    }

    /// This many messages are in flight for as long as the returned value lives.
    pub(super) fn toil(&self, messages: usize) -> Toiling {
        self.crew.toil.busy.fetch_add(1, Ordering::Relaxed);
        Toiling {
            crew: Arc::clone(&self.crew),
            since: Instant::now(),
            messages: messages as u64,
        }
    }

    /// Goes if there are too many.
    fn leave(&mut self) -> bool {
        let too_many = |roster: &Roster| roster.present > roster.wanted;
        if self.left || !too_many(&self.roster.borrow()) {
            return self.left;
        }
        // Others may go for the same reason at the same time.
        self.left = self.crew.roster.send_if_modified(|roster| {
            let goes = too_many(roster);
            roster.present -= u16::from(goes);
            goes
        });
        if self.left {
            self.uncount();
            self.crew.give_back();
        }
        self.left
    }

    /// Resolves when there are too many.
    async fn surplus(&mut self) {
        let too_many = |roster: &Roster| roster.present > roster.wanted;
        // The crew lives as long as its seats, and so does what is watched.
        if self.roster.wait_for(too_many).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn uncount(&self) {
        if let Some(slot) = &self.crew.slot {
            slot.worker_goes();
        }
        self.crew.telemetry.worker_went();
    }
}

/// The pause of a worker after this many panics in a row: the message that caused them comes again.
fn rest(in_a_row: u32) -> Duration {
    let doubled = 1 << in_a_row.saturating_sub(1).min(16);
    FIRST_REST.saturating_mul(doubled).min(LONGEST_REST)
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.left {
            self.crew.roster.send_modify(|roster| roster.present -= 1);
            self.uncount();
        }
    }
}

/// A piece of work in flight: whichever way it ends, its time is counted.
pub(super) struct Toiling {
    crew: Arc<Crew>,
    since: Instant,
    messages: u64,
}

impl Drop for Toiling {
    fn drop(&mut self) {
        let toil = &self.crew.toil;
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        toil.nanos.fetch_add(nanos, Ordering::Relaxed);
        toil.messages.fetch_add(self.messages, Ordering::Relaxed);
        toil.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_in_a_row_rest_longer_and_longer() {
        assert_eq!(rest(1), FIRST_REST);
        assert_eq!(rest(3), FIRST_REST * 4);
        for in_a_row in [10, 100, u32::MAX] {
            assert_eq!(rest(in_a_row), LONGEST_REST);
        }
    }
}
