//! Discovery: the queues of a broker are listed again and again, and those that match the `queues` of a consumer's
//! table are consumed from.
//!
//! It is another way to a new plan, beside a reload: a listing and the tables with patterns make the plan that there is
//! to be, and what changes is applied by the same code, by the task that owns everything. So neither can overtake
//! the other.

mod listing;
mod looked;
mod search;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hive_config::diff::diff;
use hive_config::plan::{ConsumerPlan, Discovered, LeftOut, PatternPlan, Plan, QueuesSeen, Seen};
use hive_core::codes::Reason;
use hive_telemetry::Fact;
use tokio::sync::mpsc;

pub(super) use self::looked::Looked;
use self::search::Step;
use self::search::Wanted;
pub(crate) use self::search::look;
pub(super) use self::search::{Discovery, Found};
use super::running::{Consuming, Running};
use crate::status::DiscoveryStatus;

/// Consumers that begin at once: each asks the broker for a channel and its queues, and a thousand at once would be a
/// storm.
pub(super) const MOST_AT_ONCE: usize = 50;

/// Listings on their way to the task that owns everything.
pub(super) type Listings = mpsc::Receiver<Found>;

/// Both ends of the way.
pub(super) fn line() -> (mpsc::Sender<Found>, Listings) {
    mpsc::channel(1)
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
            hears: looks.hears,
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
        let connections = &self.connections;
        let goes_on = |name: &Arc<str>, discovery: &Discovery| {
            wanted.contains(&discovery.wanted)
                && connections
                    .get(name)
                    .is_some_and(|linked| Arc::ptr_eq(&linked.connection, &discovery.connection))
        };
        self.discoveries
            .retain(|name, discovery| goes_on(name, discovery));
        for wanted in wanted {
            let name = Arc::clone(&wanted.connection);
            let Some(linked) = self.connections.get(&name) else {
                continue;
            };
            if !self.discoveries.contains_key(&name) {
                let connection = Arc::clone(&linked.connection);
                let discovery = wanted.start(connection, self.found.clone(), &self.tasks);
                self.discoveries.insert(name, discovery);
            }
        }
        self.seen
            .retain(|connection, _| self.discoveries.contains_key(connection));
        self.gone
            .retain(|connection, _| self.discoveries.contains_key(connection));
    }

    /// What was seen of the queues of those connections that lead to the same broker and virtual host in a new plan,
    /// whatever its management interface is now.
    pub(super) fn still_seen(&self, new: &Plan) -> Seen {
        let place = |plan: &Plan, name: &Arc<str>| {
            let connection = plan.connections.get(name)?;
            Some((connection.vhost.clone(), connection.endpoints.clone()))
        };
        let is_same = |name: &Arc<str>| place(new, name) == place(&self.plan, name);
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
            is_new,
            answer,
        } = found;
        let current = self.discoveries.get(&connection);
        // A reload may have ended the search that this comes from.
        let is_current = current.is_some_and(|current| Arc::ptr_eq(&current.looked, &looked));
        if is_current && is_new {
            self.renew(&connection, &queues).await;
        }
        let step = match is_current {
            true => self.apply_listing(&connection, queues).await,
            false => Ok(Step::default()),
        };
        let step = match step {
            Ok(step) => {
                if is_current && step.later == 0 {
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

    /// Begins the consumers anew whose queue was deleted and is there again: the broker has it, and the consumer has not
    /// found it since the listing before. One listing alone may be older than the deletion.
    async fn renew(&mut self, connection: &Arc<str>, queues: &QueuesSeen) {
        let is_up = |queue: &str| queues.get(queue).is_some_and(|seen| !seen.is_down);
        let consumers = self.plan.consumers.values();
        let discovered =
            consumers.filter(|one| one.is_discovered() && one.connection == *connection);
        let listed = discovered.filter(|one| is_up(&one.queue));
        let gone = listed.filter(|one| {
            self.consumers
                .get(&one.name)
                .is_some_and(Consuming::is_gone)
        });
        let gone: BTreeSet<_> = gone.map(|one| Arc::clone(&one.name)).collect();
        let before = self.gone.remove(connection).unwrap_or_default();
        let (again, new): (BTreeSet<_>, _) =
            gone.into_iter().partition(|name| before.contains(name));
        self.gone.insert(Arc::clone(connection), new);
        if again.is_empty() {
            return;
        }
        self.stop_consumers(&again).await;
        for name in &again {
            self.consume(&self.plan.consumers[name].clone());
        }
        self.show();
    }

    async fn apply_listing(
        &mut self,
        connection: &Arc<str>,
        queues: QueuesSeen,
    ) -> Result<Step, Reason> {
        self.seen.insert(Arc::clone(connection), queues);
        let Discovered {
            plan: new,
            left_out,
            later,
        } = self.with_discovered(&self.plan, &self.seen);
        let before = std::mem::replace(&mut self.left_out, left_out);
        self.report_left_out(&before);
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

    /// Logs those that are left out since somebody has to change something: one line for each table.
    fn report_left_out(&self, before: &[LeftOut]) {
        let faults = self.left_out.iter().filter(|one| one.is_fault);
        let mut news = BTreeMap::<_, Vec<_>>::new();
        for one in faults.filter(|one| !before.contains(one)) {
            news.entry(&one.table).or_default().push(one);
        }
        for (table, queues) in news {
            Fact::QueuesLeftOut {
                consumer: table,
                queues: queues.len(),
                queue: &queues[0].queue,
                reason: &queues[0].why,
            }
            .emit();
        }
    }

    /// A plan with the consumers of queues that were seen.
    pub(super) fn with_discovered(&self, plan: &Plan, seen: &Seen) -> Discovered {
        plan.discovered(seen, &self.plan.consumers, MOST_AT_ONCE)
    }
}
