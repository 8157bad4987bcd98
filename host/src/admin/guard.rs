//! Who a client is, and what it may do.
//!
//! Commands are for those that know `host.admin_token` or, if none is set, for those on this machine that are not a web
//! page. Reading is for those too, and for those that know `host.admin_viewer_token`. A browser has a session in place of
//! a token, and no other site may use it.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hive_config::plan::Password;
use hive_core::codes::Code;
use sha2::{Digest, Sha256};

use super::Sources;
use super::audited::{Denied, Refused};
use super::session::Sessions;
use super::wire::{ErrorView, Shows};
use crate::audit::By;

/// The media types of commands. The browser asks before a web page of another origin may send them (Fetch
/// Standard, "CORS-safelisted request-header"), and this server never answers that question.
const TYPES: [&str; 2] = ["application/json", "application/wasm"];

/// What the page sends with each command, and no form of another site can.
const OF_THE_PAGE: &str = "hive-page";

/// What a proxy adds: the client is not this machine, though the connection is.
const FORWARDED: [&str; 4] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// Why a request is not accepted: the status, the code of the error, and the error.
type Objection = (StatusCode, Option<Code>, &'static str);

/// Decides about commands, and about what a reader learns.
#[derive(Clone)]
pub(super) struct Guard {
    /// The server is reachable from this machine only.
    is_loopback: bool,
    token: Option<Password>,
    viewer: Option<Password>,
    pub(super) sessions: Sessions,
}

impl Guard {
    pub(super) fn new(
        is_loopback: bool,
        token: Option<Password>,
        viewer: Option<Password>,
    ) -> Self {
        Self {
            is_loopback,
            token,
            viewer,
            sessions: Sessions::default(),
        }
    }

    /// Who the client is; `None` for one that may do nothing but what anybody may.
    pub(super) fn who(&self, headers: &HeaderMap) -> Option<By> {
        let sent = text(headers, header::AUTHORIZATION);
        let by_token = sent
            .and_then(|sent| sent.strip_prefix("Bearer "))
            .and_then(|token| self.by_token(token));
        let is_here = || self.is_loopback && is_under_own_name(headers);
        by_token
            .or_else(|| self.sessions.of(headers))
            .or_else(|| is_here().then_some(By::Local))
    }

    /// Whose token it is.
    pub(super) fn by_token(&self, sent: &str) -> Option<By> {
        let is = |token: &Option<Password>| {
            // Comparing checksums takes equally long wherever they differ, and so reveals nothing.
            let token = token
                .as_ref()
                .map(|token| Sha256::digest(token.expose_secret()));
            token == Some(Sha256::digest(sent))
        };
        match (is(&self.token), is(&self.viewer)) {
            (true, _) => Some(By::Admin),
            (false, true) => Some(By::Viewer),
            (false, false) => None,
        }
    }

    /// Whether this client may give commands.
    pub(super) fn may_command(&self, by: &By) -> bool {
        match by {
            By::Admin => true,
            By::Local => self.token.is_none(),
            _ => false,
        }
    }

    /// Whether there is a token to sign in with.
    pub(super) fn has_tokens(&self) -> bool {
        self.token.is_some() || self.viewer.is_some()
    }

    /// Why a command with these headers is not taken.
    fn objection(&self, headers: &HeaderMap) -> Option<Objection> {
        if let Some(objection) = foreign(headers) {
            return Some(objection);
        }
        let by = self.who(headers);
        if let Some(by) = &by
            && self.may_command(by)
        {
            // A browser sends the cookie along whoever has it send a request.
            let by_session = self.sessions.of(headers).is_some();
            return (by_session && !headers.contains_key(OF_THE_PAGE)).then_some((
                StatusCode::FORBIDDEN,
                None,
                "a command with the cookie of a session needs the header `hive-page`",
            ));
        }
        Some(match (&self.token, by) {
            (_, Some(By::Viewer)) => (
                StatusCode::FORBIDDEN,
                Some(Code::TokenRefused),
                "the token of `host.admin_viewer_token` reads and changes nothing; commands need that of \
                 `host.admin_token`",
            ),
            (Some(_), _) => (
                StatusCode::UNAUTHORIZED,
                Some(Code::TokenRefused),
                "commands need the token of `host.admin_token`, as `Authorization: Bearer TOKEN`",
            ),
            (None, _) if !self.is_loopback => (
                StatusCode::FORBIDDEN,
                Some(Code::LoopbackOnly),
                "commands need a loopback address in `host.admin`, or `host.admin_token`",
            ),
            (None, _) => (
                StatusCode::FORBIDDEN,
                Some(Code::LoopbackOnly),
                "without a token, commands are accepted only from this machine and under its own name",
            ),
        })
    }

    /// Why a client with these headers may not read what operators alone may.
    fn unreadable(&self, headers: &HeaderMap) -> Option<Objection> {
        if self.who(headers).is_some() {
            return None;
        }
        let (status, code) = match self.has_tokens() {
            true => (StatusCode::UNAUTHORIZED, Code::TokenRefused),
            false => (StatusCode::FORBIDDEN, Code::LoopbackOnly),
        };
        Some((
            status,
            Some(code),
            "this is shown on a loopback address under the machine's own name, or with the token of \
             `host.admin_token` or `host.admin_viewer_token` as `Authorization: Bearer TOKEN`",
        ))
    }

    /// What the client may learn: whoever may read as operators do, what messages contain, unless hive.toml hides it.
    pub(super) fn shows(&self, headers: &HeaderMap, sources: &Sources) -> Shows {
        Shows {
            files: self.shows_files(headers),
            bodies: sources.shows_bodies && self.who(headers).is_some(),
        }
    }

    /// Whether the client may learn where the files of this host are: it is on this machine, or sends the token.
    pub(super) fn shows_files(&self, headers: &HeaderMap) -> bool {
        matches!(self.who(headers), Some(By::Local | By::Admin))
    }
}

/// Why the request is another site's, or could be.
pub(super) fn foreign(headers: &HeaderMap) -> Option<Objection> {
    if !text(headers, header::CONTENT_TYPE).is_some_and(|kind| TYPES.contains(&kind)) {
        return Some((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            None,
            "a command is sent as application/json, or as application/wasm with new code",
        ));
    }
    let site = headers.get("sec-fetch-site");
    let is_other_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    let origin = headers.get(header::ORIGIN);
    let is_other_origin = origin.is_some_and(|origin| {
        let host = headers
            .get("x-forwarded-host")
            .or(headers.get(header::HOST));
        let origin = origin.to_str().ok();
        let authority = origin.and_then(|origin| origin.split_once("://"));
        authority.map(|(_, authority)| authority.as_bytes()) != host.map(|host| host.as_bytes())
    });
    (is_other_site || is_other_origin).then_some((
        StatusCode::FORBIDDEN,
        None,
        "the request comes from a page of another site (Origin, Sec-Fetch-Site)",
    ))
}

/// A header as text.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the request names this machine, and no proxy handed it on. A web page whose name was made to lead to this
/// machine sends its own name.
fn is_under_own_name(headers: &HeaderMap) -> bool {
    let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    !is_forwarded && text(headers, header::HOST).is_some_and(is_local)
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

/// The answer to a request that is not accepted.
pub(super) fn denied((status, code, text): Objection) -> Response {
    let mut answer = (status, Json(ErrorView::new(code, text))).into_response();
    answer.extensions_mut().insert(Refused(code));
    answer.extensions_mut().insert(Denied);
    answer
}

/// Lets a command pass, or says why not.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.objection(request.headers()) {
        None => next.run(request).await,
        Some(objection) => denied(objection),
    }
}

