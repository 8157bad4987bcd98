//! Discovery: the queues of a broker are listed again and again, and those that match the `queues` of a consumer's
//! table are consumed from.
//!
//! It is another way to a new plan, beside a reload: a listing and the tables with patterns make the plan that there is
//! to be, and what changes is applied by the same code, by the task that owns everything. So neither can overtake
//! the other.

mod listing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hive_amqp::is_made_by_hive;
use hive_config::diff::diff;
use hive_config::plan::{
    ConnectionPlan, ConsumerPlan, LeftOut, ManagementPlan, PatternPlan, Plan, Seen,
};
use hive_core::codes::Reason;
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::listing::{Asking, Listing};
use super::running::Running;
use crate::pipeline::Flow;
use crate::status::DiscoveryStatus;

/// Consumers that begin at once: each asks the broker for a channel and its queues, and a thousand at once would be a
/// storm.
pub(super) const MOST_AT_ONCE: usize = 50;

/// How long those that began are waited for before others begin.
const WAITS: Duration = Duration::from_secs(5);

/// The pause between two looks at those that began.
const LOOKS: Duration = Duration::from_millis(20);

/// The search for queues over one connection. Dropped, it ends.
pub(super) struct Discovery {
    wanted: Wanted,
    looked: Arc<Looked>,
    /// Resolved when the search is to continue at once.
    soon: Arc<Notify>,
    _ends: DropGuard,
}

/// What it is to do.
#[derive(Clone, PartialEq, Eq)]
struct Wanted {
    connection: Arc<str>,
    management: ManagementPlan,
    vhost: String,
    every: Duration,
}

/// How it is doing.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<Looks>);

#[derive(Debug, Clone, Default)]
struct Looks {
    /// When the last whole listing was applied.
    last: Option<SystemTime>,
    /// Since when there is none, and why.
    failing: Option<(SystemTime, Reason)>,
}

/// A whole listing, and where the answer goes.
pub(super) struct Found {
    looked: Arc<Looked>,
    connection: Arc<str>,
    queues: BTreeSet<Arc<str>>,
    answer: oneshot::Sender<Step>,
}

/// What has come of a listing.
#[derive(Default)]
struct Step {
    /// Consumers that have begun.
    begun: Vec<Arc<Flow>>,
    /// Queues that are left for another step.
    later: usize,
}

/// Listings on their way to the task that owns everything.
pub(super) type Listings = mpsc::Receiver<Found>;

/// Both ends of the way.
pub(super) fn line() -> (mpsc::Sender<Found>, Listings) {
    mpsc::channel(1)
}

impl Wanted {
    /// `None` for a connection over which nothing is to be discovered.
    fn of(plan: &Plan, connection: &ConnectionPlan) -> Option<Self> {
        let mut patterns = plan.patterns.values();
        let is_wanted = patterns.any(|pattern| *pattern.connection() == connection.name);
        Some(Self {
            connection: Arc::clone(&connection.name),
            management: connection.management.clone().filter(|_| is_wanted)?,
            vhost: connection.vhost.clone(),
            every: connection.discover_every,
        })
    }

    fn start(self, found: mpsc::Sender<Found>, tasks: &Tasks) -> Discovery {
        let (looked, soon) = (Arc::<Looked>::default(), Arc::<Notify>::default());
        let ends = tasks.drain().child_token();
        let search = Search {
            asking: Asking::new(&self.management, &self.vhost),
            wanted: self.clone(),
            looked: Arc::clone(&looked),
            soon: Arc::clone(&soon),
            found,
            tasks: tasks.clone(),
            before: BTreeSet::new(),
        };
        let ended: CancellationToken = ends.clone();
        tasks.spawn_service(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = search.run() => {}
            }
        });
        Discovery {
            wanted: self,
            looked,
            soon,
            _ends: ends.drop_guard(),
        }
    }
}

/// The loop.
struct Search {
    asking: Asking,
    wanted: Wanted,
    looked: Arc<Looked>,
    soon: Arc<Notify>,
    found: mpsc::Sender<Found>,
    tasks: Tasks,
    /// The listing before.
    before: BTreeSet<Arc<str>>,
}

