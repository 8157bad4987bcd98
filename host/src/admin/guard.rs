//! Which clients may give commands: those that know `host.admin_token` or, if none is set, those on this
//! machine that are not a web page. And which of those that only read may learn where the files of this host are.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hive_config::plan::Password;
use hive_core::codes::Code;
use sha2::{Digest, Sha256};

use super::audited::{Denied, Refused};
use super::wire::ErrorView;
use crate::audit::By;

/// The media types of commands. The browser asks before a web page of another origin may send them (Fetch
/// Standard, "CORS-safelisted request-header"), and this server never answers that question.
const TYPES: [&str; 2] = ["application/json", "application/wasm"];

/// Why a command is not accepted: the status, the code of the error, and the error.
type Objection = (StatusCode, Option<Code>, &'static str);

/// Decides about commands, and about what a reader learns.
#[derive(Clone)]
pub(super) struct Guard {
    /// The server is reachable from this machine only.
    is_loopback: bool,
    token: Option<Password>,
}

impl Guard {
    pub(super) fn new(is_loopback: bool, token: Option<Password>) -> Self {
        Self { is_loopback, token }
    }

    /// Who gives a command that is taken.
    pub(super) fn by(&self) -> By {
        match &self.token {
            Some(_) => By::Admin,
            None => By::Local,
        }
    }

    /// Why a command with these headers is not taken.
    fn objection(&self, headers: &HeaderMap) -> Option<Objection> {
        if !text(headers, header::CONTENT_TYPE).is_some_and(|kind| TYPES.contains(&kind)) {
            return Some((
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                None,
                "a command is sent as application/json, or as application/wasm with new code",
            ));
        }
        if let Some(token) = &self.token {
            return (!sends(headers, token)).then_some((
                StatusCode::UNAUTHORIZED,
                Some(Code::TokenRefused),
                "commands need the token of `host.admin_token`, as `Authorization: Bearer TOKEN`",
            ));
        }
        if !self.is_loopback {
            return Some((
                StatusCode::FORBIDDEN,
                Some(Code::LoopbackOnly),
                "commands need a loopback address in `host.admin`, or `host.admin_token`",
            ));
        }
        (!is_under_own_name(headers)).then_some((
            StatusCode::FORBIDDEN,
            Some(Code::LoopbackOnly),
            "without a token, commands are accepted only from this machine and under its own name",
        ))
    }

    /// Whether the client may learn where the files of this host are: it is on this machine, or sends the token.
    pub(super) fn shows_files(&self, headers: &HeaderMap) -> bool {
        let has_token = || {
            self.token
                .as_ref()
                .is_some_and(|token| sends(headers, token))
        };
        (self.is_loopback && is_under_own_name(headers)) || has_token()
    }
}

/// A header as text.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the request has the token.
fn sends(headers: &HeaderMap, token: &Password) -> bool {
    let sent = text(headers, header::AUTHORIZATION);
    let sent = sent.and_then(|sent| sent.strip_prefix("Bearer "));
    // Comparing checksums takes equally long wherever they differ, and so reveals nothing.
    sent.is_some_and(|sent| Sha256::digest(sent) == Sha256::digest(token.expose_secret()))
}

/// Whether the request names this machine. A web page whose name was made to lead to this machine sends its own name.
fn is_under_own_name(headers: &HeaderMap) -> bool {
    text(headers, header::HOST).is_some_and(is_local)
}

/// Whether a `Host` header names this machine.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Lets a command pass, or says why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.objection(request.headers()) {
        None => next.run(request).await,
        Some((status, code, text)) => {
            let mut answer = (status, Json(ErrorView::new(code, text))).into_response();
            answer.extensions_mut().insert(Refused(code));
            answer.extensions_mut().insert(Denied);
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(header::HeaderName, &str)]) -> HeaderMap {
        let lines = lines.iter().cloned();
        lines
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect()
    }

    fn status(guard: &Guard, lines: &[(header::HeaderName, &str)]) -> Option<u16> {
        let objection = guard.objection(&headers(lines));
        objection.map(|(status, _, _)| status.as_u16())
    }

    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

    #[test]
    fn without_a_token_only_this_machine_gives_commands() {
        let guard = Guard::new(true, None);
        let from = |host| status(&guard, &[JSON, (header::HOST, host)]);
        for host in [
            "localhost:9191",
            "127.0.0.1",
            "127.0.0.1:9191",
            "[::1]:9191",
        ] {
            assert_eq!(from(host), None, "{host}");
        }
        for host in ["evil.example", "10.0.0.1:9191", "localhost.evil.example"] {
            assert_eq!(from(host), Some(403), "{host}");
        }
        let open = Guard::new(false, None);
        assert_eq!(
            status(&open, &[JSON, (header::HOST, "localhost")]),
            Some(403)
        );
    }

    #[test]
    fn a_form_of_a_web_page_is_no_command() {
        let guard = Guard::new(true, None);
        let form = (header::CONTENT_TYPE, "text/plain");
        assert_eq!(
            status(&guard, &[form, (header::HOST, "localhost")]),
            Some(415)
        );
        assert_eq!(status(&guard, &[(header::HOST, "localhost")]), Some(415));
    }

    #[test]
    fn a_token_is_needed_and_enough_where_it_is_set() {
        let guard = Guard::new(false, Some(Password::from("open sesame 1234".to_owned())));
        let with = |token| status(&guard, &[JSON, (header::AUTHORIZATION, token)]);
        assert_eq!(with("Bearer open sesame 1234"), None);
        assert_eq!(with("Bearer open sesame"), Some(401));
        assert_eq!(with("open sesame 1234"), Some(401));
        assert_eq!(status(&guard, &[JSON]), Some(401));
    }

    #[test]
    fn files_are_shown_to_this_machine_and_to_those_who_send_the_token() {
        let token = || Some(Password::from("open sesame 1234".to_owned()));
        let shows = |guard: &Guard, lines: &[_]| guard.shows_files(&headers(lines));
        let here = (header::HOST, "127.0.0.1:9191");
        let sent = (header::AUTHORIZATION, "Bearer open sesame 1234");
        for guard in [Guard::new(true, None), Guard::new(true, token())] {
            assert!(shows(&guard, std::slice::from_ref(&here)));
            assert!(!shows(&guard, &[(header::HOST, "evil.example")]));
        }
        let wide = Guard::new(false, token());
        assert!(shows(&wide, &[here.clone(), sent.clone()]));
        assert!(!shows(&wide, std::slice::from_ref(&here)));
        assert!(!shows(&wide, &[(header::AUTHORIZATION, "Bearer sesame")]));
        assert!(!shows(&Guard::new(false, None), &[here, sent]));
    }
}
