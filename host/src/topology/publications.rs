//! Where schedules, requests over HTTP, components and routes publish, as far as hive.toml says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hive_config::plan::{ComponentPlan, ConsumerPlan, HttpRoutePlan, Plan};
use hive_core::glob::Glob;
use hive_routes::Publish;

use super::{Graph, Kind, Place, Way};

/// A pattern that more entities match is shown as a pattern.
const MOST_MATCHES: usize = 20;

impl Graph {
    /// All publications.
    pub(super) fn publish(&mut self, plan: &Plan) {
        for schedule in plan.schedules.values() {
            let place = Place::here(Kind::Schedule, Arc::clone(&schedule.name));
            let node = self.node(&place);
            node.declared = true;
            let cron = &schedule.cron;
            node.detail = Some(format!("{} {}", cron.cron(), cron.zone()));
            let publish = &schedule.publish;
            let key = Some(&*publish.routing_key);
            self.publish_to(&place, &schedule.connection, &publish.exchange, key);
        }
        for route in plan.http.iter().flat_map(|http| http.routes.values()) {
            self.http_route(route);
        }
        for consumer in plan.consumers.values() {
            let place = Place::here(Kind::Consumer, Arc::clone(&consumer.name));
            self.routes(&place, consumer);
        }
        for (table, template) in plan.patterns.keys().zip(plan.templates()) {
            self.routes(&Place::here(Kind::Pattern, Arc::clone(table)), template);
        }
        for (component, connections) in connections(plan) {
            if let Some(component) = plan.components.get(component) {
                for connection in connections {
                    self.component(plan, component, connection);
                }
            }
        }
    }

    fn http_route(&mut self, route: &HttpRoutePlan) {
        let place = Place::here(Kind::HttpRoute, Arc::clone(&route.name));
        self.node(&place).declared = true;
        if let Some(component) = &route.component {
            let component = Place::here(Kind::Component, Arc::clone(component));
            self.edge(&place, &component, Way::Handles);
            return;
        }
        let key = route.routing_key.fixed();
        let key = key.unwrap_or_else(|| route.routing_key.source());
        self.publish_to(&place, &route.connection, &route.exchange, Some(key));
    }

    /// The publications of a consumer without a component.
    fn routes(&mut self, from: &Place, consumer: &ConsumerPlan) {
        let routes = consumer.handler.routes().into_iter();
        for publish in routes.flat_map(|routes| routes.publications()) {
            self.route(from, &consumer.connection, publish);
        }
    }

    fn route(&mut self, from: &Place, connection: &Arc<str>, publish: &Publish) {
        let key = publish.routing_key.as_ref();
        let written = key.map_or("its own routing key", |key| key.source());
        match publish.exchange.fixed() {
            // Which queue it is, only the delivery says.
            Some("") if key.is_none_or(|key| key.fixed().is_none()) => {
                self.publish_anywhere_in(from, connection, &format!(":{written}"), Way::Publishes);
            }
            Some(exchange) => {
                let key = key.map(|key| key.fixed().unwrap_or_else(|| key.source()));
                self.publish_to(from, connection, exchange, key);
            }
            None => {
                let pattern = format!("{}:{written}", publish.exchange.source());
                self.publish_anywhere_in(from, connection, &pattern, Way::Publishes);
            }
        }
    }

    fn component(&mut self, plan: &Plan, component: &ComponentPlan, connection: &Arc<str>) {
        let from = Place::here(Kind::Component, Arc::clone(&component.name));
        let allow = &component.allow;
        match &allow.publish {
            Some(grants) => {
                for grant in grants {
                    let to = (&grant.exchange, &grant.routing_key);
                    self.granted(&from, connection, to, Way::Publishes);
                }
            }
            None => {
                self.publish_anywhere_in(&from, connection, "anywhere", Way::Publishes);
                // Some of it is known where there are schemas of it.
                let consumers = plan.consumers_of(&component.name).into_iter();
                let schemas = consumers
                    .filter(|consumer| consumer.connection == *connection)
                    .filter_map(|consumer| consumer.schema.as_deref());
                for one in schemas.flat_map(|schema| &schema.publications) {
                    let to = (&one.exchange, &one.routing_key);
                    self.granted(&from, connection, to, Way::Publishes);
                }
            }
        }
        for grant in allow.request.iter() {
            let to = (&grant.exchange, &grant.routing_key);
            self.granted(&from, connection, to, Way::Requests);
        }
    }

