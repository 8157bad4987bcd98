//! What the host remembers between deliveries and, in a file, between its own starts.
//!
//! A [`Store`] holds entries (a key, a value, perhaps an end) in namespaces. It is one small trait,
//! so that a store in memory, in a file or on a server stands behind it; [`Bucket`] is its face for
//! whoever uses it. What an operation does to an entry is decided in one place for all of them
//! (`operation`), and so is what follows from it (`rows`).

mod bucket;
mod clock;
mod embedded;
mod fault;
mod memory;
mod on_demand;
mod operation;
mod redis;
mod rows;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use self::bucket::{Bucket, Page};
pub use self::clock::Clock;
pub use self::embedded::Embedded;
pub use self::fault::StoreFault;
pub use self::memory::Memory;
pub use self::on_demand::OnDemand;
pub use self::operation::{Answer, Operation, Value, Write};
pub use self::redis::Redis;

/// What a store promises to answer.
pub type Promised<'a, T> = BoxFuture<'a, Result<T, StoreFault>>;

/// Entries in namespaces. What has ended is not there, whether or not it was swept away yet.
///
/// A write that was answered stays, in the sense of its kind: a file's is on the disk. One whose
/// answer was not waited for, or that failed because a server went away, may or may not have happened.
/// A server may get a claim twice where its answer was lost: it is then refused with the value that it
/// set, so whoever claims sets a value that tells.
pub trait Store: Send + Sync {
    /// The values of these keys, in their order.
    fn read<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: Vec<Vec<u8>>,
    ) -> Promised<'a, Vec<Option<Vec<u8>>>>;

    /// Carries out all of the writes or none, in one step that nobody sees half of.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    name: Arc<str>,
    bound: Option<u64>,
}

impl Namespace {
    /// The entries that components keep in a bucket of this name.
    pub fn keyvalue(bucket: &str) -> Self {
        Self::new("keyvalue", bucket)
    }

    /// What was handled of the messages of a queue, by one consumer.
    pub fn handled(vhost: &str, queue: &str, consumer: &str) -> Self {
        Self::new("handled", &quoted(&[vhost, queue, consumer]))
    }

    /// What a consumer of a queue has published.
    pub fn published(vhost: &str, queue: &str, consumer: &str) -> Self {
        Self::new("published", &quoted(&[vhost, queue, consumer]))
    }

    /// How far each group has read the stream of this name.
    pub fn stream(vhost: &str, queue: &str) -> Self {
        Self::new("stream", &quoted(&[vhost, queue]))
    }

    /// Messages of a queue that are being handled and may end the host, and the deaths behind them.
    pub fn deaths(vhost: &str, queue: &str) -> Self {
        Self::new("deaths", &quoted(&[vhost, queue]))
    }

    /// Runs of hosts that have such messages, and go on.
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

    /// The same, where no more than so many entries are kept: the oldest goes for a new one.
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

#[cfg(test)]
mod tests;
