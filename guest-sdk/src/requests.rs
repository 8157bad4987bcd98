//! Calls to others over the broker, through `hive:consumer/requests`: a message is published, and the reply to it is
//! awaited.
//!
//! hive.toml must grant it: `allow.request = [":rpc.*"]` of the component. A component imports the interface only if it
//! calls this. In native tests, [`testing::answer_requests`](crate::testing::answer_requests) gives the replies.
//!
//! ```
//! use hive_guest::{Message, Publication, requests, testing};
//!
//! testing::answer_requests(|asked| {
//!     assert_eq!(asked.routing_key, "rpc.prices");
//!     Ok(Publication::to_queue("").text("450").message)
//! });
//! let reply = requests::request(Publication::to_queue("rpc.prices").text("tea"))?;
//! assert_eq!(reply.text(), Ok("450"));
//! # Ok::<(), requests::Error>(())
//! ```

use std::fmt;
use std::time::Duration;

use crate::publication::milliseconds;
use crate::{Message, Publication};

/// Why a request has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// `allow.request` of the component does not name the exchange and the routing key. Nothing was published.
    NotAllowed,
    /// The message cannot be published, or the broker refuses it: its exchange is missing, or a queue is full.
    Refused,
    /// No queue takes the message.
    Unroutable,
    /// No reply came in time. The request may have been handled, or may still be.
    TimedOut,
    /// The connection to the broker was lost, or there was none. The request may have been handled, or may still be.
    Disconnected,
    /// The reply is larger than a component may receive.
    TooLarge,
}

/// A request without a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The kind of failure.
    pub failure: Failure,
    /// What went wrong, in words.
    pub text: String,
}

impl Error {
    /// For tests: a failure of this kind.
    pub fn new(failure: Failure, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { failure, text }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Publishes a message and waits for its reply until the time of the call is over: `timeout` in hive.toml.
///
/// The host sets `reply-to` and `correlation-id`, and a `message-id` if there is none. A request has no delay and is
/// always mandatory.
pub fn request(publication: Publication) -> Result<Message, Error> {
    ask(publication, None)
}

/// The same for a reply that is of no use after `wait`.
pub fn request_within(publication: Publication, wait: Duration) -> Result<Message, Error> {
    ask(publication, Some(wait))
}

fn ask(publication: Publication, wait: Option<Duration>) -> Result<Message, Error> {
    if publication.delay_ms.is_some() {
        return Err(Error::new(Failure::Refused, "a request cannot be delayed"));
    }
    source::request(publication, wait.map(milliseconds))
}

#[cfg(target_family = "wasm")]
mod source {
    use super::{Error, Failure};
    use crate::bindings::requesting::hive::consumer::requests;
    use crate::{Message, Publication};

    impl From<requests::RequestError> for Error {
        fn from(error: requests::RequestError) -> Self {
            use requests::RequestFailure as Kind;
            let failure = match error.failure {
                Kind::NotAllowed => Failure::NotAllowed,
                Kind::Refused => Failure::Refused,
                Kind::Unroutable => Failure::Unroutable,
                Kind::TimedOut => Failure::TimedOut,
                Kind::Disconnected => Failure::Disconnected,
                Kind::TooLarge => Failure::TooLarge,
            };
            Self::new(failure, error.text)
        }
    }

    pub(super) fn request(
        publication: Publication,
        timeout_ms: Option<u64>,
    ) -> Result<Message, Error> {
        let Publication {
            exchange,
            routing_key,
            message,
            ..
        } = publication;
        let reply = requests::request(&exchange, &routing_key, &message, timeout_ms);
        Ok(reply?)
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use super::Error;
    use crate::{Message, Publication};

    pub(super) fn request(
        publication: Publication,
        _timeout_ms: Option<u64>,
    ) -> Result<Message, Error> {
        crate::testing::answer(publication)
    }
}
