//! Channels: the queues that are consumed, declared or published to, and the exchanges with their routing keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names::Names;
use super::{BINDING, Servers, reference};
use crate::plan::{ExchangePlan, MAIN, Plan, QueuePlan};

/// Where a message is consumed from or published to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A queue, or the default exchange with its name as routing key.
    Queue(String),
    /// Every queue whose name matches.
    Queues(String),
    /// An exchange, with a routing key; or with a text about it where it is not always the same.
    Exchange(String, Result<String, String>),
}

impl Target {
    /// Where a publication goes.
    pub(super) fn published(exchange: &str, key: Result<String, String>) -> Self {
        match (exchange, key) {
            ("", Ok(queue)) => Self::Queue(queue),
            (exchange, key) => Self::Exchange(exchange.to_owned(), key),
        }
    }
}

/// The channels, each by its connection and target.
#[derive(Debug)]
pub(super) struct Channels {
    ids: BTreeMap<(String, Target), String>,
    names: Names,
    channels: Map<String, Value>,
    connections: BTreeMap<String, Connection>,
}

/// What a channel of a connection has of it.
#[derive(Debug)]
struct Connection {
    servers: Vec<Value>,
    vhost: String,
    exchanges: BTreeMap<String, ExchangePlan>,
    queues: BTreeMap<String, QueuePlan>,
}

impl Channels {
    /// Those that the file declares.
    pub(super) fn of(plan: &Plan, servers: &Servers) -> Self {
        let mut connections = BTreeMap::new();
        let mut declared = Vec::new();
        for connection in plan.connections.values() {
            let name = connection.name.to_string();
            let topology = &connection.topology;
            let exchanges = topology.exchanges.iter();
            let queues = topology.queues.iter();
            let of_exchange = |exchange: &ExchangePlan| {
                let any = "Any routing key.".to_owned();
                Target::Exchange(exchange.name.clone(), Err(any))
            };
            let targets = exchanges.clone().map(of_exchange);
            let targets = targets.chain(
                queues
                    .clone()
                    .map(|queue| Target::Queue(queue.name.to_string())),
            );
            declared.extend(targets.map(|target| (name.clone(), target)));
            let of = Connection {
                servers: servers.of.get(&name).cloned().unwrap_or_default(),
                vhost: connection.vhost.clone(),
                exchanges: exchanges
                    .map(|one| (one.name.clone(), one.clone()))
                    .collect(),
                queues: queues
                    .map(|one| (one.name.to_string(), one.clone()))
                    .collect(),
            };
            connections.insert(name, of);
        }
        let mut channels = Self {
            ids: BTreeMap::new(),
            names: Names::default(),
            channels: Map::new(),
            connections,
        };
        for (connection, target) in declared {
            channels.id(&connection, &target);
        }
        channels
    }

    /// The id of a channel, which is made if it is not there.
    pub(super) fn id(&mut self, connection: &str, target: &Target) -> String {
        let key = (connection.to_owned(), target.clone());
        if let Some(id) = self.ids.get(&key) {
            return id.clone();
        }
        let wanted = match target {
            Target::Queue(name) | Target::Queues(name) => format!("queue.{name}"),
            Target::Exchange(name, Ok(key)) => format!("exchange.{name}.{key}"),
            Target::Exchange(name, Err(_)) => format!("exchange.{name}"),
        };
        let id = match connection {
            MAIN => self.names.unique(&wanted),
            other => self.names.unique(&format!("{other}.{wanted}")),
        };
        let channel = self
            .connections
            .get(connection)
            .map(|of| of.channel(target));
        self.channels
            .insert(id.clone(), channel.unwrap_or_default());
        self.ids.insert(key, id.clone());
        id
    }

    /// Notes that a message is received or sent over a channel.
    pub(super) fn carries(&mut self, channel: &str, message: &str) {
        let component = reference(&format!("components/messages/{message}"));
        self.channels[channel]["messages"][message] = component;
    }

    pub(super) fn into_value(self) -> Value {
        self.channels.into()
    }
}

impl Connection {
    fn channel(&self, target: &Target) -> Value {
        let (address, description, binding) = match target {
            Target::Queue(name) => (Some(name), None, self.queue(name)),
            Target::Queues(pattern) => {
                let description = format!("Every queue whose name matches `{pattern}`.");
                let binding = json!({ "is": "queue", "queue": { "vhost": self.vhost } });
                (None, Some(description), binding)
            }
            Target::Exchange(name, Ok(key)) => (Some(key), None, self.exchange(name)),
            Target::Exchange(name, Err(about)) => (None, Some(about.clone()), self.exchange(name)),
        };
        let mut channel = json!({
            "address": address,
            "servers": self.servers,
            "bindings": { "amqp": binding },
        });
        channel["bindings"]["amqp"]["bindingVersion"] = BINDING.into();
        if let Some(description) = description {
            channel["description"] = description.into();
        }
        channel
    }

    fn queue(&self, name: &str) -> Value {
        let mut queue = json!({ "name": name, "vhost": self.vhost });
        if let Some(plan) = self.queues.get(name).filter(|plan| !plan.passive) {
            queue["durable"] = plan.durable.into();
            queue["exclusive"] = plan.exclusive.into();
            queue["autoDelete"] = plan.auto_delete.into();
        }
        json!({ "is": "queue", "queue": queue })
    }

    fn exchange(&self, name: &str) -> Value {
        let mut exchange = json!({ "name": name, "vhost": self.vhost });
        if name.is_empty() {
            exchange["type"] = "default".into();
        }
        if let Some(plan) = self.exchanges.get(name).filter(|plan| !plan.passive) {
            exchange["durable"] = plan.durable.into();
            exchange["autoDelete"] = plan.auto_delete.into();
            // The binding knows the types of AMQP alone; those of plugins begin so.
            if !plan.kind.starts_with("x-") {
                exchange["type"] = plan.kind.clone().into();
            }
        }
        json!({ "is": "routingKey", "exchange": exchange })
    }
}
