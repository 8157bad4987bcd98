//! Compares a topology with what a broker has, and changes nothing there.
//!
//! AMQP has no question for what an entity is like. But a declaration of one that is there already
//! changes nothing: the broker agrees, or says in what it does not. So each is looked up first, and
//! declared only where it is there.

use std::collections::{HashMap, HashSet};

use hive_config::plan::ExchangePlan;

use super::declaration::QueueDeclaration;
use super::declarer::Declarer;
use super::departure::Departure;
use super::fate::MessageFate;
use super::words::describe_exchange;
use super::{Consumed, DeclareFault, Topology, shared};
use crate::session::Session;
use crate::session::fault::Mismatch;
use crate::session::limits::AskFault;

/// The broker's side of a topology. Bindings are not in it, because a broker does not list them.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Entities that exist as planned.
    pub fitting: Vec<String>,
    /// Entities that do not exist; a running host declares them.
    pub missing: Vec<String>,
    /// Queues that are there in another way and are consumed as they are.
    pub departures: Vec<Departure>,
    /// The broker's treatment of the messages of each consumer.
    pub fates: Vec<MessageFate>,
    /// Entities that exist with other arguments, or must exist and do not.
    pub mismatches: Vec<Mismatch>,
}

/// A comparison on its way.
struct Comparing<'a> {
    declarer: Declarer<'a>,
    found: Comparison,
    /// Entities of consumers that were looked at already: hundreds of consumers may share a dead-letter queue.
    seen: HashSet<String>,
    /// The queues of the plan as they are, or as they will be declared.
    queues: HashMap<String, QueueDeclaration>,
}

impl Topology {
    /// Compares all of it.
    ///
    /// An error is a broker that went away meanwhile, or ended the connection over one entity.
    pub(crate) async fn compare(&self, session: &Session) -> Result<Comparison, DeclareFault> {
        let mut comparing = Comparing {
            declarer: Declarer::new(session, &self.known),
            found: Comparison::default(),
            seen: HashSet::new(),
            queues: HashMap::new(),
        };
        let compared = comparing.topology(self).await;
        let Comparing {
            mut declarer,
            mut found,
            ..
        } = comparing;
        let hung_up = declarer.take_hung_up();
        found.mismatches.extend(declarer.finish().await);
        match (compared, hung_up) {
            (Err(_), Some(mismatch)) => Err(self.hung_up(mismatch)),
            // The last declaration may have made the broker hang up.
            (Err(fault), None) if found.mismatches.is_empty() => {
                Err(DeclareFault::Connect(self.unreachable(&fault)))
            }
            _ => Ok(found),
        }
    }
}

