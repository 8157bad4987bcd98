//! `[store]`.

use super::Context;
use crate::config::plan::StorePlan;

/// The file that a host without `[store]` keeps beside its hive.toml.
const DEFAULT_FILE: &str = "hive.db";

pub(super) fn plan(context: &mut Context<'_>) -> StorePlan {
    let store = context.root.get("store");
    let path = store.and_then(|store| store.get("path"));
    if store.and_then(|store| store.text("kind")) == Some("memory") {
        if let Some(at) = path {
            let message = "has no meaning with `kind = \"memory\"`";
            let remedy = "remove it, or write `kind = \"embedded\"`";
            context.faults.error(at, message, remedy);
        }
        return StorePlan::Memory;
    }
    let named = path.and_then(|at| at.as_text());
    if let Some(at) = path.filter(|_| named == Some("")) {
        let remedy = "name a file, or remove it";
        context.faults.error(at, "must not be empty", remedy);
    }
    StorePlan::Embedded {
        path: context
            .base(store.unwrap_or(context.root))
            .join(named.unwrap_or(DEFAULT_FILE)),
    }
}
