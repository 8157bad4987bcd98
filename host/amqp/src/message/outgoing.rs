//! Publications, checked before a byte of them is written.

use std::sync::Arc;

use bytes::Bytes;
use hive_core::message::Publication;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::bookkeeping::{RESERVED, ROUTED_BY};
use super::copies::without_expiration;
use super::encode::header_frame_length;
use super::headers::{Unpublishable, short, write};

/// RabbitMQ's largest message, unless it is configured otherwise.
pub const LARGEST_BODY: usize = 128 << 20;

/// The broker's limits for publications over one connection.
#[derive(Debug, Clone)]
pub struct PublishLimits {
    /// The largest frame that was agreed on.
    pub frame_max: u32,
    /// The connection's user, if it is known.
    pub user: Option<Arc<str>>,
}

/// The room for the headers that the broker adds to a message that it dead-letters or redelivers (see
/// [`super::broker_headers`]): one entry of `x-death`, three of `x-first-death-…`, three of `x-last-death-…`,
/// two counts. They name queues and exchanges, each of at most 255 bytes, six times.
///
/// The broker adds them however large the headers are, and sends a frame that is larger than was agreed on,
/// which ends the connection of every client that reads it, again and again.
pub(crate) const ROOM_FOR_THE_BROKER: usize = 6 * 255 + 430;

/// The room for the counts that a quorum queue adds to what it hands out again: `x-delivery-count` and `x-acquired-count`,
/// each a name and a number of eight octets. For what happens without it see [`ROOM_FOR_THE_BROKER`].
pub(crate) const ROOM_FOR_COUNTS: usize = 2 * (1 + 16 + 1 + 8);

/// A message ready to be published. Clones share the body.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    /// Without headers; those are apart.
    pub properties: BasicProperties,
    /// Its headers.
    pub headers: FieldTable,
    /// The content.
    pub body: Bytes,
    /// Whether it is a fault if no queue takes it.
    pub(crate) mandatory: bool,
    /// The length of the content header frame on the wire.
    pub header_frame: usize,
}

impl Outgoing {
    /// A publication that a component asked for, whose body moves out of it. `message_id` is used where it
    /// has none.
    pub fn publication(
        publication: &mut Publication,
        message_id: &str,
        limits: &PublishLimits,
    ) -> Result<Self, Unpublishable> {
        let asked = &publication.message.properties;
        if let Some((name, _)) = asked.headers.iter().find(|(n, _)| n.starts_with(RESERVED)) {
            return Err(Unpublishable(format!(
                "header {name:?}: names that begin with {RESERVED:?} are the host's own"
            )));
        }
        if let Some(user_id) = &asked.user_id {
            sent_by(user_id, limits.user.as_deref())?;
        }
        if publication.exchange.contains(['\r', '\n']) {
            return Err(Unpublishable(
                "the exchange's name has a line end, and no broker has such an exchange".to_owned(),
            ));
        }
        let (mut properties, headers) = write(asked)?;
        for name in ROUTED_BY {
            let value = headers.inner().get(name);
            if value.is_some_and(|value| !matches!(value, AMQPValue::FieldArray(_))) {
                return Err(Unpublishable(format!(
                    "header {name:?} is not an array of routing keys, and the broker refuses any other value"
                )));
            }
        }
        if asked.message_id.as_ref().is_none_or(String::is_empty) {
            properties = properties.with_message_id(short("message-id", message_id)?);
        }
        Self {
            exchange: short("the exchange's name", &publication.exchange)?,
            routing_key: short("the routing key", &publication.routing_key)?,
            properties,
            headers,
            body: std::mem::take(&mut publication.message.body),
            mandatory: publication.mandatory,
            header_frame: 0,
        }
        .checked(
            limits,
            match publication.delay {
                None => ROOM_FOR_COUNTS,
                Some(_) => ROOM_FOR_THE_BROKER,
            },
        )
    }

    /// Sent by way of an exchange that delays, from [`crate::Connection::delaying_exchange`],
    /// instead of straight to where it is meant to go.
    ///
    /// An expiration is taken off. The broker would end the delay early by it, and takes it off
    /// itself when it hands the message on.
    #[must_use]
    pub fn by_way_of(mut self, exchange: DelayingExchange) -> Self {
        self.exchange = exchange.0;
        self.properties = without_expiration(&self.properties);
        self
    }

