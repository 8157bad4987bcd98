//! The cost of looking at the messages of a queue and putting them back.

use super::Topology;
use super::declaration::QueueDeclaration;
use super::declarer::Declarer;
use super::departure::Departure;
use super::limit::Limit;
use crate::session::Session;
use crate::session::depth::looks_are_free;
use crate::session::limits::AskFault;
use crate::wire::frame::BrokerVersion;

/// The cost of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookCost {
    /// Nothing.
    Free,
    /// Each look is one return of each message, and the broker drops a message that came back more often
    /// than this, unless a policy says otherwise.
    Return {
        /// The limit; `None` if it is unknown.
        limit: Option<u64>,
        /// The remedy.
        remedy: String,
    },
}

impl Topology {
    /// The cost of looking at `queue`.
    ///
    /// From RabbitMQ 4.3 on, the messages go back in a way that is not counted. Before, a delivery limit counts
    /// it, and from 4.0 on the broker has a limit of its own if nothing else is declared.
    pub(crate) async fn cost_of_looking(
        &self,
        session: &Session,
        queue: &str,
    ) -> Result<LookCost, AskFault> {
        let Some(broker) = session.broker() else {
            return Ok(LookCost::Free);
        };
        if looks_are_free(session) || broker < BrokerVersion::QUORUM_QUEUES {
            return Ok(LookCost::Free);
        }
        let probably = QueueDeclaration::dead_letter(Some(broker), queue);
        let mut declarer = Declarer::new(session, &self.known);
        let found = match declarer.exists(queue).await? {
            true => declarer.find_out(&probably).await,
            // The look itself will report the error.
            false => return Ok(LookCost::Free),
        };
        declarer.finish().await;
        Ok(cost(&probably, found?.as_ref(), broker, &self.known.vhost))
    }
}

fn cost(
    probably: &QueueDeclaration,
    found: Option<&QueueDeclaration>,
    broker: BrokerVersion,
    vhost: &str,
) -> LookCost {
    let Some(found) = found else {
        return match Limit::held(None, broker) {
            Limit::Unlimited => LookCost::Free,
            Limit::Returns(_) => LookCost::Return {
                limit: None,
                remedy: "the broker does not say whether the queue has a limit".to_owned(),
            },
        };
    };
    match Limit::held(found.delivery_limit(), broker) {
        Limit::Returns(limit) if found.is_quorum() => LookCost::Return {
            limit: u64::try_from(limit).ok(),
            remedy: Departure::between(probably, found, broker, vhost).remedy,
        },
        _ => LookCost::Free,
    }
}

#[cfg(test)]
mod tests {
    use hive_config::plan::Argument;

    use super::*;

    fn cost_of(found: Option<&QueueDeclaration>, broker: &str) -> LookCost {
        let broker = BrokerVersion::parse(broker).expect("a version");
        let probably = QueueDeclaration::dead_letter(Some(broker), "dead");
        cost(&probably, found, broker, "/")
    }

    fn limit_of(cost: LookCost) -> Option<Option<u64>> {
        match cost {
            LookCost::Free => None,
            LookCost::Return { limit, .. } => Some(limit),
        }
    }

    #[test]
    fn a_queue_without_a_limit_is_free_to_look_at() {
        let old = BrokerVersion::parse("3.10.8");
        let new = BrokerVersion::parse("4.0.5");
        let unlimited = QueueDeclaration::dead_letter(new, "dead");
        assert_eq!(cost_of(Some(&unlimited), "4.0.5"), LookCost::Free);
        let plain = QueueDeclaration::dead_letter(old, "dead");
        assert_eq!(cost_of(Some(&plain), "3.10.8"), LookCost::Free);
        assert_eq!(cost_of(None, "3.10.8"), LookCost::Free);
    }

    #[test]
    fn a_limit_counts_looks() {
        let plain = QueueDeclaration::dead_letter(None, "dead");
        assert_eq!(limit_of(cost_of(Some(&plain), "4.0.5")), Some(Some(20)));
        let five = QueueDeclaration {
            arguments: vec![
                (
                    "x-queue-type".to_owned(),
                    Argument::Text("quorum".to_owned()),
                ),
                ("x-delivery-limit".to_owned(), Argument::Integer(5)),
            ],
            ..plain
        };
        assert_eq!(limit_of(cost_of(Some(&five), "3.10.8")), Some(Some(5)));
        assert_eq!(limit_of(cost_of(None, "4.0.5")), Some(None));
    }
}
