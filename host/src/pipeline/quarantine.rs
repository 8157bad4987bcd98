//! Messages that may have ended the host: each is tried alone, and one that ends the host again and again is
//! dead-lettered before it is handled.
//!
//! Whether a delivery is a suspect, and what follows from the deaths behind it, is decided in `verdict`, which
//! is pure. A delivery that is not a suspect passes a gate and costs nothing else. A suspect leaves its worker:
//! it is parked here, unacknowledged like prefetched deliveries, until its trial. Those without a recorded
//! death go first, so that a killer is tried when its neighbours are done.
//!
//! A *marker* in the store (`marker`) distinguishes a death from every other reason for a redelivery. It is
//! written before the call and removed when the call has ended in any way that the host survives. A host that
//! is asked to stop takes its name off at once, so that being killed later, with the call still running, does
//! not count against the message.

mod last_reader;
mod life;
mod marker;
mod trial;
mod verdict;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hive_amqp::{Acks, CameBack};
use hive_lifecycle::failpoint;
use hive_store::{Bucket, Operation, StoreFault, Value, Write};
use hive_telemetry::ConsumerTelemetry;
use tokio::sync::{Notify, RwLock, RwLockReadGuard, oneshot};
use tokio::time::Instant;

use self::last_reader::LastReader;
pub use self::life::Quarantines;
use self::marker::{Fate, Marker};
use self::verdict::Deaths;
use super::held::Held;
use super::services::Common;

/// How long nothing more may have been parked before one with deaths behind it is tried: what a host
/// left behind when it died comes at once, and the innocent of them are to go first.
const QUIET_BEFORE_TRIAL: Duration = Duration::from_millis(250);

/// How long the others wait for a message on trial to be settled once its call has ended. A broker that
/// takes longer is in trouble, and no message ends the host by that.
const SETTLING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a marker is kept whose message never comes again.
const MARKER_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The quarantine of one consumer.
pub(super) struct Quarantine {
    host: Arc<Quarantines>,
    markers: Bucket,
    /// Held by every call; by a trial, held alone.
    gate: RwLock<()>,
    parked: Mutex<Parked>,
    arrived: Notify,
    /// The last suspect was tried.
    emptied: Notify,
    /// Where the queue is a stream.
    last_reader: LastReader,
    telemetry: Arc<ConsumerTelemetry>,
}

/// Suspects that wait for their trial.
#[derive(Default)]
struct Parked {
    suspects: Vec<Suspect>,
    latest: Option<Instant>,
    next: u64,
    /// A worker tries them.
    is_trying: bool,
}

/// A delivery that may end the host.
struct Suspect {
    held: Held,
    key: [u8; 32],
    came_back: CameBack,
    /// The marker in the store; `None` if there is none.
    standing: Option<Marker>,
    /// How soon it is tried, the smallest first.
    order: (Deaths, u64),
}

/// A marker of this host in the store.
struct Marked {
    key: [u8; 32],
    marker: Marker,
}

/// Hears how a delivery that is marked leaves the host. Dropped, it was given back unsettled.
#[derive(Debug)]
pub(super) struct Watcher(oneshot::Sender<bool>);

impl Watcher {
    /// It left; `is_done` where it does not come again as it is.
    pub(super) fn tell(self, is_done: bool) {
        // The receiver may be gone: the host stops.
        let _nobody_hears = self.0.send(is_done);
    }
}

impl Quarantine {
    pub(super) fn of(common: &Common<'_>) -> Self {
        let host = &common.services.quarantines;
        let vhost = common.services.connection.vhost();
        let markers = host.markers(vhost, &common.plan.queue);
        Self::new(markers, host, common.telemetry)
    }

    fn new(markers: Bucket, host: &Arc<Quarantines>, telemetry: &Arc<ConsumerTelemetry>) -> Self {
        Self {
            host: Arc::clone(host),
            markers,
            gate: RwLock::new(()),
            parked: Mutex::default(),
            arrived: Notify::new(),
            emptied: Notify::new(),
            last_reader: LastReader::default(),
            telemetry: Arc::clone(telemetry),
        }
    }

    /// Makes a call among others: they wait while a suspect is on trial. A trial waits for them in turn, but
    /// not for a call whose channel is gone: it may run for hours, and nothing comes of it.
    pub(super) async fn among_others(&self, acks: Acks, call: impl Future<Output = ()>) {
        let pass = self.pass().await;
        let mut call = pin!(call);
        tokio::select! {
            biased;
            () = &mut call => return,
            () = acks.gone() => drop(pass),
        }
        call.await;
    }

