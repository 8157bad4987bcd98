//! The search for queues over one connection: lists them again and again, and hands each listing to the task that owns
//! what runs.

use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Connection, ConsumerState, QueueNews, is_made_by_hive};
use hive_config::plan::{ConnectionPlan, ManagementPlan, Plan, QueuesSeen};
use hive_core::codes::Reason;
use hive_core::glob::Glob;
use hive_lifecycle::Tasks;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::listing::{Asking, Listing};
use super::looked::Looked;
use crate::pipeline::Flow;

/// How long consumers that began are waited for before others begin.
const WAITS: Duration = Duration::from_secs(5);

/// The pause between two looks at those that began.
const LOOKS: Duration = Duration::from_millis(20);

/// The least pause between two listings: queues that come together are one reason to look.
const GATHERS: Duration = Duration::from_millis(100);

/// The search for queues over one connection. Dropped, it ends.
pub(in crate::app) struct Discovery {
    pub(super) wanted: Wanted,
    /// Over which the broker tells of queues.
    pub(super) connection: Arc<Connection>,
    pub(super) looked: Arc<Looked>,
    /// Resolved when the search is to continue at once.
    pub(super) soon: Arc<Notify>,
    _ends: DropGuard,
}

/// What it is to do.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) connection: Arc<str>,
    management: ManagementPlan,
    vhost: String,
    every: Duration,
    /// Of all tables whose queues are looked for.
    patterns: Vec<Glob>,
}

/// A whole listing, and where the answer goes.
pub(in crate::app) struct Found {
    pub(super) looked: Arc<Looked>,
    pub(super) connection: Arc<str>,
    pub(super) queues: QueuesSeen,
    /// Whether it is not a further step of the same listing.
    pub(super) is_new: bool,
    pub(super) answer: oneshot::Sender<Step>,
}

/// What has come of a listing.
#[derive(Default)]
pub(super) struct Step {
    /// Consumers that have begun.
    pub(super) begun: Vec<Arc<Flow>>,
    /// Queues that are left for another step.
    pub(super) later: usize,
}

impl Wanted {
    /// `None` for a connection over which nothing is to be discovered.
    pub(super) fn of(plan: &Plan, connection: &ConnectionPlan) -> Option<Self> {
        let patterns = plan.patterns.values();
        let patterns = patterns.filter(|pattern| *pattern.connection() == connection.name);
        let patterns: Vec<_> = patterns.map(|pattern| pattern.queues.clone()).collect();
        let is_wanted = !patterns.is_empty();
        Some(Self {
            connection: Arc::clone(&connection.name),
            management: connection.management.clone().filter(|_| is_wanted)?,
            vhost: connection.vhost.clone(),
            every: connection.discover_every,
            patterns,
        })
    }

    /// Whether a queue that came or went may be one that is looked for.
    fn concerns(&self, queue: &str) -> bool {
        !is_made_by_hive(queue) && self.patterns.iter().any(|pattern| pattern.matches(queue))
    }

    pub(super) fn start(
        self,
        connection: Arc<Connection>,
        found: mpsc::Sender<Found>,
        tasks: &Tasks,
    ) -> Discovery {
        let (looked, soon) = (Arc::<Looked>::default(), Arc::<Notify>::default());
        let ends = tasks.drain().child_token();
        let search = Search {
            asking: Asking::new(&self.management, &self.vhost),
            wanted: self.clone(),
            looked: Arc::clone(&looked),
            soon: Arc::clone(&soon),
            found,
            before: QueuesSeen::new(),
        };
        let hearing = Hearing {
            connection: Arc::clone(&connection),
            wanted: self.clone(),
            looked: Arc::clone(&looked),
            soon: Arc::clone(&soon),
        };
        let ended: CancellationToken = ends.clone();
        tasks.spawn_service(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = search.run() => {}
                () = hearing.run() => {}
            }
        });
        Discovery {
            wanted: self,
            connection,
            looked,
            soon,
            _ends: ends.drop_guard(),
        }
    }
}

/// Listens for queues that come and go.
struct Hearing {
    connection: Arc<Connection>,
    wanted: Wanted,
    looked: Arc<Looked>,
    soon: Arc<Notify>,
}

