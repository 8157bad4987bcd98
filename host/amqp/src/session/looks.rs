//! Looks at many queues in a row, for people and for metrics.

use std::time::Duration;

use lapin::Channel;

use super::Session;
use super::depth::{DepthFault, Seen, look};
use super::limits::leave;
use crate::message::names::short;

/// How long a queue gets to answer. Others wait behind it.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// After this many queues that did not answer, the rest is not asked about: each costs seconds.
const SILENT: u32 = 5;

/// Looks over one channel, and over another one after the broker has closed that, because a queue is missing, and
/// after a queue that did not answer, which blocks its channel.
pub(crate) struct Looks<'a> {
    session: &'a Session,
    channel: Option<Channel>,
    silent: u32,
}

impl<'a> Looks<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self {
            session,
            channel: None,
            silent: 0,
        }
    }

    /// The messages and consumers of a queue, or why the broker does not report them.
    ///
    /// # Errors
    ///
    /// The broker opens no channel, or too many queues did not answer: asking about more is of no use.
    pub(crate) async fn at(&mut self, queue: &str) -> Result<Result<Seen, DepthFault>, DepthFault> {
        if self.silent >= SILENT {
            let reason = "not asked: too many other queues did not answer";
            return Err(DepthFault::Untold(reason.into()));
        }
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.session.channel().await?,
        };
        match tokio::time::timeout(LOOK_WITHIN, look(&channel, short(queue))).await {
            Ok(Ok(seen)) => {
                self.channel = Some(channel);
                Ok(Ok(seen.into()))
            }
            Ok(Err(fault)) => Ok(Err(fault.into())),
            Err(_) => {
                self.silent += 1;
                leave(&channel, "a queue does not answer").await;
                let reason = format!("no answer within {LOOK_WITHIN:?}");
                Ok(Err(DepthFault::Untold(reason.into())))
            }
        }
    }

    /// Closes the channel.
    pub(crate) async fn end(self) {
        if let Some(channel) = self.channel {
            leave(&channel, "the queues were looked at").await;
        }
    }
}
