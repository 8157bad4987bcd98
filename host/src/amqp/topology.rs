//! Exchanges, queues and bindings, declared at every (re)connection before anything is consumed.
//!
//! First what the plan names: exchanges, then queues, then bindings. Then what consumers imply: a
//! dead-letter queue for each, and a delay queue for each delay before a retry. A delay queue has
//! no consumer: a message waits there until its time to live is over, and the broker dead-letters
//! it back into the queue it came from.
//!
//! The broker closes a channel over a declaration that it does not agree with, and nothing but
//! that channel. So every entity that is not as planned is told, and not only the first.

mod declarer;
mod delay_queue;
mod on_demand;
mod table;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use self::declarer::{Declarer, Kind, QueueDeclaration};
use self::delay_queue::{Home, delay_queue};
use self::on_demand::today;
use super::delay::{LONGEST_DELAY, delay_queue_name};
use super::fault::{ConnectFault, Mismatch};
use super::limits::AskFault;
use super::session::Session;
use crate::config::plan::{
    Arguments, ConnectionPlan, ConsumerPlan, QueueKind, QueuePlan, TopologyPlan,
};

/// AMQP's longest name.
const LONGEST_NAME: usize = 255;

/// Everything declared on one connection.
#[derive(Debug)]
pub(super) struct Topology {
    connection: Arc<str>,
    plan: TopologyPlan,
    consumed: Vec<Consumed>,
    /// What was made on demand today.
    made_today: Mutex<HashSet<String>>,
}

/// What one consumer implies.
#[derive(Debug, Clone)]
struct Consumed {
    consumer: Arc<str>,
    queue: Arc<str>,
    /// Where it sends what fails; streams send nothing anywhere.
    failures: Option<Failures>,
}

#[derive(Debug, Clone)]
struct Failures {
    dead_letter: Arc<str>,
    delays: BTreeSet<Duration>,
}

/// Why a queue could not be made sure of.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnsureFault {
    /// The broker cannot be asked now. Waiting helps.
    #[error("cannot declare {queue:?} now: {reason}")]
    Unreachable {
        /// The queue.
        queue: String,
        /// Why not.
        reason: String,
    },
    /// The broker says no.
    #[error("{0}")]
    Mismatch(Mismatch),
}

impl Consumed {
    fn new(consumer: &ConsumerPlan, topology: &TopologyPlan) -> Self {
        let planned = topology
            .queues
            .iter()
            .find(|queue| queue.name == consumer.queue);
        let is_stream = planned.is_some_and(|queue| queue.kind == QueueKind::Stream);
        let delays = match consumer.retry.limit {
            0 => BTreeSet::new(),
            // Delays that no attempt reaches need no queue.
            limit => consumer
                .retry
                .delays
                .iter()
                .take(limit as usize)
                .copied()
                .collect(),
        };
        Self {
            consumer: consumer.name.clone(),
            queue: consumer.queue.clone(),
            failures: (!is_stream).then(|| Failures {
                dead_letter: consumer.dead_letter.clone(),
                delays,
            }),
        }
    }
}

