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
mod declaration;
mod declarer;
mod delay_queue;
mod departure;
mod destination;
mod fatal;
mod fate;
mod inequivalent;
mod known;
mod limit;
mod looking;
mod on_demand;
mod remedy;
mod restating;
mod table;
mod withheld;
mod words;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hive_config::plan::{ConnectionPlan, ConsumerPlan, QueueKind, QueuePlan, TopologyPlan};
use hive_core::codes::Code;
use hive_core::policy::OnError;
use hive_telemetry::Fact;

pub use self::comparison::Comparison;
use self::declaration::{Origin, QueueDeclaration};
use self::declarer::{AsItIs, Declarer};
use self::delay_queue::{Home, delay_queue};
pub use self::departure::Departure;
use self::destination::Destinations;
pub(crate) use self::fatal::Fatal;
pub use self::fate::MessageFate;
use self::known::Known;
pub use self::looking::LookCost;
use self::on_demand::today;
pub(crate) use self::withheld::Withheld;
pub(crate) use self::words::{cannot_be_consumed, consuming_from};
use crate::message::delay::{LONGEST_DELAY, delay_queue_name};
use crate::session::Session;
use crate::session::fault::{ConnectFault, Mismatch};
use crate::session::limits::AskFault;
use crate::wire::frame::BrokerVersion;

/// AMQP's longest name.
const LONGEST_NAME: usize = 255;

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

/// The entities that one consumer implies.
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

/// Why a topology could not be declared.
#[derive(Debug)]
pub(crate) enum DeclareFault {
    /// The broker went away, or a declaration made it go away.
    Connect(ConnectFault),
    /// The broker ended the connection over one entity, which is known from now on: on another connection
    /// the declaration gets further.
    HungUp {
        /// In words.
        reason: String,
        /// The code of the broker's answer.
        code: Code,
        /// Whether the entity is left out now.
        is_left_out: bool,
    },
}

impl DeclareFault {
    /// Its code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Connect(fault) => fault.code(),
            Self::HungUp { code, .. } => *code,
        }
    }
}

impl fmt::Display for DeclareFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(fault) => fault.fmt(f),
            Self::HungUp { reason, .. } => f.write_str(reason),
        }
    }
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
    /// The caller asked for something impossible.
    #[error("{0}")]
    Impossible(String),
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

/// The queues that a consumer needs beside its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuesBehind {
    /// Those in which its retries wait, for the delays of its policy.
    pub delay: Vec<Arc<str>>,
    /// The one for its dead letters.
    pub dead_letter: Option<Arc<str>>,
}

