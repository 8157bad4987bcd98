//! Routes of `[http]`: what their names say.

use crate::keys::words;

/// A method that a route may have: one with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
}

words!(HttpMethod { Post = "POST", Put = "PUT", Patch = "PATCH" });

impl HttpMethod {
    /// The method as it is in a request.
    pub fn as_str(self) -> &'static str {
        crate::keys::Word::word(&self)
    }
}

/// A part of a path, between two slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This text alone.
    Text(String),
    /// Any text that is not empty, under this name.
    Capture(String),
}

/// A kind of body, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/json` and `application/…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Any other.
    Raw,
}

words!(BodyKind { Json = "json", Form = "form", Raw = "raw" });

/// Why a name of a route says no method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRoute(pub(crate) String);

/// Reads `POST /api/{tenant}/t`.
pub(crate) fn method_and_path(name: &str) -> Result<(HttpMethod, Vec<Segment>), BadRoute> {
    let bad = |message: &str| Err(BadRoute(message.to_owned()));
    let Some((method, path)) = name.split_once(' ') else {
        return bad("is not a method and a path");
    };
    let Some(method) = <HttpMethod as crate::keys::Word>::of(method) else {
        return bad("begins with no method that has a body: POST, PUT or PATCH");
    };
    let Some(path) = path.strip_prefix('/') else {
        return bad("has a path that does not begin with `/`");
    };
    let mut segments = Vec::new();
    for written in path.split('/') {
        let segment = segment(written).map_err(BadRoute)?;
        if matches!(segment, Segment::Capture(_)) && segments.contains(&segment) {
            return Err(BadRoute(format!("captures {written} twice")));
        }
        segments.push(segment);
    }
    Ok((method, segments))
}

fn segment(written: &str) -> Result<Segment, String> {
    let captured = written.strip_prefix('{');
    if let Some(name) = captured.and_then(|rest| rest.strip_suffix('}')) {
        let mut letters = name.bytes();
        let begins = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_name = letters.next().is_some_and(begins)
            && letters.all(|byte| begins(byte) || byte.is_ascii_digit());
        return match is_name {
            true => Ok(Segment::Capture(name.to_owned())),
            false => Err(format!(
                "captures {written}: a name has lower-case letters, digits and `_`"
            )),
        };
    }
    // As a path has them without percent-encoding (RFC 3986, 3.3).
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    match written.bytes().all(is_plain) {
        true => Ok(Segment::Text(written.to_owned())),
        false => Err(format!(
            "has {written:?} in its path: write letters, digits, `-`, `_`, `.`, `~`, or a whole part as {{name}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str) -> String {
        method_and_path(name).expect_err("it is no route").0
    }

    #[test]
    fn a_route_is_a_method_and_a_path() {
        let (method, path) = method_and_path("POST /api/{tenant}/t").unwrap();
        assert_eq!(method, HttpMethod::Post);
        let text = |text: &str| Segment::Text(text.to_owned());
        let tenant = Segment::Capture("tenant".to_owned());
        assert_eq!(path, [text("api"), tenant, text("t")]);
        assert_eq!(method_and_path("PUT /").unwrap().1, [text("")]);
    }

    #[test]
    fn anything_else_is_said() {
        assert!(fault("/api").contains("not a method and a path"));
        assert!(fault("GET /api").contains("POST, PUT or PATCH"));
        assert!(fault("post /api").contains("POST, PUT or PATCH"));
        assert!(fault("POST api").contains("does not begin"));
        assert!(fault("POST /{a}/{a}").contains("captures {a} twice"));
        assert!(fault("POST /{A-b}").contains("lower-case"));
        assert!(fault("POST /a{b}").contains("whole part"));
        assert!(fault("POST /a?b=c").contains("a?b=c"));
        assert!(fault("POST /a%2fb").contains("a%2fb"));
    }
}
