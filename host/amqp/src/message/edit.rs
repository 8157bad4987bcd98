//! A dead letter that was edited and is not sent yet: a dead letter with two headers more.
//!
//! It takes the place of the one that was edited before it is sent. So an edit that was interrupted leaves one of the
//! two, and says which: see docs/retry-and-dead-letters.md.

use std::fmt::Write as _;

use hive_core::message::{FieldValue, Properties};
use lapin::BasicProperties;
use lapin::types::FieldTable;

use super::bookkeeping::{EDIT, EDIT_OF, RESERVED};
use super::death::text;
use super::headers::{Unpublishable, read, short, write};
use super::identity::own_id;
use super::octet_text::is_holder;
use super::original::Original;

/// Octets of a fingerprint that are written down.
const KEPT: usize = 16;

/// Octets of a fingerprint in a message-id.
const IN_ID: usize = 4;

/// The longest identity that a message-id of an edit begins with.
const LONGEST_IDENTITY: usize = 200;

/// Which dead letter one replaces that was edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditOf {
    /// What that one was known by: its message-id, if it had one.
    pub identity: String,
    /// Its fingerprint: see [`Original::written_fingerprint`].
    pub fingerprint: String,
}

impl EditOf {
    /// Reads it off a message. `None` for one that no edit has made.
    pub(crate) fn read(properties: &BasicProperties) -> Option<Self> {
        let headers = properties.headers().as_ref()?;
        Some(Self {
            identity: text(headers, EDIT)?,
            fingerprint: text(headers, EDIT_OF)?,
        })
    }
}

impl Original {
    /// A text that only a message equal to the byte shares, the same whenever the broker hands it out.
    pub fn written_fingerprint(&self, body: &[u8]) -> String {
        let mut text = hexadecimal(&self.fingerprint(body)[..KEPT]);
        // Twins without an id are told apart by this alone.
        if let Some(mark) = self.mark.filter(|mark| !mark.is_drawn()) {
            write!(text, "-{mark}").expect("a String takes everything");
        }
        text
    }

