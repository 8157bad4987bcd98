//! How many messages wait in the queues of consumers, as the broker reports it to those who ask.
//!
//! The host does not look at a queue until an operator or a scrape asks. One round at a time goes over the queues of a
//! connection, in a task of its own, so that a slow broker holds up no answer: a depth that the broker has not
//! reported in time is unknown. No delivery waits for anything here.

mod known;
pub(super) mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hive_amqp::{Connection, DepthFault, LOST, LinkState, is_shared};
use hive_core::codes::Reason;
use hive_lifecycle::Tasks;
use hive_telemetry::Role;
use tokio::time::Instant;

use self::known::Known;
use crate::pipeline::Flow;

/// How long a question waits for the round.
const WAITS: Duration = Duration::from_secs(1);

/// The depths of the queues that are consumed over one connection.
pub(super) struct Depths {
    connection: Arc<Connection>,
    tasks: Tasks,
    /// Held by the round that is going.
    going: Arc<tokio::sync::Mutex<()>>,
    known: Mutex<Known>,
}

/// The queues to look at over one connection.
#[derive(Default)]
pub(super) struct Question {
    pub(super) queues: Vec<Arc<str>>,
    /// Who consumes one of them.
    pub(super) flows: HashMap<Arc<str>, Arc<Flow>>,
}

impl Question {
    /// Whether the broker must know of a consumer of the queue.
    fn is_consumed(&self, queue: &str) -> bool {
        self.flows
            .get(queue)
            .is_some_and(|flow| flow.watch().now().is_subscribed() && flow.paused().is_none())
    }
}

/// Looks at queues where that was not done just now. Returns soon in any case.
pub(super) async fn ask(questions: impl IntoIterator<Item = (Arc<Depths>, Question)>) {
    let rounds = questions.into_iter();
    let rounds = join_all(rounds.map(|(depths, question)| depths.ask(question)));
    if tokio::time::timeout(WAITS, rounds).await.is_err() {
        tracing::debug!("the broker has not reported the depth of every queue in time");
    }
}

impl Depths {
    /// Nothing is known yet. The rounds are among the `tasks` of the connection.
    pub(super) fn new(connection: &Arc<Connection>, tasks: &Tasks) -> Arc<Self> {
        Arc::new(Self {
            connection: Arc::clone(connection),
            tasks: tasks.clone(),
            going: Arc::default(),
            known: Mutex::default(),
        })
    }

    /// The messages in a queue at this moment, or why their number is unknown.
    pub(super) fn of(&self, queue: &str) -> Result<u32, Reason> {
        self.known().of(queue, Instant::now())
    }

    /// Goes over the queues, unless a round is going already, which is waited for, or one has ended just now.
    async fn ask(self: Arc<Self>, question: Question) {
        if !self.is_connected() {
            self.known().lost(DepthFault::Down.reason());
            return;
        }
        let Ok(going) = Arc::clone(&self.going).try_lock_owned() else {
            drop(self.going.lock().await);
            return;
        };
        if !self.known().may_begin(Instant::now()) {
            return;
        }
        let (depths, close) = (Arc::clone(&self), self.tasks.close().clone());
        let round = self.tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = depths.go_round(question) => {}
            }
            drop(going);
        });
        if let Err(error) = round.await {
            tracing::debug!(%error, "a round over the queues did not end well");
        }
    }

    fn is_connected(&self) -> bool {
        let state = self.connection.state(Role::Consume).now();
        matches!(state, LinkState::Open | LinkState::Blocked(_))
    }

    async fn go_round(&self, question: Question) {
        let began = Instant::now();
        let is_made = |queue: &str| self.connection.has_made(queue);
        let due = self.known().due(&question.queues, is_made, began);
        let looking = self.connection.look_at(
            due,
            |queue| question.is_consumed(queue),
            |queue, depth| {
                let may_be_missing = is_shared(&queue) && &*queue != LOST && !is_made(&queue);
                let mut known = self.known();
                known.note(queue, depth, may_be_missing, Instant::now());
            },
        );
        let cut_short = looking.await.err();
        self.known()
            .ended(began, Instant::now(), cut_short.as_ref());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
