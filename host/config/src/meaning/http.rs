//! `[http]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hive_core::codes::Code;
use hive_routes::{Scope, Template};

use super::consumers::{self, flow};
use super::{Context, host, publication, tls};
use crate::keys::{HttpMeant, HttpRouteMeant, Name, RootKeys};
use crate::plan::{HttpMethod, HttpPlan, HttpRoutePlan, Password, Segment, method_and_path};
use crate::redact;
use crate::written::Node;

/// RabbitMQ's largest message, unless it is configured otherwise.
const LARGEST_BODY: u64 = 128 << 20;

const EXAMPLE: &str =
    "name it by a method and a path, as in [http.routes.\"POST /api/{tenant}/t\"]";

/// `None` without the section, or after a fault.
pub(super) fn plan(context: &mut Context<'_>) -> Option<HttpPlan> {
    let node = context.root.get(RootKeys::http)?;
    let listen = listen(context, node);
    // The outer `None` is a fault.
    let tls = match node.get(HttpPlan::tls) {
        Some(node) => tls::server(context, node).map(Some),
        None => Some(None),
    };
    let written = node.named(HttpPlan::routes.untyped());
    if node.is_table() && written.is_empty() {
        let remedy =
            "add a route: [http.routes.\"POST /api/t\"] with an `exchange` and a `routing_key`";
        context
            .faults
            .missing(node, HttpPlan::routes.name(), remedy);
    }
    let mut routes = BTreeMap::<Arc<str>, HttpRoutePlan>::new();
    for (name, node) in written {
        let Some(route) = route(context, name, node) else {
            continue;
        };
        if let Some(other) = routes.values().find(|other| is_same(other, &route)) {
            let message = format!("takes the same requests as {:?}", &*other.name);
            let remedy = "remove one of the two, or change its path";
            context.faults.error(Code::Duplicate, node, message, remedy);
        }
        routes.insert(Arc::clone(&route.name), route);
    }
    let meant = HttpMeant {
        listen: listen?,
        tls: tls?,
        routes,
    };
    let plan = HttpPlan::of_table(Some(node), meant)?;
    for (name, node) in written {
        let largest = plan.routes.get(name.as_str()).map(|route| route.max_body);
        if let (Some(largest), Some(at)) = (largest, node.get(HttpRoutePlan::max_body))
            && largest > plan.memory_in_flight
        {
            let message = "is above `http.memory_in_flight`, so no such body would be taken";
            let remedy = "raise `memory_in_flight`, or write less";
            context
                .faults
                .error(Code::CrossedBounds, at, message, remedy);
        }
    }
    Some(plan)
}

fn listen(context: &mut Context<'_>, node: &Node) -> Option<SocketAddr> {
    let at = node.get(HttpPlan::listen)?;
    let text = at.as_text()?;
    let address = host::address(text);
    if address.is_none() {
        let message = format!("is not an address to listen on: {}", redact::quote(text));
        let remedy = "write an address with a port, as in \"0.0.0.0:8080\" or \"[::]:8080\"";
        context.faults.error(Code::BadForm, at, message, remedy);
    }
    address
}

/// Whether every request of one would be one of the other.
fn is_same(one: &HttpRoutePlan, other: &HttpRoutePlan) -> bool {
    let is_same = |(one, other): (&Segment, &Segment)| match (one, other) {
        (Segment::Capture(_), Segment::Capture(_)) => true,
        (one, other) => one == other,
    };
    one.method == other.method
        && one.path.len() == other.path.len()
        && one.path.iter().zip(&*other.path).all(is_same)
}

fn route(context: &mut Context<'_>, name: &str, node: &Node) -> Option<HttpRoutePlan> {
    let named = method_and_path(name);
    if let (Err(bad), true) = (&named, node.is_table()) {
        context
            .faults
            .error(Code::BadForm, node, bad.0.as_str(), EXAMPLE);
    }
    // Its other keys are looked at all the same.
    let captures: Vec<String> = named.iter().flat_map(captures).collect();
    let connection = context.connection(node, HttpRoutePlan::connection);
    let component = component(context, node);
    let exchange = exchange(context, node);
    let routing_key = routing_key(context, node, &captures);
    let headers = headers(context, node, &captures);
    let token = token(context, node);
    let rate = flow::rate(context, node.get(HttpRoutePlan::rate));
    let cors = origins(context, node);
    if let Some(at) = node.get(HttpRoutePlan::max_body)
        && HttpRoutePlan::max_body.value(Some(node)) > LARGEST_BODY
    {
        let message = "is above 128MiB, the largest message of RabbitMQ";
        let remedy = "write at most \"128MiB\"";
        context.faults.error(Code::OutOfRange, at, message, remedy);
    }
    if let Some(at) = node.get(HttpRoutePlan::accept)
        && node.list(HttpRoutePlan::accept).is_empty()
        && !at.is_faulty()
    {
        let remedy = "write one of \"json\", \"form\" and \"raw\" at least, or remove the key for [\"json\"]";
        let message = "must not be empty: no request would be taken";
        context.faults.error(Code::EmptyValue, at, message, remedy);
    }
    let (method, path) = named.ok()?;
    let meant = HttpRouteMeant {
        connection: connection?.into(),
        component: component.map(Into::into),
        exchange: exchange?.into(),
        routing_key: routing_key?.into(),
        headers: headers?.into(),
        token,
        rate,
        cors: cors.into(),
        name: name.into(),
        method,
        path: path.into(),
    };
    HttpRoutePlan::of_table(Some(node), meant)
}

