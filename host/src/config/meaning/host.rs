//! `[host]`.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::Context;
use crate::config::plan::{HostPlan, LogFormat};
use crate::config::redact;
use crate::config::written::Node;

/// The name on a machine that has none.
const NAMELESS: &str = "hive";

pub(super) fn plan(context: &mut Context<'_>) -> Option<HostPlan> {
    let host = context.root.get("host");
    let name = match host.and_then(|host| host.get("name")) {
        Some(name) => name.as_text()?.into(),
        None if context.environment.hostname.is_empty() => NAMELESS.into(),
        None => context.environment.hostname.as_str().into(),
    };
    let log_format = match host.and_then(|host| host.text("log_format")) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    };
    Some(HostPlan {
        name,
        shutdown_timeout: host
            .and_then(|host| host.duration("shutdown_timeout"))
            .unwrap_or(Duration::from_secs(30)),
        log: log(context, host),
        log_format,
    })
}

/// The filter of log lines: RUST_LOG's, then the file's. Both are checked.
fn log(context: &mut Context<'_>, host: Option<&Node>) -> String {
    const REMEDY: &str = "write a level, or targets with levels: \"info,lapin=warn\"";
    let mut filter = "info".to_owned();
    if let Some(node) = host.and_then(|host| host.get("log"))
        && let Some(text) = node.as_text()
    {
        filter = text.to_owned();
        if EnvFilter::builder().parse(text).is_err() {
            let message = format!("is not a filter of log lines: {}", redact::quote(text));
            context.faults.error(node, message, REMEDY);
        }
    }
    if let Some(text) = context.environment.filled("RUST_LOG") {
        filter = text.to_owned();
        if EnvFilter::builder().parse(text).is_err() {
            let message = format!("is not a filter of log lines: {}", redact::quote(text));
            context.faults.elsewhere("RUST_LOG", message, REMEDY);
        }
    }
    filter
}
