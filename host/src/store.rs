//! What the host remembers between deliveries and, in a file, between its own starts.
//!
//! A [`Store`] holds entries (a key, a value, perhaps an end) in namespaces. It is one small trait,
//! so that a store in memory, in a file or on a server can stand behind it; [`Bucket`] is its face for
//! whoever uses it. What an operation does to an entry is decided in one place for all of them
//! (`operation`), and so is what follows from it (`rows`).

mod bucket;
mod clock;
mod embedded;
mod fault;
mod memory;
mod on_demand;
mod operation;
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

/// What a store promises to answer.
pub type Promised<'a, T> = BoxFuture<'a, Result<T, StoreFault>>;

/// Entries in namespaces. What has ended is not there, whether or not it was swept away yet.
///
/// A write that was answered stays, in the sense of its kind: a file's is on the disk. One whose
/// answer was not waited for may or may not have happened.
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

    /// How far each group has read the stream of this name.
    pub fn stream(queue: &str) -> Self {
        Self::new("stream", queue)
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

#[cfg(test)]
mod tests;
