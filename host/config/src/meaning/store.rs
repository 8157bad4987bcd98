//! `[store]`.

use super::Context;
use super::tls::{self, Scheme};
use crate::keys::{Name, RootKeys, StoreKeys, Word};
use crate::plan::{RedisPlan, StoreKind, StorePlan};
use crate::url;
use crate::written::Node;
use hive_core::codes::Code;

/// The keys of `[store]` that belong to one kind alone.
const OF_KINDS: [(Name<()>, StoreKind); 4] = [
    (StoreKeys::path.untyped(), StoreKind::Embedded),
    (StoreKeys::url.untyped(), StoreKind::Redis),
    (StoreKeys::prefix.untyped(), StoreKind::Redis),
    (StoreKeys::tls.untyped(), StoreKind::Redis),
];

pub(super) fn plan(context: &mut Context<'_>) -> StorePlan {
    let store = context.root.get(RootKeys::store);
    let kind = StoreKeys::kind.value(store);
    let written = StoreKeys::kind.at(store);
    if let Some(store) = store.filter(|_| !written.is_some_and(Node::is_faulty)) {
        refuse_others(context, store, kind);
    }
    match (kind, store) {
        (StoreKind::Memory, _) => StorePlan::Memory,
        (StoreKind::Redis, Some(store)) => {
            redis(context, store).map_or(StorePlan::Memory, StorePlan::Redis)
        }
        _ => embedded(context, store),
    }
}

fn refuse_others(context: &mut Context<'_>, store: &Node, kind: StoreKind) {
    for (key, of) in OF_KINDS {
        if let Some(at) = store.get(key).filter(|_| kind != of) {
            let message = format!("has no meaning with `kind = \"{}\"`", kind.word());
            let remedy = format!("remove it, or write `kind = \"{}\"`", of.word());
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
    }
}

fn embedded(context: &mut Context<'_>, store: Option<&Node>) -> StorePlan {
    let path = StoreKeys::path.value(store);
    if let Some(at) = StoreKeys::path.at(store).filter(|_| path.is_empty()) {
        let remedy = "name a file, or remove it";
        context
            .faults
            .error(Code::EmptyValue, at, "must not be empty", remedy);
    }
    StorePlan::Embedded {
        path: context.base(store.unwrap_or(context.root)).join(path),
    }
}

/// `None` if a fault was reported.
fn redis(context: &mut Context<'_>, store: &Node) -> Option<RedisPlan> {
    let Some(at) = store.get(StoreKeys::url) else {
        let remedy = "say where the server is, as in `url = \"redis://localhost:6379\"`";
        context.faults.missing(store, StoreKeys::url.name(), remedy);
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
    let tls = tls::plan(context, StoreKeys::tls.at(Some(store)), scheme);
    let (url, tls) = (url?, tls?);
    Some(RedisPlan {
        endpoint: url.endpoint,
        database: url.database,
        username: url.username,
        password: url.password,
        tls: url.tls.then_some(tls),
        prefix: StoreKeys::prefix.value(Some(store)),
    })
}
