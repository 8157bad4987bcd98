//! `[connections.NAME]`: the URL, what the environment says about it, and the defaults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::tls::{self, Scheme};
use crate::environment::Environment;
use crate::keys::{ConnectionMeant, ReconnectMeant, RootKeys};
use crate::plan::{ConnectionPlan, MAIN, ManagementPlan, ReconnectPlan, TlsPlan, TopologyPlan};
use crate::redact;
use crate::units;
use crate::url::{self, BrokerUrl, UrlFault};
use crate::written::Node;
use hive_core::codes::Code;

/// Used where neither the file nor the environment names a broker.
const DEFAULT_URL: &str = "amqp://guest:guest@localhost:5672/%2f";

/// The variable that names the broker.
const URL: &str = "RABBITMQ_URL";
/// The name of the URL that takes precedence over those in the file, for messages.
const FORCED_URL: &str = "--broker";
/// The variable whose heartbeat wins over every other.
const HEARTBEAT: &str = "RABBITMQ_HEARTBEAT";

/// The connections that nothing is wrong with, by name.
pub(super) fn plans(context: &mut Context<'_>) -> BTreeMap<Arc<str>, ConnectionPlan> {
    let root = context.root;
    let default = default_url(context);
    let forced_heartbeat = forced_heartbeat(context);
    let mut plans = BTreeMap::new();
    let mut add = |name: &str, plan: Option<ConnectionPlan>| {
        if let Some(plan) = plan {
            plans.insert(name.into(), plan);
        }
    };
    let mut plan_of = |name: &str, node: Option<&Node>| {
        let plan = plan(context, name, node, default.as_deref())?;
        Some(ConnectionPlan {
            heartbeat: forced_heartbeat.unwrap_or(plan.heartbeat),
            ..plan
        })
    };
    if root.get(RootKeys::connections).is_none() {
        add(MAIN, plan_of(MAIN, None));
    }
    for (name, node) in root.named(RootKeys::connections) {
        add(name, plan_of(name, Some(node)));
    }
    plans
}

/// Whether the file or the environment says where a broker is.
pub(crate) fn names_a_broker(root: &Node, environment: &Environment) -> bool {
    let connections = root.named(RootKeys::connections).iter();
    environment.broker.is_some()
        || environment.filled(URL).is_some()
        || environment.unreadable.contains(URL)
        || connections
            .filter(|(_, node)| node.get(ConnectionPlan::url).is_some())
            .count()
            > 0
}

fn plan(
    context: &mut Context<'_>,
    name: &str,
    node: Option<&Node>,
    default: Option<&str>,
) -> Option<ConnectionPlan> {
    let forced = context.environment.broker.clone();
    let written = ConnectionPlan::url.at(node);
    let url = match (forced, written) {
        (Some(forced), _) => forced_url(context, &forced),
        (None, Some(node)) => node
            .as_text()
            .and_then(|text| read_url(context, node, text)),
        (None, None) => default.and_then(|text| url::parse(text).ok()),
    };
    let heartbeat = heartbeat(context, node);
    let reconnect = reconnect(context, ConnectionPlan::reconnect.at(node));
    let scheme = Scheme {
        schemes: ["amqps://", "amqp://"],
        is_tls: url.as_ref().map(|url| url.tls || is_managed_over_tls(node)),
    };
    let written_tls = ConnectionPlan::tls.at(node);
    let tls = tls::plan(context, written_tls, scheme);
    let url = url?;
    if let Some((message, remedy)) = tls::external(&url, written_tls) {
        match written {
            Some(at) => context.faults.error(Code::MissingKey, at, message, remedy),
            None => context
                .faults
                .elsewhere(Code::MissingKey, URL, message, remedy),
        }
    }
    let tls = tls?;
    let management = management(context, ConnectionPlan::management.at(node), &url, &tls);
    let meant = ConnectionMeant {
        name: name.into(),
        management: management?,
        endpoints: url.endpoints,
        username: url.username,
        password: url.password,
        mechanism: url.mechanism,
        vhost: url.vhost,
        heartbeat: url.heartbeat.unwrap_or(heartbeat),
        connect_timeout: url
            .connect_timeout
            .unwrap_or_else(|| ConnectionPlan::connect_timeout.value(node)),
        reconnect: reconnect?,
        tls: url.tls.then_some(tls),
        frame_max: url.frame_max,
        channel_max: url.channel_max,
        topology: TopologyPlan::default(),
    };
    ConnectionPlan::of_table(node, meant)
}

