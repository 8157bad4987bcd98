//! Time-outs and sizes that the whole room shares.

use std::time::Duration;

use hive_core::codes::Code;
use lapin::protocol::AMQPError;
use lapin::{Channel, Error, ErrorKind};

use super::fault::{broker_error, code_of, is_brokers_own, is_internal};
use crate::message::names::cut_short;
use crate::wire::endings::End;
use crate::wire::frame::Answer;

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
    /// The broker's own answer where it has closed one of these and lapin only says that it is closed.
    pub(crate) fn in_the_brokers_words(self, ends: &[&End]) -> Self {
        match &self {
            Self::Failed(error) if broker_error(error).is_none() => {
                let answer = ends.iter().find_map(|end| end.answer());
                answer
                    .and_then(protocol_error)
                    .map_or(self, |error| Self::Failed(error.into()))
            }
            Self::Failed(_) | Self::Silent => self,
        }
    }

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

/// As lapin has it, where the code is one of an error.
pub(crate) fn protocol_error(Answer { code, text }: &Answer) -> Option<ErrorKind> {
    AMQPError::from_id(*code, cut_short(text)).map(ErrorKind::ProtocolError)
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

/// Closes a channel. One that the broker has closed is kept until lapin knows of it, and not closed again.
///
/// The end of a channel is known off the wire before lapin has heard of it (`wire/endings`). A broker answers a close that
/// crosses its own, and lapin would end the connection over the answer on a channel that it has given up.
pub(crate) async fn leave_at_its_end(channel: &Channel, end: &End, why: &str) {
    if end.answer().is_none() {
        return leave(channel, why).await;
    }
    let heard = async {
        while channel.status().connected() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(GOODBYE_TIMEOUT, heard).await.is_err() {
        tracing::debug!("a channel is given up that lapin takes to be open still");
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

#[cfg(test)]
mod tests {
    use lapin::ConnectionState;

    use super::*;
    use crate::wire::endings::Endings;
    use crate::wire::frame::Ending;

    fn closed() -> AskFault {
        AskFault::Failed(ErrorKind::InvalidConnectionState(ConnectionState::Error).into())
    }

    #[test]
    fn what_the_broker_said_is_worth_more_than_that_it_is_closed() {
        let endings = Endings::default();
        let channel = endings.watch(1);
        let ends = [&*channel, endings.of_the_connection()];
        assert_eq!(closed().in_the_brokers_words(&ends).code(), None);
        let said = |code: u16, text: &str| {
            let text = text.to_owned();
            Ending::Closed(Answer { code, text })
        };
        endings.saw(0, said(541, "INTERNAL_ERROR - queue_master_locator"));
        let fault = closed().in_the_brokers_words(&ends);
        assert!(fault.internal_error().is_some(), "{fault}");
        assert_eq!(
            fault.to_string(),
            "541 INTERNAL_ERROR - queue_master_locator"
        );
        endings.saw(1, said(403, "ACCESS_REFUSED"));
        let fault = closed().in_the_brokers_words(&ends);
        assert!(
            fault.is(403),
            "the channel's own answer comes first: {fault}"
        );
        assert!(matches!(
            AskFault::Silent.in_the_brokers_words(&ends),
            AskFault::Silent
        ));
    }
}
