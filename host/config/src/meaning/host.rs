//! `[host]`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use super::Context;
use crate::keys::{HostMeant, RootKeys, Word as _};
use crate::plan::{AdminPlan, HostPlan, LogFormat, Password};
use crate::redact;
use crate::written::Node;
use hive_core::codes::Code;

/// The name on a machine that has none.
const NAMELESS: &str = "hive";

/// Where health and metrics are served unless the file says otherwise: to this machine alone.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9191));

pub(super) fn plan(context: &mut Context<'_>) -> Option<HostPlan> {
    let host = context.root.get(RootKeys::host);
    let name = match HostPlan::name.at(host) {
        Some(name) => name.as_text()?.into(),
        None if context.environment.hostname.is_empty() => NAMELESS.into(),
        None => context.environment.hostname.as_str().into(),
    };
    let meant = HostMeant {
        name,
        admin: admin(context, host),
        admin_token: token(context, host),
        admin_viewer_token: viewer_token(context, host),
        group: group(context, host),
        log: log(context, host),
        log_format: log_format(context, host),
    };
    HostPlan::of_table(host, meant)
}

/// The address of health and metrics. A machine's own name stands for its loopback address.
fn admin(context: &mut Context<'_>, host: Option<&Node>) -> Option<AdminPlan> {
    let Some(node) = HostPlan::admin.at(host) else {
        return Some(AdminPlan {
            address: DEFAULT_ADMIN,
            is_named: false,
        });
    };
    let text = node.as_text()?;
    if text == "off" {
        return None;
    }
    let address = address(text);
    if address.is_none() {
        let message = format!("is not an address to listen on: {}", redact::quote(text));
        let remedy =
            "write an address with a port, as in \"127.0.0.1:9191\" or \"[::1]:9191\", or \"off\"";
        context.faults.error(Code::BadForm, node, message, remedy);
    }
    Some(AdminPlan {
        address: address?,
        is_named: true,
    })
}

/// An address to listen on.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| (Ipv4Addr::LOCALHOST, port).into()),
        None => text.parse().ok(),
    }
}

/// The token that commands to the admin server must send.
fn token(context: &mut Context<'_>, host: Option<&Node>) -> Option<Password> {
    let node = HostPlan::admin_token.at(host)?;
    checked_token(context, node)
}

/// The token of clients that only read. One that equals the other would change things too.
fn viewer_token(context: &mut Context<'_>, host: Option<&Node>) -> Option<Password> {
    let node = HostPlan::admin_viewer_token.at(host)?;
    let token = checked_token(context, node)?;
    let admin = HostPlan::admin_token.at(host).and_then(Node::as_text);
    if admin == Some(token.expose_secret()) {
        let message = "is the token of `host.admin_token`, which may change things";
        let remedy = "write another one: what `openssl rand -hex 32` prints";
        context.faults.error(Code::Conflict, node, message, remedy);
    }
    Some(token)
}

/// A token that requests must send.
pub(super) fn checked_token(context: &mut Context<'_>, node: &Node) -> Option<Password> {
    /// Shorter ones can be guessed.
    const SHORTEST: usize = 16;
    let text = node.as_text()?;
    if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message =
            format!("has to be at least {SHORTEST} letters, digits and signs, without spaces");
        let remedy =
            "write what `openssl rand -hex 32` prints, or \"file:PATH\" to read it from there";
        context.faults.error(Code::WeakToken, node, message, remedy);
    }
    Some(Password::from(text.to_owned()))
}

/// The group of hosts, whose name becomes a part of names at the broker.
fn group(context: &mut Context<'_>, host: Option<&Node>) -> Option<Arc<str>> {
    const LONGEST: usize = 100;
    let node = HostPlan::group.at(host)?;
    let text = node.as_text()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(is_plain) {
        let message = format!("is not the name of a group: {}", redact::quote(text));
        let remedy = "write 1 to 100 letters, digits, `.`, `-` and `_`";
        context.faults.error(Code::BadForm, node, message, remedy);
    }
    Some(text.into())
}

/// The filter of log lines: RUST_LOG's, then the file's. Both are checked.
fn log(context: &mut Context<'_>, host: Option<&Node>) -> String {
    const REMEDY: &str = "write a level, or targets with levels: \"info,lapin=warn\"";
    let mut filter = HostPlan::log.value(host);
    if let Some(node) = HostPlan::log.at(host)
        && let Some(text) = node.as_text()
        && EnvFilter::builder().parse(text).is_err()
    {
        let message = format!("is not a filter of log lines: {}", redact::quote(text));
        context.faults.error(Code::BadForm, node, message, REMEDY);
    }
    if let Some(text) = context.variable("RUST_LOG") {
        filter = text.to_owned();
        if EnvFilter::builder().parse(text).is_err() {
            let message = format!("is not a filter of log lines: {}", redact::quote(text));
            context
                .faults
                .elsewhere(Code::BadForm, "RUST_LOG", message, REMEDY);
        }
    }
    filter
}

/// The format of log lines: HIVE_LOG_FORMAT's, then the file's. An image is made for one platform, and its hive.toml
/// also runs on a developer's machine.
fn log_format(context: &mut Context<'_>, host: Option<&Node>) -> LogFormat {
    const VARIABLE: &str = "HIVE_LOG_FORMAT";
    let written = HostPlan::log_format.value(host);
    let Some(text) = context.variable(VARIABLE) else {
        return written;
    };
    let format = LogFormat::of(text);
    if format.is_none() {
        let message = format!("is not a format of log lines: {}", redact::quote(text));
        let remedy = "set it to \"text\" or \"json\", or not at all";
        context
            .faults
            .elsewhere(Code::BadForm, VARIABLE, message, remedy);
    }
    format.unwrap_or(written)
}
