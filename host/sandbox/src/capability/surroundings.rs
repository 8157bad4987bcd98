//! What components meet outside in place of the machine's own, when they are tested: a network that answers
//! as it is told, a time of day, and object stores in memory.

use std::sync::Arc;
use std::time::SystemTime;

use hive_objects::Objects;

/// The same for every instance of an engine. The default is the machine's network and clock, and the object stores that
/// the grants name.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Answers every HTTP request that the grants allow; `None` sends them to the network.
    pub network: Option<Arc<dyn Network>>,
    /// Gives the time of day; `None` takes the clock of the machine.
    pub clock: Option<WallClock>,
    /// Has the objects of components; `None` reaches the stores that the grants name.
    pub objects: Option<Objects>,
}

/// Answers HTTP requests in place of a network.
pub trait Network: Send + Sync {
    /// The answer to a request that `allow.http` permits.
    fn answer(&self, request: HttpRequest) -> HttpOutcome;
}

/// A time of day.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A request as the component made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, as in `GET`.
    pub method: String,
    /// Scheme, authority, path and query.
    pub url: String,
    /// The headers in their order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpOutcome {
    /// A response.
    Response {
        /// The status of the response.
        status: u16,
        /// The headers of the response.
        headers: Vec<(String, String)>,
        /// The whole body of the response.
        body: Vec<u8>,
    },
    /// The request is not allowed.
    Denied,
    /// The connection is refused.
    Refused,
    /// The connection cannot be made in time.
    TimedOut,
    /// The connection ends before a response.
    Closed,
}
