//! The OpenAPI document of this server (OpenAPI 3.1), made from a table of its routes. A test holds the table against the
//! sources and against docs/admin-api.md.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Anybody who reaches the address.
    Anybody,
    /// Anybody, unless `host.admin_viewer_token` is set.
    Readers,
    /// This machine, and whoever has a token.
    Operators,
    /// Those that may give commands.
    Commands,
}

/// A path with a method.
struct Route {
    method: &'static str,
    path: &'static str,
    access: Access,
    summary: &'static str,
    /// Names in the query.
    query: &'static [&'static str],
    /// The media types of its body.
    body: &'static [&'static str],
}

const JSON: &[&str] = &["application/json"];
const CODE: &[&str] = &["application/wasm", "application/json"];

/// Which messages of a queue.
const CHOICE: &[&str] = &["where", "group", "limit", "connection", "exact", "counted"];
const REPUBLISH: &[&str] = &[
    "expect",
    "to",
    "where",
    "group",
    "limit",
    "connection",
    "exact",
    "counted",
];
const PURGE: &[&str] = &[
    "expect",
    "name",
    "where",
    "group",
    "limit",
    "connection",
    "exact",
    "counted",
];
const EDIT: &[&str] = &[
    "to",
    "again",
    "where",
    "group",
    "connection",
    "exact",
    "counted",
];
/// Which deliveries.
const WATCHED: &[&str] = &["consumer", "failed", "where", "messages"];
const WHOSE: &[&str] = &["all_hosts", "force"];
const SCALE: &[&str] = &["min", "max", "reset", "all_hosts", "force"];
const SWAP: &[&str] = &["canary", "shadow", "deliveries", "all_hosts", "force"];

const fn read(path: &'static str, access: Access, summary: &'static str) -> Route {
    Route {
        method: "get",
        path,
        access,
        summary,
        query: &[],
        body: &[],
    }
}

const fn look(path: &'static str, summary: &'static str) -> Route {
    Route {
        query: CHOICE,
        ..read(path, Access::Operators, summary)
    }
}

const fn command(
    path: &'static str,
    query: &'static [&'static str],
    body: &'static [&'static str],
    summary: &'static str,
) -> Route {
    Route {
        method: "post",
        path,
        access: Access::Commands,
        summary,
        query,
        body,
    }
}

const ROUTES: &[Route] = &[
    read("/", Access::Anybody, "The page."),
    read("/page.js", Access::Anybody, "The script of the page."),
    read("/page.css", Access::Anybody, "The style of the page."),
    read(
        "/livez",
        Access::Anybody,
        "200 as long as the process answers.",
    ),
    read(
        "/readyz",
        Access::Anybody,
        "200 while every consumer consumes and every connection is open, 503 otherwise.",
    ),
    read(
        "/metrics",
        Access::Anybody,
        "All metrics, in Prometheus' text format.",
    ),
    read("/v1/openapi.json", Access::Anybody, "This document."),
    read(
        "/v1/session",
        Access::Anybody,
        "Who the client is, and what it may do.",
    ),
    Route {
        method: "post",
        access: Access::Anybody,
        body: JSON,
        ..read(
            "/v1/login",
            Access::Anybody,
            "Exchanges a token, `{\"token\": \"…\"}`, for the cookie of a session.",
        )
    },
    Route {
        method: "post",
        body: JSON,
        ..read("/v1/logout", Access::Anybody, "Ends the session.")
    },
    read(
        "/v1/status",
        Access::Readers,
        "Connections, consumers, queues and components at this moment.",
    ),
    read(
        "/v1/components",
        Access::Readers,
        "Each component with the version that serves, its canary or shadow, its imports and grants.",
    ),
    read(
        "/v1/consumers",
        Access::Readers,
        "Each consumer with its state and its queues.",
    ),
    read(
        "/v1/consumers/{consumer}/demand",
        Access::Readers,
        "What waits for a consumer, to scale hosts by.",
    ),
    read(
        "/v1/hosts",
        Access::Readers,
        "The hosts of the group, and which of them consumes which queue.",
    ),
    read(
        "/v1/overview",
        Access::Operators,
        "The status, with rates and latencies over 5 s, 1 min and 5 min.",
    ),
    read(
        "/v1/events",
        Access::Operators,
        "The overview as server-sent events, one a second.",
    ),
    read(
        "/v1/topology",
        Access::Operators,
        "Exchanges, queues, consumers, components and publications as a graph, with rates and with what does not fit.",
    ),
    Route {
        query: WATCHED,
        ..read(
            "/v1/deliveries",
            Access::Operators,
            "Deliveries as they are settled, as server-sent events: a sample of those that pass the filter.",
        )
    },
    read(
        "/v1/consumers/{consumer}/deliveries",
        Access::Operators,
        "Deliveries in flight with their age, and the last failures.",
    ),
    read(
        "/v1/consumers/{consumer}/series",
        Access::Operators,
        "Rates, latencies and depths of the last five minutes, in samples.",
    ),
    read(
        "/v1/audit",
        Access::Operators,
        "The last commands, newest first.",
    ),
    look(
        "/v1/dead/{queue}/messages",
        "Dead letters, a line for each.",
    ),
    look("/v1/dead/{queue}/count", "How many dead letters match."),
    look(
        "/v1/dead/{queue}/groups",
        "Dead letters that ended alike, counted.",
    ),
    look(
        "/v1/dead/{queue}/show",
        "Dead letters in full: body (cut at 64 KiB), headers and story.",
    ),
    command(
        "/v1/dead/{queue}/republish",
        REPUBLISH,
        JSON,
        "Sends the dead letters that match back to where they failed, if they are as many as `expect`.",
    ),
    command(
        "/v1/dead/{queue}/purge",
        PURGE,
        JSON,
        "Deletes the dead letters that match, if they are as many as `expect` and `name` is the queue's.",
    ),
    command(
        "/v1/dead/{queue}/edit",
        EDIT,
        JSON,
        "Changes one dead letter and sends it: `{\"front\": {…}, \"body\": \"…\"}`.",
    ),
    command(
        "/v1/components/{component}/swap",
        SWAP,
        CODE,
        "Swaps a component to the code in the body, or to its file; with `canary` or `shadow`, on trial first.",
    ),
    command(
        "/v1/components/{component}/back",
        WHOSE,
        JSON,
        "Returns to the code that served before, or ends a canary or a shadow.",
    ),
    command(
        "/v1/components/{component}/promote",
        WHOSE,
        JSON,
        "Ends a canary or a shadow: it takes over now. 409 if none is on trial.",
    ),
    command(
        "/v1/components/{component}/roll-back",
        WHOSE,
        JSON,
        "Ends a canary or a shadow: the current version keeps serving. 409 if none is on trial.",
    ),
    command("/v1/reload", WHOSE, JSON, "Reads hive.toml again."),
    command(
        "/v1/consumers/{consumer}/pause",
        WHOSE,
        JSON,
        "Pauses a consumer.",
    ),
    command(
        "/v1/consumers/{consumer}/resume",
        WHOSE,
        JSON,
        "Resumes a consumer.",
    ),
    command(
        "/v1/consumers/{consumer}/scale",
        SCALE,
        JSON,
        "Sets the bounds of a consumer with `scale` until it is started again; with `reset`, those of hive.toml.",
    ),
];