    /// The same message with other properties, headers and routing key. What is equal keeps its bytes and its AMQP
    /// types, and the host's own headers stay.
    ///
    /// # Errors
    ///
    /// AMQP has no room for one of them.
    pub fn edited(&self, wanted: &Properties, routing_key: &str) -> Result<Self, Unpublishable> {
        let is_ours = |name: &str| name.starts_with(RESERVED) || is_holder(name);
        let before = read(&self.properties, is_ours);
        let mut changed = wanted.clone();
        let was_there = |header: &Header| before.headers.iter().any(|one| are_same(one, header));
        changed.headers.retain(|header| !was_there(header));
        let (written, changed_headers) = write(&changed)?;
        let mut headers = FieldTable::default();
        for (name, value) in self.headers() {
            let is_kept = |header: &Header| header.0 == name.as_str() && was_there(header);
            if is_ours(name.as_str()) || wanted.headers.iter().any(is_kept) {
                headers.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &changed_headers {
            headers.insert(name.clone(), value.clone());
        }
        let mut properties = BasicProperties::default().with_headers(headers);
        macro_rules! take {
            ($($field:ident, $of:ident, $with:ident;)*) => {$(
                let source = match wanted.$field == before.$field {
                    true => &self.properties,
                    false => &written,
                };
                if let Some(value) = source.$of() {
                    properties = properties.$with(value.clone());
                }
            )*};
        }
        take! {
            content_type, content_type, with_content_type;
            content_encoding, content_encoding, with_content_encoding;
            persistent, delivery_mode, with_delivery_mode;
            priority, priority, with_priority;
            correlation_id, correlation_id, with_correlation_id;
            reply_to, reply_to, with_reply_to;
            expiration, expiration, with_expiration;
            message_id, message_id, with_message_id;
            timestamp, timestamp, with_timestamp;
            kind, kind, with_type;
            user_id, user_id, with_user_id;
            app_id, app_id, with_app_id;
        }
        // The core does not know it.
        if let Some(cluster_id) = self.properties.cluster_id() {
            properties = properties.with_cluster_id(cluster_id.clone());
        }
        Ok(Self {
            properties,
            routing_key: match routing_key == self.routing_key.as_str() {
                true => self.routing_key.clone(),
                false => short("the routing key", routing_key)?,
            },
            ..self.clone()
        })
    }

    /// The same under an id that is made of what the message was known by before the edit, and of what it is now: the
    /// same edit of the same message has the same one.
    ///
    /// # Errors
    ///
    /// None that is known: the id is short.
    pub fn with_id_of_edit(&self, identity: &str, body: &[u8]) -> Result<Self, Unpublishable> {
        let end = identity.floor_char_boundary(LONGEST_IDENTITY);
        let now = hexadecimal(&self.fingerprint(body)[..IN_ID]);
        let id = format!("{}-edit-{now}", &identity[..end]);
        let properties = self.properties.clone();
        Ok(Self {
            properties: properties.with_message_id(short("message-id", &id)?),
            ..self.clone()
        })
    }

    /// The message-id, if it has any.
    pub fn message_id(&self) -> Option<&str> {
        own_id(&self.properties)
    }
}

/// A header by its name.
type Header = (String, FieldValue);

/// Whether two headers are equal; what is no number equals itself here.
fn are_same(one: &Header, other: &Header) -> bool {
    let is_no_number = |header: &Header| matches!(header.1, FieldValue::Double(it) if it.is_nan());
    one == other || (one.0 == other.0 && is_no_number(one) && is_no_number(other))
}

fn hexadecimal(octets: &[u8]) -> String {
    let mut text = String::new();
    for octet in octets {
        write!(text, "{octet:02x}").expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use lapin::types::AMQPValue;
    use proptest::prelude::*;

    use super::*;
    use crate::message::strategies::any_properties;

    fn original(properties: BasicProperties) -> Original {
        Original {
            queue: "orders.dead".into(),
            exchange: "shop".into(),
            routing_key: "order.web".into(),
            properties,
            stream_offset: None,
            mark: None,
            first_trace: None,
        }
    }

    fn with_headers() -> Original {
        let mut headers = FieldTable::default();
        headers.insert("small".into(), AMQPValue::ShortInt(3));
        headers.insert("word".into(), AMQPValue::LongString("tea".into()));
        headers.insert(
            "x-hive-reason".into(),
            AMQPValue::LongString("error".into()),
        );
        original(
            BasicProperties::default()
                .with_message_id("o-17".into())
                .with_priority(3)
                .with_headers(headers),
        )
    }

    #[test]
    fn what_is_edited_changes_and_the_rest_keeps_its_types() {
        let before = with_headers();
        let mut wanted = read(&before.properties, |name| name.starts_with(RESERVED));
        wanted.priority = None;
        wanted.content_type = Some("text/plain".to_owned());
        wanted.headers.retain(|(name, _)| name != "word");
        let new = ("new".to_owned(), FieldValue::Boolean(true));
        wanted.headers.push(new);
        let after = before.edited(&wanted, "order.shop").unwrap();
        let headers = after.properties.headers().clone().unwrap_or_default();
        let value = |name: &str| headers.inner().get(name).cloned();
        assert_eq!(value("small"), Some(AMQPValue::ShortInt(3)));
        assert_eq!(value("word"), None);
        assert_eq!(value("new"), Some(AMQPValue::Boolean(true)));
        assert!(
            value("x-hive-reason").is_some(),
            "the record of its end stays"
        );
        assert_eq!(*after.properties.priority(), None);
        assert_eq!(after.message_id(), Some("o-17"));
        assert_eq!(after.routing_key.as_str(), "order.shop");
        // It was not said before, and is not now.
        assert_eq!(*after.properties.delivery_mode(), None);
    }

    #[test]
    fn the_same_edit_has_the_same_id_and_another_has_another() {
        let of = |body: &[u8]| {
            let edited = with_headers().with_id_of_edit("o-17", body).unwrap();
            edited.message_id().map(str::to_owned).unwrap()
        };
        assert_eq!(of(b"{}"), of(b"{}"));
        assert_ne!(of(b"{}"), of(b"[]"));
        assert!(of(b"{}").starts_with("o-17-edit-"));
        let long = with_headers()
            .with_id_of_edit(&"ä".repeat(200), b"")
            .unwrap();
        assert!(long.message_id().is_some_and(|id| id.len() < 255));
    }

    proptest! {
        #[test]
        fn an_edit_that_changes_nothing_keeps_every_byte(properties in any_properties()) {
            let headers = properties.headers().clone().unwrap_or_default();
            let before = original(properties.with_headers(headers));
            let is_ours = |name: &str| name.starts_with(RESERVED) || is_holder(name);
            let wanted = read(&before.properties, is_ours);
            let after = before.edited(&wanted, "order.web").unwrap();
            prop_assert_eq!(after, before);
        }
    }
}
