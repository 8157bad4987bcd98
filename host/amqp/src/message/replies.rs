//! The reply to a requester whose message was dead-lettered.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::json;

use super::bookkeeping::{ATTEMPTS, CONSUMER, ERROR, QUEUE, REASON};
use super::copies::{DeadLetterNote, LONGEST_ERROR, cut};
use super::headers::{Unpublishable, short};
use super::original::Original;
use super::outgoing::{Outgoing, PublishLimits, ROOM_FOR_COUNTS};
use crate::message::octet_text::is_holder;

/// The reply's property `type`.
const KIND: &str = "hive.failure";

/// The longest error text in a header of it: with it the reply fits into the smallest frame that AMQP
/// has. The body has more.
const LONGEST_HEADER: usize = 1024;

impl Outgoing {
    /// The reply that says why a message was dead-lettered; `None` if the message did not ask for a reply.
    ///
    /// It goes to the message's `reply-to` through the default exchange, and is not mandatory: the requester
    /// may be gone. `message_id` is that of the reply.
    pub fn failure_reply(
        original: &Original,
        note: DeadLetterNote<'_>,
        message_id: &str,
        limits: &PublishLimits,
    ) -> Option<Result<Self, Unpublishable>> {
        let asked = &original.properties;
        let reply_to = asked
            .reply_to()
            .as_ref()
            .filter(|to| !to.as_str().is_empty());
        let reply_to = reply_to?.clone();
        Some(reply(original, note, message_id).and_then(|reply| {
            Self {
                routing_key: reply_to,
                ..reply
            }
            .checked(limits, ROOM_FOR_COUNTS)
        }))
    }
}

fn reply(
    original: &Original,
    note: DeadLetterNote<'_>,
    message_id: &str,
) -> Result<Outgoing, Unpublishable> {
    let (class, error) = (note.failure.class.as_str(), &*note.failure.error);
    let body = json!({
        "class": class,
        "error": cut(error, LONGEST_ERROR),
        "attempts": note.attempt.get(),
    });
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_type(KIND.into())
        .with_message_id(short("message-id", message_id)?);
    if let Some(mode) = original.properties.delivery_mode() {
        properties = properties.with_delivery_mode(*mode);
    }
    if let Some(correlation_id) = original.properties.correlation_id() {
        properties = properties.with_correlation_id(correlation_id.clone());
    }
    let mut headers = FieldTable::default();
    let texts = [
        (REASON, class),
        (ERROR, &cut(error, LONGEST_HEADER)),
        (CONSUMER, note.consumer),
        (QUEUE, &original.queue),
    ];
    for (name, text) in texts {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    }
    let attempts = AMQPValue::LongLongInt(note.attempt.get().into());
    headers.insert(ATTEMPTS.into(), attempts);
    // A correlation-id may be named by a hash.
    for (name, value) in original.headers() {
        if is_holder(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    Ok(Outgoing {
        exchange: ShortString::default(),
        routing_key: ShortString::default(),
        properties,
        headers,
        body: body.to_string().into(),
        mandatory: false,
        header_frame: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use hive_core::message::Attempt;
    use hive_core::policy::{Failure, FailureClass};

    use super::*;

    fn reply_to(reply_to: Option<&str>) -> Option<Outgoing> {
        let mut asked = BasicProperties::default().with_correlation_id("c-1".into());
        if let Some(reply_to) = reply_to {
            asked = asked.with_reply_to(reply_to.into());
        }
        let original = Original {
            queue: "q".repeat(255).as_str().into(),
            exchange: "".into(),
            routing_key: "orders".into(),
            properties: asked,
            stream_offset: None,
            mark: None,
            first_trace: None,
        };
        let failure = Failure::new(FailureClass::Error, "ä".repeat(10_000));
        let note = DeadLetterNote {
            consumer: &"c".repeat(255),
            attempt: Attempt::new(3).expect("it counts from 1"),
            failure: &failure,
            time: SystemTime::UNIX_EPOCH,
            trace: None,
        };
        let limits = PublishLimits {
            frame_max: 4096,
            user: None,
        };
        let reply = Outgoing::failure_reply(&original, note, "m-1-failure", &limits)?;
        Some(reply.expect("it fits into the smallest frame"))
    }

    #[test]
    fn it_goes_to_whoever_asked_and_to_nobody_else() {
        assert!(reply_to(None).is_none());
        assert!(reply_to(Some("")).is_none());
        let reply = reply_to(Some("answers")).expect("somebody asked");
        assert_eq!(reply.routing_key.as_str(), "answers");
        assert!(reply.exchange.as_str().is_empty() && !reply.mandatory);
        assert_eq!(reply.properties.correlation_id(), &Some("c-1".into()));
    }

    #[test]
    fn it_says_what_went_wrong() {
        let reply = reply_to(Some("answers")).expect("somebody asked");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("it is JSON");
        assert_eq!(body["class"], "error");
        assert_eq!(body["attempts"], 3);
        assert!(body["error"].as_str().is_some_and(|e| e.len() > 4000));
        let class = AMQPValue::LongString("error".into());
        assert_eq!(reply.headers.inner().get(REASON), Some(&class));
    }
}
