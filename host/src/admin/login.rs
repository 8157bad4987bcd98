//! Signing in on the page: a token is exchanged for a session, so that no script has to keep it.

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use hive_core::codes::Code;
use serde::{Deserialize, Serialize};

use super::Sources;
use super::audited::{Denied, Refused, SignedIn, audited};
use super::guard::{Guard, denied, foreign};
use super::wire::ErrorView;
use crate::audit::By;

/// More than any token has.
const LARGEST: usize = 8 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

/// Who the client is, and what the page can do for it.
#[derive(Debug, Serialize)]
struct SessionView<'a> {
    /// `admin`, `viewer` or `local`; null for a client that has to sign in first.
    role: Option<String>,
    /// Whether it may give commands.
    commands: bool,
    /// Whether bodies and headers of messages are shown.
    bodies: bool,
    /// Whether there is a token to sign in with.
    login: bool,
    host: &'a str,
    version: &'static str,
}

pub(super) fn routes(guard: &Guard, sources: &Sources) -> Router<Sources> {
    let recorded = from_fn_with_state((sources.clone(), guard.clone()), audited);
    let ours = from_fn(same_site);
    Router::new()
        .route(
            "/v1/login",
            post(login).route_layer(ours.clone()).route_layer(recorded),
        )
        .route("/v1/logout", post(logout).route_layer(ours))
        .route("/v1/session", get(session))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(Extension(guard.clone()))
}

/// Another site must neither sign a browser in nor out.
async fn same_site(request: Request, next: Next) -> Response {
    match foreign(request.headers()) {
        None => next.run(request).await,
        Some(objection) => denied(objection),
    }
}

async fn login(
    Extension(guard): Extension<Guard>,
    headers: HeaderMap,
    Json(Login { token }): Json<Login>,
) -> Response {
    match guard.by_token(&token) {
        Some(by) => {
            let role = by.to_string();
            let cookie = guard.sessions.begin(by.clone(), is_secure(&headers));
            let answer = Json(serde_json::json!({ "role": role }));
            let mut answer = ([(header::SET_COOKIE, cookie)], answer).into_response();
            answer.extensions_mut().insert(SignedIn(by));
            answer
        }
        None => {
            let code = Some(Code::TokenRefused);
            let error = "this is neither the token of `host.admin_token` nor that of `host.admin_viewer_token`";
            let mut answer =
                (StatusCode::UNAUTHORIZED, Json(ErrorView::new(code, error))).into_response();
            answer.extensions_mut().insert(Refused(code));
            answer.extensions_mut().insert(Denied);
            answer
        }
    }
}

async fn logout(Extension(guard): Extension<Guard>, headers: HeaderMap) -> Response {
    let cookie = guard.sessions.end(&headers, is_secure(&headers));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

async fn session(
    State(sources): State<Sources>,
    Extension(guard): Extension<Guard>,
    headers: HeaderMap,
) -> Response {
    let by = guard.who(&headers);
    let view = SessionView {
        role: by.as_ref().map(By::to_string),
        commands: by.is_some_and(|by| guard.may_command(&by)),
        bodies: sources.shows_bodies,
        login: guard.has_tokens(),
        host: &sources.identity.host,
        version: env!("CARGO_PKG_VERSION"),
    };
    Json(view).into_response()
}

/// Whether the browser speaks TLS to whatever is in front of this server, which itself speaks none.
fn is_secure(headers: &HeaderMap) -> bool {
    let by_proxy = headers.get("x-forwarded-proto");
    let by_origin = headers.get(header::ORIGIN);
    by_proxy.is_some_and(|proto| proto == "https")
        || by_origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}