    async fn pass(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// The marker under a key; `None` also if the store does not answer.
    async fn standing(&self, key: &[u8; 32]) -> Option<Marker> {
        let bytes = self.asked(self.markers.get(key)).await?;
        Marker::read(&bytes?)
    }

    /// Writes a marker before a call; `None` if the store does not take it: the call is made all the same.
    async fn mark(&self, key: [u8; 32], deaths: Deaths, is_alone: bool) -> Option<Marked> {
        let marker = Marker {
            deaths,
            owner: Some(self.host.owner(is_alone)),
        };
        self.asked(async {
            self.host.lives().await?;
            let value = Value::passing(marker.written(), MARKER_LIFETIME);
            self.markers.set(&key, value).await
        })
        .await?;
        failpoint::reached("quarantine.marked");
        Some(Marked { key, marker })
    }

    /// Takes this host's name off a marker that is still its own; the known deaths stay.
    async fn take_name_off(&self, marked: &Marked) {
        let own = marked.marker.written();
        let deaths = marked.marker.deaths;
        let operation = match deaths == Deaths::default() {
            true => Operation::DeleteIf(own),
            false => Operation::Swap {
                expected: Some(own),
                value: Value::passing(nameless(deaths).written(), MARKER_LIFETIME),
            },
        };
        self.change(marked.key, operation).await;
    }

    /// Forgets a message, whose handling the host survived.
    async fn forget(&self, key: [u8; 32]) {
        self.change(key, Operation::Delete).await;
    }

    async fn change(&self, key: [u8; 32], operation: Operation) {
        let key = key.to_vec();
        let write = Write { key, operation };
        // A failure leaves a marker of this run behind, which counts as no death while the run lasts. The fault
        // was logged.
        let _told = self.asked(self.markers.write(vec![write])).await;
    }

    /// `None` if the store cannot be used now.
    async fn asked<T>(&self, question: impl Future<Output = Result<T, StoreFault>>) -> Option<T> {
        if !self.host.asks_the_store() {
            return None;
        }
        match question.await {
            Ok(answer) => Some(answer),
            Err(fault) => {
                self.host.store_failed(&fault);
                None
            }
        }
    }

    /// Keeps the marker of a delivery true to what becomes of it.
    async fn follow(
        &self,
        marked: Marked,
        mut ended: oneshot::Receiver<bool>,
        drain: &tokio_util::sync::CancellationToken,
    ) {
        let (is_done, has_name) = tokio::select! {
            biased;
            told = &mut ended => (told == Ok(true), true),
            () = drain.cancelled() => {
                self.take_name_off(&marked).await;
                ((&mut ended).await == Ok(true), false)
            }
        };
        match (is_done, has_name) {
            (true, _) => self.forget(marked.key).await,
            (false, true) => self.take_name_off(&marked).await,
            (false, false) => {}
        }
    }

    /// The next suspect to be tried; `None` if none is left, or if the host drains.
    async fn next(&self, drain: &tokio_util::sync::CancellationToken) -> Option<Suspect> {
        loop {
            let mut arrived = pin!(self.arrived.notified());
            // From here on, so that none slips in between looking and waiting.
            arrived.as_mut().enable();
            let wait_until = {
                let (unwanted, choice) = {
                    let mut parked = self.lock();
                    let unwanted = parked.take_unwanted(drain.is_cancelled());
                    (unwanted, parked.choose(self.host.forgets))
                };
                self.telemetry.left_quarantine(unwanted.len());
                // They go back to their queue, behind no lock of this room.
                drop(unwanted);
                match choice {
                    Choice::None => {
                        self.emptied.notify_waiters();
                        return None;
                    }
                    Choice::Now(suspect) => return Some(*suspect),
                    Choice::After(quiet) => quiet,
                }
            };
            tokio::select! {
                () = drain.cancelled() => {}
                () = arrived => {}
                () = tokio::time::sleep_until(wait_until) => {}
            }
        }
    }

    /// Waits until no suspect is left.
    async fn is_empty(&self) {
        loop {
            let mut emptied = pin!(self.emptied.notified());
            // From here on, so that the last one does not slip in between looking and waiting.
            emptied.as_mut().enable();
            if !self.lock().is_trying {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The order in which suspects are tried.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// Suspects with fewer deaths come first.
    ByDeaths,
    /// Nothing is known of any of them: by chance each of the others has its turn before the killer
    /// sooner or later.
    ByChance,
    /// Those of a stream: what comes before a killer is handled before it in any case.
    AsTheyCame,
}

/// Which suspect is next.
enum Choice {
    /// No suspect is left, and the task that tried them has ended.
    None,
    Now(Box<Suspect>),
    /// None is to be tried before this time, unless another one comes.
    After(Instant),
}

impl Parked {
    /// How soon the next suspect is tried, of which this marker stands in the store.
    fn place(&mut self, order: Order, standing: Option<&Marker>) -> (Deaths, u64) {
        // As if its owner had died: who lives is asked when it is its turn.
        let deaths = standing.map(|standing| standing.deaths_after(Fate::Died));
        let number = self.next;
        self.next += 1;
        match order {
            Order::ByDeaths => (deaths.unwrap_or_default(), number),
            Order::ByChance => (Deaths::default(), rand::random()),
            Order::AsTheyCame => (Deaths::default(), number),
        }
    }

    /// True if a task must begin to try them.
    fn add(&mut self, suspect: Suspect) -> bool {
        self.latest = Some(Instant::now());
        self.suspects.push(suspect);
        !std::mem::replace(&mut self.is_trying, true)
    }

    /// Removes suspects that go back to their queue, since they were not begun.
    fn take_unwanted(&mut self, all: bool) -> Vec<Suspect> {
        let suspects = std::mem::take(&mut self.suspects);
        let is_wanted = |suspect: &Suspect| !all && suspect.held.delivery.settlement.is_wanted();
        let (wanted, unwanted) = suspects.into_iter().partition(is_wanted);
        self.suspects = wanted;
        unwanted
    }

    fn choose(&mut self, forgets: bool) -> Choice {
        let numbered = self.suspects.iter().enumerate();
        let Some((index, first)) = numbered.min_by_key(|(_, suspect)| suspect.order) else {
            self.is_trying = false;
            return Choice::None;
        };
        let is_known_to_kill = first.order.0 > Deaths::default();
        let quiet = self.latest.unwrap_or_else(Instant::now) + QUIET_BEFORE_TRIAL;
        if (is_known_to_kill || forgets) && quiet > Instant::now() {
            return Choice::After(quiet);
        }
        Choice::Now(Box::new(self.suspects.swap_remove(index)))
    }
}

/// A marker without an owner.
fn nameless(deaths: Deaths) -> Marker {
    Marker {
        deaths,
        owner: None,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use hive_store::{Clock, Memory, Store};
    use hive_telemetry::Telemetry;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    /// The quarantine of one consumer in a run of the host.
    fn quarantine(store: &Arc<dyn Store>) -> Quarantine {
        let name: Arc<str> = "letters".into();
        let telemetry = Arc::new(Telemetry::new().unwrap().consumer(&name, &name, &name));
        let host = life::tests::run_on(store);
        Quarantine::new(host.markers("/", "letters"), &host, &telemetry)
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(Memory::new(Clock::system()))
    }

    fn once() -> Deaths {
        Deaths::default().and_one(true)
    }

    /// The marker that a later run of the host finds, after one of `deaths` was marked and ended so.
    async fn left_by(
        deaths: Deaths,
        end: impl FnOnce(oneshot::Sender<bool>, &CancellationToken),
    ) -> Option<Marker> {
        let store = store();
        let quarantine = quarantine(&store);
        let marked = quarantine.mark(KEY, deaths, true).await.unwrap();
        let (watcher, ended) = oneshot::channel();
        let drain = CancellationToken::new();
        end(watcher, &drain);
        quarantine.follow(marked, ended, &drain).await;
        quarantine.standing(&KEY).await
    }

    #[tokio::test]
    async fn a_marker_is_there_until_the_call_has_ended() {
        let store = store();
        let quarantine = quarantine(&store);
        let marked = quarantine.mark(KEY, once(), true).await.unwrap();
        let standing = quarantine.standing(&KEY).await.unwrap();
        assert_eq!(standing, marked.marker);
        assert_eq!(standing.deaths_after(Fate::Died), once().and_one(true));
    }

    #[tokio::test]
    async fn what_was_handled_is_forgotten_with_its_deaths() {
        let left = left_by(once(), |watcher, _| watcher.send(true).unwrap());
        assert_eq!(left.await, None);
    }

    #[tokio::test]
    async fn what_went_back_keeps_its_deaths_and_gets_none() {
        let went_back = left_by(once(), |watcher, _| watcher.send(false).unwrap());
        assert_eq!(went_back.await, Some(nameless(once())));
        let dropped = left_by(once(), |watcher, _| drop(watcher));
        assert_eq!(dropped.await, Some(nameless(once())));
        let first = left_by(Deaths::default(), |watcher, _| drop(watcher));
        assert_eq!(first.await, None, "nothing is known of it");
    }

    #[tokio::test]
    async fn a_host_that_stops_takes_its_name_off_while_the_call_goes_on() {
        let store = store();
        let quarantine = quarantine(&store);
        let marked = quarantine.mark(KEY, once(), true).await.unwrap();
        let (watcher, ended) = oneshot::channel();
        let drain = CancellationToken::new();
        drain.cancel();
        let mut following = pin!(quarantine.follow(marked, ended, &drain));
        assert!(following.as_mut().now_or_never().is_none(), "it goes on");
        let standing = quarantine.standing(&KEY).await;
        assert_eq!(standing, Some(nameless(once())));
        watcher.send(true).unwrap();
        following.await;
        assert_eq!(quarantine.standing(&KEY).await, None, "it ended well");
    }

    #[tokio::test]
    async fn a_marker_that_another_took_over_is_left_alone() {
        let store = store();
        let (first, second) = (quarantine(&store), quarantine(&store));
        let old = first.mark(KEY, Deaths::default(), true).await.unwrap();
        let new = second.mark(KEY, once(), true).await.unwrap();
        first.take_name_off(&old).await;
        assert_eq!(second.standing(&KEY).await, Some(new.marker));
    }

    #[tokio::test]
    async fn a_trial_waits_for_the_calls_and_the_calls_for_the_trial() {
        let store = store();
        let quarantine = quarantine(&store);
        let pass = quarantine.pass().await;
        assert!(quarantine.gate.write().now_or_never().is_none());
        drop(pass);
        let trial = quarantine.gate.write().await;
        assert!(quarantine.pass().now_or_never().is_none());
        drop(trial);
        assert!(quarantine.pass().now_or_never().is_some());
    }
}
