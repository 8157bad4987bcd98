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
mod table;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lapin::types::ShortString;

use self::declarer::{Declarer, Kind, QueueDeclaration};
use super::delay::{LONGEST_DELAY, compact, delay_queue_name, rung, whole_milliseconds};
use super::fault::{ConnectFault, Mismatch};
use super::frame::BrokerVersion;
use super::limits::AskFault;
use super::session::Session;
use crate::config::plan::{
    Argument, Arguments, BindingPlan, ConnectionPlan, ConsumerPlan, ExchangePlan, QueueKind,
    QueuePlan, TopologyPlan,
};

/// How long a queue that was made on demand outlives the longest stay of a message in it.
const LEASE: Duration = Duration::from_secs(48 * 60 * 60);

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

    /// The delay queue for `delay` after a failure on `queue`, which exists when this returns.
    ///
    /// One that a consumer's `delays` name was declared when the connection opened. Any other is
    /// made now, on the ladder, and expires when it is unused for long.
    ///
    /// A queue that expires is deleted with the messages in it, so none may be in it by then. A
    /// quorum queue's lease is not renewed by declaring it again, nor by publishing to it: it runs
    /// from the day it is made. So its name has that day in it, and it is used on that day only.
    /// A message goes in at most a day after the queue was made and leaves after `rung`, while the
    /// queue stays for `rung` and [`LEASE`], two days: there is a whole day in hand for clocks
    /// that differ, and for a broker that is late or down.
    pub(super) async fn delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
    ) -> Result<String, EnsureFault> {
        if self.is_configured(queue, delay) {
            return Ok(delay_queue_name(queue, delay));
        }
        let delay = rung(delay);
        if self.is_configured(queue, delay) {
            return Ok(delay_queue_name(queue, delay));
        }
        let today = today(SystemTime::now());
        let name = format!("{}.{today}", delay_queue_name(queue, delay));
        if self.is_made(&name) {
            return Ok(name);
        }
        let home = Home::Queue(queue);
        let declaration = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        self.ensure(session, declaration).await?;
        self.made(&name, &today);
        Ok(name)
    }

    /// Makes sure of a delay queue that a copy did not reach.
    pub(super) async fn ensure_delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
    ) -> Result<String, EnsureFault> {
        if self.is_configured(queue, delay) {
            let name = delay_queue_name(queue, delay);
            let home = Home::Queue(queue);
            let declaration = delay_queue(session.broker(), &name, home, delay, None);
            self.ensure(session, declaration).await?;
            return Ok(name);
        }
        self.lock_made().clear();
        self.delay_queue(session, queue, delay).await
    }

    /// An exchange that holds what is published to it for `delay`, or the next rung of the ladder,
    /// and hands it on to `exchange` with the routing key that it came with.
    ///
    /// It is a fanout with one delay queue behind it, for one day, as in [`Self::delay_queue`].
    /// Publishing to the queue itself would lose the routing key, which dead-lettering goes by.
    pub(super) async fn delaying_exchange(
        &self,
        session: &Session,
        exchange: &str,
        delay: Duration,
    ) -> Result<ShortString, EnsureFault> {
        let delay = rung(delay);
        let today = today(SystemTime::now());
        let name = format!("hive.delay.{}.{exchange}.{today}", compact(delay));
        let Ok(short_name) = ShortString::try_new(name.as_str()) else {
            return Err(EnsureFault::Mismatch(name_too_long(&name)));
        };
        if self.is_made(&name) {
            return Ok(short_name);
        }
        let fanout = ExchangePlan {
            name: name.clone(),
            kind: "fanout".into(),
            passive: false,
            durable: true,
            // It goes when its queue expires.
            auto_delete: true,
            internal: false,
            arguments: Arguments::new(),
            bindings: Vec::new(),
        };
        let binding = BindingPlan {
            exchange: name.clone(),
            routing_key: String::new(),
            arguments: Arguments::new(),
        };
        let home = Home::Exchange(exchange);
        let queue = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
        let mut declarer = Declarer::new(session);
        let declared = async {
            declarer.exchange(&fanout).await?;
            declarer.queue(&queue).await?;
            declarer.bind_queue(&name, &binding).await
        }
        .await;
        ensured(&name, declarer, declared).await?;
        self.made(&name, &today);
        Ok(short_name)
    }

    /// The same when a publication was returned, because somebody deleted what it goes through.
    pub(super) async fn ensure_delaying_exchange(
        &self,
        session: &Session,
        exchange: &str,
        delay: Duration,
    ) -> Result<ShortString, EnsureFault> {
        self.lock_made().clear();
        self.delaying_exchange(session, exchange, delay).await
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

    fn is_made(&self, name: &str) -> bool {
        self.lock_made().contains(name)
    }

    fn made(&self, name: &str, today: &str) {
        let mut made = self.lock_made();
        made.retain(|name| name.ends_with(today));
        made.insert(name.to_owned());
    }

    fn lock_made(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.made_today
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }
}

/// The day of `now`, in UTC, as in "2026-11-21".
fn today(now: SystemTime) -> String {
    let mut text = humantime::format_rfc3339_seconds(now).to_string();
    text.truncate("2026-11-21".len());
    text
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

/// Where messages go when their delay is over.
#[derive(Debug, Clone, Copy)]
enum Home<'a> {
    /// Back to one queue.
    Queue(&'a str),
    /// To an exchange, with the routing key that they came with.
    Exchange(&'a str),
}

/// A queue that holds messages for `delay`.
fn delay_queue(
    broker: Option<BrokerVersion>,
    name: &str,
    home: Home<'_>,
    delay: Duration,
    lease: Option<Duration>,
) -> QueueDeclaration {
    let text = |text: &str| Argument::Text(text.to_owned());
    let (exchange, routing_key) = match home {
        Home::Queue(queue) => ("", Some(queue)),
        Home::Exchange(exchange) => (exchange, None),
    };
    let mut arguments = vec![
        (
            "x-message-ttl".to_owned(),
            milliseconds(whole_milliseconds(delay)),
        ),
        ("x-dead-letter-exchange".to_owned(), text(exchange)),
    ];
    if let Some(routing_key) = routing_key {
        arguments.push(("x-dead-letter-routing-key".to_owned(), text(routing_key)));
    }
    if let Some(lease) = lease {
        let expires = milliseconds(whole_milliseconds(delay + lease));
        arguments.push(("x-expires".to_owned(), expires));
    }
    // An unknown version is a broker that hides it, or none of RabbitMQ's: most are recent.
    if broker.is_none_or(|version| version >= BrokerVersion::AT_LEAST_ONCE) {
        arguments.push(("x-dead-letter-strategy".to_owned(), text("at-least-once")));
        arguments.push(("x-overflow".to_owned(), text("reject-publish")));
        return QueueDeclaration::durable(name, Kind::Quorum, arguments);
    }
    static TOLD: std::sync::Once = std::sync::Once::new();
    TOLD.call_once(|| {
        tracing::warn!(
            queue = name,
            delay = compact(delay),
            "RabbitMQ before 3.10 hands messages back from a delay queue at most once: a retry is \
             lost when its queue is missing or full at that moment"
        );
    });
    QueueDeclaration::durable(name, Kind::Classic, arguments)
}

fn milliseconds(count: u64) -> Argument {
    Argument::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_in_utc() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_243_796);
        assert_eq!(today(now), "2026-11-21");
    }
}
