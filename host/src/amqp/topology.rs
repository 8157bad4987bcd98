//! Exchanges, queues and bindings, declared at every (re)connection before anything is consumed.
//!
//! First what the plan names: exchanges, then queues, then bindings. Then what consumers imply: a
//! dead-letter queue for each, and a delay queue for each delay before a retry. A delay queue has
//! no consumer: a message waits there until its time to live is over, and the broker dead-letters
//! it back into the queue it came from.
//!
//! The broker closes a channel over a declaration that it does not agree with, and nothing but
//! that channel. So every entity that is not as planned is told, and not only the first; and what
//! does not depend on any of them is consumed all the same ([`Withheld`]).

mod comparison;
mod declarer;
mod delay_queue;
mod on_demand;
mod table;
mod withheld;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

pub use self::comparison::Comparison;
use self::declarer::{Declarer, QueueDeclaration};
use self::delay_queue::{Home, delay_queue};
use self::on_demand::today;
pub(super) use self::withheld::Withheld;
use super::delay::{LONGEST_DELAY, delay_queue_name};
use super::fault::{ConnectFault, Mismatch};
use super::frame::BrokerVersion;
use super::limits::AskFault;
use super::session::Session;
use crate::config::plan::{ConnectionPlan, ConsumerPlan, QueueKind, TopologyPlan};
use crate::policy::OnError;

/// AMQP's longest name.
const LONGEST_NAME: usize = 255;

/// Everything declared on one connection.
#[derive(Debug)]
pub(super) struct Topology {
    connection: Arc<str>,
    plan: TopologyPlan,
    /// The names of the plan's queues.
    planned: HashSet<Arc<str>>,
    consumed: Vec<Consumed>,
    /// What was made on demand today.
    made_today: Mutex<HashSet<String>>,
}

