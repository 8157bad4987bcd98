//! The AsyncAPI document of a hive.toml: which messages its consumers receive, and which messages they, the schedules and
//! the routes of `[http]` send, for those who generate code, documentation and catalogues from that.
//!
//! It is made of the plan alone, so the same file makes the same document on every machine. Of a connection it has the
//! address and the virtual host, never the user or the password.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use hive_contracts::Contract;
use hive_routes::{Publish, Template};

use self::channels::{Channels, Target};
use self::names::Names;
use self::payloads::Payloads;
use crate::plan::{
    AuthMechanism, BodyKind, ConnectionPlan, ConsumerPlan, Endpoint, HttpRoutePlan, Plan,
    SchedulePlan,
};

mod channels;
mod names;
mod payloads;

/// The version of AsyncAPI's binding for AMQP 0-9-1.
const BINDING: &str = "0.3.0";

/// The document of `plan`, by AsyncAPI 3.0.0.
pub fn asyncapi(plan: &Plan) -> Value {
    let servers = Servers::of(plan);
    let mut document = Document {
        channels: Channels::of(plan, &servers),
        messages: Map::new(),
        payloads: Payloads::default(),
        operations: Map::new(),
        operation_names: Names::default(),
        message_names: Names::default(),
    };
    for consumer in plan.consumers.values() {
        let target = Target::Queue(consumer.queue.to_string());
        document.consumer(consumer, &target);
    }
    for pattern in plan.patterns.values() {
        let target = Target::Queues(pattern.written.to_string());
        document.consumer(&pattern.template, &target);
    }
    for schedule in plan.schedules.values() {
        document.schedule(schedule);
    }
    let routes = plan.http.iter().flat_map(|http| http.routes.values());
    // What a component makes of a request is not in hive.toml.
    for route in routes.filter(|route| route.component.is_none()) {
        document.http_route(route);
    }
    let title = plan.host.group.as_deref().unwrap_or("Hive");
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": title,
            "version": "unversioned",
            "description": "Made of a hive.toml by `hive-host schema --asyncapi`.",
        },
        "servers": servers.servers,
        "channels": document.channels.into_value(),
        "operations": document.operations,
        "components": {
            "messages": document.messages,
            "schemas": document.payloads.into_value(),
            "securitySchemes": servers.schemes,
        },
    })
}

/// The address of a part of the document.
fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/{path}") })
}

/// The brokers: one server for each endpoint of a connection, since a server has one address.
struct Servers {
    servers: Map<String, Value>,
    schemes: Map<String, Value>,
    /// Those of each connection.
    of: BTreeMap<String, Vec<Value>>,
}

impl Servers {
    fn of(plan: &Plan) -> Self {
        let mut all = Self {
            servers: Map::new(),
            schemes: Map::new(),
            of: BTreeMap::new(),
        };
        let mut names = Names::default();
        for connection in plan.connections.values() {
            let scheme = match connection.mechanism {
                AuthMechanism::Plain => ("password", json!({ "type": "userPassword" })),
                AuthMechanism::External => ("certificate", json!({ "type": "X509" })),
            };
            all.schemes.insert(scheme.0.to_owned(), scheme.1);
            let security = reference(&format!("components/securitySchemes/{}", scheme.0));
            // They are tried in a random order, and the one of the document is to be the same each time.
            let mut endpoints: Vec<&Endpoint> = connection.endpoints.iter().collect();
            endpoints.sort_by_key(|endpoint| (&endpoint.host, endpoint.port));
            for endpoint in endpoints {
                let name = names.unique(&connection.name);
                let server = reference(&format!("servers/{name}"));
                all.of
                    .entry(connection.name.to_string())
                    .or_default()
                    .push(server);
                all.servers
                    .insert(name, server_of(connection, endpoint, &security));
            }
        }
        all
    }
}

fn server_of(connection: &ConnectionPlan, endpoint: &Endpoint, security: &Value) -> Value {
    let protocol = if connection.tls.is_some() {
        "amqps"
    } else {
        "amqp"
    };
    let mut server = json!({
        "host": endpoint.to_string(),
        "protocol": protocol,
        "protocolVersion": "0-9-1",
        "security": [security],
    });
    if connection.vhost != "/" {
        server["pathname"] = format!("/{}", connection.vhost).into();
    }
    server
}

struct Document {
    channels: Channels,
    messages: Map<String, Value>,
    payloads: Payloads,
    operations: Map<String, Value>,
    operation_names: Names,
    message_names: Names,
}

/// A routing key that is always the same, or what is known of one that is not.
fn key_of(key: &Template) -> Result<String, String> {
    let fixed = key.fixed().map(str::to_owned);
    fixed.ok_or_else(|| {
        format!(
            "The routing key is made for each message: `{}`.",
            key.source()
        )
    })
}

/// What is sent: the name of its message, and what is known of it.
struct Sent<'s> {
    message: &'s str,
    title: String,
    content_type: Option<&'s str>,
    payload: Option<Value>,
}

