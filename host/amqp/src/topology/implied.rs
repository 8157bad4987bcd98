//! The queues that consumers imply: for dead letters, and for retries that wait.

use std::collections::HashSet;
use std::time::Duration;

use hive_config::plan::{DelayQueues, QueuePlan};

use super::Topology;
use super::consumed::Consumed;
use super::declaration::QueueDeclaration;
use super::declarer::Declarer;
use super::delay_queue::{Home, delay_queue};
use super::faults::EnsureFault;
use super::shared::way_back;
use crate::message::delay::delay_queue_name;
use crate::session::Session;
use crate::session::limits::AskFault;
use crate::wire::frame::BrokerVersion;

impl Topology {
    /// A dead-letter queue that was `seen` before is not asked for again: hundreds of consumers may
    /// share one.
    pub(super) async fn declare_for_failures<'a>(
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
        // A queue that is missing cannot be bound, and is told already.
        if failures.shares() && declarer.is_content() {
            let binding = way_back(&consumed.queue);
            declarer.bind_queue(&consumed.queue, &binding).await?;
        }
        Ok(())
    }

    /// The queues in which retries of a consumer alone wait, but for those that the plan itself declares.
    pub(super) fn delay_queues(
        &self,
        broker: Option<BrokerVersion>,
        consumed: &Consumed,
    ) -> Vec<QueueDeclaration> {
        let delays = consumed
            .failures
            .iter()
            .filter(|failures| !failures.shares())
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
    pub(super) fn declaration(
        &self,
        plan: &QueuePlan,
        broker: Option<BrokerVersion>,
    ) -> QueueDeclaration {
        let consumed = || self.consumed.iter().filter(|one| one.queue == plan.name);
        let dead_letter = consumed().find_map(|one| one.failures.as_ref());
        let dead_letter = dead_letter.map(|failures| &*failures.dead_letter);
        let declaration = QueueDeclaration::of_plan(plan, broker, dead_letter);
        match consumed().any(|one| one.is_single) {
            true => declaration.with_single_active_consumer(),
            false => declaration,
        }
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
    pub(super) async fn look_at_limit(
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

    pub(super) async fn ensure(
        &self,
        session: &Session,
        declaration: QueueDeclaration,
    ) -> Result<(), EnsureFault> {
        let mut declarer = Declarer::new(session, &self.known);
        let declared = declarer.queue(&declaration).await;
        ensured(&declaration.name, declarer, declared).await
    }

    pub(super) fn is_configured(&self, queue: &str, delay: Duration, among: DelayQueues) -> bool {
        self.consumed
            .iter()
            .filter(|consumed| &*consumed.queue == queue)
            .filter_map(|consumed| consumed.failures.as_ref())
            .any(|failures| failures.delay_queues == among && failures.delays.contains(&delay))
    }
}

pub(super) async fn ensured(
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
