//! Between the core's messages and the generated types of this interface, which both sides own.

use std::time::Duration;

use hive_core::message::{FieldValue, Message, Properties};
use hive_telemetry::RequestEnd;

use super::Unanswered;
use super::bindings::hive::consumer::requests::{RequestError, RequestFailure};
use super::bindings::hive::consumer::types;

impl From<types::Message> for Message {
    fn from(message: types::Message) -> Self {
        let properties = message.properties;
        let headers = properties.headers.into_iter();
        Self {
            properties: Properties {
                content_type: properties.content_type,
                content_encoding: properties.content_encoding,
                headers: headers.map(|(name, value)| (name, value.into())).collect(),
                persistent: properties.persistent,
                priority: properties.priority,
                correlation_id: properties.correlation_id,
                reply_to: properties.reply_to,
                expiration: properties.expiration_ms.map(Duration::from_millis),
                message_id: properties.message_id,
                timestamp: properties.timestamp,
                kind: properties.type_,
                user_id: properties.user_id,
                app_id: properties.app_id,
            },
            body: message.body.into(),
        }
    }
}

impl From<Message> for types::Message {
    fn from(message: Message) -> Self {
        let properties = message.properties;
        let headers = properties.headers.into_iter();
        let expiration = properties.expiration;
        Self {
            properties: types::Properties {
                content_type: properties.content_type,
                content_encoding: properties.content_encoding,
                headers: headers.map(|(name, value)| (name, value.into())).collect(),
                persistent: properties.persistent,
                priority: properties.priority,
                correlation_id: properties.correlation_id,
                reply_to: properties.reply_to,
                expiration_ms: expiration
                    .map(|expires| u64::try_from(expires.as_millis()).unwrap_or(u64::MAX)),
                message_id: properties.message_id,
                timestamp: properties.timestamp,
                type_: properties.kind,
                user_id: properties.user_id,
                app_id: properties.app_id,
            },
            body: message.body.into(),
        }
    }
}

impl From<types::FieldValue> for FieldValue {
    fn from(value: types::FieldValue) -> Self {
        use types::FieldValue as Value;
        match value {
            Value::Void => Self::Void,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Double(value) => Self::Double(value),
            Value::Text(value) => Self::Text(value),
            Value::Bytes(value) => Self::Bytes(value),
            Value::Timestamp(value) => Self::Timestamp(value),
            Value::Nested(value) => Self::Nested(value),
        }
    }
}

impl From<FieldValue> for types::FieldValue {
    fn from(value: FieldValue) -> Self {
        use FieldValue as Value;
        match value {
            Value::Void => Self::Void,
            Value::Boolean(value) => Self::Boolean(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Double(value) => Self::Double(value),
            Value::Text(value) => Self::Text(value),
            Value::Bytes(value) => Self::Bytes(value),
            Value::Timestamp(value) => Self::Timestamp(value),
            Value::Nested(value) => Self::Nested(value),
        }
    }
}

impl From<Unanswered> for RequestError {
    fn from(unanswered: Unanswered) -> Self {
        let failure = match unanswered.end {
            RequestEnd::NotAllowed => RequestFailure::NotAllowed,
            // One that is answered is none of these.
            RequestEnd::Refused | RequestEnd::Answered => RequestFailure::Refused,
            RequestEnd::Unroutable => RequestFailure::Unroutable,
            RequestEnd::TimedOut => RequestFailure::TimedOut,
            RequestEnd::Disconnected => RequestFailure::Disconnected,
            RequestEnd::TooLarge => RequestFailure::TooLarge,
        };
        Self {
            failure,
            text: unanswered.text,
        }
    }
}