impl Topology {
    /// What `plan` declares, and what `consumers` imply.
    pub(super) fn new<'a>(
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    ) -> Result<Self, ConnectFault> {
        let topology = Self {
            connection: plan.name.clone(),
            plan: plan.topology.clone(),
            consumed: consumers
                .into_iter()
                .map(|consumer| Consumed::new(consumer, &plan.topology))
                .collect(),
            made_today: Mutex::default(),
        };
        let too_long: Vec<_> = topology
            .names()
            .filter(|name| name.len() > LONGEST_NAME)
            .map(|name| name_too_long(&name))
            .collect();
        match too_long.is_empty() {
            true => Ok(topology),
            false => Err(topology.fault(too_long)),
        }
    }

    /// Every name that goes to the broker as a short string.
    fn names(&self) -> impl Iterator<Item = String> {
        let mut names = Vec::new();
        for exchange in &self.plan.exchanges {
            names.extend([exchange.name.clone(), exchange.kind.clone()]);
            for binding in &exchange.bindings {
                names.extend([binding.exchange.clone(), binding.routing_key.clone()]);
            }
        }
        for queue in &self.plan.queues {
            names.push(queue.name.to_string());
            for binding in &queue.bindings {
                names.extend([binding.exchange.clone(), binding.routing_key.clone()]);
            }
        }
        for consumed in &self.consumed {
            names.push(consumed.queue.to_string());
            if let Some(failures) = &consumed.failures {
                names.push(failures.dead_letter.to_string());
                // No delay has a longer name than this one.
                let longest = LONGEST_DELAY - Duration::from_millis(1);
                let name = delay_queue_name(&consumed.queue, longest);
                names.push(format!("{name}.{}", today(SystemTime::UNIX_EPOCH)));
            }
        }
        names.into_iter()
    }

    fn fault(&self, mismatches: Vec<Mismatch>) -> ConnectFault {
        ConnectFault::Topology {
            connection: self.connection.clone(),
            mismatches,
        }
    }

    /// Declares all of it.
    pub(super) async fn declare(&self, session: &Session) -> Result<(), ConnectFault> {
        let queues: Vec<_> = self.plan.queues.iter().collect();
        let consumed: Vec<_> = self.consumed.iter().collect();
        let mut declarer = Declarer::new(session);
        let declared = async {
            for exchange in &self.plan.exchanges {
                declarer.exchange(exchange).await?;
            }
            self.declare_queues(&mut declarer, &queues, &consumed)
                .await?;
            for exchange in &self.plan.exchanges {
                for binding in &exchange.bindings {
                    declarer.bind_exchange(exchange, binding).await?;
                }
            }
            Ok(())
        }
        .await;
        self.conclude(declarer, declared).await
    }

    /// Declares one queue again, with its bindings and what its consumers imply: somebody deleted it.
    pub(super) async fn declare_again(
        &self,
        session: &Session,
        queue: &str,
    ) -> Result<(), ConnectFault> {
        let queues: Vec<_> = self
            .plan
            .queues
            .iter()
            .filter(|q| &*q.name == queue)
            .collect();
        let consumed: Vec<_> = self
            .consumed
            .iter()
            .filter(|c| &*c.queue == queue)
            .collect();
        let mut declarer = Declarer::new(session);
        let declared = self.declare_queues(&mut declarer, &queues, &consumed).await;
        self.conclude(declarer, declared).await
    }

    async fn declare_queues(
        &self,
        declarer: &mut Declarer<'_>,
        queues: &[&QueuePlan],
        consumed: &[&Consumed],
    ) -> Result<(), AskFault> {
        for queue in queues {
            declarer.queue(&QueueDeclaration::from(*queue)).await?;
        }
        for queue in queues {
            for binding in &queue.bindings {
                declarer.bind_queue(&queue.name, binding).await?;
            }
        }
        for consumed in consumed {
            if !self.plans(&consumed.queue) {
                let why = format!("consumer {:?}", consumed.consumer);
                declarer.check(&consumed.queue, &why).await?;
            }
            self.declare_for_failures(declarer, consumed).await?;
        }
        Ok(())
    }

    async fn declare_for_failures(
        &self,
        declarer: &mut Declarer<'_>,
        consumed: &Consumed,
    ) -> Result<(), AskFault> {
        let Some(failures) = &consumed.failures else {
            return Ok(());
        };
        if !self.plans(&failures.dead_letter) {
            self.dead_letter_queue(declarer, &failures.dead_letter)
                .await?;
        }
        for &delay in &failures.delays {
            let name = delay_queue_name(&consumed.queue, delay);
            let home = Home::Queue(&consumed.queue);
            let declaration = delay_queue(declarer.broker(), &name, home, delay, None);
            if !self.plans(&declaration.name) {
                declarer.queue(&declaration).await?;
            }
        }
        Ok(())
    }

    /// Whoever made it may have had reasons for its arguments: only a missing one is made.
    async fn dead_letter_queue(
        &self,
        declarer: &mut Declarer<'_>,
        name: &str,
    ) -> Result<(), AskFault> {
        if declarer.exists(name).await? {
            return Ok(());
        }
        let kind = Kind::durable(declarer.broker());
        declarer
            .queue(&QueueDeclaration::durable(name, kind, Arguments::new()))
            .await
    }

    fn plans(&self, queue: &str) -> bool {
        self.plan
            .queues
            .iter()
            .any(|planned| &*planned.name == queue)
    }

    async fn conclude(
        &self,
        declarer: Declarer<'_>,
        declared: Result<(), AskFault>,
    ) -> Result<(), ConnectFault> {
        let mismatches = declarer.finish().await;
        if !mismatches.is_empty() {
            return Err(self.fault(mismatches));
        }
        declared.map_err(|fault| ConnectFault::Unreachable {
            connection: self.connection.clone(),
            address: "the broker while declaring".into(),
            reason: fault.to_string(),
        })
    }

    /// Makes sure of a dead-letter queue that a copy did not reach.
    pub(super) async fn ensure_dead_letter_queue(
        &self,
        session: &Session,
        name: &str,
    ) -> Result<(), EnsureFault> {
        let planned = self.plan.queues.iter().find(|queue| &*queue.name == name);
        let mut declarer = Declarer::new(session);
        let declared = match planned {
            Some(queue) => declarer.queue(&QueueDeclaration::from(queue)).await,
            None => self.dead_letter_queue(&mut declarer, name).await,
        };
        ensured(name, declarer, declared).await
    }

    async fn ensure(
        &self,
        session: &Session,
        declaration: QueueDeclaration,
    ) -> Result<(), EnsureFault> {
        let mut declarer = Declarer::new(session);
        let declared = declarer.queue(&declaration).await;
        ensured(&declaration.name, declarer, declared).await
    }

    fn is_configured(&self, queue: &str, delay: Duration) -> bool {
        self.consumed
            .iter()
            .filter(|consumed| &*consumed.queue == queue)
            .filter_map(|consumed| consumed.failures.as_ref())
            .any(|failures| failures.delays.contains(&delay))
    }
}

fn name_too_long(name: &str) -> Mismatch {
    Mismatch {
        entity: format!("the name {name:?}"),
        answer: format!("longer than {LONGEST_NAME} bytes"),
        remedy: "choose a shorter name".into(),
    }
}

async fn ensured(
    queue: &str,
    declarer: Declarer<'_>,
    declared: Result<(), AskFault>,
) -> Result<(), EnsureFault> {
    if let Some(mismatch) = declarer.finish().await.into_iter().next() {
        return Err(EnsureFault::Mismatch(mismatch));
    }
    declared.map_err(|fault| EnsureFault::Unreachable {
        queue: queue.to_owned(),
        reason: fault.to_string(),
    })
}
