//! The consumers of queues that were discovered: from the tables with `queues` and the queues that there are, the
//! consumers that there are to be. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ConsumerPlan, Plan};

/// The queues that may be consumed from, by connection. A connection that is missing has not been looked at yet.
pub type Seen = BTreeMap<Arc<str>, QueuesSeen>;

/// Those of one connection, by name.
pub type QueuesSeen = BTreeMap<Arc<str>, QueueSeen>;

/// A queue as the broker lists it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueSeen {
    /// Whether it has `x-single-active-consumer`.
    pub is_single: bool,
    /// Whether the node that has it is away: until that is back, the broker says that there is no such queue.
    pub is_down: bool,
}

/// A plan with the consumers of the queues that there are.
#[derive(Debug)]
pub struct Discovered {
    /// The plan.
    pub plan: Plan,
    /// Queues that match a pattern and have no consumer.
    pub left_out: Vec<LeftOut>,
    /// Queues that get their consumers at a later step.
    pub later: usize,
}

/// A queue that matches a pattern and is not consumed from on its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The table with the pattern.
    pub table: Arc<str>,
    /// The queue.
    pub queue: Arc<str>,
    /// Why.
    pub why: Arc<str>,
    /// Whether somebody has to change something: the queue is consumed by nobody on this host.
    pub is_fault: bool,
}

impl Plan {
    /// This plan with a consumer for each of the queues that match a pattern, and no other discovered ones. At most
    /// `most_new` of them are not in `before`.
    ///
    /// A queue has one consumer of those discovered: a table that names it comes first, then the patterns in the order
    /// of their tables' names.
    pub fn discovered(
        &self,
        seen: &Seen,
        before: &BTreeMap<Arc<str>, ConsumerPlan>,
        most_new: usize,
    ) -> Discovered {
        let mut plan = self.as_written();
        let mut consumers = BTreeMap::new();
        let mut left_out = Vec::new();
        let mut later = 0;
        let mut new = 0;
        let mut taken = plan.named_queues();
        let dead_letters = plan.named_dead_letters();
        for (table, pattern) in &plan.patterns {
            let connection = pattern.connection();
            let queues = seen.get(connection).into_iter().flatten();
            for (queue, seen) in queues.filter(|(queue, _)| pattern.queues.matches(queue)) {
                let place = (Arc::clone(connection), Arc::clone(queue));
                let mut leave_out = |why: String, is_fault| {
                    left_out.push(LeftOut {
                        table: Arc::clone(table),
                        queue: Arc::clone(queue),
                        why: why.into(),
                        is_fault,
                    });
                };
                if let Some(other) = taken.get(&place) {
                    leave_out(format!("[consumers.{other}] consumes from it"), false);
                    continue;
                }
                if dead_letters.contains(&place) {
                    leave_out("it is the `dead_letter` of a consumer".to_owned(), false);
                    continue;
                }
                let consumer = match pattern.consumer_of_seen(queue, *seen) {
                    Ok(consumer) if plan.consumers.contains_key(&consumer.name) => {
                        leave_out(format!("there is a [consumers.{:?}]", consumer.name), true);
                        continue;
                    }
                    Ok(consumer) => consumer,
                    Err(why) => {
                        leave_out(why, true);
                        continue;
                    }
                };
                taken.insert(place, Arc::clone(table));
                let is_new = !before.contains_key(&consumer.name);
                if is_new && new == most_new {
                    later += 1;
                    continue;
                }
                new += usize::from(is_new);
                consumers.insert(Arc::clone(&consumer.name), consumer);
            }
        }
        plan.consumers.append(&mut consumers);
        Discovered {
            plan,
            left_out,
            later,
        }
    }

    /// This plan without the consumers that were discovered.
    fn as_written(&self) -> Self {
        let mut plan = self.clone();
        let consumers = std::mem::take(&mut plan.consumers);
        let written = consumers.into_iter();
        plan.consumers = written
            .filter(|(_, consumer)| !consumer.is_discovered())
            .collect();
        plan
    }

    /// The dead-letter queues that tables name, by connection.
    fn named_dead_letters(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let of_queues = self.consumers.values();
        let of_queues =
            of_queues.map(|one| (Arc::clone(&one.connection), Arc::clone(&one.dead_letter)));
        let of_patterns = self.patterns.values().filter_map(|pattern| {
            let named = pattern.dead_letter.clone()?;
            Some((Arc::clone(pattern.connection()), named))
        });
        of_queues.chain(of_patterns).collect()
    }

    /// The queues that tables name, by connection, each with one of these tables.
    fn named_queues(&self) -> BTreeMap<(Arc<str>, Arc<str>), Arc<str>> {
        let named = self.consumers.values().map(|consumer| {
            let place = (
                Arc::clone(&consumer.connection),
                Arc::clone(&consumer.queue),
            );
            (place, Arc::clone(&consumer.table))
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests;
