//! A vhost: its exchanges, the names of its queues, its policies, and the way of a message through it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use regex_lite::Regex;

use crate::message::Message;
use crate::queue::QueueId;
use crate::refusal::Refusal;
use crate::routing::{Destination, Exchange, Kind};

/// A vhost.
#[derive(Debug)]
pub(crate) struct Vhost {
    pub(crate) name: Arc<str>,
    pub(crate) exchanges: BTreeMap<String, Exchange>,
    pub(crate) queues: HashMap<Arc<str>, QueueId>,
    /// The type of queues that are declared without one.
    pub(crate) default_queue_type: Option<String>,
    pub(crate) policies: Vec<Policy>,
}

/// A policy.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) pattern: Regex,
    pub(crate) queues: bool,
    pub(crate) exchanges: bool,
    pub(crate) priority: i64,
    pub(crate) definition: serde_json::Map<String, serde_json::Value>,
}

/// The exchanges that every vhost has.
const SYSTEM: [(&str, Kind); 7] = [
    ("", Kind::Direct),
    ("amq.direct", Kind::Direct),
    ("amq.fanout", Kind::Fanout),
    ("amq.topic", Kind::Topic),
    ("amq.headers", Kind::Headers),
    ("amq.match", Kind::Headers),
    ("amq.rabbitmq.trace", Kind::Topic),
];

impl Vhost {
    pub(crate) fn new(name: &str) -> Self {
        let mut exchanges = BTreeMap::new();
        for (name, kind) in SYSTEM {
            let mut exchange = Exchange::new(name, kind);
            exchange.internal = name == "amq.rabbitmq.trace";
            exchanges.insert(name.to_owned(), exchange);
        }
        Self {
            name: name.into(),
            exchanges,
            queues: HashMap::new(),
            default_queue_type: None,
            policies: Vec::new(),
        }
    }

    /// The exchange, or RabbitMQ's 404.
    pub(crate) fn exchange(&self, name: &str) -> Result<&Exchange, Refusal> {
        self.exchanges
            .get(name)
            .ok_or_else(|| self.no_exchange(name))
    }

    pub(crate) fn no_exchange(&self, name: &str) -> Refusal {
        Refusal::not_found(format!("no {}", exchange_called(name, &self.name)))
    }

    /// The queues that a message goes to, each once.
    pub(crate) fn route(&self, message: &Message) -> Vec<QueueId> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut left = vec![message.exchange.clone()];
        while let Some(name) = left.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if name.is_empty() {
                let keys = message.routing_keys.iter();
                found.extend(keys.filter_map(|key| self.queues.get(key)));
                continue;
            }
            let Some(exchange) = self.exchanges.get(&*name) else {
                continue;
            };
            let mut destinations = Vec::new();
            exchange.matching(message, &mut destinations);
            if destinations.is_empty() {
                left.extend(exchange.alternate.clone());
            }
            for destination in destinations {
                match destination {
                    Destination::Queue(name) => found.extend(self.queues.get(&name)),
                    Destination::Exchange(name) => left.push(name),
                }
            }
        }
        let mut once = HashSet::new();
        found.retain(|id| once.insert(*id));
        found
    }

    /// The definition of the policy that applies to a queue or an exchange.
    pub(crate) fn policy(
        &self,
        name: &str,
        is_queue: bool,
    ) -> Option<&serde_json::Map<String, serde_json::Value>> {
        let applying = self.policies.iter().filter(|policy| {
            let is_meant = if is_queue {
                policy.queues
            } else {
                policy.exchanges
            };
            is_meant && policy.pattern.is_match(name)
        });
        applying
            .max_by_key(|policy| policy.priority)
            .map(|policy| &policy.definition)
    }

    /// Deletes an exchange with the bindings from it and to it; `None` where there is none.
    pub(crate) fn delete_exchange(&mut self, name: &str) -> Option<()> {
        self.exchanges.remove(name)?;
        self.forget(Destination::Exchange(name.into()));
        Some(())
    }

    /// Removes all bindings to a destination, and the exchanges that go with their last one.
    pub(crate) fn forget(&mut self, destination: Destination) {
        let mut left = vec![destination];
        while let Some(destination) = left.pop() {
            let mut gone = Vec::new();
            for exchange in self.exchanges.values_mut() {
                let had = exchange.unbind_all(&destination);
                if had && exchange.auto_delete && exchange.binding_count() == 0 {
                    gone.push(exchange.name.clone());
                }
            }
            for name in gone {
                self.exchanges.remove(&*name);
                left.push(Destination::Exchange(name));
            }
        }
    }
}

/// The description of an exchange in RabbitMQ's error texts.
pub(crate) fn exchange_called(name: &str, vhost: &str) -> String {
    let name = if name.is_empty() { "amq.default" } else { name };
    format!("exchange '{name}' in vhost '{vhost}'")
}

#[cfg(test)]
mod tests {
    use amq_protocol::protocol::BasicProperties;
    use amq_protocol::types::FieldTable;

    use super::*;
    use crate::message::tests::message;
    use crate::routing::Binding;

    fn to(destination: Destination) -> Binding {
        Binding {
            destination,
            arguments: FieldTable::default(),
        }
    }

    fn vhost() -> Vhost {
        let mut vhost = Vhost::new("/");
        for name in ["x", "y", "lost"] {
            let exchange = Exchange::new(name, Kind::Direct);
            vhost.exchanges.insert(name.to_owned(), exchange);
        }
        for (number, name) in [(1, "one"), (2, "two")] {
            vhost.queues.insert(name.into(), QueueId(number));
        }
        vhost
    }

    fn bind(vhost: &mut Vhost, source: &str, key: &str, destination: Destination) {
        let exchange = vhost.exchanges.get_mut(source).unwrap();
        exchange.bind(key, to(destination)).unwrap();
    }

    fn routed(vhost: &Vhost, key: &str) -> Vec<u64> {
        let message = message(key, &BasicProperties::default());
        vhost.route(&message).iter().map(|id| id.0).collect()
    }

    #[test]
    fn exchanges_lead_to_exchanges_and_a_circle_of_them_ends() {
        let mut vhost = vhost();
        bind(&mut vhost, "x", "k", Destination::Exchange("y".into()));
        bind(&mut vhost, "y", "k", Destination::Exchange("x".into()));
        bind(&mut vhost, "y", "k", Destination::Queue("one".into()));
        bind(&mut vhost, "x", "k", Destination::Queue("one".into()));
        assert_eq!(routed(&vhost, "k"), [1]);
        assert!(routed(&vhost, "other").is_empty());
    }

    #[test]
    fn the_alternate_exchange_gets_what_nothing_matches() {
        let mut vhost = vhost();
        vhost.exchanges.get_mut("x").unwrap().alternate = Some("lost".into());
        bind(&mut vhost, "x", "k", Destination::Queue("one".into()));
        bind(
            &mut vhost,
            "lost",
            "other",
            Destination::Queue("two".into()),
        );
        assert_eq!(routed(&vhost, "k"), [1]);
        assert_eq!(routed(&vhost, "other"), [2]);
    }

    #[test]
    fn an_exchange_that_deletes_itself_goes_with_its_last_binding() {
        let mut vhost = vhost();
        for name in ["x", "y"] {
            vhost.exchanges.get_mut(name).unwrap().auto_delete = true;
        }
        bind(&mut vhost, "x", "k", Destination::Exchange("y".into()));
        bind(&mut vhost, "y", "k", Destination::Queue("one".into()));
        vhost.forget(Destination::Queue("one".into()));
        assert!(!vhost.exchanges.contains_key("x") && !vhost.exchanges.contains_key("y"));
    }
}