fn is_managed_over_tls(node: Option<&Node>) -> bool {
    let management = ConnectionPlan::management.at(node);
    management.and_then(Node::as_text).is_some_and(url::is_tls)
}

/// The management interface, if there is one; `None` if its URL is wrong.
fn management(
    context: &mut Context<'_>,
    node: Option<&Node>,
    broker: &BrokerUrl,
    tls: &TlsPlan,
) -> Option<Option<ManagementPlan>> {
    let Some(node) = node else {
        return Some(None);
    };
    match url::management(node.as_text()?, broker, tls) {
        Ok(management) => Some(Some(management)),
        Err(UrlFault { message, remedy }) => {
            context.faults.error(Code::BadUrl, node, message, remedy);
            None
        }
    }
}

fn forced_url(context: &mut Context<'_>, text: &str) -> Option<BrokerUrl> {
    match url::parse(text) {
        Ok(url) => Some(url),
        Err(faults) => {
            for UrlFault { message, remedy } in faults {
                context
                    .faults
                    .elsewhere(Code::BadUrl, FORCED_URL, message, remedy);
            }
            None
        }
    }
}

fn read_url(context: &mut Context<'_>, node: &Node, text: &str) -> Option<BrokerUrl> {
    match url::parse(text) {
        Ok(url) => Some(url),
        Err(faults) => {
            for UrlFault { message, remedy } in faults {
                context.faults.error(Code::BadUrl, node, message, remedy);
            }
            None
        }
    }
}

/// The URL of a connection that has none; `None` if RABBITMQ_URL is wrong. It is not read if every connection
/// has its own.
fn default_url(context: &mut Context<'_>) -> Option<String> {
    let connections = context.root.get(RootKeys::connections);
    let named = context.root.named(RootKeys::connections);
    if connections.is_some()
        && named
            .iter()
            .all(|(_, node)| node.get(ConnectionPlan::url).is_some())
    {
        return None;
    }
    let Some(text) = context.variable(URL) else {
        return Some(DEFAULT_URL.to_owned());
    };
    match url::parse(text) {
        Ok(_) => Some(text.to_owned()),
        Err(faults) => {
            for UrlFault { message, remedy } in faults {
                context.faults.elsewhere(Code::BadUrl, URL, message, remedy);
            }
            None
        }
    }
}

/// RABBITMQ_HEARTBEAT: seconds, or a duration.
fn forced_heartbeat(context: &mut Context<'_>) -> Option<Duration> {
    let text = context.variable(HEARTBEAT)?;
    let seconds = text
        .parse::<u16>()
        .map(|seconds| Duration::from_secs(seconds.into()));
    let heartbeat = seconds.ok().or_else(|| units::duration(text));
    let fits = |heartbeat: &Duration| {
        heartbeat.subsec_nanos() == 0 && heartbeat.as_secs() <= u16::MAX.into()
    };
    let heartbeat = heartbeat.filter(fits);
    if heartbeat.is_none() {
        let message = format!("is not a heartbeat: {}", redact::quote(text));
        let remedy = "write whole seconds from 0 to 65535, as in 10 or 10s";
        context
            .faults
            .elsewhere(Code::BadForm, HEARTBEAT, message, remedy);
    }
    heartbeat
}

/// AMQP carries a heartbeat in whole seconds.
fn heartbeat(context: &mut Context<'_>, node: Option<&Node>) -> Duration {
    let heartbeat = ConnectionPlan::heartbeat.value(node);
    if let Some(node) = ConnectionPlan::heartbeat.at(node)
        && heartbeat.subsec_nanos() > 0
    {
        let message = format!("is not in whole seconds: \"{}\"", units::show(heartbeat));
        context.faults.error(
            Code::BadForm,
            node,
            message,
            "AMQP counts heartbeats in seconds: write \"10s\"",
        );
    }
    heartbeat
}

fn reconnect(context: &mut Context<'_>, node: Option<&Node>) -> Option<ReconnectPlan> {
    let max = ReconnectPlan::max.value(node);
    let first = ReconnectPlan::first.written(node);
    let first = first.unwrap_or_else(|| ReconnectPlan::first.default().min(max));
    let max = ReconnectPlan::max.written(node).unwrap_or(max.max(first));
    if let Some(node) = ReconnectPlan::first.at(node).filter(|_| first > max) {
        let (first, max) = (units::show(first), units::show(max));
        let message = format!("is longer than `max`: \"{first}\" against \"{max}\"");
        context.faults.error(
            Code::CrossedBounds,
            node,
            message,
            "the pause grows from `first` to `max`: swap them",
        );
    }
    ReconnectPlan::of_table(node, ReconnectMeant { first, max })
}
