//! Compares a topology with what a broker has, and changes nothing there.
//!
//! AMQP has no question for what an entity is like. But a declaration of one that is there already
//! changes nothing: the broker agrees, or says in what it does not. So each is looked up first, and
//! declared only where it is there.

use std::collections::HashSet;

use super::Topology;
use super::declarer::{Declarer, QueueDeclaration, describe_exchange};
use crate::amqp::fault::{ConnectFault, Mismatch};
use crate::amqp::limits::AskFault;
use crate::amqp::session::Session;

/// What a broker has of a topology. Bindings are not in it: a broker does not say which there are.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// What is there as planned.
    pub fitting: Vec<String>,
    /// What is not there; a host that runs declares it.
    pub missing: Vec<String>,
    /// What is there in another way, or has to be there and is not.
    pub mismatches: Vec<Mismatch>,
}

/// A comparison on its way.
struct Comparing<'a> {
    declarer: Declarer<'a>,
    found: Comparison,
    /// What consumers imply and was looked at: hundreds may share a dead-letter queue.
    seen: HashSet<String>,
}

impl Topology {
    /// Compares all of it.
    ///
    /// An error is a broker that went away meanwhile.
    pub(in crate::amqp) async fn compare(
        &self,
        session: &Session,
    ) -> Result<Comparison, ConnectFault> {
        let mut comparing = Comparing {
            declarer: Declarer::new(session),
            found: Comparison::default(),
            seen: HashSet::new(),
        };
        let compared = comparing.topology(self).await;
        let Comparing {
            declarer,
            mut found,
            ..
        } = comparing;
        found.mismatches.extend(declarer.finish().await);
        match compared {
            // The last declaration may have made the broker hang up.
            Err(fault) if found.mismatches.is_empty() => Err(self.unreachable(&fault)),
            _ => Ok(found),
        }
    }
}

impl Comparing<'_> {
    async fn topology(&mut self, topology: &Topology) -> Result<(), AskFault> {
        for exchange in &topology.plan.exchanges {
            let entity = describe_exchange(exchange);
            if exchange.passive || self.declarer.has_exchange(&exchange.name).await? {
                self.declarer.exchange(exchange).await?;
                self.judge(entity);
            } else {
                self.found.missing.push(entity);
            }
        }
        // One that is exclusive belongs to the connection that declares it.
        let queues = topology.plan.queues.iter();
        for queue in queues.filter(|queue| !queue.exclusive) {
            self.queue(&QueueDeclaration::from(queue)).await?;
        }
        for consumed in &topology.consumed {
            if !topology.plans(&consumed.queue) {
                let whose = format!("consumer {:?}", consumed.consumer);
                self.declarer.check(&consumed.queue, &whose).await?;
                self.judge(format!("queue {:?} of {whose}", consumed.queue));
            }
            if let Some(failures) = &consumed.failures
                && !topology.plans(&failures.dead_letter)
                && self.seen.insert(failures.dead_letter.to_string())
            {
                self.dead_letter_queue(&failures.dead_letter).await?;
            }
            for declaration in topology.delay_queues(self.declarer.broker(), consumed) {
                if self.seen.insert(declaration.name.clone()) {
                    self.queue(&declaration).await?;
                }
            }
        }
        Ok(())
    }

    /// Whoever made it may have had reasons for its arguments.
    async fn dead_letter_queue(&mut self, name: &str) -> Result<(), AskFault> {
        match self.declarer.exists(name).await? {
            true => self.found.fitting.push(format!("queue {name:?}")),
            false => {
                let declaration = QueueDeclaration::dead_letter(self.declarer.broker(), name);
                self.found.missing.push(declaration.describe());
            }
        }
        Ok(())
    }

    async fn queue(&mut self, declaration: &QueueDeclaration) -> Result<(), AskFault> {
        let entity = declaration.describe();
        if declaration.is_passive() || self.declarer.exists(&declaration.name).await? {
            self.declarer.queue(declaration).await?;
            self.judge(entity);
        } else {
            self.found.missing.push(entity);
        }
        Ok(())
    }

    /// Takes what came of a declaration.
    fn judge(&mut self, entity: String) {
        let mismatches = self.declarer.take_mismatches();
        if mismatches.is_empty() {
            self.found.fitting.push(entity);
        }
        self.found.mismatches.extend(mismatches);
    }
}
