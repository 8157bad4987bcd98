//! The kind of a body, and whether it is what its content type says. Pure.

use hive_config::plan::BodyKind;
use http::{HeaderMap, header};

use crate::answer::Refusal;
use crate::form;

/// The body of a message, with the properties that say what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) body: Vec<u8>,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
}

/// The kind of a request's body, if the route takes it.
pub(crate) fn kind(headers: &HeaderMap, accept: &[BodyKind]) -> Result<BodyKind, Refusal> {
    let written = text(headers, header::CONTENT_TYPE);
    let kind = match written {
        None => BodyKind::Raw,
        Some(written) => of_media_type(written),
    };
    // As it is, where nothing is to be made of it.
    let kind = match accept.contains(&kind) {
        true => kind,
        false => BodyKind::Raw,
    };
    if !accept.contains(&kind) {
        let taken: Vec<_> = accept.iter().map(|kind| name(*kind)).collect();
        let taken = taken.join(" or ");
        return Err(Refusal::media_type(match written {
            Some(_) => format!("this route takes {taken}; the content type is another one"),
            None => format!("this route takes {taken}; the request has no content type"),
        }));
    }
    let is_encoded = text(headers, header::CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    if is_encoded && kind != BodyKind::Raw {
        let error = "the body is compressed, and the route looks into it";
        return Err(Refusal::media_type(error));
    }
    Ok(kind)
}

fn name(kind: BodyKind) -> &'static str {
    match kind {
        BodyKind::Json => "application/json",
        BodyKind::Form => "application/x-www-form-urlencoded",
        BodyKind::Raw => "any content type",
    }
}

/// Without its parameters, in any case (RFC 9110, 8.3.1).
fn of_media_type(written: &str) -> BodyKind {
    let essence = written.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => BodyKind::Json,
        "application/x-www-form-urlencoded" => BodyKind::Form,
        // RFC 6839, 3.1.
        other if other.starts_with("application/") && other.ends_with("+json") => BodyKind::Json,
        _ => BodyKind::Raw,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What is published of a body of this kind.
pub(crate) fn content(
    kind: BodyKind,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> Result<Content, Refusal> {
    let written = |name| text(headers, name).map(str::to_owned);
    match kind {
        BodyKind::Json => check_json(&body).map(|()| Content {
            body,
            content_type: written(header::CONTENT_TYPE),
            content_encoding: None,
        }),
        BodyKind::Form => Ok(Content {
            body: form::to_json(&body)?,
            content_type: Some("application/json".to_owned()),
            content_encoding: None,
        }),
        BodyKind::Raw => Ok(Content {
            body,
            content_type: written(header::CONTENT_TYPE),
            content_encoding: written(header::CONTENT_ENCODING),
        }),
    }
}

fn check_json(body: &[u8]) -> Result<(), Refusal> {
    // Texts that are passed over are not looked at.
    let text = std::str::from_utf8(body).map_err(|error| {
        Refusal::bad_body(format!(
            "the body is not JSON: no UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    let parsed = serde_json::from_str::<Ignored>(text);
    parsed
        .map(|_| ())
        .map_err(|error| Refusal::bad_body(format!("the body is not JSON: {error}")))
}

/// Any value, none of which is kept.
type Ignored = serde::de::IgnoredAny;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_content_type_says_what_a_body_is() {
        let all = [BodyKind::Json, BodyKind::Form, BodyKind::Raw];
        let kind = |content_type| super::kind(&headers(content_type), &all).unwrap();
        assert_eq!(
            kind(Some("Application/JSON; charset=utf-8")),
            BodyKind::Json
        );
        assert_eq!(kind(Some("application/cloudevents+json")), BodyKind::Json);
        let form = "application/x-www-form-urlencoded";
        assert_eq!(kind(Some(form)), BodyKind::Form);
        assert_eq!(kind(Some("text/plain")), BodyKind::Raw);
        assert_eq!(kind(None), BodyKind::Raw);
    }

    #[test]
    fn a_route_takes_only_what_it_lists() {
        let of = |content_type, accept: &[_]| super::kind(&headers(content_type), accept);
        let json = Some("application/json");
        assert_eq!(of(json, &[BodyKind::Form]).unwrap_err().status, 415);
        assert_eq!(of(None, &[BodyKind::Json]).unwrap_err().status, 415);
        // Not looked into, and so as it came.
        assert_eq!(of(json, &[BodyKind::Raw]), Ok(BodyKind::Raw));
    }

    #[test]
    fn what_is_compressed_is_not_looked_into() {
        let mut headers = headers(Some("application/json"));
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        let refused = super::kind(&headers, &[BodyKind::Json]).unwrap_err();
        assert_eq!(refused.status, 415);
        let raw = content(BodyKind::Raw, &headers, b"\x1f\x8b".to_vec()).unwrap();
        assert_eq!(raw.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(raw.body, b"\x1f\x8b");
    }

    #[test]
    fn json_is_parsed_and_published_to_the_byte() {
        let check = |body: &[u8]| content(BodyKind::Json, &headers(None), body.to_vec());
        assert_eq!(check(b" {\"a\": 1.0}\n").unwrap().body, b" {\"a\": 1.0}\n");
        for broken in [&b""[..], b"{", b"{\"a\":}", b"[1] 2", b"\"\xff\"", b"nul"] {
            let refusal = check(broken).unwrap_err();
            assert_eq!(refusal.status, 400, "{broken:?}");
        }
        let error = check(b"{\n \"a\": }").unwrap_err().error;
        assert!(error.contains("line 2 column 7"), "{error}");
        let deep = [&b"["[..]; 100_000].concat();
        assert_eq!(check(&deep).unwrap_err().status, 400);
    }
}
