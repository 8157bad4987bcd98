//! Declaring a topology: the plan's exchanges, queues and bindings, and what consumers imply, in that order.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use hive_core::codes::Code;

use super::Topology;
use super::declarer::Declarer;
use super::faults::DeclareFault;
use super::withheld::{Misfitting, Withheld};
use super::words::consuming_from;
use crate::session::Session;
use crate::session::fault::{ConnectFault, Mismatch};
use crate::session::limits::AskFault;

impl Topology {
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

    pub(super) fn hung_up(&self, mismatch: Mismatch) -> DeclareFault {
        let (reason, code) = (mismatch.to_string(), mismatch.code);
        let is_left_out = self.known.fatal.met(mismatch);
        DeclareFault::HungUp {
            reason,
            code,
            is_left_out,
        }
    }

    pub(super) fn unreachable(&self, fault: &AskFault) -> ConnectFault {
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
                withheld.add(Misfitting::Queue(queue.name.clone()), waiting, mismatch);
            }
        }
        self.declare_shared_for(declarer, &is_wanted, withheld)
            .await?;
        let mut seen = HashSet::new();
        for consumed in self.consumed.iter().filter(|c| is_wanted(&c.queue)) {
            let is_known = consumed.is_discovered;
            if !is_known && !self.plans(&consumed.queue) {
                let why = format!("consumer {:?}", consumed.consumer);
                declarer.check(&consumed.queue, &why).await?;
            }
            if !is_known && consumed.is_single && !self.declares(&consumed.queue) {
                declarer.check_single(&consumed.queue).await?;
            }
            self.declare_for_failures(declarer, consumed, &mut seen)
                .await?;
            self.consume_again(declarer, &consumed.queue).await?;
            for mismatch in declarer.take_mismatches() {
                let entity = consumed.at_fault(&mismatch);
                withheld.add(entity, [consumed.queue.clone()].into(), mismatch);
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

    /// What shared delay queues have in common, where a consumer that `is_wanted` shares them. Without it, none of those
    /// that share them could be retried.
    async fn declare_shared_for(
        &self,
        declarer: &mut Declarer<'_>,
        is_wanted: impl Fn(&str) -> bool,
        withheld: &mut Withheld,
    ) -> Result<(), AskFault> {
        let sharing: BTreeSet<_> = self.sharing().collect();
        if !sharing.iter().any(|queue| is_wanted(queue)) {
            return Ok(());
        }
        self.declare_shared(declarer).await?;
        for mismatch in declarer.take_mismatches() {
            withheld.add(Misfitting::Shared, sharing.clone(), mismatch);
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
            withheld.add(Misfitting::Exchange(name.into()), waiting, mismatch);
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
}
