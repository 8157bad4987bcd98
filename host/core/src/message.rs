//! A message as the core sees it: AMQP's terms, no library's types.
//!
//! The AMQP side turns what came off the wire into an [`Envelope`], the guest side lends it to a
//! component and brings back an [`Action`]. Neither knows the other's types, and both know these.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::body::Body;

/// The prefix of every header that the host itself writes.
pub const RESERVED: &str = "x-hive-";

/// One message as it came off one queue, with everything a component may see of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The message itself.
    pub message: Message,
    /// The queue it was consumed from.
    pub queue: Arc<str>,
    /// The exchange it was first published to; a retry copy keeps the original's.
    pub exchange: String,
    /// The routing key it was first published with; a retry copy keeps the original's.
    pub routing_key: String,
    /// The broker handed this message out before and got no answer.
    pub redelivered: bool,
    /// Which try this is.
    pub attempt: Attempt,
    /// The offset in a stream; `None` for any other queue.
    pub stream_offset: Option<u64>,
}

/// Properties and body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// The properties of the basic class.
    pub properties: Properties,
    /// The raw bytes, exactly as published. Clones share them.
    pub body: Body,
}

/// The properties of AMQP 0-9-1's basic class, bar the obsolete cluster-id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties {
    /// MIME type of the body.
    pub content_type: Option<String>,
    /// MIME encoding of the body.
    pub content_encoding: Option<String>,
    /// In the order they came; names are kept to the byte.
    pub headers: Vec<(String, FieldValue)>,
    /// Survives a broker restart (delivery-mode 2).
    pub persistent: bool,
    /// 0 to 255.
    pub priority: Option<u8>,
    /// Correlates a reply with its request.
    pub correlation_id: Option<String>,
    /// The queue that a reply goes to.
    pub reply_to: Option<String>,
    /// Time to live.
    pub expiration: Option<Duration>,
    /// The application's id of the message.
    pub message_id: Option<String>,
    /// Seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// The application's name for the kind of message.
    pub kind: Option<String>,
    /// The broker checks it against the connection's user when a message is published.
    pub user_id: Option<String>,
    /// The application that published the message.
    pub app_id: Option<String>,
}

/// One value of an AMQP field table, as the WIT has it.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// No value.
    Void,
    /// `t`.
    Boolean(bool),
    /// An integer of any width.
    Integer(i64),
    /// A floating point number of either width.
    Double(f64),
    /// A long string in UTF-8.
    Text(String),
    /// A byte array, or a long string that is not UTF-8.
    Bytes(Vec<u8>),
    /// Seconds since the Unix epoch.
    Timestamp(u64),
    /// A table or an array, as JSON text.
    Nested(String),
}

/// Which try of a message this is: 1 for the first, one more for each retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The attempt numbered `number`; `None` for 0, since attempts are counted from 1.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number, from 1.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The try after this one. Stays at the largest number, where no policy lets it come.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many retries were spent before this try.
    pub fn retries_spent(self) -> u32 {
        self.get() - 1
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message that a component asks the host to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Empty for the default exchange, which routes to the queue named by the routing key.
    pub exchange: String,
    /// The routing key to publish with.
    pub routing_key: String,
    /// The message to publish.
    pub message: Message,
    /// Whether a message that no queue takes fails the delivery.
    pub mandatory: bool,
    /// Publish it this much later.
    pub delay: Option<Duration>,
}

/// A component's wish to see a delivery again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Why, for the log and the dead letter.
    pub reason: String,
    /// The delay that the component asks for; `None` leaves it to the retry policy.
    pub delay: Option<Duration>,
}

/// The answer of a component.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Done.
    Ack,
    /// Publish these; done once the broker has confirmed every one.
    Publish(Vec<Publication>),
    /// Not now.
    Retry(Retry),
    /// The message can never be handled, for this reason.
    Reject(String),
}
