//! Sockets and tasks: one task listens, one keeps the time, and one a connection reads and writes.

mod connection;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock::{Clock, Pace};
use crate::state::State;
use crate::time::Time;

pub(crate) use self::connection::serve;

/// How long until another attempt to accept a connection, where the machine has no descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The broker and its clock, behind their lock.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Wakes the timekeeper: there is an earlier deadline.
    earlier: Notify,
}

#[derive(Debug)]
struct Inner {
    state: State,
    clock: Clock,
    /// The time for which the timekeeper has set its alarm.
    alarm: Option<Time>,
}

impl Shared {
    pub(crate) fn new(state: State, clock: Clock) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                clock,
                alarm: None,
            }),
            earlier: Notify::new(),
        }
    }

    /// Does something with the broker, at the time that it is.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.with_inner(|inner| act(&mut inner.state))
    }

    /// Turns the clock forward, and does what falls due on the way.
    pub(crate) fn turn(&self, by: Duration) {
        self.with_inner(|inner| {
            inner.clock.turn(by);
            inner.state.advance(inner.clock.now());
        });
    }

    fn with_inner<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        // A panic in a task ends that task; the others serve on.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = inner.clock.now();
        inner.state.advance(now);
        let result = act(&mut inner);
        inner.state.settle_down();
        let deadline = inner.state.deadline();
        let is_earlier =
            deadline.is_some_and(|deadline| inner.alarm.is_none_or(|alarm| deadline < alarm));
        if is_earlier && inner.clock.pace == Pace::Running {
            self.earlier.notify_one();
        }
        result
    }

    /// Has the broker notice what time alone does to it.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let wait = self.with_inner(|inner| {
                inner.alarm = inner.state.deadline();
                let now = inner.clock.now();
                inner
                    .alarm
                    .map(|alarm| Duration::from_millis(alarm.millis().saturating_sub(now.millis())))
            });
            match wait {
                None => self.earlier.notified().await,
                Some(wait) => {
                    // At least one millisecond: the clock counts no smaller ones.
                    let wait = wait.max(Duration::from_millis(1));
                    let _either = tokio::time::timeout(wait, self.earlier.notified()).await;
                }
            }
        }
    }
}

/// Takes clients in until it is aborted, and their tasks with it.
pub(crate) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    // A small answer must not wait for the next one.
                    if socket.set_nodelay(true).is_ok() {
                        let shared = shared.clone();
                        clients.spawn(async move {
                            serve(&shared, socket, peer.to_string(), is_loopback(peer)).await;
                        });
                    }
                }
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            },
            Some(_ended) = clients.join_next() => {}
        }
    }
}

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}
