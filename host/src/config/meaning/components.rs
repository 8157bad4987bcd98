//! `[components.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use crate::config::plan::{ComponentPlan, Instances};
use crate::config::redact;
use crate::config::written::Node;

const DEFAULT_MEMORY: u64 = 64 << 20;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_MAX_PUBLICATIONS: u32 = 1000;
const DEFAULT_MAX_ANSWER: u64 = 16 << 20;
const DEFAULT_LOG_LINES: u32 = 100;

/// The components that nothing is wrong with, by name.
pub(super) fn plans(context: &mut Context<'_>) -> BTreeMap<Arc<str>, ComponentPlan> {
    let root = context.root;
    root.named("components")
        .iter()
        .filter_map(|(name, node)| Some((name.as_str().into(), plan(context, name, node)?)))
        .collect()
}

fn plan(context: &mut Context<'_>, name: &str, node: &Node) -> Option<ComponentPlan> {
    let instances = instances(context, node);
    let env = env(context, node);
    for key in ["path", "build"] {
        if let Some(at) = node.get(key).filter(|at| at.as_text() == Some("")) {
            context
                .faults
                .error(at, "must not be empty", "fill it in, or remove it");
        }
    }
    Some(ComponentPlan {
        name: name.into(),
        path: context.base(node).join(node.text("path")?),
        build: node.text("build").map(str::to_owned),
        instances,
        memory: node.size("memory").unwrap_or(DEFAULT_MEMORY),
        timeout: node.duration("timeout").unwrap_or(DEFAULT_TIMEOUT),
        max_publications: node
            .integer("max_publications")
            .unwrap_or(DEFAULT_MAX_PUBLICATIONS),
        max_answer: node.size("max_answer").unwrap_or(DEFAULT_MAX_ANSWER),
        log_lines: node.integer("log_lines").unwrap_or(DEFAULT_LOG_LINES),
        config: node.texts("config"),
        env,
    })
}

fn instances(context: &mut Context<'_>, node: &Node) -> Instances {
    if node.text("instances") != Some("fresh") {
        let recycle_after = node.integer("recycle_after");
        return Instances::Reuse { recycle_after };
    }
    if let Some(at) = node.get("recycle_after") {
        let message = "has no meaning with `instances = \"fresh\"`";
        let remedy = "remove it: a fresh instance serves one delivery";
        context.faults.error(at, message, remedy);
    }
    Instances::Fresh
}

/// The variables that are allowed and set. One that is not set is not there for the component
/// either, as it would not be for a process.
fn env(context: &mut Context<'_>, node: &Node) -> Vec<(String, String)> {
    let mut env = Vec::new();
    let Some(allow) = node.get("allow") else {
        return env;
    };
    for at in allow.list("env") {
        let Some(name) = at.as_text() else {
            continue;
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("is no name of a variable: {}", redact::quote(name));
            context
                .faults
                .error(at, message, "write the name alone, as in \"TZ\"");
        }
        if let Some(value) = context.environment.get(name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}