    /// Checks sizes; `to_come` is the size of headers that are added later. The last step of everything that
    /// builds a publication.
    pub(crate) fn checked(
        mut self,
        limits: &PublishLimits,
        to_come: usize,
    ) -> Result<Self, Unpublishable> {
        if self.body.len() > LARGEST_BODY {
            return Err(Unpublishable(format!(
                "the body has {} bytes, and RabbitMQ takes {LARGEST_BODY} at most",
                self.body.len()
            )));
        }
        self.header_frame = header_frame_length(&self.properties, self.headers.inner());
        if self.header_frame + to_come > limits.frame_max as usize {
            let beside = match to_come {
                0 => String::new(),
                to_come => format!(" beside {to_come} that the broker may add"),
            };
            return Err(Unpublishable(format!(
                "properties and headers take {} bytes, and they have to fit in a frame of {}{beside}; \
                 put what is large into the body",
                self.header_frame, limits.frame_max
            )));
        }
        Ok(self)
    }

    /// The properties for the wire, with the headers.
    pub fn all_properties(&self) -> BasicProperties {
        let properties = self.properties.clone();
        match self.headers.inner().is_empty() {
            true => properties,
            false => properties.with_headers(self.headers.clone()),
        }
    }
}

/// An exchange that holds what is published to it for a while, and then hands it on.
#[derive(Debug, Clone)]
pub struct DelayingExchange(pub(crate) ShortString);

/// Whether the broker would take this user-id: it closes the channel over any but the connection's
/// own.
fn sent_by(user_id: &str, user: Option<&str>) -> Result<(), Unpublishable> {
    match user {
        Some(user) if user == user_id => Ok(()),
        Some(user) => Err(Unpublishable(format!(
            "user-id {user_id:?} is not the connection's user {user:?}, and the broker would \
             refuse it"
        ))),
        None => Err(Unpublishable(format!(
            "user-id {user_id:?}: the connection logs in with its certificate, and the broker \
             alone knows as whom"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use hive_core::message::{FieldValue, Message, Properties};

    use super::*;

    fn limits() -> PublishLimits {
        PublishLimits {
            frame_max: 4096,
            user: Some("guest".into()),
        }
    }

    fn refusal(properties: Properties) -> String {
        let mut publication = Publication {
            exchange: String::new(),
            routing_key: "q".into(),
            message: Message {
                properties,
                body: Bytes::new(),
            },
            mandatory: true,
            delay: None,
        };
        Outgoing::publication(&mut publication, "m-0", &limits())
            .expect_err("it must not be published")
            .to_string()
    }

    fn one_header(name: &str, value: FieldValue) -> Properties {
        Properties {
            headers: vec![(name.into(), value)],
            ..Properties::default()
        }
    }

    #[test]
    fn headers_of_the_host_are_reserved() {
        let error = refusal(one_header("x-hive-attempt", FieldValue::Integer(0)));
        assert!(error.contains("are the host's own"), "{error}");
    }

    #[test]
    fn what_no_broker_takes_is_found() {
        let error = refusal(one_header("CC", FieldValue::Text("out".into())));
        assert!(error.contains("\"CC\" is not an array"), "{error}");
        for number in [f64::NAN, f64::INFINITY] {
            let error = refusal(one_header("half", FieldValue::Double(number)));
            assert!(error.contains("finite"), "{error}");
        }
    }

    #[test]
    fn headers_larger_than_a_frame_are_found_before_they_are_written() {
        let error = refusal(one_header("large", FieldValue::Text("x".repeat(4096))));
        assert!(error.contains("fit in a frame of 4096"), "{error}");
    }

    #[test]
    fn a_user_id_that_the_broker_would_refuse_is_found() {
        let error = refusal(Properties {
            user_id: Some("admin".into()),
            ..Properties::default()
        });
        assert!(error.contains("\"admin\""), "{error}");
        assert!(sent_by("guest", Some("guest")).is_ok());
        // With EXTERNAL only the broker knows the user.
        assert!(sent_by("guest", None).is_err());
    }

    #[test]
    fn an_id_is_given_only_where_there_is_none() {
        let id = |message_id: Option<&str>| {
            let mut publication = Publication {
                exchange: String::new(),
                routing_key: "q".into(),
                message: Message {
                    properties: Properties {
                        message_id: message_id.map(Into::into),
                        ..Properties::default()
                    },
                    body: Bytes::new(),
                },
                mandatory: true,
                delay: None,
            };
            let outgoing = Outgoing::publication(&mut publication, "m-0", &limits()).unwrap();
            outgoing
                .properties
                .message_id()
                .as_ref()
                .unwrap()
                .to_string()
        };
        assert_eq!(id(None), "m-0");
        assert_eq!(id(Some("mine")), "mine");
    }
}
