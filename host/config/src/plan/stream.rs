//! Where a stream is read from, and what becomes of a message that fails.

use hive_core::policy::OnError;

use crate::keys::{Literal, words};

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

impl StreamOffset {
    /// The offsets that have a name.
    pub(crate) const NAMED: &[(&str, Self)] = &[
        ("first", Self::First),
        ("last", Self::Last),
        ("next", Self::Next),
    ];
}

impl Literal<&'static str> for StreamOffset {
    fn literal(written: &'static str) -> Self {
        let mut named = Self::NAMED.iter();
        let (_, offset) = named
            .find(|(word, _)| *word == written)
            .expect("a default is one of the names");
        *offset
    }
}

words!(OnError { Stop = "stop", Skip = "skip", DeadLetter = "dead-letter" });
