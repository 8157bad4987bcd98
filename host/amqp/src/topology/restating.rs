//! Declares everything again from time to time, so that entities that were deleted by hand return.
//!
//! A removed binding is noticed only when messages fail to arrive, and a queue that was deleted and made again
//! by hand has none. Declaring an existing entity changes nothing.

use std::time::Duration;

use hive_config::plan::QueuePlan;
use hive_telemetry::Fact;

use super::Topology;
use super::declarer::Declarer;
use super::withheld::Withheld;
use crate::session::Session;
use crate::session::limits::AskFault;

/// The pause between two entities: nothing waits for the end, and deliveries share the connection.
const PAUSE: Duration = Duration::from_millis(5);

impl Topology {
    /// Declares everything again except `withheld` entities, which are retried separately, and logs missing
    /// ones. Bindings are declared without a log line: the broker does not say whether they existed.
    ///
    /// A queue that was made again with other arguments is still consumed, as AMQP allows; the difference is
    /// logged.
    pub(crate) async fn restate(
        &self,
        session: &Session,
        withheld: &Withheld,
    ) -> Result<(), AskFault> {
        let mut declarer = Declarer::new(session, &self.known);
        let restated = self.restate_each(&mut declarer, withheld).await;
        self.log_departures(&mut declarer);
        if let Some(mismatch) = declarer.take_hung_up() {
            self.known.fatal.met(mismatch);
        }
        for mismatch in declarer.finish().await {
            // A user without the configure permission cannot restore anything, and gets that error at the next
            // connection.
            let is_forbidden = mismatch.answer.starts_with("403");
            if !is_forbidden && self.known.is_news(&mismatch) {
                Fact::TopologyNotRestored {
                    connection: &self.connection,
                    mismatch: &mismatch,
                }
                .emit();
            }
        }
        restated
    }

    async fn restate_each(
        &self,
        declarer: &mut Declarer<'_>,
        withheld: &Withheld,
    ) -> Result<(), AskFault> {
        // One that only has to exist is its owner's.
        let exchanges = || {
            self.plan
                .exchanges
                .iter()
                .filter(|exchange| !exchange.passive)
        };
        for exchange in exchanges() {
            if !declarer.has_exchange(&exchange.name).await? {
                self.log_missing("exchange", &exchange.name);
            }
            declarer.exchange(exchange).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let queues = self.plan.queues.iter();
        for queue in
            queues.filter(|queue| self.is_to_stay(queue) && !withheld.concerns(&queue.name))
        {
            if !self.known.cannot_be_missed(&queue.name) && !declarer.exists(&queue.name).await? {
                self.log_missing("queue", &queue.name);
            }
            let declaration = self.declaration(queue, declarer.broker());
            declarer.queue(&declaration).await?;
            for binding in &queue.bindings {
                declarer.bind_queue(&queue.name, binding).await?;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut seen = std::collections::HashSet::new();
        let consumed = self.consumed.iter();
        for consumed in consumed.filter(|consumed| !withheld.concerns(&consumed.queue)) {
            self.declare_for_failures(declarer, consumed, &mut seen)
                .await?;
            tokio::time::sleep(PAUSE).await;
        }
        for exchange in exchanges() {
            for binding in &exchange.bindings {
                declarer.bind_exchange(exchange, binding).await?;
            }
        }
        Ok(())
    }

    /// Whether a queue is Hive's to keep. One that is deleted when it is unused may be unused; declaring it
    /// would count as a use.
    fn is_to_stay(&self, queue: &QueuePlan) -> bool {
        let expires = queue.arguments.iter().any(|(name, _)| name == "x-expires");
        let is_consumed = || self.consumed.iter().any(|one| one.queue == queue.name);
        !queue.passive && !queue.exclusive && !queue.auto_delete && (!expires || is_consumed())
    }

    fn log_missing(&self, what: &str, name: &str) {
        Fact::TopologyRestored {
            connection: &self.connection,
            entity: what,
            name,
        }
        .emit();
    }
}
