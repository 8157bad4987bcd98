//! A message in the words of a command line: `--property` and `--header`.

use clap::Args;
use hive_core::json::{read_delivery, read_message};
use hive_core::message::{Envelope, Message};
use serde_json::{Map, Value};

/// The properties that are not text.
const NUMBERS_AND_BOOLEANS: [&str; 7] = [
    "persistent",
    "priority",
    "expiration-ms",
    "timestamp",
    "attempt",
    "redelivered",
    "stream-offset",
];

#[derive(Debug, Args)]
pub(super) struct MessageFlags {
    /// A property: content-type, message-id, correlation-id, reply-to, type, priority, persistent, …
    #[arg(short, long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// A header; NAME:=JSON for a value that is not text, as in retries:=3
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
}

impl MessageFlags {
    /// Whether anything is said.
    pub(super) fn are_there(&self) -> bool {
        !self.properties.is_empty() || !self.headers.is_empty()
    }

    /// The message that they describe, with this body.
    pub(super) fn message(&self, body: Vec<u8>) -> Result<Message, String> {
        let message = read_message(&self.object()?).map_err(|fault| fault.to_string())?;
        Ok(Message {
            body: body.into(),
            ..message
        })
    }

    /// The same where `--property` also says what a delivery has beside its message: `queue`,
    /// `exchange`, `routing-key`, `attempt`, `redelivered`, `stream-offset`.
    pub(super) fn delivery(&self, body: Vec<u8>) -> Result<Envelope, String> {
        let mut delivery = read_delivery(&self.object()?).map_err(|fault| fault.to_string())?;
        delivery.message.body = body.into();
        Ok(delivery)
    }

    /// The flags as an object of the message format.
    pub(super) fn object(&self) -> Result<Value, String> {
        let mut object = Map::new();
        for property in &self.properties {
            let (name, value) = property
                .split_once('=')
                .ok_or_else(|| format!("--property {property}: write NAME=VALUE"))?;
            if ["headers", "body", "body-base64", "body-json", "dead"].contains(&name) {
                return Err(format!("--property {name}: this is not a property"));
            }
            let value = match NUMBERS_AND_BOOLEANS.contains(&name) {
                true => serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)),
                false => Value::from(value),
            };
            object.insert(name.to_owned(), value);
        }
        let mut headers = Map::new();
        for header in &self.headers {
            let (name, value) = header
                .split_once('=')
                .ok_or_else(|| format!("--header {header}: write NAME=VALUE or NAME:=JSON"))?;
            let (name, value) = match name.strip_suffix(':') {
                None => (name, Value::from(value)),
                Some(name) => {
                    let value = serde_json::from_str(value);
                    (
                        name,
                        value.map_err(|error| format!("--header {name}: is not JSON: {error}"))?,
                    )
                }
            };
            headers.insert(name.to_owned(), value);
        }
        object.insert("headers".to_owned(), Value::Object(headers));
        Ok(Value::Object(object))
    }
}