impl QueuesBehind {
    /// Those of `consumer`.
    pub fn of(consumer: &ConsumerPlan) -> Self {
        let Some(failures) = Consumed::new(consumer).failures else {
            return Self {
                delay: Vec::new(),
                dead_letter: None,
            };
        };
        let delays = failures.delays.into_iter();
        Self {
            delay: delays
                .map(|delay| delay_queue_name(&consumer.queue, delay).into())
                .collect(),
            dead_letter: Some(failures.dead_letter),
        }
    }
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
                if !failures.delays.is_empty() {
                    names.push(longest_delay_queue(&consumed.queue));
                }
            }
        }
        names.into_iter()
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

    /// Declares all of it. What does not fit is in the answer, with whom it keeps from consuming.
    ///
    /// An error is a broker that went away meanwhile, or a declaration that makes it go away.
    pub(crate) async fn declare(&self, session: &Session) -> Result<Withheld, DeclareFault> {
        self.declare_where(session, |_| true).await
    }

    /// Declares again what could not be declared `before`, and queues that are `missing` now because they were
    /// deleted.
    pub(crate) async fn declare_again(
        &self,
        session: &Session,
        before: &Withheld,
        missing: BTreeSet<Arc<str>>,
    ) -> Result<Withheld, DeclareFault> {
        self.declare_where(session, |queue| {
            before.concerns(queue) || missing.contains(queue)
        })
        .await
    }

    /// Declares new entities on a separate connection, which a declaration may end without harm. Exclusive ones
    /// belong to the connection that declares them, and are left for that one.
    pub(crate) async fn rehearse(
        &self,
        session: &Session,
        new: &BTreeSet<Arc<str>>,
    ) -> Result<(), DeclareFault> {
        let exclusive = self.plan.queues.iter().filter(|queue| queue.exclusive);
        let exclusive: HashSet<_> = exclusive.map(|queue| &*queue.name).collect();
        self.declare_where(session, |queue| {
            new.contains(queue) && !exclusive.contains(queue)
        })
        .await
        .map(drop)
    }

    /// Tries again, on a connection of their own, the entities that are left out because the broker ended
    /// the connection over them; the ones that it takes now are not left out any more.
    pub(crate) async fn try_left_out(
        &self,
        session: &Session,
        entities: &BTreeSet<String>,
    ) -> Result<(), DeclareFault> {
        let mut declarer = Declarer::trying(session, &self.known, entities);
        let mut withheld = Withheld::default();
        let tried = self
            .declare_each(&mut declarer, |_| true, &mut withheld)
            .await;
        self.conclude(declarer, tried).await.map(drop)
    }

    /// Declares every exchange, and those queues that `is_wanted`.
    async fn declare_where(
        &self,
        session: &Session,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Withheld, DeclareFault> {
        let mut declarer = Declarer::new(session, &self.known);
        let mut withheld = Withheld::default();
        let declared = self
            .declare_each(&mut declarer, &is_wanted, &mut withheld)
            .await;
        self.log_departures(&mut declarer);
        self.conclude(declarer, declared).await?;
        Ok(withheld)
    }

    /// Ends a declarer. What was not taken from it made the broker hang up, where anything did.
    async fn conclude(
        &self,
        mut declarer: Declarer<'_>,
        declared: Result<(), AskFault>,
    ) -> Result<(), DeclareFault> {
        let hung_up = declarer.take_hung_up();
        let mismatches = declarer.finish().await;
        let Err(fault) = declared else {
            return Ok(());
        };
        if let Some(mismatch) = hung_up {
            return Err(self.hung_up(mismatch));
        }
        Err(DeclareFault::Connect(match mismatches.is_empty() {
            true => self.unreachable(&fault),
            false => self.fault(mismatches),
        }))
    }

    /// The broker went away, or ended one connection after another.
    pub(crate) fn lost_while_declaring(&self, reason: &str) -> ConnectFault {
        ConnectFault::Unreachable {
            connection: self.connection.clone(),
            address: "the broker while declaring".into(),
            reason: reason.to_owned(),
            code: Code::BrokerUnreachable,
            nobody_there: false,
        }
    }

    fn hung_up(&self, mismatch: Mismatch) -> DeclareFault {
        let (reason, code) = (mismatch.to_string(), mismatch.code);
        let is_left_out = self.known.fatal.met(mismatch);
        DeclareFault::HungUp {
            reason,
            code,
            is_left_out,
        }
    }

    fn unreachable(&self, fault: &AskFault) -> ConnectFault {
        self.lost_while_declaring(&fault.to_string())
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
            declarer
                .queue(&self.declaration(queue, declarer.broker()))
                .await?;
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
            self.consume_again(declarer, &consumed.queue).await?;
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

    /// The consumed ones of `queues`. All consumed queues if none of them is: then some program publishes
    /// there, and it is unknown which.
    fn consumed_of(&self, queues: &BTreeSet<&str>) -> BTreeSet<Arc<str>> {
        let all = || self.consumed.iter().map(|consumed| consumed.queue.clone());
        let consumed: BTreeSet<_> = all().filter(|queue| queues.contains(&**queue)).collect();
        match consumed.is_empty() {
            true => all().collect(),
            false => consumed,
        }
    }

    /// A queue that cannot be consumed from, since the broker ends the connection over that, is a mismatch
    /// until it is tried again with success.
    async fn consume_again(
        &self,
        declarer: &mut Declarer<'_>,
        queue: &str,
    ) -> Result<(), AskFault> {
        match declarer.tries_again() {
            true => declarer.consume(queue).await,
            false => {
                declarer.leaves_out(|| consuming_from(queue));
                Ok(())
            }
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

    /// How a queue of the plan is declared. Where it has a limit, what the broker drops goes to the
    /// dead-letter queue of the first of its consumers that has one.
    fn declaration(&self, plan: &QueuePlan, broker: Option<BrokerVersion>) -> QueueDeclaration {
        let mut consumed = self.consumed.iter().filter(|one| one.queue == plan.name);
        let dead_letter = consumed.find_map(|one| one.failures.as_ref());
        let dead_letter = dead_letter.map(|failures| &*failures.dead_letter);
        QueueDeclaration::of_plan(plan, broker, dead_letter)
    }

    /// Another program may have made it, with arguments for reasons of its own: only a missing one is made.
    async fn dead_letter_queue(
        &self,
        declarer: &mut Declarer<'_>,
        name: &str,
    ) -> Result<(), AskFault> {
        let declaration = QueueDeclaration::dead_letter(declarer.broker(), name);
        if self.known.cannot_be_missed(name) {
            return declarer.queue(&declaration).await;
        }
        match declarer.exists(name).await? {
            true => self.look_at_limit(declarer, declaration).await,
            false => declarer.queue(&declaration).await,
        }
    }

    /// Finds out once whether a queue that exists drops what is looked at often.
    async fn look_at_limit(
        &self,
        declarer: &mut Declarer<'_>,
        wanted: QueueDeclaration,
    ) -> Result<(), AskFault> {
        if wanted.delivery_limit().is_none() || self.known.found(&wanted).is_some() {
            return Ok(());
        }
        let found = declarer.find_out(&wanted).await?;
        if declarer.tries_again() {
            return Ok(());
        }
        let found = found.unwrap_or_else(|| wanted.clone());
        self.known.remember(&wanted, &found);
        if found.is_quorum() && found.delivery_limit() != wanted.delivery_limit() {
            declarer.is_found(wanted, found);
        }
        Ok(())
    }

    /// In what queues that are consumed as they are differ from what would be declared.
    fn departures(&self, declarer: &Declarer<'_>, as_they_are: &[AsItIs]) -> Vec<Departure> {
        // Without a version it is not known what a limit means.
        let broker = declarer.broker().unwrap_or(BrokerVersion::DELIVERY_LIMIT);
        // The limit of a delay queue counts looks at it alone, and what it drops is retried early.
        let all = as_they_are
            .iter()
            .filter(|one| one.wanted.origin != Origin::Delay);
        all.map(|one| Departure::between(&one.wanted, &one.found, broker, &self.vhost))
            .collect()
    }

    fn log_departures(&self, declarer: &mut Declarer<'_>) {
        let as_they_are = declarer.take_as_they_are();
        for departure in self.departures(declarer, &as_they_are) {
            if self.known.is_news(&departure) {
                let Departure {
                    queue,
                    found,
                    remedy,
                } = departure;
                Fact::TopologyDeparture {
                    code: Code::QueueDiffers.as_str(),
                    connection: &self.connection,
                    queue: &queue,
                    found: &found,
                    remedy: &remedy,
                }
                .emit();
            }
        }
    }

    fn plans(&self, queue: &str) -> bool {
        self.planned.contains(queue)
    }

    /// Makes sure of a dead-letter queue that a copy did not reach.
    pub(crate) async fn ensure_dead_letter_queue(
        &self,
        session: &Session,
        name: &str,
    ) -> Result<(), EnsureFault> {
        let planned = self.plan.queues.iter().find(|queue| &*queue.name == name);
        let mut declarer = Declarer::new(session, &self.known);
        let declared = match planned {
            Some(queue) => {
                let declaration = self.declaration(queue, declarer.broker());
                declarer.queue(&declaration).await
            }
            None => self.dead_letter_queue(&mut declarer, name).await,
        };
        ensured(name, declarer, declared).await
    }

    async fn ensure(
        &self,
        session: &Session,
        declaration: QueueDeclaration,
    ) -> Result<(), EnsureFault> {
        let mut declarer = Declarer::new(session, &self.known);
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

/// No delay queue of a queue has a longer name than this one.
fn longest_delay_queue(queue: &str) -> String {
    let longest = LONGEST_DELAY - Duration::from_millis(1);
    let name = delay_queue_name(queue, longest);
    format!("{name}.{}", today(SystemTime::UNIX_EPOCH))
}

fn name_too_long(name: &str) -> Mismatch {
    Mismatch {
        entity: format!("the name {name:?}"),
        answer: format!("longer than {LONGEST_NAME} bytes"),
        remedy: "choose a shorter name".into(),
        code: Code::NameTooLong,
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

#[cfg(test)]
mod tests {
    use hive_config::LONGEST_RETRIED;

    use super::*;

    #[test]
    fn check_knows_the_longest_name() {
        let queue = "q".repeat(LONGEST_RETRIED);
        assert_eq!(longest_delay_queue(&queue).len(), LONGEST_NAME);
    }
}
