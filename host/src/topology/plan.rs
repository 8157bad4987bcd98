//! What hive.toml declares and implies: entities at the broker, consumers, and what is behind them.

use std::sync::Arc;

use hive_amqp::QueuesBehind;
use hive_config::plan::{
    Argument, Arguments, BindingPlan, ConnectionPlan, ConsumerPlan, Plan, QueuePlan,
};

use super::{Graph, Kind, Place, Way};

/// The argument with which the broker is told where to send what it drops.
const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";

/// In place of the delay queues that consumers share, of which there are others each day.
const SHARED: &str = "shared";

impl Graph {
    /// Everything but publications.
    pub(super) fn declare(&mut self, plan: &Plan) {
        for connection in plan.connections.values() {
            self.entities(connection);
        }
        for consumer in plan.consumers.values() {
            self.consumer(consumer);
        }
        for (table, pattern) in &plan.patterns {
            let place = Place::here(Kind::Pattern, Arc::clone(table));
            let node = self.node(&place);
            node.declared = true;
            node.detail = Some(format!("queues {}", pattern.written));
        }
        let patterns = plan.patterns.keys().zip(plan.templates());
        for (table, template) in patterns {
            if let Some(component) = template.handler.component() {
                let pattern = Place::here(Kind::Pattern, Arc::clone(table));
                let component = Place::here(Kind::Component, Arc::clone(component));
                self.edge(&pattern, &component, Way::Handles);
            }
        }
        for component in plan.components.keys() {
            let place = Place::here(Kind::Component, Arc::clone(component));
            self.node(&place).declared = true;
        }
    }

    fn entities(&mut self, connection: &ConnectionPlan) {
        let of = &connection.name;
        let exchange_at = |name: &str| Place::at(Kind::Exchange, of, name);
        for exchange in &connection.topology.exchanges {
            let place = exchange_at(&exchange.name);
            let node = self.node(&place);
            node.declared = true;
            node.detail = Some(exchange.kind.clone());
            for binding in &exchange.bindings {
                self.binding(&exchange_at(&binding.exchange), &place, binding);
            }
        }
        for queue in &connection.topology.queues {
            let place = Place::at(Kind::Queue, of, Arc::clone(&queue.name));
            self.node(&place).declared = true;
            for binding in &queue.bindings {
                self.binding(&exchange_at(&binding.exchange), &place, binding);
            }
            self.dead_letter_exchange(of, &place, queue);
        }
    }

    fn binding(&mut self, from: &Place, to: &Place, binding: &BindingPlan) {
        let label = match (&*binding.routing_key, binding.arguments.is_empty()) {
            ("", false) => Some("by headers".to_owned()),
            ("", true) => None,
            (key, _) => Some(key.to_owned()),
        };
        self.edge(from, to, Way::Binding).label = label;
    }

    /// Where the broker itself sends what it drops from a queue.
    fn dead_letter_exchange(&mut self, connection: &Arc<str>, queue: &Place, plan: &QueuePlan) {
        let Some(exchange) = text(&plan.arguments, DEAD_LETTER_EXCHANGE) else {
            return;
        };
        let key = text(&plan.arguments, DEAD_LETTER_ROUTING_KEY);
        let to = match (exchange, key) {
            ("", Some(queue)) => Place::at(Kind::Queue, connection, queue),
            // Back into the same queue, where nothing else is said.
            ("", None) => return,
            (exchange, _) => Place::at(Kind::Exchange, connection, exchange),
        };
        self.edge(queue, &to, Way::DeadLetters).label = key.map(str::to_owned);
    }

    fn consumer(&mut self, plan: &ConsumerPlan) {
        let connection = &plan.connection;
        let place = Place::here(Kind::Consumer, Arc::clone(&plan.name));
        let queue = Place::at(Kind::Queue, connection, Arc::clone(&plan.queue));
        self.node(&place).declared = true;
        let counted = Some(Arc::clone(&plan.name));
        self.edge(&queue, &place, Way::Delivers).consumer = counted.clone();
        match plan.handler.component() {
            Some(component) => {
                let component = Place::here(Kind::Component, Arc::clone(component));
                self.edge(&place, &component, Way::Handles).consumer = counted.clone();
            }
            None => self.node(&place).detail = Some("routes".to_owned()),
        }
        let behind = QueuesBehind::of(plan);
        if let Some(retries) = retries(plan, &behind) {
            let node = self.node(&retries);
            node.declared = true;
            node.queues.extend(behind.delay);
            self.edge(&place, &retries, Way::Retries).consumer = counted.clone();
            self.edge(&retries, &queue, Way::Returns);
        }
        if let Some(dead_letter) = behind.dead_letter {
            let dead_letter = Place::at(Kind::Queue, connection, dead_letter);
            self.node(&dead_letter).declared = true;
            self.edge(&place, &dead_letter, Way::DeadLetters).consumer = counted;
        }
    }
}

/// Where the retries of a consumer wait, if it has any.
fn retries(plan: &ConsumerPlan, behind: &QueuesBehind) -> Option<Place> {
    let at = |name: Arc<str>| Place::at(Kind::Retries, &plan.connection, name);
    match (behind.delay.is_empty(), behind.shared.is_empty()) {
        (false, _) => Some(at(Arc::clone(&plan.queue))),
        (true, false) => Some(shared(&plan.connection)),
        (true, true) => None,
    }
}

/// The place of the delay queues that the consumers of a connection share.
pub(super) fn shared(connection: &Arc<str>) -> Place {
    Place::at(Kind::Retries, connection, SHARED)
}

fn text<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    let (_, argument) = arguments.iter().find(|(argument, _)| argument == name)?;
    match argument {
        Argument::Text(text) => Some(text),
        _ => None,
    }
}
