//! Commands over HTTP: each is one POST, answered when it has been carried out.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use hive_config::plan::Password;
use hive_core::canary::{CanaryRule, Verdict};
use hive_core::scaling::NewBounds;
use hive_core::shadow::ShadowRule;
use serde::Deserialize;

use super::Sources;
use super::audited::{Refused, audited};
use super::guard::{Guard, guard};
use super::hosts;
use super::wire::{DoneView, ErrorView};
use crate::control::{Command, Control, LARGEST_CODE, NewCode, Refusal, TrialRule};

/// Deliveries after which a canary is judged, and a shadow reported, unless the request names another number.
const DELIVERIES: u32 = 200;

/// Where commands go, and who may give them.
#[derive(Clone)]
pub struct Commands {
    /// Carries them out.
    pub control: Control,
    /// `host.admin_token`.
    pub token: Option<Password>,
    /// `host.admin_viewer_token`, whose clients give none.
    pub viewer: Option<Password>,
}

/// How a swap is to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    /// Of a hundred deliveries, those that the new version gets on trial.
    canary: Option<f64>,
    /// Whether the new version gets a copy of each delivery, and its answers are compared and dropped.
    #[serde(default)]
    shadow: bool,
    /// The number of deliveries after which it is judged, or after which the comparison is reported.
    deliveries: Option<u32>,
    #[serde(default)]
    all_hosts: bool,
    #[serde(default)]
    force: bool,
}

/// Which hosts a command is for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// For every host of the group, if each of them accepts it.
    #[serde(default)]
    all_hosts: bool,
    /// For those that accept it.
    #[serde(default)]
    force: bool,
}

/// Which bounds a scale is to have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    min: Option<u16>,
    max: Option<u16>,
    /// Those of hive.toml.
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    all_hosts: bool,
    #[serde(default)]
    force: bool,
}

/// A command that is recorded, and carried out for those who may give it.
///
/// The layers are before each command alone, so that an unknown path is 404 and a wrong method 405 whatever the headers say.
/// The record is around the guard: a command that is denied is recorded too.
pub(super) fn guarded(
    command: MethodRouter<Sources>,
    by: &Guard,
    sources: &Sources,
) -> MethodRouter<Sources> {
    let recorded = (sources.clone(), by.clone());
    command
        .route_layer(middleware::from_fn_with_state(by.clone(), guard))
        .route_layer(middleware::from_fn_with_state(recorded, audited))
}

pub(super) fn routes(by: &Guard, sources: &Sources) -> Router<Sources> {
    let guarded = |command| guarded(command, by, sources);
    Router::new()
        .route("/v1/components/{component}/swap", guarded(post(swap)))
        .route("/v1/components/{component}/back", guarded(post(back)))
        .route("/v1/components/{component}/promote", guarded(post(promote)))
        .route(
            "/v1/components/{component}/roll-back",
            guarded(post(roll_back)),
        )
        .route("/v1/reload", guarded(post(reload)))
        .route("/v1/consumers/{consumer}/pause", guarded(post(pause)))
        .route("/v1/consumers/{consumer}/resume", guarded(post(resume)))
        .route("/v1/consumers/{consumer}/scale", guarded(post(scale)))
        .layer(DefaultBodyLimit::max(LARGEST_CODE))
}

/// New code as `application/wasm`; with `application/json` it is read from its file.
async fn swap(
    State(sources): State<Sources>,
    Path(component): Path<String>,
    Query(how): Query<How>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE);
    let code = match kind.is_some_and(|kind| kind == "application/wasm") {
        true => NewCode::Content(body.into()),
        false => NewCode::File,
    };
    let trial = match how.rule() {
        Ok(trial) => trial,
        Err(error) => return misused(error),
    };
    let command = Command::Swap {
        component,
        code,
        trial,
    };
    carry_out(&sources, how.whose(), command).await
}

async fn back(
    State(sources): State<Sources>,
    Path(component): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    let command = Command::Swap {
        component,
        code: NewCode::Before,
        trial: None,
    };
    carry_out(&sources, whose, command).await
}

async fn promote(
    State(sources): State<Sources>,
    Path(component): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    let verdict = Verdict::Promote;
    carry_out(&sources, whose, Command::EndTrial { component, verdict }).await
}

async fn roll_back(
    State(sources): State<Sources>,
    Path(component): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    let verdict = Verdict::RollBack;
    carry_out(&sources, whose, Command::EndTrial { component, verdict }).await
}

async fn reload(State(sources): State<Sources>, Query(whose): Query<Whose>) -> Response {
    carry_out(&sources, whose, Command::Reload).await
}

async fn pause(
    State(sources): State<Sources>,
    Path(consumer): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    carry_out(&sources, whose, Command::Pause { consumer }).await
}

async fn resume(
    State(sources): State<Sources>,
    Path(consumer): Path<String>,
    Query(whose): Query<Whose>,
) -> Response {
    carry_out(&sources, whose, Command::Resume { consumer }).await
}

async fn scale(
    State(sources): State<Sources>,
    Path(consumer): Path<String>,
    Query(bounds): Query<Bounds>,
) -> Response {
    let Bounds {
        min,
        max,
        reset,
        all_hosts,
        force,
    } = bounds;
    let new = NewBounds { min, max };
    let to = match reset {
        true if new == NewBounds::default() => None,
        true => return misused("`reset` does not go with `min` and `max`"),
        false => Some(new),
    };
    let whose = Whose { all_hosts, force };
    carry_out(&sources, whose, Command::Rescale { consumer, to }).await
}

/// Has a command carried out where it is meant for.
async fn carry_out(sources: &Sources, whose: Whose, command: Command) -> Response {
    match whose {
        Whose {
            all_hosts: true,
            force,
        } => hosts::command(sources, command, force).await,
        Whose { force: true, .. } => misused("`force` only applies together with `all_hosts`"),
        Whose { .. } => match sources.commands.control.ask(command).await {
            Ok(done) => Json(DoneView::from(&done)).into_response(),
            Err(refusal) => refused(&refusal),
        },
    }
}

/// The answer to a command that was not carried out.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Faulty(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut answer = (status, Json(ErrorView::new(refusal.code(), refusal))).into_response();
    answer.extensions_mut().insert(Refused(refusal.code()));
    answer
}

fn misused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(ErrorView::new(None, error))).into_response()
}

impl How {
    fn whose(&self) -> Whose {
        Whose {
            all_hosts: self.all_hosts,
            force: self.force,
        }
    }

    fn rule(&self) -> Result<Option<TrialRule>, &'static str> {
        let deliveries = self.deliveries.unwrap_or(DELIVERIES);
        if deliveries == 0 {
            return Err("`deliveries` is to be at least 1");
        }
        let percent = match (self.canary, self.shadow) {
            (Some(_), true) => return Err("`canary` and `shadow` exclude each other"),
            (None, true) => return Ok(Some(TrialRule::Shadow(ShadowRule { deliveries }))),
            (Some(percent), false) => percent,
            (None, false) => {
                return match self.deliveries {
                    None => Ok(None),
                    Some(_) => Err("`deliveries` only applies together with `canary` or `shadow`"),
                };
            }
        };
        if !(percent > 0.0 && percent <= 100.0) {
            return Err("`canary` is a share of a hundred: above 0, and 100 at most");
        }
        Ok(Some(TrialRule::Canary(CanaryRule {
            percent,
            deliveries,
        })))
    }
}
