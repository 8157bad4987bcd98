//! The hosts of the group, and which of them is home of which queue: for `hive-host placement`. And
//! commands for all of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Sources;
use super::commands::refused;
use super::wire::{ErrorView, FromAllView, GroupView};
use crate::control::Command;

/// Asks every host of the group. The answer comes in two seconds, whether or not all of them answer.
pub(super) async fn hosts(State(sources): State<Sources>) -> Response {
    match &sources.hosts {
        Some(hosts) => Json(GroupView::from(&(hosts.status)().await)).into_response(),
        None => in_no_group(),
    }
}

fn in_no_group() -> Response {
    let error =
        "the host is in no group, so it knows of no other host; set `host.group`, and restart it";
    (StatusCode::CONFLICT, Json(ErrorView::new(None, error))).into_response()
}

/// Has every host of the group carry out a command.
pub(super) async fn command(sources: &Sources, command: Command, force: bool) -> Response {
    let Some(hosts) = &sources.hosts else {
        return in_no_group();
    };
    match (hosts.command)(command, force).await {
        Ok(from_all) => {
            let status = match from_all.carried_out {
                true => StatusCode::OK,
                false => StatusCode::CONFLICT,
            };
            (status, Json(FromAllView::from(&from_all))).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}
