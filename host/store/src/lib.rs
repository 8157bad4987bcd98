//! The store: everything that the host remembers between deliveries and, in a file, between its starts.
//!
//! A [`Store`] holds entries (a key, a value, perhaps an expiry) in namespaces. It is one small trait with
//! three implementations: in memory, in a file, on a server; callers use a [`Bucket`]. The effect of an
//! operation on an entry is decided in one place for all of them (`operation`), and so are the consequences
//! (`rows`).

mod bucket;
mod clock;
mod embedded;
mod fault;
mod memory;
mod notes;
mod on_demand;
mod operation;
#[cfg(feature = "redis")]
mod redis;
mod rows;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::bucket::{Bucket, Page};
pub use self::clock::Clock;
pub use self::embedded::Embedded;
pub use self::fault::StoreFault;
pub use self::memory::Memory;
pub use self::notes::{Noted, Notes, Noting};
pub use self::on_demand::{OnDemand, has_code_for};
pub use self::operation::{Answer, Operation, Value, Write};
#[cfg(feature = "redis")]
pub use self::redis::Redis;

/// The result of an operation, later.
pub type Promised<'a, T> = BoxFuture<'a, Result<T, StoreFault>>;

/// Entries in namespaces. An expired entry does not exist, whether or not it was swept away yet.
///
/// A write that was answered stays, in the sense of its kind: a file's is on the disk. A write whose answer was
/// not awaited, or that failed because a server went away, may or may not have happened. If the answer to a
/// claim was lost, the server may get the claim twice, and refuses it with the value that it has set: so a
/// claim should set a value that identifies its owner.
pub trait Store: Send + Sync {
    /// The values of these keys, in their order.
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>>;

    /// Carries out all of the writes or none, in one step; no reader sees half of it.
    fn write<'a>(
        &'a self,
        namespace: &'a Namespace,
        writes: Vec<Write>,
    ) -> Promised<'a, Vec<Answer>>;

    /// Some of the keys, in the order that their entries were made, from behind a place that an
    /// earlier page named.
    fn keys<'a>(
        &'a self,
        namespace: &'a Namespace,
        behind: Option<u64>,
        most: usize,
    ) -> Promised<'a, Page>;

    /// How many entries there are, those among them that have ended and were not swept away yet.
    fn size<'a>(&'a self, namespace: &'a Namespace) -> Promised<'a, u64>;

    /// Whether other hosts read and write the same entries.
    fn is_shared(&self) -> bool;

    /// Finishes what is under way, and takes nothing more.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A set of entries of one kind, apart from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace {
    name: Arc<str>,
    bound: Option<u64>,
}

impl Namespace {
    /// The entries that components keep in a bucket of this name.
    pub fn keyvalue(bucket: &str) -> Self {
        Self::new("keyvalue", bucket)
    }

    /// The handled messages of a queue, by one consumer.
    pub fn handled(vhost: &str, queue: &str, consumer: &str) -> Self {
        Self::new("handled", &quoted(&[vhost, queue, consumer]))
    }

    /// The published messages of a consumer.
    pub fn published(vhost: &str, queue: &str, consumer: &str) -> Self {
        Self::new("published", &quoted(&[vhost, queue, consumer]))
    }

    /// The requests of a route over HTTP whose messages are stored.
    pub fn requested(vhost: &str, route: &str) -> Self {
        Self::new("requested", &quoted(&[vhost, route]))
    }

    /// How far each group has read the stream of this name.
    pub fn stream(vhost: &str, queue: &str) -> Self {
        Self::new("stream", &quoted(&[vhost, queue]))
    }

    /// Messages of a queue that are being handled and may end the host, and the deaths behind them.
    pub fn deaths(vhost: &str, queue: &str) -> Self {
        Self::new("deaths", &quoted(&[vhost, queue]))
    }

    /// Runs of hosts that have such messages, and are alive.
    pub fn lives() -> Self {
        Self::new("lives", "")
    }

    /// `kind` is whose entries they are, so that no user's name can lead into another's.
    fn new(kind: &str, name: &str) -> Self {
        Self {
            name: format!("{kind}/{name}").into(),
            bound: None,
        }
    }

    /// The same with a bound: if there are this many entries, a new one replaces the oldest.
    #[must_use]
    pub fn bounded(self, most: u64) -> Self {
        Self {
            bound: Some(most),
            ..self
        }
    }
}

/// Names as one: each in quotes, so that no two lists become the same.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join("/")
}

// One suite for every kind.
#[cfg(all(test, feature = "redis"))]
mod tests;
