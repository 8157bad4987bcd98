//! The delay queues that all consumers of a vhost share, and the way back from them.
//!
//! A retry copy is published to the exchange of a delay queue with the name of its own queue as the routing key. When
//! its delay is over, it goes to the exchange [`SHARED`], to which every queue that needs it is bound under its own
//! name. Where no queue of that name is bound any more, the alternate exchange leads the copy to [`LOST`]: a delay
//! queue moves messages at least once and stops after 32 that nothing takes, which would hold up every other consumer.

use std::sync::Arc;
use std::time::Duration;

use hive_config::plan::{Argument, Arguments, BindingPlan, DelayQueues, ExchangePlan};
use hive_core::moments::{day, now};

use super::Topology;
use super::consumed::{Consumed, Failures};
use super::declaration::QueueDeclaration;
use super::declarer::Declarer;
use super::delay_queue::{Home, delay_queue};
use super::faults::EnsureFault;
use super::implied::ensured;
use crate::message::delay::{DelayQueue, LOST, SHARED, rung, shared_delay_queue_name};
use crate::session::Session;
use crate::session::limits::AskFault;
use crate::wire::frame::BrokerVersion;

/// How long a shared delay queue outlives the longest stay of a message in it. The broker deletes an expired queue with
/// what is in it, and a copy stays in it for as long as its own queue takes nothing. One day of the lease is that on which
/// the delay queue is used; two weeks are left for a queue that is full or has no majority.
const LEASE: Duration = Duration::from_secs(15 * 24 * 60 * 60);

impl Topology {
    /// The consumed queues whose retries wait in shared delay queues.
    pub(super) fn sharing(&self) -> impl Iterator<Item = Arc<str>> {
        let shares = |consumed: &&Consumed| {
            let failures = consumed.failures.as_ref();
            failures.is_some_and(Failures::shares)
        };
        let sharing = self.consumed.iter().filter(shares);
        sharing.map(|consumed| consumed.queue.clone())
    }

    /// Declares what all shared delay queues have in common.
    pub(super) async fn declare_shared(&self, declarer: &mut Declarer<'_>) -> Result<(), AskFault> {
        let [back, lost] = exchanges();
        declarer.exchange(&lost).await?;
        if !self.plans(LOST) {
            declarer.queue(&lost_queue(declarer.broker())).await?;
        }
        declarer.bind_queue(LOST, &binding_from(LOST)).await?;
        declarer.exchange(&back).await
    }

    /// The shared delay queue for `delay` after a failure on `queue`, which exists when this returns: that of the
    /// delay itself if a consumer of `queue` has it in its schedule, otherwise that of the next step of the ladder.
    pub(super) async fn shared_delay_queue(
        &self,
        session: &Session,
        queue: &str,
        delay: Duration,
    ) -> Result<DelayQueue, EnsureFault> {
        let configured = self.configured(queue, delay, DelayQueues::Shared);
        let delay = configured.unwrap_or_else(|| rung(delay));
        let today = day(now());
        let name = shared_delay_queue_name(delay, &today);
        if !self.is_made(&name) {
            let home = Home::Exchange(SHARED);
            let declaration = delay_queue(session.broker(), &name, home, delay, Some(LEASE));
            self.ensure_behind_exchange(session, declaration).await?;
            self.made(&name, &today);
        }
        Ok(DelayQueue {
            name,
            delay,
            is_shared: true,
        })
    }

    /// Makes sure of a queue on demand behind an exchange of the same name, which hands everything to it whatever
    /// its routing key.
    pub(super) async fn ensure_behind_exchange(
        &self,
        session: &Session,
        queue: QueueDeclaration,
    ) -> Result<(), EnsureFault> {
        let name = queue.name.clone();
        // It goes when its queue expires.
        let exchange = fanout(&name, true);
        let mut declarer = Declarer::new(session, &self.known);
        let declared = async {
            declarer.exchange(&exchange).await?;
            declarer.queue(&queue).await?;
            declarer.bind_queue(&name, &binding_from(&name)).await
        }
        .await;
        ensured(&name, declarer, declared).await
    }
}

/// The exchange that leads copies back, and the one for those that have no queue any more.
pub(super) fn exchanges() -> [ExchangePlan; 2] {
    let alternate = Argument::Text(LOST.to_owned());
    let back = ExchangePlan {
        kind: "direct".into(),
        arguments: vec![("alternate-exchange".to_owned(), alternate)],
        ..fanout(SHARED, false)
    };
    [back, fanout(LOST, false)]
}

/// The queue of the copies that have no queue any more.
pub(super) fn lost_queue(broker: Option<BrokerVersion>) -> QueueDeclaration {
    QueueDeclaration::dead_letter(broker, LOST)
}

/// The binding that leads copies from `queue` back to it.
pub(super) fn way_back(queue: &str) -> BindingPlan {
    BindingPlan {
        routing_key: queue.to_owned(),
        ..binding_from(SHARED)
    }
}

/// With an empty routing key, which a fanout exchange does not look at.
fn binding_from(exchange: &str) -> BindingPlan {
    BindingPlan {
        exchange: exchange.to_owned(),
        routing_key: String::new(),
        arguments: Arguments::new(),
    }
}

fn fanout(name: &str, auto_delete: bool) -> ExchangePlan {
    ExchangePlan {
        name: name.to_owned(),
        kind: "fanout".into(),
        passive: false,
        durable: true,
        auto_delete,
        internal: false,
        arguments: Arguments::new(),
        bindings: Vec::new(),
    }
}
