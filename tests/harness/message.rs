//! A message as the tests publish it and find it.

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// A message with everything that AMQP can carry.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The exchange it was published to; empty before it is published.
    pub exchange: String,
    /// The routing key it was published with; empty before it is published.
    pub routing_key: String,
    /// Whether the broker handed it out before.
    pub redelivered: bool,
    /// All properties, headers included.
    pub properties: BasicProperties,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// A persistent message without headers.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            exchange: String::new(),
            routing_key: String::new(),
            redelivered: false,
            properties: BasicProperties::default().with_delivery_mode(2),
            body: body.into(),
        }
    }

    /// The message with these properties.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(BasicProperties) -> BasicProperties) -> Self {
        self.properties = change(self.properties);
        self
    }

    /// The message with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<AMQPValue>) -> Self {
        let mut headers = self.headers();
        headers.insert(name.into(), value.into());
        self.properties = self.properties.with_headers(headers);
        self
    }

    /// The message with one more text header.
    #[must_use]
    pub fn text_header(self, name: &str, value: &str) -> Self {
        self.header(name, AMQPValue::LongString(value.into()))
    }

    /// The headers, empty where there are none.
    pub fn headers(&self) -> FieldTable {
        self.properties.headers().clone().unwrap_or_default()
    }

    /// A header, if it is there.
    pub fn value(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// A text header, if it is there; any other type is shown in Rust's terms, so that a
    /// comparison fails with it in sight.
    pub fn text_of(&self, name: &str) -> Option<String> {
        Some(match self.value(name)? {
            AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
            AMQPValue::ShortString(text) => text.to_string(),
            other => format!("{other:?}"),
        })
    }

    /// An integer header of any width, if it is there.
    pub fn number_of(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            AMQPValue::ShortShortInt(number) => Some((*number).into()),
            AMQPValue::ShortShortUInt(number) => Some((*number).into()),
            AMQPValue::ShortInt(number) => Some((*number).into()),
            AMQPValue::ShortUInt(number) => Some((*number).into()),
            AMQPValue::LongInt(number) => Some((*number).into()),
            AMQPValue::LongUInt(number) => Some((*number).into()),
            AMQPValue::LongLongInt(number) => Some(*number),
            _ => None,
        }
    }

    /// The headers that the publisher set: without the host's bookkeeping and the broker's.
    pub fn own_headers(&self) -> FieldTable {
        let mut own = FieldTable::default();
        for (name, value) in self.headers().inner() {
            let name_text = name.as_str();
            let added = name_text.starts_with("x-hive-") || is_brokers_own(name_text);
            if !added {
                own.insert(name.clone(), value.clone());
            }
        }
        own
    }

    /// The message-id, empty where there is none.
    pub fn id(&self) -> &str {
        let id = self.properties.message_id().as_ref();
        id.map_or("", |id| id.as_str())
    }

    /// The body as text, with invalid UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Whether some version of the broker writes a header of this name by itself. A quorum queue counts how
/// often it has handed a message out.
pub(crate) fn is_brokers_own(name: &str) -> bool {
    ["x-delivery-count", "x-acquired-count", "x-death"].contains(&name)
        || name.starts_with("x-first-death-")
        || name.starts_with("x-last-death-")
}

impl From<Delivery> for Message {
    fn from(delivery: Delivery) -> Self {
        Self {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            redelivered: delivery.redelivered,
            properties: delivery.properties,
            body: delivery.data,
        }
    }
}
