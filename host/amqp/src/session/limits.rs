//! Time-outs and sizes that the whole room shares.

use std::time::Duration;

use hive_core::codes::Code;
use lapin::protocol::AMQPError;
use lapin::{Channel, Error};

use super::fault::{broker_error, code_of, is_brokers_own, is_internal};

/// For one question that a healthy broker answers at once: a declaration, opening a channel, starting a
/// consumer. After a restart a broker may leave a question about a quorum queue unanswered and answer the next
/// one, so waiting longer does not help.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// For saying goodbye to a channel or a connection; nothing depends on the answer.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The size of a frame until the broker has proposed one.
pub(crate) const DEFAULT_FRAME_MAX: u32 = 131_072;

/// How asking the broker ended when it did not end well.
#[derive(Debug)]
pub(crate) enum AskFault {
    /// The broker, or lapin, answered with an error.
    Failed(Error),
    /// No answer at all: the connection is of no use any more.
    Silent,
}

impl AskFault {
    /// Whether the broker does not have the entity (404).
    pub(crate) fn is_not_found(&self) -> bool {
        self.is(404)
    }

    /// Whether it is another connection's alone (405).
    pub(crate) fn is_locked(&self) -> bool {
        self.is(405)
    }

    /// Whether the broker does not support the request (540).
    pub(crate) fn is_not_implemented(&self) -> bool {
        self.is(540)
    }

    /// The broker's answer, if it failed over the request (541).
    pub(crate) fn internal_error(&self) -> Option<&AMQPError> {
        self.answer().filter(|answer| is_internal(answer))
    }

    /// The code of the broker's answer.
    pub(crate) fn code(&self) -> Option<Code> {
        let answer = self.answer()?;
        (is_internal(answer) || !is_brokers_own(answer)).then(|| code_of(answer))
    }

    fn is(&self, code: u16) -> bool {
        self.answer().is_some_and(|answer| answer.get_id() == code)
    }

    fn answer(&self) -> Option<&AMQPError> {
        match self {
            Self::Failed(error) => broker_error(error),
            Self::Silent => None,
        }
    }
}

impl std::fmt::Display for AskFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(error) => f.write_str(&super::fault::describe(error)),
            Self::Silent => write!(f, "no answer within {ANSWER_TIMEOUT:?}"),
        }
    }
}

/// Closes a channel that may not answer, or that the broker may have closed.
pub(crate) async fn leave(channel: &Channel, why: &str) {
    let goodbye = channel.close(200, why.into());
    if tokio::time::timeout(GOODBYE_TIMEOUT, goodbye)
        .await
        .is_err()
    {
        tracing::debug!("a channel is closed on which the broker did not answer");
    }
}

/// Asks the broker one thing, with an end.
pub(crate) async fn ask<T>(
    question: impl Future<Output = Result<T, Error>>,
) -> Result<T, AskFault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(answer) => answer.map_err(AskFault::Failed),
        Err(_) => Err(AskFault::Silent),
    }
}
