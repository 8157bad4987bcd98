//! `component`, `routes` and `otherwise`: what decides over the deliveries of a consumer.

use std::sync::Arc;

use hive_core::codes::Code;
use hive_routes::{Answer, Expression, Fault, Publish, Route, Routes, Template, Unreached};

use super::Context;
use crate::keys::{Name, RouteKeys, RoutePublishKeys, RouteRetryKeys};
use crate::meaning::publication;
use crate::plan::{ConsumerPlan, Handler, Otherwise};
use crate::written::Node;

/// The reason of `otherwise`.
const NONE_HOLDS: &str = "no route holds";

const SEE: &str = "docs/routes.md lists the variables, their types and the functions";

/// What decides over the deliveries of the consumer at `node`; `None` for a fault, which was reported.
pub(super) fn handler(context: &mut Context<'_>, node: &Node) -> Option<Handler> {
    let component = node
        .get(ConsumerPlan::component)
        .and_then(|at| super::component(context, at));
    let Some(at) = node.get(ConsumerPlan::routes) else {
        if let Some(at) = node.get(ConsumerPlan::otherwise) {
            let message = "only applies together with `routes`";
            let remedy = "add `routes`, or remove the key";
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
        if node.is_table() && node.get(ConsumerPlan::component).is_none() {
            let remedy = format!(
                "add `component = \"…\"` to `{}`, or `routes` for a consumer without code",
                node.key
            );
            let key = ConsumerPlan::component.name();
            context.faults.missing(node, key, remedy);
        }
        return component.map(|name| Handler::Component(name.into()));
    };
    if let Some(component) = node.get(ConsumerPlan::component) {
        let message = "cannot be combined with `routes`: one of them decides over a delivery";
        let remedy =
            "remove one of the two; another queue takes the messages of a route to a component";
        context
            .faults
            .error(Code::Conflict, component, message, remedy);
    }
    if let Some(at) = node.get(ConsumerPlan::batch) {
        let message = "cannot be combined with `routes`, which take deliveries one by one";
        let remedy = "remove it: there is no call that a batch could save";
        context.faults.error(Code::Conflict, at, message, remedy);
    }
    let written = node.list(ConsumerPlan::routes);
    if written.is_empty() && !at.is_faulty() {
        let remedy = "write one route at least, such as { publish = { exchange = \"audit\" } }";
        context
            .faults
            .error(Code::EmptyValue, at, "has no route", remedy);
    }
    let routes: Vec<_> = written.iter().map(|node| route(context, node)).collect();
    let routes = Routes {
        // None is left out, or the numbers of the others would be wrong.
        routes: routes.into_iter().collect::<Option<_>>()?,
        otherwise: otherwise(node),
    };
    check_reached(context, node, written, &routes);
    Some(Handler::Routes(Arc::new(routes)))
}

fn otherwise(node: &Node) -> Answer {
    let reason = || Template::fixed_text(NONE_HOLDS);
    match ConsumerPlan::otherwise.value(Some(node)) {
        Otherwise::Ack => Answer::Ack,
        Otherwise::Reject => Answer::Reject(reason()),
        Otherwise::Retry => Answer::Retry(reason(), None),
    }
}

fn route(context: &mut Context<'_>, node: &Node) -> Option<Route> {
    if !node.is_table() {
        return None;
    }
    let when = match node.get(RouteKeys::when) {
        None => Some(None),
        Some(at) => compiled(context, at, Expression::condition).map(Some),
    };
    let answer = answer(context, node);
    Some(Route {
        when: when?,
        answer: answer?,
    })
}

/// The one thing that becomes of a delivery.
fn answer(context: &mut Context<'_>, node: &Node) -> Option<Answer> {
    const CHOICE: [Name<()>; 4] = [
        RouteKeys::publish,
        RouteKeys::reject.untyped(),
        RouteKeys::retry,
        RouteKeys::ack.untyped(),
    ];
    let mut set = CHOICE
        .iter()
        .filter_map(|key| Some((key.name(), node.get(*key)?)));
    let Some((first, at)) = set.next() else {
        let message = "does not say what becomes of the delivery";
        let remedy = "add one of `publish`, `reject`, `retry` and `ack = true`";
        context
            .faults
            .error(Code::MissingKey, node, message, remedy);
        return None;
    };
    if let Some((second, at)) = set.next() {
        let message = format!("cannot be combined with `{first}`: one thing becomes of a delivery");
        let remedy = format!("keep one of `{first}` and `{second}`");
        context.faults.error(Code::Conflict, at, message, remedy);
        return None;
    }
    if first == RouteKeys::publish.name() {
        return publish(context, at).map(|publish| Answer::Publish(Box::new(publish)));
    }
    if first == RouteKeys::reject.name() {
        return text(context, at).map(Answer::Reject);
    }
    if first == RouteKeys::retry.name() {
        let reason = text(context, at.get(RouteRetryKeys::reason)?)?;
        return Some(Answer::Retry(
            reason,
            RouteRetryKeys::delay.written(Some(at)),
        ));
    }
    if RouteKeys::ack.written(Some(node)) == Some(false) {
        let message = "is false, which says nothing";
        let remedy = "write `ack = true`, or one of `publish`, `reject` and `retry`";
        context.faults.error(Code::NoEffect, at, message, remedy);
        return None;
    }
    Some(Answer::Ack)
}

fn publish(context: &mut Context<'_>, node: &Node) -> Option<Publish> {
    let mut optional = |key: Name<String>| match node.get(key) {
        None => Some(None),
        Some(at) => text(context, at).map(Some),
    };
    let routing_key = optional(RoutePublishKeys::routing_key);
    let body = optional(RoutePublishKeys::body);
    let content_type = optional(RoutePublishKeys::content_type);
    let exchange = text(context, node.get(RoutePublishKeys::exchange)?);
    let headers: Vec<_> = node
        .named(RoutePublishKeys::headers)
        .iter()
        .map(|(name, at)| Some((name.clone(), text(context, at)?)))
        .collect();
    for key in [
        RoutePublishKeys::exchange.untyped(),
        RoutePublishKeys::routing_key.untyped(),
    ] {
        check_length(context, node.get(key));
    }
    Some(Publish {
        exchange: exchange?,
        routing_key: routing_key?,
        body: body?,
        content_type: content_type?,
        headers: headers.into_iter().collect::<Option<_>>()?,
        delay: RoutePublishKeys::delay.written(Some(node)),
    })
}

/// A short string at the broker, as far as it is known beforehand.
fn check_length(context: &mut Context<'_>, at: Option<&Node>) {
    let Some((at, text)) = at.and_then(|at| Some((at, at.as_text()?))) else {
        return;
    };
    let is_fixed = Template::compile(text).is_ok_and(|text| text.fixed().is_some());
    if is_fixed {
        publication::short(context, at, text);
    }
}

/// A text that may have values in it.
fn text(context: &mut Context<'_>, at: &Node) -> Option<Template> {
    compiled(context, at, Template::compile)
}

fn compiled<T>(
    context: &mut Context<'_>,
    at: &Node,
    compile: fn(&str) -> Result<T, Fault>,
) -> Option<T> {
    let compiled = compile(at.as_text()?);
    compiled
        .map_err(|fault| {
            let message = fault.to_string();
            context.faults.error(Code::BadExpression, at, message, SEE);
        })
        .ok()
}

/// Reports the routes that no delivery reaches.
fn check_reached(context: &mut Context<'_>, node: &Node, written: &[Node], routes: &Routes) {
    for (number, why) in routes.unreached() {
        let at = &written[number];
        let (message, remedy) = match why {
            Unreached::Behind(before) => (
                format!("is never reached: routes[{before}] takes every delivery"),
                "move it before that one, or remove it",
            ),
            Unreached::Twin(before) => (
                format!("is never reached: routes[{before}] has the same condition"),
                "correct one of the two conditions, or remove the route",
            ),
            Unreached::Never => (
                "is never taken: its condition holds for no delivery".to_owned(),
                "correct the condition, or remove the route",
            ),
        };
        context.faults.error(Code::Unreachable, at, message, remedy);
    }
    if let (Some(at), Some(last)) = (node.get(ConsumerPlan::otherwise), routes.takes_all()) {
        let message = format!("is never reached: routes[{last}] takes every delivery");
        let remedy = "remove it, or give that route a condition";
        context.faults.error(Code::Unreachable, at, message, remedy);
    }
}
