//! Reading a message, wherever it is: in a delivery or in a publication.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{FieldValue, Message, Properties};

/// A body that is not the JSON that was expected.
#[derive(Debug)]
pub struct JsonError(serde_json::Error);

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body is not the JSON expected: {}", self.0)
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Message {
    /// The body as UTF-8.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.body)
    }

    /// The body as JSON. The error says at which field, line and column it is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(&self.body).map_err(JsonError)
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
    /// The first header of this name, which is compared byte for byte.
    pub fn header(&self, name: &str) -> Option<&FieldValue> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value)
    }
}