impl Hearing {
    /// Never ends: the search continues when the connection has ended for good, and says why nothing is found.
    async fn run(self) {
        let told = |news: QueueNews<'_>| match news {
            QueueNews::Begin => {
                self.looked.hears(true);
                // Something may have come while nobody listened.
                self.soon.notify_one();
            }
            QueueNews::Changed(queue) if self.wanted.concerns(queue) => self.soon.notify_one(),
            QueueNews::Changed(_) => {}
            QueueNews::End => self.looked.hears(false),
        };
        self.connection.listen_for_queues(told).await;
        std::future::pending().await
    }
}

/// The loop.
struct Search {
    asking: Asking,
    wanted: Wanted,
    looked: Arc<Looked>,
    soon: Arc<Notify>,
    found: mpsc::Sender<Found>,
    /// The listing before.
    before: QueuesSeen,
}

impl Search {
    async fn run(mut self) {
        loop {
            let begun = Instant::now();
            let listing = self.list().await;
            let took = begun.elapsed();
            match listing {
                Ok(queues) => {
                    self.before.clone_from(&queues);
                    if !self.hand_over(queues).await {
                        return;
                    }
                }
                Err(reason) => self.looked.failed(&self.wanted.connection, reason),
            }
            tokio::select! {
                () = tokio::time::sleep(self.wanted.every) => {}
                () = async {
                    self.soon.notified().await;
                    // However fast queues come and go, the broker spends a fifth of the time on telling so at most.
                    tokio::time::sleep(GATHERS.max(took * 4)).await;
                } => {}
            }
        }
    }

    /// The queues that there are. One that was there before is missing only if two listings lack it, where one alone
    /// may have passed over it.
    async fn list(&self) -> Result<QueuesSeen, Reason> {
        let Listing {
            mut queues,
            may_have_gaps,
        } = list_once(&self.asking).await?;
        let mut before = self.before.keys();
        if may_have_gaps && !before.all(|queue| queues.contains_key(queue)) {
            let mut again = list_once(&self.asking).await?;
            queues.append(&mut again.queues);
        }
        Ok(queues)
    }

    /// Has a listing applied, step by step. False once the host stops.
    async fn hand_over(&self, queues: QueuesSeen) -> bool {
        let mut is_new = true;
        loop {
            let (answer, answered) = oneshot::channel();
            let found = Found {
                looked: Arc::clone(&self.looked),
                connection: Arc::clone(&self.wanted.connection),
                queues: queues.clone(),
                is_new,
                answer,
            };
            is_new = false;
            if self.found.send(found).await.is_err() {
                return false;
            }
            let Ok(Step { begun, later }) = answered.await else {
                return false;
            };
            if later == 0 {
                return true;
            }
            if tokio::time::timeout(WAITS, all_are_answered(begun))
                .await
                .is_err()
            {
                tracing::debug!(
                    "the broker has not answered the consumers of discovered queues in time"
                );
            }
        }
    }
}

/// Every queue that may be consumed from, as one listing has it.
async fn list_once(asking: &Asking) -> Result<Listing, Reason> {
    asking.list(|queue| !is_made_by_hive(queue)).await
}

/// The queues that there are now over one connection, for a command. `None` if nothing is to be discovered over it.
pub(crate) async fn look(
    plan: &Plan,
    connection: &ConnectionPlan,
) -> Option<Result<QueuesSeen, Reason>> {
    let wanted = Wanted::of(plan, connection)?;
    let asking = Asking::new(&wanted.management, &wanted.vhost);
    let listing = list_once(&asking).await;
    Some(listing.map(|listing| listing.queues))
}

/// Resolves when the broker has answered each of them, with a subscription or with a fault.
async fn all_are_answered(mut waiting: Vec<Arc<Flow>>) {
    loop {
        waiting.retain(|flow| match flow.watch().now() {
            ConsumerState::Waiting(reason) => reason.code.is_none(),
            ConsumerState::Consuming | ConsumerState::Standby(_) => false,
        });
        if waiting.is_empty() {
            return;
        }
        tokio::time::sleep(LOOKS).await;
    }
}

impl Discovery {
    /// Where it looks for queues, and how that goes, for the status.
    pub(in crate::app) fn looked(&self) -> Arc<Looked> {
        Arc::clone(&self.looked)
    }
}