impl Search {
    async fn run(mut self) {
        loop {
            match self.list().await {
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
                () = self.soon.notified() => {}
            }
        }
    }

    /// The queues that there are. One that was there before is missing only if two listings lack it, where one alone
    /// may have passed over it.
    async fn list(&self) -> Result<BTreeSet<Arc<str>>, Reason> {
        let Listing {
            mut queues,
            may_have_gaps,
        } = self.list_once().await?;
        if may_have_gaps && !self.before.is_subset(&queues) {
            queues.append(&mut self.list_once().await?.queues);
        }
        Ok(queues)
    }

    async fn list_once(&self) -> Result<Listing, Reason> {
        let asking = self.asking.clone();
        let listing = self
            .tasks
            .spawn_blocking(move || asking.list(|queue| !is_made_by_hive(queue)));
        match listing.await {
            Ok(listing) => listing,
            Err(error) => Err(format!("the listing of queues ended: {error}").into()),
        }
    }

    /// Has a listing applied, step by step. False once the host stops.
    async fn hand_over(&self, queues: BTreeSet<Arc<str>>) -> bool {
        loop {
            let (answer, answered) = oneshot::channel();
            let found = Found {
                looked: Arc::clone(&self.looked),
                connection: Arc::clone(&self.wanted.connection),
                queues: queues.clone(),
                answer,
            };
            if self.found.send(found).await.is_err() {
                return false;
            }
            let Ok(Step { begun, later }) = answered.await else {
                return false;
            };
            if later == 0 {
                return true;
            }
            if tokio::time::timeout(WAITS, all_consume(begun))
                .await
                .is_err()
            {
                tracing::debug!("consumers of discovered queues have not subscribed in time");
            }
        }
    }
}

async fn all_consume(mut waiting: Vec<Arc<Flow>>) {
    loop {
        waiting.retain(|flow| !flow.watch().now().is_subscribed());
        if waiting.is_empty() {
            return;
        }
        tokio::time::sleep(LOOKS).await;
    }
}

