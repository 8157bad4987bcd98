//! Why an object store did not do what it was asked.

use std::error::Error as _;
use std::fmt;

use hive_core::escape;
use object_store::Error;

/// The longest text of a store that is passed on, in bytes.
const LONGEST: usize = 600;

/// Words of a bucket that is not there, in the answers of the services.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];

/// The end of a request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no object of this name.
    NotFound,
    /// What was asked for cannot be, wherever the objects are: a name that is none, an object that is too large.
    Invalid(String),
    /// The store did not carry it out, and may later: it does not answer, is too slow, full or missing, or refuses the
    /// host.
    Unavailable(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such object"),
            Self::Invalid(text) | Self::Unavailable(text) => f.write_str(text),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound { .. } if names_no_bucket(&error) => {
                Self::Unavailable(described(&error))
            }
            Error::NotFound { .. } => Self::NotFound,
            Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. } => Self::Invalid(described(&error)),
            _ => Self::Unavailable(described(&error)),
        }
    }
}

impl Fault {
    /// The same where something was written: a name that leads nowhere is then a fault of the bucket.
    pub(crate) fn of_a_write(error: Error) -> Self {
        match error {
            Error::NotFound { .. } => Self::Unavailable(described(&error)),
            error => error.into(),
        }
    }
}

fn names_no_bucket(error: &Error) -> bool {
    let text = described(error);
    NO_BUCKET.iter().any(|words| text.contains(words))
}

/// The error with its causes, in one line, without what a URL has behind its path: that may be a signature.
fn described(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    let mut text = escape::line(&without_queries(&text)).into_owned();
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

/// The text, each `?` in a URL and what follows it left out.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let url = &rest[at..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '<' | '>' | ',');
        let end = url.find(is_end).unwrap_or(url.len());
        let path = url[..end].split('?').next().unwrap_or_default();
        kept.push_str(&rest[..at]);
        kept.push_str(path);
        rest = &url[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_in_a_url_is_left_out() {
        let text = "GET https://a.example/c/b?sv=1&sig=abc (https://b.example?x) failed, why?";
        let shown = "GET https://a.example/c/b (https://b.example) failed, why?";
        assert_eq!(without_queries(text), shown);
        assert_eq!(without_queries("nothing"), "nothing");
    }

    #[test]
    fn a_bucket_that_is_missing_is_no_missing_object() {
        let missing = |text: &str| Error::NotFound {
            path: "a".to_owned(),
            source: text.to_owned().into(),
        };
        assert_eq!(Fault::from(missing("404")), Fault::NotFound);
        assert!(matches!(
            Fault::from(missing("<Code>NoSuchBucket</Code>\n<a/>")),
            Fault::Unavailable(text) if !text.contains('\n')
        ));
        assert!(matches!(
            Fault::of_a_write(missing("404")),
            Fault::Unavailable(_)
        ));
    }
}
