//! How the host stops: the drain signal, the deadline, and every task that either concerns.
//!
//! This is the only place that spawns tasks, so that none is forgotten when the host stops.
//! A stop has three steps, each a token that tasks wait for:
//!
//! 1. *drain*: the broker delivers nothing new, deliveries in flight are finished;
//! 2. *abandon*: `shutdown_timeout` has passed, and what is still in hand goes back to the broker;
//! 3. *close*: no delivery is in hand any more; services flush what they owe and end.

pub mod aside;
pub mod failpoint;

use std::future::Future;
use std::time::Duration;

use hive_telemetry::Fact;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::aside::Aside;

/// How long services get to flush and to say goodbye to the broker. A broker that does not answer
/// by then is not waited for: what it did not hear about, it hands out again.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Spawns tasks, and signals when they must stop. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    work: TaskTracker,
    services: TaskTracker,
    /// The whole host's, where these are one part of it.
    whole: Option<Whole>,
    drain: CancellationToken,
    abandon: CancellationToken,
    close: CancellationToken,
    aside: Option<Aside>,
}

/// The trackers of the host that a branch is a part of.
#[derive(Debug, Clone)]
struct Whole {
    work: TaskTracker,
    services: TaskTracker,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every delivery in flight was settled.
    Cleanly,
    /// The deadline passed first; deliveries in flight go back to the broker.
    AtDeadline,
}

impl Tasks {
    /// A host that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, where work that keeps a thread busy is moved to these.
    #[must_use]
    pub fn with_aside(mut self, aside: Aside) -> Self {
        self.aside = Some(aside);
        self
    }

    /// A part of the host that can be stopped by itself, such as one consumer. It stops with the
    /// host at the latest, which waits for its tasks as for its own.
    pub fn branch(&self) -> Self {
        let whole = self.whole.clone().unwrap_or_else(|| Whole {
            work: self.work.clone(),
            services: self.services.clone(),
        });
        Self {
            work: TaskTracker::new(),
            services: TaskTracker::new(),
            whole: Some(whole),
            drain: self.drain.child_token(),
            abandon: self.abandon.child_token(),
            close: self.close.child_token(),
            aside: self.aside.clone(),
        }
    }

    /// Spawns a task that holds deliveries. A stop waits for it until the deadline.
    pub fn spawn_work<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.whole {
            Some(whole) => whole.work.spawn(self.work.track_future(task)),
            None => self.work.spawn(task),
        }
    }

    /// The same for a task that calls components, which may keep a thread busy: see [`aside`].
    pub fn spawn_calls<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.aside {
            Some(aside) => self.spawn_work(aside.movable(task)),
            None => self.spawn_work(task),
        }
    }

    /// Spawns a task that serves deliveries and holds none: a connection, a flusher, a ticker.
    /// It ends by itself soon after [`Tasks::close`] is cancelled.
    pub fn spawn_service<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.whole {
            Some(whole) => whole.services.spawn(self.services.track_future(task)),
            None => self.services.spawn(task),
        }
    }

    /// The same for a task whose work must not take the threads of others: it is done [`aside`] as a whole.
    pub fn spawn_aside<F>(&self, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.aside {
            Some(aside) => self.spawn_service(aside.clone().run(task)),
            None => self.spawn_service(task),
        }
    }

    /// Runs a computation that blocks (a compilation, a file) away from the tasks that must not.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place the ban points to"
    )]
    pub fn spawn_blocking<F, T>(&self, computation: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        tokio::task::spawn_blocking(computation)
    }

    /// Cancelled when nothing new is to be taken from the broker.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Cancelled when deliveries in flight must be dropped.
    pub fn abandon(&self) -> &CancellationToken {
        &self.abandon
    }

    /// The result of `work`, or `None` once deliveries in flight must be dropped.
    ///
    /// It looks at the token only when `work` has to wait, so that work which is done at once pays for nothing.
    pub async fn unless_abandoned<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.abandon.cancelled() => None,
        }
    }

    /// Cancelled when no delivery is in flight any more and services must end.
    pub fn close(&self) -> &CancellationToken {
        &self.close
    }

    /// Stops everything; `timeout` is the time for the deliveries in flight.
    pub async fn stop(&self, timeout: Duration) -> Drained {
        self.drain.cancel();
        self.work.close();
        let drained = match tokio::time::timeout(timeout, self.work.wait()).await {
            Ok(()) => Drained::Cleanly,
            Err(_) => {
                self.abandon.cancel();
                // Abandoned work only drops what it holds.
                self.work.wait().await;
                Drained::AtDeadline
            }
        };
        self.close.cancel();
        self.services.close();
        if tokio::time::timeout(CLOSE_TIMEOUT, self.services.wait())
            .await
            .is_err()
        {
            let seconds = CLOSE_TIMEOUT.as_secs();
            Fact::CloseTimedOut { seconds }.emit();
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_branch_stops_alone_and_its_host_waits_for_it() {
        let host = Tasks::new();
        let (one, other) = (host.branch(), host.branch());
        let work = |tasks: &Tasks| {
            let drain = tasks.drain().clone();
            tasks.spawn_work(async move { drain.cancelled().await })
        };
        let (first, second) = (work(&one), work(&other));
        assert_eq!(one.stop(Duration::from_secs(5)).await, Drained::Cleanly);
        assert!(first.is_finished() && !second.is_finished());
        assert!(!host.drain().is_cancelled());
        assert_eq!(host.stop(Duration::from_secs(5)).await, Drained::Cleanly);
        assert!(second.is_finished());
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_abandoned_with_its_branch_alone() {
        let host = Tasks::new();
        let branch = host.branch();
        let abandon = branch.abandon().clone();
        branch.spawn_work(async move { abandon.cancelled().await });
        assert_eq!(
            branch.stop(Duration::from_millis(10)).await,
            Drained::AtDeadline
        );
        assert!(!host.abandon().is_cancelled());
    }
}