/// Lets an operator read, or says why not.
pub(super) async fn operators(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    match guard.unreadable(request.headers()) {
        None => next.run(request).await,
        Some(objection) => denied(objection),
    }
}

/// Lets anybody read, unless there is a token for readers.
pub(super) async fn readers(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let objection = guard.unreadable(request.headers());
    match objection.filter(|_| guard.viewer.is_some()) {
        None => next.run(request).await,
        Some(objection) => denied(objection),
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
        let guard = Guard::new(true, None, None);
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
        let open = Guard::new(false, None, None);
        assert_eq!(
            status(&open, &[JSON, (header::HOST, "localhost")]),
            Some(403)
        );
    }

    #[test]
    fn a_form_of_a_web_page_is_no_command() {
        let guard = Guard::new(true, None, None);
        let form = (header::CONTENT_TYPE, "text/plain");
        assert_eq!(
            status(&guard, &[form, (header::HOST, "localhost")]),
            Some(415)
        );
        assert_eq!(status(&guard, &[(header::HOST, "localhost")]), Some(415));
    }

    #[test]
    fn a_token_is_needed_and_enough_where_it_is_set() {
        let guard = Guard::new(
            false,
            Some(Password::from("open sesame 1234".to_owned())),
            None,
        );
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
        for guard in [
            Guard::new(true, None, None),
            Guard::new(true, token(), None),
        ] {
            assert!(shows(&guard, std::slice::from_ref(&here)));
            assert!(!shows(&guard, &[(header::HOST, "evil.example")]));
        }
        let wide = Guard::new(false, token(), None);
        assert!(shows(&wide, &[here.clone(), sent.clone()]));
        assert!(!shows(&wide, std::slice::from_ref(&here)));
        assert!(!shows(&wide, &[(header::AUTHORIZATION, "Bearer sesame")]));
        assert!(!shows(&Guard::new(false, None, None), &[here, sent]));
    }

    #[test]
    fn a_viewer_reads_and_changes_nothing() {
        let password = |text: &str| Some(Password::from(text.to_owned()));
        let guard = Guard::new(
            false,
            password("open sesame 1234"),
            password("look only 12345"),
        );
        let viewer = (header::AUTHORIZATION, "Bearer look only 12345");
        assert_eq!(
            guard.unreadable(&headers(std::slice::from_ref(&viewer))),
            None
        );
        assert_eq!(status(&guard, &[JSON, viewer]), Some(403));
        assert!(
            guard
                .unreadable(&headers(&[(header::HOST, "localhost")]))
                .is_some()
        );
        // Without a token for commands, nobody but this machine gives any.
        let wide = Guard::new(false, None, password("look only 12345"));
        assert_eq!(
            status(&wide, &[JSON, (header::HOST, "localhost")]),
            Some(403)
        );
    }

    #[test]
    fn a_session_is_no_use_to_another_site() {
        let guard = Guard::new(
            true,
            Some(Password::from("open sesame 1234".to_owned())),
            None,
        );
        let cookie = guard.sessions.begin(By::Admin, false);
        let (cookie, _) = cookie.split_once(';').expect("it has attributes");
        let cookie = (header::COOKIE, cookie);
        let page = (header::HeaderName::from_static(OF_THE_PAGE), "1");
        let host = (header::HOST, "hive.example:9191");
        let with = |more: &[(header::HeaderName, &str)]| {
            let own = [JSON, cookie.clone(), host.clone()];
            status(&guard, &[&own[..], more].concat())
        };
        assert_eq!(with(&[]), Some(403));
        assert_eq!(with(std::slice::from_ref(&page)), None);
        let site = header::HeaderName::from_static("sec-fetch-site");
        for (name, value, expected) in [
            (header::ORIGIN, "http://hive.example:9191", None),
            (header::ORIGIN, "https://evil.example", Some(403)),
            (header::ORIGIN, "null", Some(403)),
            (site.clone(), "same-origin", None),
            (site.clone(), "same-site", Some(403)),
            (site, "cross-site", Some(403)),
        ] {
            assert_eq!(with(&[page.clone(), (name, value)]), expected, "{value}");
        }
    }

    #[test]
    fn what_a_proxy_hands_on_is_not_of_this_machine() {
        let guard = Guard::new(true, None, None);
        let here = (header::HOST, "127.0.0.1:9191");
        for name in FORWARDED {
            let name = header::HeaderName::from_static(name);
            assert_eq!(
                guard.who(&headers(&[here.clone(), (name, "10.0.0.1")])),
                None
            );
        }
        assert_eq!(guard.who(&headers(&[here])), Some(By::Local));
    }
}