/// The document.
pub(super) async fn openapi() -> Response {
    Json(document()).into_response()
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hive-host",
            "description": "The admin server of a Hive host. docs/admin-api.md describes the answers.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`host.admin_token`, or `host.admin_viewer_token` to read.",
                },
                "session": { "type": "apiKey", "in": "cookie", "name": "hive_session" },
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": { "type": "string" },
                        "code": { "type": "string", "pattern": "^HIVE-[0-9]{4}$" },
                    },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let in_query = route.query.iter().map(|name| parameter(name));
    let mut operation = json!({
        "summary": route.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": { "description": "done" },
            "default": {
                "description": "not done, with the reason",
                "content": {
                    "application/json": { "schema": { "$ref": "#/components/schemas/Error" } },
                },
            },
        },
    });
    if !route.body.is_empty() {
        let kinds = route
            .body
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({})));
        operation["requestBody"] = json!({ "content": kinds.collect::<Map<_, _>>() });
    }
    // An empty requirement is that of clients on this machine, and of those that need none.
    operation["security"] = match route.access {
        Access::Anybody => json!([]),
        Access::Readers | Access::Operators | Access::Commands => {
            json!([{}, { "token": [] }, { "session": [] }])
        }
    };
    operation
}

fn parameter(name: &str) -> Value {
    let schema = match name {
        "where" => json!({ "type": "array", "items": { "type": "string" } }),
        "limit" | "expect" | "deliveries" => json!({ "type": "integer", "minimum": 0 }),
        "min" | "max" => json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX }),
        "canary" => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 100 }),
        "exact" | "counted" | "again" | "all_hosts" | "force" | "failed" | "messages" | "reset"
        | "shadow" => {
            json!({ "type": "boolean" })
        }
        _ => json!({ "type": "string" }),
    };
    let required = matches!(name, "expect" | "name");
    json!({ "name": name, "in": "query", "required": required, "schema": schema })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use regex::Regex;

    use super::*;

    /// The routes that the sources of the server have, as `get /v1/status`.
    fn served() -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let below = std::fs::read_dir(folder.join("admin")).expect("it is there");
        let files = below.map(|entry| entry.expect("it can be read").path());
        let files = files.filter(|path| path.is_file() && !path.ends_with("openapi.rs"));
        let route = Regex::new(r#"\.route\(\s*"([^"]+)",\s*(?:guarded\()?(get|post)\("#);
        let route = route.expect("it is a pattern");
        let mut served = BTreeSet::new();
        for file in files.chain([folder.join("admin.rs")]) {
            let text = std::fs::read_to_string(file).expect("it is text");
            let calls = text.matches(".route(").count();
            let found: Vec<_> = route.captures_iter(&text).collect();
            assert_eq!(found.len(), calls, "the pattern meets every route");
            served.extend(
                found
                    .iter()
                    .map(|found| format!("{} {}", &found[2], &found[1])),
            );
        }
        served
    }

    #[test]
    fn every_route_is_in_the_document_and_none_else() {
        let described = ROUTES
            .iter()
            .map(|route| format!("{} {}", route.method, route.path));
        assert_eq!(described.collect::<BTreeSet<_>>(), served());
    }

    #[test]
    fn every_route_of_the_api_is_on_its_page() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admin-api.md");
        let page = std::fs::read_to_string(page).expect("it is text");
        for Route { method, path, .. } in ROUTES {
            let is_api = path.starts_with("/v1/");
            let named = format!("`{} {path}`", method.to_uppercase());
            assert!(!is_api || page.contains(&named), "{named} is missing");
        }
    }

    #[test]
    fn each_name_of_a_query_is_one_parameter() {
        let document = document();
        let purge = &document["paths"]["/v1/dead/{queue}/purge"]["post"];
        let names = purge["parameters"].as_array().expect("it has some").iter();
        let names: Vec<_> = names.filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names[..3], ["queue", "expect", "name"]);
        assert_eq!(document["paths"]["/livez"]["get"]["security"], json!([]));
    }
}
