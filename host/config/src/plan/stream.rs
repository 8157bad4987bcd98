//! `stream = { … }` of a consumer: where it begins to read, and what it does about a message that fails.

use std::sync::Arc;

use hive_core::policy::{ConsumerPolicy, OnError};

use super::ConsumerPlan;

/// `stream = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// Where to begin as long as no offset is stored.
    pub offset: StreamOffset,
    /// The treatment of a message that fails.
    pub on_error: OnError,
    /// The name under which the offset is stored: a consumer with the same name and store continues where
    /// another stopped.
    pub group: Arc<str>,
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOffset {
    /// The first message that the stream still has.
    First,
    /// The chunk of messages that was written last.
    Last,
    /// Messages that are published from now on.
    Next,
    /// The message of this offset.
    Number(u64),
    /// Messages that were published from then on, in seconds since the Unix epoch.
    Time(u64),
}

impl ConsumerPlan {
    /// What it does about a delivery, by the kind of its queue.
    pub fn policy(&self) -> ConsumerPolicy<'_> {
        ConsumerPolicy {
            retry: &self.retry,
            on_error: self.stream.as_ref().map(|stream| stream.on_error),
        }
    }
}
