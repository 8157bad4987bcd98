//! What a broker answers to publications: [`Answered`].

use lapin::BasicProperties;
use lapin::types::ShortString;

/// An answer on a channel that publishes. The tag counts the publications of the channel, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answered {
    /// It is stored, or was returned.
    Ack {
        tag: u64,
        /// So are all before it.
        multiple: bool,
    },
    /// It is not stored.
    Nack {
        tag: u64,
        /// Nor are all before it that have no answer.
        multiple: bool,
    },
    /// No queue took it. The broker says so before it confirms it, and does not say which one it was.
    Returned(Box<Returned>),
}

/// What `basic.return` says, and the content behind it without its body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Returned {
    pub(crate) code: u16,
    pub(crate) text: ShortString,
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    /// The length of the body.
    pub(crate) length: u64,
}

impl Returned {
    /// In words.
    pub(crate) fn words(&self) -> String {
        format!(
            "{} {} (exchange {:?}, routing key {:?})",
            self.code,
            self.text.as_str(),
            self.exchange.as_str(),
            self.routing_key.as_str(),
        )
    }
}
