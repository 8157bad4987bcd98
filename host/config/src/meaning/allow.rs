//! `[components.NAME.allow]`.

mod blobstore;
mod http;

use std::path::Path;

use super::Context;
use crate::keys::{AllowMeant, DirMeant};
use crate::plan::{AllowPlan, ComponentPlan, DirGrant, HttpGrant, PublishGrant};
use crate::redact;
use crate::written::Node;
use hive_core::codes::Code;
use hive_core::glob::Glob;

/// The grants of the component.
pub(super) fn plan(context: &mut Context<'_>, component: &Node) -> AllowPlan {
    let Some(allow) = component.get(ComponentPlan::allow) else {
        return AllowPlan::default();
    };
    let meant = AllowMeant {
        env: env(context, allow),
        http: http(context, allow).into(),
        dirs: dirs(context, allow),
        publish: publish(context, allow),
        request: patterns(context, allow.list(AllowPlan::request)).into(),
        blobstore: blobstore::containers(context, allow).into(),
    };
    AllowPlan::of_table(Some(allow), meant).unwrap_or_default()
}

/// The variables that are allowed and set. One that is not set is not there for the component
/// either, as it would not be for a process.
fn env(context: &mut Context<'_>, allow: &Node) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for at in allow.list(AllowPlan::env) {
        let Some(name) = at.as_text() else {
            continue;
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("is not the name of a variable: {}", redact::quote(name));
            context.faults.error(
                Code::BadGrant,
                at,
                message,
                "write the name alone, as in \"TZ\"",
            );
        }
        if let Some(value) = context.environment.get(name) {
            env.push((name.to_owned(), value.to_owned()));
        }
        if context.environment.unreadable.contains(name) {
            let message = format!(
                "is a variable whose value is not UTF-8: {}",
                redact::quote(name)
            );
            let remedy = "set it to a text in UTF-8; the component does not see it as it is";
            context
                .faults
                .warning(Code::VariableNotUtf8, at, message, remedy);
        }
    }
    env
}

fn http(context: &mut Context<'_>, allow: &Node) -> Vec<HttpGrant> {
    let mut grants = Vec::new();
    for at in allow.list(AllowPlan::http) {
        let Some(text) = at.as_text() else {
            continue;
        };
        match http::grant(text) {
            Ok(grant) => grants.push(grant),
            Err(http::Fault { is, remedy }) => {
                let message = format!("{is}: {}", redact::quote(text));
                context.faults.error(Code::BadGrant, at, message, remedy);
            }
        }
    }
    grants
}

fn dirs(context: &mut Context<'_>, allow: &Node) -> Vec<DirGrant> {
    let mut grants: Vec<DirGrant> = Vec::new();
    for node in allow.list(AllowPlan::dirs) {
        let (Some(host), Some(guest)) = (node.get(DirGrant::host), node.get(DirGrant::guest))
        else {
            continue;
        };
        let path = host.as_text().map(|path| context.base(host).join(path));
        if let Some(path) = &path {
            is_a_directory(context, host, path);
        }
        let name = guest.as_text().map(|name| guest_path(context, guest, name));
        let (Some(host), Some(Some(name))) = (path, name) else {
            continue;
        };
        if grants.iter().any(|grant| grant.guest == name) {
            let message = format!("is the name of two directories: {}", redact::quote(&name));
            let remedy = "give each directory a `guest` of its own";
            context
                .faults
                .error(Code::Duplicate, guest, message, remedy);
        }
        let meant = DirMeant { host, guest: name };
        grants.extend(DirGrant::of_table(Some(node), meant));
    }
    grants
}

fn is_a_directory(context: &mut Context<'_>, node: &Node, path: &Path) {
    let shown = path.display();
    let message = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return,
        Ok(_) => format!("names something that is not a directory: {shown}"),
        Err(error) => format!("names a directory that cannot be used: {shown}: {error}"),
    };
    let remedy =
        "make the directory, or name one that is there; a relative path starts at this file";
    context.faults.error(Code::BadGrant, node, message, remedy);
}

/// The component's name of a directory, without a `/` at its end.
fn guest_path(context: &mut Context<'_>, node: &Node, text: &str) -> Option<String> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    let inner = text
        .strip_prefix('/')
        .map(|inner| inner.trim_end_matches('/'));
    match inner {
        Some("") => Some("/".to_owned()),
        Some(inner) if inner.split('/').all(is_plain) => Some(format!("/{inner}")),
        _ => {
            let message = format!("is not an absolute path: {}", redact::quote(text));
            let remedy = "write it from the root, without `.` and `..`, as in \"/data\"";
            context.faults.error(Code::BadGrant, node, message, remedy);
            None
        }
    }
}

/// `None` if the key is missing: then the component may publish anywhere.
fn publish(context: &mut Context<'_>, allow: &Node) -> Option<Vec<PublishGrant>> {
    allow.get(AllowPlan::publish)?;
    Some(patterns(context, allow.list(AllowPlan::publish)))
}

fn patterns(context: &mut Context<'_>, list: &[Node]) -> Vec<PublishGrant> {
    let mut grants = Vec::new();
    for at in list {
        let Some(text) = at.as_text() else {
            continue;
        };
        grants.extend(publications(context, at, text));
    }
    grants
}

/// The publications that `text` names, which stands at `at`; `None` for a fault, which was reported.
pub(super) fn publications(
    context: &mut Context<'_>,
    at: &Node,
    text: &str,
) -> Option<PublishGrant> {
    let grant = publish_grant(text);
    if grant.is_none() {
        let message = format!(
            "is not a pattern of an exchange and a routing key: {}",
            redact::quote(text)
        );
        let remedy = "write EXCHANGE:ROUTING-KEY, as in \"orders:*\", or \":a.queue\" for the default exchange; `*` is \
                      anything, `?` one character, `\\` takes the next one as it is";
        context.faults.error(Code::BadGrant, at, message, remedy);
    }
    grant
}

/// The two sides of the first `:` that no `\` stands before.
fn publish_grant(text: &str) -> Option<PublishGrant> {
    let mut taken = false;
    let colon = text.char_indices().find_map(|(at, character)| {
        let found = character == ':' && !taken;
        taken = character == '\\' && !taken;
        found.then_some(at)
    })?;
    Some(PublishGrant {
        exchange: Glob::parse(&text[..colon])?,
        routing_key: Glob::parse(&text[colon + 1..])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_an_exchange_and_a_routing_key() {
        let shown = |text| publish_grant(text).map(|grant| grant.to_string());
        assert_eq!(shown("orders:*").as_deref(), Some("orders:*"));
        assert_eq!(shown(":a.queue").as_deref(), Some(":a.queue"));
        assert_eq!(shown(":").as_deref(), Some(":"));
        let escaped = publish_grant(r"a\:b:c:d").unwrap();
        assert!(escaped.exchange.matches("a:b") && escaped.routing_key.matches("c:d"));
        let escaped = publish_grant(r"a\\:b").unwrap();
        assert!(escaped.exchange.matches(r"a\") && escaped.routing_key.matches("b"));
        for wrong in ["", "orders", r"orders\:x", r"a:b\"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
