//! Reading a delivery.

use serde::de::DeserializeOwned;

use crate::{Delivery, FieldValue, JsonError, Properties, Publication, TextError};

impl Delivery {
    /// The raw bytes, exactly as published.
    pub fn body(&self) -> &[u8] {
        &self.message.body
    }

    /// The body as UTF-8.
    pub fn text(&self) -> Result<&str, TextError> {
        self.message.text()
    }

    /// The body as JSON. The error gives the field, line and column at which the body does not match.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.message.json()
    }

    /// The properties of the message.
    pub fn properties(&self) -> &Properties {
        &self.message.properties
    }

    /// The first header with exactly this name, compared byte for byte.
    pub fn header(&self, name: &str) -> Option<&FieldValue> {
        self.message.properties.header(name)
    }

    /// A reply to a message that has a `reply-to`: a publication to that queue, with the correlation id
    /// of the request and without a body. `None` if the message has no `reply-to`.
    ///
    /// The reply is not mandatory, because the requester may be gone. The pattern is RabbitMQ's (its
    /// documentation: "Direct Reply-to", and tutorial six, "RPC").
    ///
    /// ```
    /// use hive_guest::{Action, Delivery};
    ///
    /// #[hive_guest::consumer]
    /// fn handle(question: Delivery) -> Result<Action, String> {
    ///     let Some(reply) = question.reply() else {
    ///         return Ok(Action::reject("nobody waits for an answer"));
    ///     };
    ///     Ok(reply.text("42").into())
    /// }
    /// # use hive_guest::testing::DeliveryBuilder;
    /// let question = DeliveryBuilder::new().reply_to("answers").correlation_id("7").build();
    /// let action = handle(question).unwrap();
    /// let reply = &action.publications()[0];
    /// assert_eq!(reply.routing_key, "answers");
    /// assert_eq!(reply.message.properties.correlation_id.as_deref(), Some("7"));
    /// ```
    pub fn reply(&self) -> Option<Publication> {
        let properties = self.properties();
        let queue = properties
            .reply_to
            .as_deref()
            .filter(|queue| !queue.is_empty())?;
        let mut reply = Publication::to_queue(queue).mandatory(false);
        reply.message.properties.correlation_id = properties.correlation_id.clone();
        Some(reply)
    }
}
