//! Exchanges, queues and bindings, declared at every (re)connection before anything is consumed.
//!
//! First the plan's own: exchanges, then queues, then bindings. Then those that consumers imply: a dead-letter
//! queue for each, and a delay queue for each delay before a retry. A delay queue has no consumer: a message
//! waits there until its time to live is over, and the broker dead-letters it back into the queue that it came
//! from.
//!
//! Over a declaration that it disagrees with, the broker closes the channel, and nothing else. So every
//! mismatch is reported, and not only the first; and consumers that do not depend on one consume
//! ([`Withheld`]).

mod comparison;
mod consumed;
mod declaration;
mod declarer;
mod declaring;
mod delay_queue;
mod departure;
mod destination;
mod fatal;
mod fate;
mod faults;
mod homing;
mod implied;
mod inequivalent;
mod known;
mod limit;
mod looking;
mod names;
mod on_demand;
mod remedy;
mod restating;
mod shared;
mod table;
mod withheld;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use hive_config::plan::{ConnectionPlan, ConsumerPlan, QueueKind, TopologyPlan};

pub use self::comparison::Comparison;
use self::consumed::Consumed;
pub use self::consumed::QueuesBehind;
pub use self::departure::Departure;
use self::destination::Destinations;
pub(crate) use self::fatal::Fatal;
pub use self::fate::MessageFate;
pub(crate) use self::faults::DeclareFault;
pub use self::faults::EnsureFault;
pub(crate) use self::homing::stays_away;
use self::known::Known;
pub use self::looking::LookCost;
pub(crate) use self::withheld::Withheld;
pub use self::withheld::{Misfit, Misfitting};
pub(crate) use self::words::{cannot_be_consumed, consuming_from};
use crate::session::fault::{ConnectFault, Mismatch};

/// Connections in a row that the broker may end over declarations without one of them to blame.
pub(crate) const HANG_UPS: u32 = 10;

/// Everything declared on one connection.
#[derive(Debug)]
pub(crate) struct Topology {
    connection: Arc<str>,
    vhost: String,
    plan: TopologyPlan,
    /// The names of the plan's queues.
    planned: HashSet<Arc<str>>,
    consumed: Vec<Consumed>,
    /// Entities made on demand today.
    made_today: Mutex<HashSet<String>>,
    known: Arc<Known>,
    /// Where delayed publications go in the end.
    destinations: Destinations,
}

impl Topology {
    /// The declarations of `plan`, and those that `consumers` imply.
    pub(crate) fn new<'a>(
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    ) -> Result<Self, ConnectFault> {
        let queues = &plan.topology.queues;
        let topology = Self {
            connection: plan.name.clone(),
            vhost: plan.vhost.clone(),
            plan: plan.topology.clone(),
            planned: queues.iter().map(|queue| queue.name.clone()).collect(),
            consumed: consumers.into_iter().map(Consumed::new).collect(),
            made_today: Mutex::default(),
            known: Arc::new(Known::new(&plan.vhost)),
            destinations: Destinations::default(),
        };
        let too_long = topology.too_long();
        match too_long.is_empty() {
            true => Ok(topology),
            false => Err(topology.fault(too_long)),
        }
    }

    /// The kind of a queue that the plan declares.
    pub(crate) fn kind_of(&self, queue: &str) -> Option<QueueKind> {
        let declared = self.plan.queues.iter().filter(|planned| !planned.passive);
        let mut named = declared.filter(|planned| &*planned.name == queue);
        named.next().map(|planned| planned.kind)
    }

    /// The same with what was found out at the broker for `before`.
    pub(crate) fn following(mut self, before: &Self) -> Self {
        self.known = Arc::clone(&before.known);
        self
    }

    /// The queues that `before` did not declare as this does, or whose consumers imply more now.
    pub(crate) fn new_since(&self, before: &Self) -> BTreeSet<Arc<str>> {
        let planned: HashMap<_, _> = before.plan.queues.iter().map(|q| (&q.name, q)).collect();
        let consumed: HashMap<_, _> = before.consumed.iter().map(|c| (&c.consumer, c)).collect();
        let declared = self.plan.queues.iter();
        let declared = declared.filter(|queue| planned.get(&queue.name) != Some(queue));
        let implied = self.consumed.iter();
        let implied = implied.filter(|one| consumed.get(&one.consumer) != Some(one));
        declared
            .map(|queue| queue.name.clone())
            .chain(implied.map(|consumed| consumed.queue.clone()))
            .collect()
    }

    fn fault(&self, mismatches: Vec<Mismatch>) -> ConnectFault {
        ConnectFault::Topology {
            connection: self.connection.clone(),
            mismatches,
        }
    }

    /// Whether the broker ends the connection when it is asked about a queue of this name that is missing.
    pub(crate) fn cannot_be_missed(&self, queue: &str) -> bool {
        self.known.cannot_be_missed(queue)
    }

    /// Entities over which the broker ends the connection.
    pub(crate) fn fatal(&self) -> &Arc<Fatal> {
        &self.known.fatal
    }

    /// Whether the plan declares a queue, and does not only expect it.
    fn declares(&self, queue: &str) -> bool {
        self.kind_of(queue).is_some()
    }

    fn plans(&self, queue: &str) -> bool {
        self.planned.contains(queue)
    }
}
