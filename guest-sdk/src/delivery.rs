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

    /// The body as JSON. The error says at which field, line and column it is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.message.json()
    }

    /// The properties of the message.
    pub fn properties(&self) -> &Properties {
        &self.message.properties
    }

    /// The first header of this name, which is compared byte for byte.
    pub fn header(&self, name: &str) -> Option<&FieldValue> {
        self.message.properties.header(name)
    }

    /// An answer to a message that names a `reply-to`: a publication to that queue, with the
    /// correlation id of the question, still without a body. None where nobody waits for an answer.
    ///
    /// It is not mandatory, since whoever asked may be gone by now. The pattern is RabbitMQ's
    /// (its documentation: "Direct Reply-to", and tutorial six, "RPC").
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
