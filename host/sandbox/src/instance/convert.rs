//! Between the core's messages and the contract's generated types. Lent on the way in, moved on
//! the way out: a body is never copied on the host's side.

use std::time::Duration;

use hive_core::message::{Action, Envelope, FieldValue, Message, Properties, Publication, Retry};
use hive_core::policy::Outcome;

use super::bindings::contract::hive::consumer::types;

/// The headers of an envelope as the contract has them; they are lent like the rest.
pub(crate) fn headers(envelope: &Envelope) -> Vec<(&str, types::FieldValueParam<'_>)> {
    use types::FieldValueParam as Value;
    envelope
        .message
        .properties
        .headers
        .iter()
        .map(|(name, value)| {
            let value = match value {
                FieldValue::Void => Value::Void,
                FieldValue::Boolean(value) => Value::Boolean(*value),
                FieldValue::Integer(value) => Value::Integer(*value),
                FieldValue::Double(value) => Value::Double(*value),
                FieldValue::Text(value) => Value::Text(value),
                FieldValue::Bytes(value) => Value::Bytes(value),
                FieldValue::Timestamp(value) => Value::Timestamp(*value),
                FieldValue::Nested(value) => Value::Nested(value),
            };
            (name.as_str(), value)
        })
        .collect()
}

/// The envelope as the contract has it.
pub(crate) fn delivery<'a>(
    envelope: &'a Envelope,
    headers: &'a [(&'a str, types::FieldValueParam<'a>)],
) -> types::Delivery<'a> {
    let properties = &envelope.message.properties;
    types::Delivery {
        message: types::MessageParam {
            properties: types::PropertiesParam {
                content_type: properties.content_type.as_deref(),
                content_encoding: properties.content_encoding.as_deref(),
                headers,
                persistent: properties.persistent,
                priority: properties.priority,
                correlation_id: properties.correlation_id.as_deref(),
                reply_to: properties.reply_to.as_deref(),
                expiration_ms: properties.expiration.map(milliseconds),
                message_id: properties.message_id.as_deref(),
                timestamp: properties.timestamp,
                type_: properties.kind.as_deref(),
                user_id: properties.user_id.as_deref(),
                app_id: properties.app_id.as_deref(),
            },
            body: &envelope.message.body,
        },
        queue: &envelope.queue,
        exchange: &envelope.exchange,
        routing_key: &envelope.routing_key,
        redelivered: envelope.redelivered,
        attempt: envelope.attempt.get(),
        stream_offset: envelope.stream_offset,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The outcome of an answer. `Err` is the outcome of one that exceeds a limit.
pub(crate) fn outcome(action: types::Action, max_publications: u32) -> Result<Outcome, Outcome> {
    if let types::Action::Publish(publications) = &action
        && publications.len() as u64 > u64::from(max_publications)
    {
        return Err(Outcome::OverLimit(format!(
            "the answer has {} publications, its limit is {max_publications} (`max_publications` of \
             the component raises it)",
            publications.len()
        )));
    }
    Ok(Action::from(action).into())
}

/// The outcomes of the answer to a batch of `deliveries`. `Err` is the outcome of an answer that exceeds a
/// limit; an action that does so fails only its own delivery.
pub(crate) fn outcomes(
    actions: Vec<types::Action>,
    deliveries: usize,
    max_publications: u32,
) -> Result<Vec<Outcome>, Vec<Outcome>> {
    if actions.len() != deliveries {
        let error = format!(
            "it answered a batch of {deliveries} with a list of {}: one action for each delivery is wanted",
            actions.len()
        );
        return Ok(vec![Outcome::Failed(error); deliveries]);
    }
    let mut is_within = true;
    let outcomes = actions.into_iter().map(|action| {
        outcome(action, max_publications).unwrap_or_else(|over_limit| {
            is_within = false;
            over_limit
        })
    });
    let outcomes = outcomes.collect();
    match is_within {
        true => Ok(outcomes),
        false => Err(outcomes),
    }
}

impl From<types::Action> for Action {
    fn from(action: types::Action) -> Self {
        match action {
            types::Action::Ack => Self::Ack,
            types::Action::Publish(publications) => {
                Self::Publish(publications.into_iter().map(Publication::from).collect())
            }
            types::Action::Retry(retry) => Self::Retry(Retry {
                reason: retry.reason,
                delay: retry.delay_ms.map(Duration::from_millis),
            }),
            types::Action::Reject(reason) => Self::Reject(reason),
        }
    }
}

impl From<types::Publication> for Publication {
    fn from(publication: types::Publication) -> Self {
        Self {
            exchange: publication.exchange,
            routing_key: publication.routing_key,
            message: publication.message.into(),
            mandatory: publication.mandatory,
            delay: publication.delay_ms.map(Duration::from_millis),
        }
    }
}

impl From<types::MessageResult> for Message {
    fn from(message: types::MessageResult) -> Self {
        let properties = message.properties;
        Self {
            properties: Properties {
                content_type: properties.content_type,
                content_encoding: properties.content_encoding,
                headers: properties
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
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

impl From<types::FieldValueResult> for FieldValue {
    fn from(value: types::FieldValueResult) -> Self {
        use types::FieldValueResult as Value;
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
