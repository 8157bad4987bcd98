//! Each command that comes over HTTP is recorded, with who gave it and what came of it; and the record is given out.

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hive_core::codes::Code;
use hive_core::moments;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Sources;
use super::guard::Guard;
use crate::audit::{By, Entry, Given, Outcome, bounded};

/// What a command may be asked with. Anything else in a query may be a secret.
const ARGUMENTS: [&str; 16] = [
    "canary",
    "shadow",
    "deliveries",
    "min",
    "max",
    "reset",
    "all_hosts",
    "force",
    "where",
    "group",
    "limit",
    "connection",
    "exact",
    "to",
    "expect",
    "again",
];

/// Why a command was not carried out: beside the answer, for the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused(pub(super) Option<Code>);

/// The client may not give commands: beside the answer, for the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denied;

/// Who the client is known as from now on: beside the answer, for the record.
#[derive(Debug, Clone)]
pub(super) struct SignedIn(pub(super) By);

/// Carries out a command, and records it.
pub(super) async fn audited(
    State((sources, guard)): State<(Sources, Guard)>,
    request: Request,
    next: Next,
) -> Response {
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let from = from.map(|ConnectInfo(address)| address.ip());
    let by = guard.who(request.headers()).unwrap_or(By::Unknown);
    let given = given(by, from, request.uri().path(), request.uri().query());
    let answer = next.run(request).await;
    let given = match answer.extensions().get::<SignedIn>() {
        Some(SignedIn(by)) => Given {
            by: by.clone(),
            ..given
        },
        None => given,
    };
    let refused = answer.extensions().get::<Refused>();
    let outcome = match answer.status().is_success() {
        true => Outcome::Done,
        false => Outcome::of_code(refused.and_then(|Refused(code)| *code)),
    };
    match answer.extensions().get::<Denied>() {
        None => sources.audit.record(given, outcome),
        Some(Denied) => {
            // Another site may have had a browser send it.
            let by = match given.by {
                By::Viewer => By::Viewer,
                _ => By::Unknown,
            };
            sources.audit.record_denied(Given { by, ..given }, outcome);
        }
    }
    answer
}

/// The command of a path, such as `/v1/consumers/orders/pause`.
fn given(by: By, from: Option<IpAddr>, path: &str, query: Option<&str>) -> Given {
    let mut parts = path.split('/').skip(2);
    let (command, subject) = match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(subject), Some(command)) => (command, Some(subject)),
        (command, ..) => (command.unwrap_or_default(), None),
    };
    let decoded = |text: &str| bounded(&percent_decode_str(text).decode_utf8_lossy());
    let pairs = query.unwrap_or_default().split('&');
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let known = pairs.filter(|(name, _)| ARGUMENTS.contains(name));
    Given {
        by,
        from,
        command: bounded(command),
        subject: subject.map(decoded),
        arguments: known
            .map(|(name, value)| (name.to_owned(), decoded(value)))
            .collect(),
    }
}

/// One command, as JSON.
#[derive(Debug, Serialize)]
struct EntryView {
    /// RFC 3339, in UTC.
    at: String,
    by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    arguments: Map<String, Value>,
    result: &'static str,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let Given {
            by,
            from,
            command,
            subject,
            arguments,
        } = entry.given;
        let arguments = arguments.into_iter();
        Self {
            at: moments::to_the_millisecond(entry.at),
            by: by.to_string(),
            from,
            command,
            subject,
            arguments: arguments
                .map(|(name, value)| (name, value.into()))
                .collect(),
            result: entry.outcome.as_str(),
        }
    }
}

/// The record, newest first, for operators alone: it has their addresses.
pub(super) async fn audit(State(sources): State<Sources>) -> Response {
    let entries = sources.audit.entries().into_iter();
    let commands: Vec<EntryView> = entries.map(EntryView::from).collect();
    Json(commands).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_command_with_its_subject_and_its_known_arguments() {
        let given = |path, query| {
            let given = given(By::Admin, None, path, query);
            (given.command, given.subject, given.arguments)
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            given(
                "/v1/consumers/a%2Fb/pause",
                Some("all_hosts=true&token=secret")
            ),
            (
                "pause".to_owned(),
                Some("a/b".to_owned()),
                vec![pair("all_hosts", "true")]
            )
        );
        assert_eq!(
            given("/v1/components/orders/swap", Some("canary=5&deliveries=9")),
            (
                "swap".to_owned(),
                Some("orders".to_owned()),
                vec![pair("canary", "5"), pair("deliveries", "9")]
            )
        );
        assert_eq!(
            given("/v1/reload", None),
            ("reload".to_owned(), None, vec![])
        );
        let (_, subject, _) = given(&format!("/v1/consumers/{}/pause", "n".repeat(10_000)), None);
        assert_eq!(subject.unwrap().len(), 200);
    }
}
