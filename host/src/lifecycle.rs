//! How the host stops: the drain signal, the deadline, and every task that either concerns.
//!
//! This is the only place that spawns tasks, so that none is forgotten when the host stops.
//! A stop has three steps, each a token that tasks wait for:
//!
//! 1. *drain*: nothing new is taken from the broker, what is in hand is finished;
//! 2. *abandon*: `shutdown_timeout` has passed, and what is still in hand goes back to the broker;
//! 3. *close*: no delivery is in hand any more; services flush what they owe and end.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long services get to flush and to say goodbye to the broker. A broker that does not answer
/// by then is not waited for: what it did not hear about, it hands out again.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Spawns tasks and tells them when to stop. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    work: TaskTracker,
    services: TaskTracker,
    drain: CancellationToken,
    abandon: CancellationToken,
    close: CancellationToken,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every delivery in hand was settled.
    Cleanly,
    /// The deadline passed first; what was in hand goes back to the broker.
    AtDeadline,
}

impl Tasks {
    /// A host that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that holds deliveries. A stop waits for it until the deadline.
    pub fn spawn_work<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.work.spawn(task)
    }

    /// Spawns a task that serves deliveries and holds none: a connection, a flusher, a ticker.
    /// It ends by itself soon after [`Tasks::close`] is cancelled.
    pub fn spawn_service<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.services.spawn(task)
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

    /// Cancelled when what is in hand is to be dropped where it stands.
    pub fn abandon(&self) -> &CancellationToken {
        &self.abandon
    }

    /// What `work` gives, or none once what is in hand is to be dropped.
    ///
    /// It looks at the token only when `work` has to wait, so that work which is done at once pays
    /// for nothing.
    pub async fn unless_abandoned<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.abandon.cancelled() => None,
        }
    }

    /// Cancelled when no delivery is in hand any more and services are to end.
    pub fn close(&self) -> &CancellationToken {
        &self.close
    }

    /// Stops everything; `timeout` is how long the deliveries in hand get.
    pub async fn stop(&self, timeout: Duration) -> Drained {
        self.drain.cancel();
        self.work.close();
        let drained = match tokio::time::timeout(timeout, self.work.wait()).await {
            Ok(()) => Drained::Cleanly,
            Err(_) => {
                self.abandon.cancel();
                // Work that was told to abandon only drops what it holds.
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
            tracing::warn!(
                seconds = CLOSE_TIMEOUT.as_secs(),
                "the broker did not take its leave in time; leaving without it"
            );
        }
        drained
    }
}
