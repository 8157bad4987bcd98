//! Which route a path is for, and what it captures. Pure.

use hive_config::plan::Segment;
use percent_encoding::percent_decode_str;

use crate::answer::Refusal;

/// The parts of a path, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// Reads the path of a request. What could be read in two ways is refused: another program may read it in the other.
    pub(crate) fn read(path: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix('/').unwrap_or(path);
        path.split('/')
            .map(part)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What a route captures of this path, in its order; `None` if the path is another one.
    pub(crate) fn captured<'p>(&'p self, route: &[Segment]) -> Option<Vec<&'p str>> {
        if self.0.len() != route.len() {
            return None;
        }
        let mut captured = Vec::new();
        for (part, segment) in self.0.iter().zip(route) {
            match segment {
                Segment::Text(text) if text == part => {}
                Segment::Capture(_) if !part.is_empty() => captured.push(part.as_str()),
                Segment::Text(_) | Segment::Capture(_) => return None,
            }
        }
        Some(captured)
    }
}

fn part(written: &str) -> Result<String, Refusal> {
    let mut rest = written;
    while let Some(at) = rest.find('%') {
        let digits = rest.get(at + 1..at + 3);
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits.is_some_and(is_hex) {
            return Err(Refusal::malformed("the path has a % without two digits"));
        }
        rest = &rest[at + 3..];
    }
    let decoded = percent_decode_str(written).decode_utf8();
    let Ok(decoded) = decoded else {
        return Err(Refusal::malformed("the path is not UTF-8"));
    };
    if decoded.contains('/') {
        return Err(Refusal::malformed("the path has an encoded slash"));
    }
    if decoded.chars().any(char::is_control) {
        return Err(Refusal::malformed("the path has a control character"));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Vec<Segment> {
        vec![
            Segment::Text("api".to_owned()),
            Segment::Capture("tenant".to_owned()),
            Segment::Text("t".to_owned()),
        ]
    }

    fn captured(path: &str) -> Option<Vec<String>> {
        let path = Path::read(path).unwrap();
        let captured = path.captured(&route());
        captured.map(|all| all.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_path_is_matched_part_by_part() {
        assert_eq!(captured("/api/acme/t"), Some(vec!["acme".to_owned()]));
        assert_eq!(
            captured("/api/a%20b%C3%A9/t"),
            Some(vec!["a bé".to_owned()])
        );
        assert_eq!(captured("/%61pi/x/t"), Some(vec!["x".to_owned()]));
        for other in ["/", "/api", "/api/x/t/", "/api//t", "/API/x/t", "//api/x/t"] {
            assert_eq!(captured(other), None, "{other}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for path in [
            "/api/a%2Fb/t",
            "/api/a%2fb/t",
            "/api/a%00/t",
            "/a%0a",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%ff",
        ] {
            assert_eq!(Path::read(path).unwrap_err().status, 400, "{path}");
        }
    }
}
