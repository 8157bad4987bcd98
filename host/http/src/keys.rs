//! Idempotency keys that were seen before: what the server asks of the host's memory.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// Something that takes a while.
pub type Promised<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The idempotency keys of one route.
pub trait Keys: Debug + Send + Sync {
    /// Claims a key, once no other request has it. An error says why it is not known whether the key was seen.
    fn claim(&self, key: &str) -> Promised<Result<Claim, String>>;
}

/// What a key stands for.
pub enum Claim {
    /// No message yet: this request publishes one.
    Fresh(Box<dyn Lease>),
    /// A message that is stored.
    Done,
}

/// A claim on a key. Dropped without a commit, it is given back.
pub trait Lease: Send {
    /// Remembers the key: the message of its request is stored.
    fn commit(self: Box<Self>) -> Promised<()>;
}
