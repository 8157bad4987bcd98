//! `[store]`.

use super::Context;
use super::tls::{self, Scheme};
use crate::plan::{RedisPlan, StorePlan};
use crate::url;
use crate::written::Node;
use hive_core::codes::Code;

/// The file that a host without `[store]` keeps beside its hive.toml.
const DEFAULT_FILE: &str = "hive.db";

/// The prefix of a host's keys, on a server that others may use as well.
const DEFAULT_PREFIX: &str = "hive:";

/// The keys of `[store]` that belong to one kind alone.
const OF_KINDS: [(&str, &str); 4] = [
    ("path", "embedded"),
    ("url", "redis"),
    ("prefix", "redis"),
    ("tls", "redis"),
];

pub(super) fn plan(context: &mut Context<'_>) -> StorePlan {
    let store = context.root.get("store");
    let kind = store.and_then(|store| store.text("kind"));
    let kind = kind.unwrap_or("embedded");
    if let Some(store) = store.filter(|store| !store.get("kind").is_some_and(Node::is_faulty)) {
        refuse_others(context, store, kind);
    }
    match (kind, store) {
        ("memory", _) => StorePlan::Memory,
        ("redis", Some(store)) => redis(context, store).map_or(StorePlan::Memory, StorePlan::Redis),
        _ => embedded(context, store),
    }
}

fn refuse_others(context: &mut Context<'_>, store: &Node, kind: &str) {
    for (key, of) in OF_KINDS {
        if let Some(at) = store.get(key).filter(|_| kind != of) {
            let message = format!("has no meaning with `kind = \"{kind}\"`");
            let remedy = format!("remove it, or write `kind = \"{of}\"`");
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
    }
}

fn embedded(context: &mut Context<'_>, store: Option<&Node>) -> StorePlan {
    let path = store.and_then(|store| store.get("path"));
    let named = path.and_then(|at| at.as_text());
    if let Some(at) = path.filter(|_| named == Some("")) {
        let remedy = "name a file, or remove it";
        context
            .faults
            .error(Code::EmptyValue, at, "must not be empty", remedy);
    }
    StorePlan::Embedded {
        path: context
            .base(store.unwrap_or(context.root))
            .join(named.unwrap_or(DEFAULT_FILE)),
    }
}

/// `None` if a fault was reported.
fn redis(context: &mut Context<'_>, store: &Node) -> Option<RedisPlan> {
    let Some(at) = store.get("url") else {
        let remedy = "say where the server is, as in `url = \"redis://localhost:6379\"`";
        context.faults.missing(store, "url", remedy);
        return None;
    };
    let url = at.as_text().and_then(|text| {
        url::redis_server(text)
            .map_err(|fault| {
                context
                    .faults
                    .error(Code::BadUrl, at, fault.message, fault.remedy)
            })
            .ok()
    });
    let scheme = Scheme {
        schemes: ["rediss://", "redis://"],
        is_tls: url.as_ref().map(|url| url.tls),
    };
    let tls = tls::plan(context, Some(store), scheme);
    let (url, tls) = (url?, tls?);
    Some(RedisPlan {
        endpoint: url.endpoint,
        database: url.database,
        username: url.username,
        password: url.password,
        tls: url.tls.then_some(tls),
        prefix: store.text("prefix").unwrap_or(DEFAULT_PREFIX).into(),
    })
}
