//! Deliveries and a configuration for native unit tests of a handler.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::requests::Error;
#[cfg(not(target_family = "wasm"))]
use crate::requests::Failure;
use crate::{Delivery, FieldValue, Message, Publication};

/// Builds a delivery. By default it has an empty message and is at its first attempt.
///
/// ```
/// use hive_guest::testing::DeliveryBuilder;
///
/// let delivery = DeliveryBuilder::new()
///     .queue("orders.created")
///     .routing_key("order.created.pt")
///     .header("source", "shop")
///     .json(&["a", "b"])
///     .attempt(3)
///     .build();
/// assert_eq!(delivery.attempt, 3);
/// assert_eq!(delivery.header("source").unwrap().as_text(), Some("shop"));
/// assert_eq!(delivery.json::<Vec<String>>().unwrap(), ["a", "b"]);
/// ```
#[derive(Debug, Clone)]
pub struct DeliveryBuilder(Delivery);

impl Default for DeliveryBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl DeliveryBuilder {
    /// An empty message from the queue `queue`, published through the default exchange.
    pub fn new() -> Self {
        Self(Delivery {
            message: Message::empty(),
            queue: "queue".into(),
            exchange: String::new(),
            routing_key: "queue".into(),
            redelivered: false,
            attempt: 1,
            stream_offset: None,
        })
    }

    /// The queue that it was consumed from.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.0.queue = queue.into();
        self
    }

    /// The exchange that it was published to.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.0.exchange = exchange.into();
        self
    }

    /// The routing key that it was published with.
    #[must_use]
    pub fn routing_key(mut self, routing_key: impl Into<String>) -> Self {
        self.0.routing_key = routing_key.into();
        self
    }

    /// These bytes as the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.message.body = body.into();
        self
    }

    /// Sets the body to this text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.body(text.into())
    }

    /// This value as the body, in JSON.
    ///
    /// # Panics
    ///
    /// If JSON cannot express the value, such as a map whose keys are not strings.
    #[must_use]
    pub fn json(self, value: &impl Serialize) -> Self {
        self.body(serde_json::to_vec(value).expect("the value of a test can be written as JSON"))
    }

    /// Sets a header; replaces one with the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<FieldValue>) -> Self {
        let properties = &mut self.0.message.properties;
        properties.set_header(name.into(), value.into());
        self
    }

    /// The queue for a reply.
    #[must_use]
    pub fn reply_to(mut self, queue: impl Into<String>) -> Self {
        self.0.message.properties.reply_to = Some(queue.into());
        self
    }

    /// Correlates a reply with its request.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.0.message.properties.correlation_id = Some(id.into());
        self
    }

    /// The application's id of the message.
    #[must_use]
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.0.message.properties.message_id = Some(id.into());
        self
    }

    /// The attempt: 1 for the first, one more for each retry.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.0.attempt = attempt;
        self
    }

    /// Whether the broker delivered it before and got no answer.
    #[must_use]
    pub fn redelivered(mut self, redelivered: bool) -> Self {
        self.0.redelivered = redelivered;
        self
    }

    /// The offset in a stream queue.
    #[must_use]
    pub fn stream_offset(mut self, offset: u64) -> Self {
        self.0.stream_offset = Some(offset);
        self
    }

    /// The delivery. Set anything else through its public fields.
    pub fn build(self) -> Delivery {
        self.0
    }
}

type Answer = Box<dyn FnMut(Publication) -> Result<Message, Error>>;

thread_local! {
    static CONFIG: RefCell<BTreeMap<String, String>> = RefCell::default();
    static ANSWER: RefCell<Option<Answer>> = RefCell::default();
}

/// Sets the values that [`config::get`](crate::config::get) returns in this thread. Tests run in
/// parallel, each in its own thread.
///
/// ```
/// hive_guest::testing::set_config([("currency", "EUR")]);
/// assert_eq!(hive_guest::config::get("currency").as_deref(), Some("EUR"));
/// assert_eq!(hive_guest::config::get("country"), None);
/// ```
pub fn set_config<K: Into<String>, V: Into<String>>(values: impl IntoIterator<Item = (K, V)>) {
    let values = values
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    CONFIG.replace(values);
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn config(key: &str) -> Option<String> {
    CONFIG.with_borrow(|config| config.get(key).cloned())
}

/// Gives the replies to [requests](crate::requests) that are made in this thread. Without it, no queue takes them.
///
/// ```
/// use hive_guest::requests::{self, Error, Failure};
/// use hive_guest::{Publication, testing};
///
/// testing::answer_requests(|_| Err(Error::new(Failure::TimedOut, "no reply came in time")));
/// let error = requests::request(Publication::to_queue("rpc.prices")).unwrap_err();
/// assert_eq!(error.failure, Failure::TimedOut);
/// ```
pub fn answer_requests(answer: impl FnMut(Publication) -> Result<Message, Error> + 'static) {
    ANSWER.set(Some(Box::new(answer)));
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn answer(publication: Publication) -> Result<Message, Error> {
    ANSWER.with_borrow_mut(|answer| match answer {
        Some(answer) => answer(publication),
        None => Err(Error::new(
            Failure::Unroutable,
            "this test answers no requests: call `testing::answer_requests`",
        )),
    })
}

#[cfg(not(target_family = "wasm"))]
type Objects = BTreeMap<String, Vec<u8>>;

thread_local! {
    #[cfg(not(target_family = "wasm"))]
    static OBJECTS: RefCell<BTreeMap<String, Objects>> = RefCell::default();
    static OBJECT_FAULTS: RefCell<BTreeMap<String, String>> = RefCell::default();
}

/// Has every call for a container of [`objects`](crate::objects) fail for this reason in this thread, as if its object
/// store were away; `None` ends that.
///
/// ```
/// use hive_guest::objects::Container;
/// use hive_guest::testing::fail_objects;
///
/// let tracks = Container::open("tracks").unwrap();
/// fail_objects("tracks", Some("it is full"));
/// assert_eq!(tracks.put("a", b"1").unwrap_err().to_string(), "it is full");
/// fail_objects("tracks", None);
/// assert_eq!(tracks.put("a", b"1"), Ok(()));
/// ```
pub fn fail_objects(container: &str, reason: Option<&str>) {
    OBJECT_FAULTS.with_borrow_mut(|faults| match reason {
        Some(reason) => faults.insert(container.to_owned(), reason.to_owned()),
        None => faults.remove(container),
    });
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn objects_fault(container: &str) -> Option<String> {
    OBJECT_FAULTS.with_borrow(|faults| faults.get(container).cloned())
}

#[cfg(not(target_family = "wasm"))]
pub(crate) fn with_objects<T>(container: &str, work: impl FnOnce(&mut Objects) -> T) -> T {
    OBJECTS.with_borrow_mut(|containers| work(containers.entry(container.to_owned()).or_default()))
}
