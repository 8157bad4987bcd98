//! Web pages of other origins: which may send requests (Fetch Standard, "CORS protocol"). Pure.

use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

use crate::answer::Answer;

/// How long a browser remembers an answer to a preflight, in seconds.
const REMEMBERED: &str = "600";

/// The origin of a request, if one of these allows it.
pub(crate) fn allowed<'h>(headers: &'h HeaderMap, origins: &[String]) -> Option<&'h HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let is_it = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
    origins.iter().any(is_it).then_some(origin)
}

/// The method that a page of another origin wants to use.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::ACCESS_CONTROL_REQUEST_METHOD)
        .and_then(|method| method.to_str().ok())
}

/// The answer to a preflight for a route with this method. Without the headers that allow it, the browser refuses.
pub(crate) fn preflight(headers: &HeaderMap, origins: &[String], method: &str) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    if allowed(headers, origins).is_some() {
        let allow = answer.headers_mut();
        if let Ok(method) = method.parse() {
            allow.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        // A token, not a header, is what keeps requests out.
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            allow.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        let remembered = HeaderValue::from_static(REMEMBERED);
        allow.insert(header::ACCESS_CONTROL_MAX_AGE, remembered);
    }
    answer
}

/// Lets a page of an allowed origin read this answer.
pub(crate) fn open(answer: &mut Answer, headers: &HeaderMap, origins: &[String]) {
    if origins.is_empty() {
        return;
    }
    let vary = HeaderValue::from_static("Origin");
    answer.headers_mut().insert(header::VARY, vary);
    if let Some(origin) = allowed(headers, origins) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("Retry-After");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            "content-type".parse().unwrap(),
        );
        headers
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let origins = ["https://shop.example".to_owned()];
        assert!(allowed(&from("https://shop.example"), &origins).is_some());
        for other in ["https://shop.example.evil", "http://shop.example", "null"] {
            assert!(allowed(&from(other), &origins).is_none(), "{other}");
            let answer = preflight(&from(other), &origins, "POST");
            assert!(answer.headers().is_empty(), "{other}");
        }
        assert!(allowed(&from("null"), &["*".to_owned()]).is_some());
        assert!(allowed(&HeaderMap::new(), &origins).is_none());
    }

    #[test]
    fn a_preflight_gets_what_it_asked_for() {
        let headers = from("https://shop.example");
        let answer = preflight(&headers, &["*".to_owned()], "POST");
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(header(header::ACCESS_CONTROL_ALLOW_METHODS), Some("POST"));
        assert_eq!(
            header(header::ACCESS_CONTROL_ALLOW_HEADERS),
            Some("content-type")
        );
    }
}
