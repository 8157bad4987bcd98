//! The hosts of the group, and which of them is home of which queue: for `hive-host placement`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Sources;
use super::wire::{ErrorView, GroupView};

/// Asks every host of the group. The answer comes in two seconds, whether or not all of them answer.
pub(super) async fn hosts(State(sources): State<Sources>) -> Response {
    match &sources.hosts {
        Some(hosts) => Json(GroupView::from(&hosts().await)).into_response(),
        None => {
            let error = "the host is in no group, so it knows of no other host; set `host.group`, and restart it";
            (StatusCode::CONFLICT, Json(ErrorView::new(None, error))).into_response()
        }
    }
}