impl Comparing<'_> {
    async fn topology(&mut self, topology: &Topology) -> Result<(), AskFault> {
        for exchange in &topology.plan.exchanges {
            self.exchange(exchange).await?;
        }
        // One that is exclusive belongs to the connection that declares it.
        let queues = topology.plan.queues.iter();
        for queue in queues.filter(|queue| !queue.exclusive) {
            self.queue(
                topology,
                &topology.declaration(queue, self.declarer.broker()),
            )
            .await?;
        }
        if topology.sharing().next().is_some() {
            self.shared(topology).await?;
        }
        for consumed in &topology.consumed {
            if !topology.plans(&consumed.queue) {
                let whose = format!("consumer {:?}", consumed.consumer);
                self.declarer.check(&consumed.queue, &whose).await?;
                self.judge(format!("queue {:?} of {whose}", consumed.queue));
            }
            if consumed.is_single && !topology.declares(&consumed.queue) {
                self.declarer.check_single(&consumed.queue).await?;
                self.found
                    .mismatches
                    .extend(self.declarer.take_mismatches());
            }
            self.fate(consumed).await?;
            if let Some(failures) = &consumed.failures
                && !topology.plans(&failures.dead_letter)
                && self.seen.insert(failures.dead_letter.to_string())
            {
                self.dead_letter_queue(topology, &failures.dead_letter)
                    .await?;
            }
            for declaration in topology.delay_queues(self.declarer.broker(), consumed) {
                if self.seen.insert(declaration.name.clone()) {
                    self.queue(topology, &declaration).await?;
                }
            }
        }
        Ok(())
    }

    /// What shared delay queues have in common. They themselves are made when they are needed.
    async fn shared(&mut self, topology: &Topology) -> Result<(), AskFault> {
        for exchange in shared::exchanges() {
            self.exchange(&exchange).await?;
        }
        let lost = shared::lost_queue(self.declarer.broker());
        self.queue(topology, &lost).await
    }

    async fn exchange(&mut self, exchange: &ExchangePlan) -> Result<(), AskFault> {
        let entity = describe_exchange(exchange);
        if exchange.passive || self.declarer.has_exchange(&exchange.name).await? {
            self.declarer.exchange(exchange).await?;
            self.judge(entity);
        } else {
            self.found.missing.push(entity);
        }
        Ok(())
    }

    /// Another program may have made the queue, with arguments for reasons of its own.
    async fn dead_letter_queue(&mut self, topology: &Topology, name: &str) -> Result<(), AskFault> {
        let declaration = QueueDeclaration::dead_letter(self.declarer.broker(), name);
        match self.declarer.exists(name).await? {
            true => {
                topology
                    .look_at_limit(&mut self.declarer, declaration)
                    .await?;
                self.found.fitting.push(format!("queue {name:?}"));
            }
            false => self.found.missing.push(declaration.describe()),
        }
        self.depart(topology);
        Ok(())
    }

    /// The fate of a consumer's messages.
    async fn fate(&mut self, consumed: &Consumed) -> Result<(), AskFault> {
        let Some(broker) = self.declarer.broker() else {
            return Ok(());
        };
        let found = match self.queues.get(&*consumed.queue) {
            Some(found) if !found.is_passive() => Some(found.clone()),
            _ if self.declarer.exists(&consumed.queue).await? => {
                let probably = QueueDeclaration::dead_letter(Some(broker), &consumed.queue);
                self.declarer.find_out(&probably).await?
            }
            _ => return Ok(()),
        };
        let fate = MessageFate::of(consumed, found.as_ref(), broker);
        self.found.fates.push(fate);
        Ok(())
    }

    /// Records the queues that differ from their declarations.
    fn depart(&mut self, topology: &Topology) {
        let as_they_are = self.declarer.take_as_they_are();
        let departures = topology.departures(&self.declarer, &as_they_are);
        self.found.departures.extend(departures);
    }

    async fn queue(
        &mut self,
        topology: &Topology,
        declaration: &QueueDeclaration,
    ) -> Result<(), AskFault> {
        let entity = declaration.describe();
        if declaration.is_passive() || self.declarer.exists(&declaration.name).await? {
            self.declarer.queue(declaration).await?;
            let as_they_are = self.declarer.take_as_they_are();
            let found = as_they_are.first().map_or(declaration, |one| &one.found);
            self.queues.insert(declaration.name.clone(), found.clone());
            self.found
                .departures
                .extend(topology.departures(&self.declarer, &as_they_are));
            self.judge(entity);
        } else {
            if declaration.may_be_denied() {
                self.declarer.try_out(declaration).await?;
            }
            let denied = self.declarer.take_mismatches();
            if !denied.is_empty() {
                self.found.mismatches.extend(denied);
                return Ok(());
            }
            self.queues
                .insert(declaration.name.clone(), declaration.clone());
            self.found.missing.push(entity);
        }
        Ok(())
    }

    /// Records the result of a declaration.
    fn judge(&mut self, entity: String) {
        let mismatches = self.declarer.take_mismatches();
        if mismatches.is_empty() {
            self.found.fitting.push(entity);
        }
        self.found.mismatches.extend(mismatches);
    }
}
