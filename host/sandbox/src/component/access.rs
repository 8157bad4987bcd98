//! The imports of a component, and what the plan grants of them: for `hive-host check`.

use std::fmt::Display;

use hive_config::plan::{AllowPlan, ComponentPlan};

/// One import, and whether the component gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The interface.
    pub import: String,
    /// The grant, or the key that would grant it.
    pub granted: String,
}

/// The grant of each import.
pub(crate) fn of(imports: &[String], plan: &ComponentPlan) -> Vec<Access> {
    imports
        .iter()
        .map(|import| Access {
            import: import.clone(),
            granted: granted(import, plan),
        })
        .collect()
}

fn granted(import: &str, plan: &ComponentPlan) -> String {
    let AllowPlan {
        env,
        http,
        dirs,
        keyvalue,
        request,
        blobstore,
        ..
    } = &plan.allow;
    let key = |key: &str| format!("nothing; `components.{}.{key}` grants it", plan.name);
    let interface = import.split('@').next().unwrap_or(import);
    match interface {
        "wasi:cli/environment" => {
            let names = env.iter().map(|(name, _)| name);
            list(names).unwrap_or_else(|| key("allow.env"))
        }
        "wasi:config/store" => {
            let names = plan.config.iter().map(|(name, _)| name);
            list(names).unwrap_or_else(|| key("config"))
        }
        "wasi:http/types" | "wasi:http/outgoing-handler" => {
            list(http.iter()).unwrap_or_else(|| key("allow.http"))
        }
        _ if interface.starts_with("wasi:filesystem/") => {
            list(dirs).unwrap_or_else(|| key("allow.dirs"))
        }
        _ if interface.starts_with("wasi:keyvalue/") => {
            list(&**keyvalue).unwrap_or_else(|| key("allow.keyvalue"))
        }
        "hive:consumer/requests" => list(&**request).unwrap_or_else(|| key("allow.request")),
        _ if interface.starts_with("wasi:blobstore/") => {
            list(&**blobstore).unwrap_or_else(|| key("allow.blobstore"))
        }
        _ if interface.starts_with("wasi:sockets/") => "nothing; no key grants it".to_owned(),
        "wasi:cli/stdin" => "an empty stream".to_owned(),
        "wasi:cli/stdout" | "wasi:cli/stderr" => "the host's log".to_owned(),
        _ => "always".to_owned(),
    }
}

/// Where a component may publish, as the plan says.
pub(crate) fn publications(plan: &ComponentPlan) -> String {
    match &plan.allow.publish {
        None => "anywhere".to_owned(),
        Some(grants) => list(grants).unwrap_or_else(|| "nowhere".to_owned()),
    }
}

/// `None` for an empty list.
fn list(granted: impl IntoIterator<Item: Display>) -> Option<String> {
    let granted: Vec<String> = granted.into_iter().map(|one| one.to_string()).collect();
    (!granted.is_empty()).then(|| granted.join(", "))
}
