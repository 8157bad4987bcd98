//! Why a channel that publishes is of no use any more: [`Broken`].

use crate::session::fault::{is_brokers_own, is_internal, words};
use crate::session::limits::protocol_error;
use crate::wire::frame::Answer;
use lapin::ErrorKind;

/// Why nothing more is confirmed on a channel.
#[derive(Debug)]
pub(super) enum Broken {
    /// The broker closed the channel, over one of the publications without an answer.
    Channel(String),
    /// The connection is gone; with words when one of the publications may be why.
    Connection(Option<String>),
    /// The connection is gone over an error that the broker calls its own. It has one of those when it
    /// restarts, and also over a routing key that looks like a direct reply-to and is none (seen on
    /// RabbitMQ 3.10.8).
    Internal(String),
    /// The broker did not confirm in time.
    Silent,
}

impl Broken {
    /// With what the broker closed the channel, or else the connection.
    pub(super) fn by(channel: Option<&Answer>, connection: Option<&Answer>) -> Self {
        if let Some(Answer { code, text }) = channel {
            return Self::Channel(format!("{code} {text}"));
        }
        match connection.and_then(protocol_error) {
            Some(ErrorKind::ProtocolError(error)) if is_internal(&error) => {
                Self::Internal(words(&error))
            }
            Some(ErrorKind::ProtocolError(error)) if !is_brokers_own(&error) => {
                Self::Connection(Some(words(&error)))
            }
            _ => Self::Connection(None),
        }
    }

    /// The broker's words, where a publication may be the cause.
    pub(super) fn culprit(&self) -> Option<&str> {
        match self {
            Self::Channel(words) | Self::Internal(words) => Some(words),
            Self::Connection(words) => words.as_deref(),
            Self::Silent => None,
        }
    }
}
