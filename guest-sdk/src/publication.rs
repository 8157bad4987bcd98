//! Building a publication.

use std::time::Duration;

use serde::Serialize;

use crate::{FieldValue, JsonError, Message, Publication};

impl Publication {
    /// A message to an exchange. By default it is empty, persistent and mandatory.
    ///
    /// ```
    /// # use hive_guest::Publication;
    /// let publication = Publication::to("orders", "order.priced.pt")
    ///     .json(&["total", "12.50"])?
    ///     .header("source", "shop");
    /// assert_eq!(publication.message.text(), Ok(r#"["total","12.50"]"#));
    /// # Ok::<(), hive_guest::JsonError>(())
    /// ```
    pub fn to(exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            message: Message::empty(),
            mandatory: true,
            delay_ms: None,
        }
    }

    /// A message straight to a queue, through the default exchange.
    pub fn to_queue(queue: impl Into<String>) -> Self {
        Self::to("", queue)
    }

    /// Sets these bytes as the body, and leaves the content type unchanged.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.message.body = body.into();
        self
    }

    /// Sets this text as the body, and `text/plain` as the content type.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.content_type("text/plain").body(text.into())
    }

    /// Sets this value as the body, in JSON, and `application/json` as the content type.
    pub fn json(self, value: &impl Serialize) -> Result<Self, JsonError> {
        let body = serde_json::to_vec(value).map_err(JsonError::writing)?;
        Ok(self.content_type("application/json").body(body))
    }

    /// The MIME type of the body.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.message.properties.content_type = Some(content_type.into());
        self
    }

    /// Sets a header; replaces one with the same name. Names that begin with `x-hive-` are reserved: the
    /// host refuses them.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<FieldValue>) -> Self {
        self.message
            .properties
            .set_header(name.into(), value.into());
        self
    }

    /// The id of the message. Without one, the host derives an id from the delivery, so that a repeat
    /// after a crash has the same id.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message.properties.message_id = Some(id.into());
        self
    }

    /// Correlates a reply with its request.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.message.properties.correlation_id = Some(id.into());
        self
    }

    /// The queue for a reply.
    #[must_use]
    pub fn reply_to(mut self, queue: impl Into<String>) -> Self {
        self.message.properties.reply_to = Some(queue.into());
        self
    }

    /// Whether the message survives a broker restart; true by default.
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.message.properties.persistent = persistent;
        self
    }

    /// Whether a message that no queue takes fails the delivery; true by default. Set it to false for an
    /// event that may have no subscribers.
    #[must_use]
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        self.mandatory = mandatory;
        self
    }

    /// Publish it this much later, in whole milliseconds.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = Some(milliseconds(delay));
        self
    }
}

/// Whole milliseconds, rounded up, and at most the largest number that the contract can express.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_set_twice_is_there_once() {
        let publication = Publication::to_queue("q").header("a", 1).header("b", 2);
        let headers = publication.header("a", 3).message.properties.headers;
        assert_eq!(
            headers,
            [("a".to_owned(), 3.into()), ("b".to_owned(), 2.into())]
        );
    }

    #[test]
    fn a_delay_is_never_cut_short() {
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_micros(2_700)), 3);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