fn captures((_, path): &(HttpMethod, Vec<Segment>)) -> Vec<String> {
    let captures = path.iter().filter_map(|segment| match segment {
        Segment::Capture(name) => Some(name.clone()),
        Segment::Text(_) => None,
    });
    captures.collect()
}

/// The component that decides over requests, if there is one.
fn component(context: &mut Context<'_>, node: &Node) -> Option<String> {
    if let (Some(at), None) = (
        node.get(HttpRoutePlan::concurrency),
        node.get(HttpRoutePlan::component),
    ) {
        let message = "only applies together with `component`";
        let remedy = "remove it: `rate` and `http.max_connections` limit what is published";
        context.faults.error(Code::NoEffect, at, message, remedy);
    }
    consumers::component(context, node.get(HttpRoutePlan::component)?)
}

/// A key that a route without a component needs; `None` if it is not there.
fn destination<'n, T, D: Copy>(
    context: &mut Context<'_>,
    node: &'n Node,
    key: Name<T, D>,
) -> Option<&'n Node> {
    let at = node.get(key);
    if at.is_none() && node.is_table() && node.get(HttpRoutePlan::component).is_none() {
        let key = key.name();
        let remedy = format!(
            "add `{key} = \"…\"` to `{}`, or a `component` that says what is published",
            node.key
        );
        context.faults.missing(node, key, remedy);
    }
    at
}

fn exchange<'n>(context: &mut Context<'_>, node: &'n Node) -> Option<&'n str> {
    let Some(at) = destination(context, node, HttpRoutePlan::exchange) else {
        return Some("");
    };
    let name = at.as_text()?;
    publication::short(context, at, name);
    Some(name)
}

fn routing_key(context: &mut Context<'_>, node: &Node, captures: &[String]) -> Option<Template> {
    match destination(context, node, HttpRoutePlan::routing_key) {
        Some(at) => text(context, Some(at), captures),
        None => Template::compile("").ok(),
    }
}

/// A text that may have values of the request in it.
fn text(context: &mut Context<'_>, at: Option<&Node>, captures: &[String]) -> Option<Template> {
    let at = at?;
    let compiled = Template::compile_in(at.as_text()?, Scope::Request(captures));
    match compiled {
        Ok(text) => {
            if let Some(fixed) = text.fixed() {
                publication::short(context, at, fixed);
            }
            Some(text)
        }
        Err(fault) => {
            let message = fault.to_string();
            let remedy =
                "docs/http.md lists the values of a request, and docs/routes.md the functions";
            context
                .faults
                .error(Code::BadExpression, at, message, remedy);
            None
        }
    }
}

fn headers(
    context: &mut Context<'_>,
    node: &Node,
    captures: &[String],
) -> Option<Vec<(String, Template)>> {
    let mut headers = Vec::new();
    for (name, at) in node.named(HttpRoutePlan::headers.untyped()) {
        publication::header_name(context, at, name);
        headers.push((name.clone(), text(context, Some(at), captures)));
    }
    let headers = headers.into_iter();
    headers.map(|(name, text)| Some((name, text?))).collect()
}

fn token(context: &mut Context<'_>, node: &Node) -> Option<Password> {
    let at = node.get(HttpRoutePlan::token)?;
    host::checked_token(context, at)
}

fn origins(context: &mut Context<'_>, node: &Node) -> Vec<String> {
    let mut origins = Vec::new();
    for at in node.list(HttpRoutePlan::cors) {
        let Some(text) = at.as_text() else {
            continue;
        };
        let server = ["https://", "http://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let is_server = |server: &str| {
            !server.is_empty()
                && server.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
                })
        };
        if text != "*" && !server.is_some_and(is_server) {
            let message = format!("is not an origin: {}", redact::quote(text));
            let remedy = "write scheme, host in lower case and, if it is not the usual one, port, without a path: \
                          \"https://shop.example\"; or \"*\"";
            context.faults.error(Code::BadForm, at, message, remedy);
        }
        origins.push(text.to_owned());
    }
    origins
}