/// What one consumer implies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Consumed {
    consumer: Arc<str>,
    queue: Arc<str>,
    /// Where it sends what fails; most streams send nothing anywhere.
    failures: Option<Failures>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
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
    fn new(consumer: &ConsumerPlan) -> Self {
        let on_error = consumer.stream.as_ref().map(|stream| stream.on_error);
        let delays = match consumer.retry.limit {
            0 => BTreeSet::new(),
            _ if on_error.is_some() => BTreeSet::new(),
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
            failures: matches!(on_error, None | Some(OnError::DeadLetter)).then(|| Failures {
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
        let queues = &plan.topology.queues;
        let topology = Self {
            connection: plan.name.clone(),
            plan: plan.topology.clone(),
            planned: queues.iter().map(|queue| queue.name.clone()).collect(),
            consumed: consumers.into_iter().map(Consumed::new).collect(),
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

    /// The kind of a queue that the plan declares.
    pub(super) fn kind_of(&self, queue: &str) -> Option<QueueKind> {
        let declared = self.plan.queues.iter().filter(|planned| !planned.passive);
        let mut named = declared.filter(|planned| &*planned.name == queue);
        named.next().map(|planned| planned.kind)
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

    /// The queues that `before` did not declare as this does, or whose consumers imply more now.
    pub(super) fn new_since(&self, before: &Self) -> BTreeSet<Arc<str>> {
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

    /// Declares all of it. What does not fit is in the answer, with whom it keeps from consuming.
    ///
    /// An error is a broker that went away meanwhile, or a declaration that makes it go away.
    pub(super) async fn declare(&self, session: &Session) -> Result<Withheld, ConnectFault> {
        self.declare_where(session, |_| true).await
    }

    /// Declares again what could not be declared `before`, and queues that are `missing` now, since
    /// somebody deleted them.
    pub(super) async fn declare_again(
        &self,
        session: &Session,
        before: &Withheld,
        missing: BTreeSet<Arc<str>>,
    ) -> Result<Withheld, ConnectFault> {
        self.declare_where(session, |queue| {
            before.concerns(queue) || missing.contains(queue)
        })
        .await
    }

    /// Declares every exchange, and those queues that `is_wanted`.
    async fn declare_where(
        &self,
        session: &Session,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Withheld, ConnectFault> {
        let mut declarer = Declarer::new(session);
        let mut withheld = Withheld::default();
        let declared = self
            .declare_each(&mut declarer, &is_wanted, &mut withheld)
            .await;
        let mismatches = declarer.finish().await;
        match declared {
            Ok(()) => Ok(withheld),
            // The last declaration made the broker hang up.
            Err(_) if !mismatches.is_empty() => Err(self.fault(mismatches)),
            Err(fault) => Err(self.unreachable(&fault)),
        }
    }

    fn unreachable(&self, fault: &AskFault) -> ConnectFault {
        ConnectFault::Unreachable {
            connection: self.connection.clone(),
            address: "the broker while declaring".into(),
            reason: fault.to_string(),
            nobody_there: false,
        }
    }

    async fn declare_each(
        &self,
        declarer: &mut Declarer<'_>,
        is_wanted: impl Fn(&str) -> bool,
        withheld: &mut Withheld,
    ) -> Result<(), AskFault> {
        for exchange in &self.plan.exchanges {
            declarer.exchange(exchange).await?;
            self.judge_exchange(declarer, &exchange.name, withheld);
        }
        for queue in self.plan.queues.iter().filter(|q| is_wanted(&q.name)) {
            declarer.queue(&QueueDeclaration::from(queue)).await?;
            for binding in &queue.bindings {
                declarer.bind_queue(&queue.name, binding).await?;
            }
            for mismatch in declarer.take_mismatches() {
                let waiting = self.consumed_of(&[&*queue.name].into());
                withheld.add(Some(queue.name.clone()), waiting, mismatch);
            }
        }
        let mut seen = HashSet::new();
        for consumed in self.consumed.iter().filter(|c| is_wanted(&c.queue)) {
            if !self.plans(&consumed.queue) {
                let why = format!("consumer {:?}", consumed.consumer);
                declarer.check(&consumed.queue, &why).await?;
            }
            self.declare_for_failures(declarer, consumed, &mut seen)
                .await?;
            for mismatch in declarer.take_mismatches() {
                withheld.add(None, [consumed.queue.clone()].into(), mismatch);
            }
        }
        for exchange in &self.plan.exchanges {
            for binding in &exchange.bindings {
                declarer.bind_exchange(exchange, binding).await?;
            }
            self.judge_exchange(declarer, &exchange.name, withheld);
        }
        Ok(())
    }

    /// An exchange that does not fit keeps the queues from being consumed that it feeds.
    fn judge_exchange(&self, declarer: &mut Declarer<'_>, name: &str, withheld: &mut Withheld) {
        for mismatch in declarer.take_mismatches() {
            let fed = self.plan.queues.iter().filter(|queue| {
                let mut bindings = queue.bindings.iter();
                bindings.any(|binding| binding.exchange == name)
            });
            let waiting = self.consumed_of(&fed.map(|queue| &*queue.name).collect());
            withheld.add(None, waiting, mismatch);
        }
    }

    /// Those of `queues` that are consumed. All that are consumed, if none of them is: then somebody
    /// publishes there, and nobody knows who.
    fn consumed_of(&self, queues: &BTreeSet<&str>) -> BTreeSet<Arc<str>> {
        let all = || self.consumed.iter().map(|consumed| consumed.queue.clone());
        let consumed: BTreeSet<_> = all().filter(|queue| queues.contains(&**queue)).collect();
        match consumed.is_empty() {
            true => all().collect(),
            false => consumed,
        }
    }

    /// A dead-letter queue that was `seen` before is not asked for again: hundreds of consumers may
    /// share one.
    async fn declare_for_failures<'a>(
        &self,
        declarer: &mut Declarer<'_>,
        consumed: &'a Consumed,
        seen: &mut HashSet<&'a str>,
    ) -> Result<(), AskFault> {
        let Some(failures) = &consumed.failures else {
            return Ok(());
        };
        if !self.plans(&failures.dead_letter) && seen.insert(&failures.dead_letter) {
            self.dead_letter_queue(declarer, &failures.dead_letter)
                .await?;
        }
        for declaration in self.delay_queues(declarer.broker(), consumed) {
            declarer.queue(&declaration).await?;
        }
        Ok(())
    }

    /// The queues in which retries of a consumer wait, but for those that the plan itself declares.
    fn delay_queues(
        &self,
        broker: Option<BrokerVersion>,
        consumed: &Consumed,
    ) -> Vec<QueueDeclaration> {
        let delays = consumed
            .failures
            .iter()
            .flat_map(|failures| &failures.delays);
        let declarations = delays.map(|&delay| {
            let name = delay_queue_name(&consumed.queue, delay);
            delay_queue(broker, &name, Home::Queue(&consumed.queue), delay, None)
        });
        declarations
            .filter(|declaration| !self.plans(&declaration.name))
            .collect()
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
        let declaration = QueueDeclaration::dead_letter(declarer.broker(), name);
        declarer.queue(&declaration).await
    }

    fn plans(&self, queue: &str) -> bool {
        self.planned.contains(queue)
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