impl Document {
    fn consumer(&mut self, consumer: &ConsumerPlan, queue: &Target) {
        let name = &*consumer.table;
        let contract = consumer.schema.as_deref();
        let mut message = json!({ "title": format!("What the consumer {name} receives") });
        if let Some(schema) = contract.and_then(|contract| contract.body.as_ref()) {
            message["contentType"] = "application/json".into();
            message["payload"] = self.payloads.reference(schema);
        }
        if contract.is_some_and(|contract| contract.decode) {
            message["x-content-encodings"] = json!(["gzip", "zstd"]);
            message["description"] =
                "The body may be compressed: content-encoding gzip or zstd.".into();
        }
        let channel = self.channels.id(&consumer.connection, queue);
        let message = self.message(&channel, name, message);
        let handler = match consumer.handler.component() {
            Some(component) => format!("Handled by the component {component}."),
            None => "Handled by routes.".to_owned(),
        };
        let bindings = json!({ "amqp": { "ack": true, "bindingVersion": BINDING } });
        self.operation("receive", name, &channel, &message, (handler, bindings));
        let routes = consumer.handler.routes();
        match routes {
            Some(routes) => {
                for publish in routes.publications() {
                    self.route(consumer, publish);
                }
            }
            None => self.publications(consumer, contract),
        }
    }

    /// What a component publishes is known as far as there are schemas of it.
    fn publications(&mut self, consumer: &ConsumerPlan, contract: Option<&Contract>) {
        for publication in contract.iter().flat_map(|contract| &contract.publications) {
            // Where the exchange is a pattern, only the publication says to which it goes.
            let Some(exchange) = publication.exchange.fixed() else {
                continue;
            };
            let key = publication.routing_key.fixed().ok_or_else(|| {
                format!("A routing key that matches `{}`.", publication.routing_key)
            });
            let sent = Sent {
                message: &consumer.table,
                title: format!("What {} publishes", consumer.handler.name()),
                content_type: Some("application/json"),
                payload: Some(self.payloads.reference(&publication.schema)),
            };
            self.send(
                &consumer.connection,
                &Target::published(&exchange, key),
                sent,
            );
        }
    }

    fn route(&mut self, consumer: &ConsumerPlan, publish: &Publish) {
        let Some(exchange) = publish.exchange.fixed() else {
            return;
        };
        let key = match &publish.routing_key {
            Some(key) => key_of(key),
            None => Err("The routing key of the message that is received.".to_owned()),
        };
        let contract = consumer.schema.as_deref();
        let schemas = contract.iter().flat_map(|contract| &contract.publications);
        let mut fitting = schemas.filter(|one| {
            let fits = |key: &String| one.routing_key.matches(key);
            one.exchange.matches(exchange) && key.as_ref().is_ok_and(fits)
        });
        let payload = fitting
            .next()
            .map(|one| self.payloads.reference(&one.schema));
        let content_type = publish.content_type.as_ref().and_then(|text| text.fixed());
        let sent = Sent {
            message: &consumer.table,
            title: format!("What the routes of {} publish", consumer.table),
            content_type: content_type.or(payload.as_ref().map(|_| "application/json")),
            payload,
        };
        self.send(
            &consumer.connection,
            &Target::published(exchange, key),
            sent,
        );
    }

    fn schedule(&mut self, schedule: &SchedulePlan) {
        let publish = &schedule.publish;
        let key = Ok(publish.routing_key.to_string());
        let sent = Sent {
            message: &schedule.name,
            title: format!("What the schedule {} publishes", schedule.name),
            content_type: Some(&publish.content_type),
            payload: None,
        };
        let target = Target::published(&publish.exchange, key);
        self.send(&schedule.connection, &target, sent);
    }

    fn http_route(&mut self, route: &HttpRoutePlan) {
        let target = Target::published(&route.exchange, key_of(&route.routing_key));
        // A form becomes JSON.
        let is_json = !route.accept.contains(&BodyKind::Raw);
        let sent = Sent {
            message: &route.name,
            title: format!("Requests to {}", route.name),
            content_type: is_json.then_some("application/json"),
            payload: None,
        };
        self.send(&route.connection, &target, sent);
    }

    fn send(&mut self, connection: &str, target: &Target, sent: Sent<'_>) {
        let channel = self.channels.id(connection, target);
        let mut message = json!({ "title": sent.title });
        if let Some(content_type) = sent.content_type {
            message["contentType"] = content_type.into();
        }
        if let Some(payload) = sent.payload {
            message["payload"] = payload;
        }
        let name = format!("{}.sent", sent.message);
        let message = self.message(&channel, &name, message);
        let bindings = json!({ "amqp": { "mandatory": true, "bindingVersion": BINDING } });
        self.operation(
            "send",
            sent.message,
            &channel,
            &message,
            (sent.title, bindings),
        );
    }

    /// Adds a message to the components and to its channel. Gives its address there.
    fn message(&mut self, channel: &str, name: &str, mut message: Value) -> Value {
        let name = self.message_names.unique(name);
        message["name"] = name.clone().into();
        self.messages.insert(name.clone(), message);
        self.channels.carries(channel, &name);
        reference(&format!("channels/{channel}/messages/{name}"))
    }

    fn operation(
        &mut self,
        action: &str,
        name: &str,
        channel: &str,
        message: &Value,
        (summary, bindings): (String, Value),
    ) {
        let name = self.operation_names.unique(&format!("{action}.{name}"));
        let operation = json!({
            "action": action,
            "channel": reference(&format!("channels/{channel}")),
            "summary": summary,
            "messages": [message],
            "bindings": bindings,
        });
        self.operations.insert(name, operation);
    }
}