    /// To everything that two patterns mean.
    fn granted(
        &mut self,
        from: &Place,
        connection: &Arc<str>,
        (exchange, key): (&Glob, &Glob),
        way: Way,
    ) {
        let kind = match exchange.fixed() {
            Some(name) if !name.is_empty() => {
                let to = Place::at(Kind::Exchange, connection, name);
                self.once(from, &to, way, Some(key.to_string()));
                return;
            }
            Some(_) => match key.fixed() {
                Some(queue) => {
                    let to = Place::at(Kind::Queue, connection, queue);
                    self.once(from, &to, way, None);
                    return;
                }
                None => Some((Kind::Queue, key)),
            },
            // Every exchange, and every queue by the default exchange.
            None if exchange.matches("") => None,
            None => Some((Kind::Exchange, exchange)),
        };
        let matching = kind.map(|(kind, pattern)| self.matching(kind, connection, pattern));
        match matching {
            Some(places) if (1..=MOST_MATCHES).contains(&places.len()) => {
                for to in places {
                    let label = (to.kind == Kind::Exchange).then(|| key.to_string());
                    self.once(from, &to, way, label);
                }
            }
            _ => self.publish_anywhere_in(from, connection, &format!("{exchange}:{key}"), way),
        }
    }

    /// The entities of a connection whose names match.
    fn matching(&self, kind: Kind, connection: &Arc<str>, pattern: &Glob) -> Vec<Place> {
        let places = self.nodes.keys();
        let there = places.filter(|place| place.kind == kind && place.connection == *connection);
        there
            .filter(|place| pattern.matches(&place.name))
            .cloned()
            .collect()
    }

    fn publish_to(
        &mut self,
        from: &Place,
        connection: &Arc<str>,
        exchange: &str,
        key: Option<&str>,
    ) {
        match (exchange, key) {
            ("", Some(queue)) => {
                let to = Place::at(Kind::Queue, connection, queue);
                self.once(from, &to, Way::Publishes, None);
            }
            (exchange, key) => {
                let to = Place::at(Kind::Exchange, connection, exchange);
                self.once(from, &to, Way::Publishes, key.map(str::to_owned));
            }
        }
    }

    fn publish_anywhere_in(
        &mut self,
        from: &Place,
        connection: &Arc<str>,
        pattern: &str,
        way: Way,
    ) {
        let to = Place::at(Kind::Destination, connection, pattern);
        self.once(from, &to, way, None);
    }

    /// The same publication twice is one.
    fn once(&mut self, from: &Place, to: &Place, way: Way, label: Option<String>) {
        // Those of one place come one after the other.
        let mut edges = self.edges.iter().rev();
        let is_there = edges
            .by_ref()
            .take_while(|edge| edge.from == *from)
            .any(|edge| (&edge.to, edge.way, &edge.label) == (to, way, &label));
        if !is_there {
            self.edge(from, to, way).label = label;
        }
    }
}

/// The connections over which each component publishes: those of its consumers and of its routes over HTTP.
fn connections(plan: &Plan) -> BTreeMap<&Arc<str>, BTreeSet<&Arc<str>>> {
    let consumers = plan.consumers.values().chain(plan.templates());
    let consumers = consumers.filter_map(|one| Some((one.handler.component()?, &one.connection)));
    let routes = plan.http.iter().flat_map(|http| http.routes.values());
    let routes = routes.filter_map(|one| Some((one.component.as_ref()?, &one.connection)));
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for (component, connection) in consumers.chain(routes) {
        all.entry(component).or_default().insert(connection);
    }
    all
}
