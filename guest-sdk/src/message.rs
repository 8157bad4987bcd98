//! Reading a message, in a delivery or in a publication.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{FieldValue, Message, Properties};

/// A body that is not the expected JSON, or a value that JSON cannot express.
///
/// `?` converts it to a `String` in a function whose error is a `String`.
#[derive(Debug)]
pub struct JsonError {
    what: &'static str,
    source: serde_json::Error,
}

impl JsonError {
    pub(crate) fn reading(source: serde_json::Error) -> Self {
        Self {
            what: "the body is not the JSON expected",
            source,
        }
    }

    pub(crate) fn writing(source: serde_json::Error) -> Self {
        Self {
            what: "the value cannot be written as JSON",
            source,
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<JsonError> for String {
    fn from(error: JsonError) -> Self {
        error.to_string()
    }
}

/// A body that is not UTF-8.
///
/// `?` converts it to a `String` in a function whose error is a `String`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextError(std::str::Utf8Error);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is not text: {}", self.0)
    }
}

impl std::error::Error for TextError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<TextError> for String {
    fn from(error: TextError) -> Self {
        error.to_string()
    }
}

impl Message {
    /// The body as UTF-8.
    pub fn text(&self) -> Result<&str, TextError> {
        std::str::from_utf8(&self.body).map_err(TextError)
    }

    /// The body as JSON. The error gives the field, line and column at which the body does not match.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(&self.body).map_err(JsonError::reading)
    }

    /// An empty message without properties.
    pub(crate) fn empty() -> Self {
        Self {
            properties: Properties {
                content_type: None,
                content_encoding: None,
                headers: Vec::new(),
                persistent: true,
                priority: None,
                correlation_id: None,
                reply_to: None,
                expiration_ms: None,
                message_id: None,
                timestamp: None,
                type_: None,
                user_id: None,
                app_id: None,
            },
            body: Vec::new(),
        }
    }
}

impl Properties {
    /// The first header with exactly this name, compared byte for byte.
    pub fn header(&self, name: &str) -> Option<&FieldValue> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value)
    }

    /// Sets the header with this name: replaces the existing one, or adds it at the end. A table has each
    /// name once.
    pub(crate) fn set_header(&mut self, name: String, value: FieldValue) {
        match self.headers.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => self.headers.push((name, value)),
        }
    }
}