impl Looked {
    fn applied(&self, connection: &str) {
        let before = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(
                &mut *looks,
                Looks {
                    last: Some(SystemTime::now()),
                    failing: None,
                },
            )
        };
        if before.failing.is_some() {
            Fact::DiscoveryRestored { connection }.emit();
        }
    }

    /// What is consumed stays consumed.
    fn failed(&self, connection: &str, reason: Reason) {
        let is_news = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = looks.failing.take();
            let since = before.as_ref().map(|(since, _)| *since);
            let is_news = before.is_none_or(|(_, before)| before != reason);
            looks.failing = Some((since.unwrap_or_else(SystemTime::now), reason.clone()));
            is_news
        };
        if is_news {
            Fact::DiscoveryFailed {
                connection,
                code: reason.code.map_or("", |code| code.as_str()),
                reason: &reason.text,
            }
            .emit();
        }
    }

    fn now(&self) -> Looks {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Discovery {
    /// Where it looks for queues, and how that goes, for the status.
    pub(super) fn looked(&self) -> Arc<Looked> {
        Arc::clone(&self.looked)
    }
}

/// The state of each table with `queues`.
pub(super) fn statuses(
    patterns: &BTreeMap<Arc<str>, PatternPlan>,
    consumers: &BTreeMap<Arc<str>, ConsumerPlan>,
    left_out: &[LeftOut],
    looked: impl Fn(&str) -> Option<Arc<Looked>>,
) -> Vec<DiscoveryStatus> {
    let mut queues = HashMap::<_, usize>::new();
    for consumer in consumers.values() {
        *queues.entry(&consumer.table).or_default() += 1;
    }
    let statuses = patterns.iter().map(|(table, pattern)| {
        let looks = looked(pattern.connection()).map(|looked| looked.now());
        let looks = looks.unwrap_or_default();
        DiscoveryStatus {
            table: Arc::clone(table),
            pattern: Arc::clone(&pattern.written),
            connection: Arc::clone(pattern.connection()),
            queues: queues.get(table).copied().unwrap_or_default(),
            left_out: left_out
                .iter()
                .filter(|one| one.table == *table)
                .cloned()
                .collect(),
            looked: looks.last,
            failing: looks.failing,
        }
    });
    statuses.collect()
}

impl Running {
    /// Begins to look for queues where the plan wants that, and ends it where it does not any more.
    pub(super) fn look_for_queues(&mut self) {
        let connections = self.plan.connections.values();
        let wanted = connections.filter_map(|connection| Wanted::of(&self.plan, connection));
        let wanted: Vec<_> = wanted.collect();
        let is_wanted = |discovery: &Discovery| wanted.contains(&discovery.wanted);
        self.discoveries.retain(|_, discovery| is_wanted(discovery));
        for wanted in wanted {
            if !self.discoveries.contains_key(&wanted.connection) {
                let connection = Arc::clone(&wanted.connection);
                let discovery = wanted.start(self.found.clone(), &self.tasks);
                self.discoveries.insert(connection, discovery);
            }
        }
        self.seen
            .retain(|connection, _| self.discoveries.contains_key(connection));
    }

    /// What was seen of the queues of those connections that lead to the same place in a new plan.
    pub(super) fn still_seen(&self, new: &Plan) -> Seen {
        let is_same = |name: &Arc<str>| {
            let place = |plan: &Plan| {
                let connection = plan.connections.get(name)?;
                Wanted::of(plan, connection).map(|wanted| {
                    (
                        wanted.management,
                        wanted.vhost,
                        connection.endpoints.clone(),
                    )
                })
            };
            let new = place(new);
            new.is_some() && new == place(&self.plan)
        };
        let seen = self.seen.iter().filter(|(name, _)| is_same(name));
        seen.map(|(name, queues)| (Arc::clone(name), queues.clone()))
            .collect()
    }

    /// Has every search continue now, since queues are waiting for their consumers.
    pub(super) fn look_again(&self) {
        for discovery in self.discoveries.values() {
            discovery.soon.notify_one();
        }
    }

    /// Applies a listing: consumers begin and end, so many at once.
    pub(super) async fn discovered(&mut self, found: Found) {
        let Found {
            looked,
            connection,
            queues,
            answer,
        } = found;
        let current = self.discoveries.get(&connection);
        // A reload may have ended the search that this comes from.
        let is_current = current.is_some_and(|current| Arc::ptr_eq(&current.looked, &looked));
        let step = match is_current {
            true => self.apply_listing(&connection, queues).await,
            false => Ok(Step::default()),
        };
        let step = match step {
            Ok(step) => {
                if is_current {
                    looked.applied(&connection);
                }
                step
            }
            Err(reason) => {
                looked.failed(&connection, reason);
                Step::default()
            }
        };
        if answer.send(step).is_err() {
            tracing::trace!("a search for queues ended before its listing was applied");
        }
    }

    async fn apply_listing(
        &mut self,
        connection: &Arc<str>,
        queues: BTreeSet<Arc<str>>,
    ) -> Result<Step, Reason> {
        self.seen.insert(Arc::clone(connection), queues);
        let before = self.left_out.clone();
        let (new, later) = self.with_discovered(&self.plan.clone(), &self.seen.clone());
        let changes = diff(&self.plan, &new);
        if changes.is_empty() {
            if before != self.left_out {
                self.show();
            }
            return Ok(Step::default());
        }
        for (table, counts) in changes.of_patterns() {
            Fact::QueuesDiscovered {
                consumer: table,
                added: counts.added,
                removed: counts.removed,
            }
            .emit();
        }
        let applied = self.apply(new, &changes, Default::default()).await;
        applied.map_err(|refusal| Reason {
            text: refusal.to_string().into(),
            code: refusal.code(),
        })?;
        let added = changes.consumers.added.iter();
        let begun = added.filter_map(|name| self.consumers.get(name));
        Ok(Step {
            begun: begun.map(|one| Arc::clone(&one.crewed.flow)).collect(),
            later,
        })
    }

    /// A plan with the consumers of queues that were seen, and how many have to wait.
    pub(super) fn with_discovered(&mut self, plan: &Plan, seen: &Seen) -> (Plan, usize) {
        let discovered = plan.discovered(seen, &self.plan.consumers, MOST_AT_ONCE);
        self.left_out = discovered.left_out;
        (discovered.plan, discovered.later)
    }
}
