//! `stream = { … }` of a consumer: where it begins to read, and what it does about a message that fails.

use std::sync::Arc;

use super::ConsumerPlan;
use crate::policy::{Disposition, OnError, in_a_stream};

/// `stream = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// Where to begin as long as no offset is stored.
    pub offset: StreamOffset,
    /// What becomes of a message that fails.
    pub on_error: OnError,
    /// Under which name the offset is stored: whoever has the same name and the same store goes on
    /// where another stopped.
    pub group: Arc<str>,
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOffset {
    /// The first message that the stream still has.
    First,
    /// The chunk of messages that was written last.
    Last,
    /// What is published from now on.
    Next,
    /// The message of this offset.
    Number(u64),
    /// What was published from then on, in seconds since the Unix epoch.
    Time(u64),
}

impl ConsumerPlan {
    /// What is done to a message on the kind of queue that it came from: the retry law's
    /// `disposition`, unless that queue is a stream, where `on_error` decides.
    pub fn on_its_queue(&self, disposition: Disposition) -> Disposition {
        match &self.stream {
            Some(stream) => in_a_stream(disposition, stream.on_error),
            None => disposition,
        }
    }
}
