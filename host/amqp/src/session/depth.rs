//! How many messages wait in a queue, by the broker's own word.
//!
//! Of a quorum queue whose leader does not answer within a quarter of a second, RabbitMQ says that it has
//! neither messages nor consumers (`rabbit_quorum_queue:stat/2`), and what a channel gave back as it closed
//! is not counted at once. So a count of none is not taken for one without a second look.

use std::time::Duration;

use hive_core::codes::Reason;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Queue};
use thiserror::Error;

use crate::session::Session;
use crate::session::limits::{AskFault, ask, leave};
use crate::wire::frame::BrokerVersion;

/// How long a queue gets to take back what a channel held, and how often it is looked at meanwhile.
const BACK_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why the depth of a queue is unknown.
#[derive(Debug, Error)]
pub enum DepthFault {
    /// There is no open connection.
    #[error("the connection is down")]
    Down,
    /// The broker refuses, or does not answer.
    #[error("{0}")]
    Untold(Reason),
    /// The broker ends the connection over the question.
    #[error("the broker ends the connection over the question: {0}")]
    HungUp(Reason),
}

impl DepthFault {
    /// The fault as a reason, with its code.
    pub fn reason(&self) -> Reason {
        let code = match self {
            Self::Down => None,
            Self::Untold(reason) | Self::HungUp(reason) => reason.code,
        };
        Reason::new(code, self)
    }
}

impl From<AskFault> for DepthFault {
    fn from(fault: AskFault) -> Self {
        let reason = Reason::new(fault.code(), &fault);
        match fault.internal_error() {
            Some(_) => Self::HungUp(reason),
            None => Self::Untold(reason),
        }
    }
}

/// The messages and consumers of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Messages that wait.
    pub(crate) messages: u32,
    /// Consumers.
    pub(crate) consumers: u32,
}

impl Seen {
    /// The messages that wait. If this host consumed the queue before and after the look (`was_consumed`), then an
    /// answer without consumers means that the broker knows nothing of the queue.
    pub(crate) fn depth(self, was_consumed: bool) -> Result<u32, DepthFault> {
        if self.messages == 0 && self.consumers == 0 && was_consumed {
            let reason = "the queue does not answer the broker";
            return Err(DepthFault::Untold(reason.into()));
        }
        Ok(self.messages)
    }
}

impl From<Queue> for Seen {
    fn from(queue: Queue) -> Self {
        Self {
            messages: queue.message_count(),
            consumers: queue.consumer_count(),
        }
    }
}

/// The messages and consumers of a queue, as the broker reports them at this moment.
pub(crate) async fn seen(session: &Session, queue: ShortString) -> Result<Seen, AskFault> {
    let channel = session.channel().await?;
    let seen = look(&channel, queue).await;
    leave(&channel, "the queue was looked at").await;
    seen.map(Seen::from)
}

/// As [`seen`], with a second look at a queue that seems empty.
pub(crate) async fn waiting(session: &Session, queue: &ShortString) -> Result<Seen, AskFault> {
    let mut seen = seen(session, queue.clone()).await?;
    if seen.messages == 0 {
        seen.messages = offered(session, queue).await?;
        if seen.messages > 0 {
            // A reader that starts now must find the message at the head.
            until(session, queue, |now| now.messages >= seen.messages).await;
        }
    }
    Ok(seen)
}

/// Whether a message that was looked at can go back to its place without being counted.
pub(crate) fn looks_are_free(session: &Session) -> bool {
    let broker = session.broker();
    broker.is_some_and(|broker| broker >= BrokerVersion::UNCOUNTED_NACK)
}

/// How many messages a queue has to give: it is asked for one, which goes back to where it was.
pub(crate) async fn offered(session: &Session, queue: &ShortString) -> Result<u32, AskFault> {
    let channel = session.channel().await?;
    let got = ask(channel.basic_get(queue.clone(), BasicGetOptions::default())).await;
    if let Ok(Some(message)) = &got
        && looks_are_free(session)
    {
        let options = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        let refused = ask(channel.basic_nack(message.delivery.delivery_tag, options)).await;
        if let Err(fault) = refused {
            tracing::debug!(%fault, "the message goes back with its channel");
        }
    }
    leave(&channel, "the queue was asked").await;
    Ok(got?.map_or(0, |got| got.message_count + 1))
}

/// Waits until a queue shows that it has back what a channel held, though not long. The broker says that
/// the channel is closed before.
pub(crate) async fn until(session: &Session, queue: &ShortString, is_back: impl Fn(Seen) -> bool) {
    let looking = async {
        let channel = session.channel().await?;
        while !is_back(look(&channel, queue.clone()).await?.into()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        leave(&channel, "the queue was looked at").await;
        Ok::<_, AskFault>(())
    };
    match tokio::time::timeout(BACK_WITHIN, looking).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::debug!(%fault, "cannot look whether messages are back"),
        Err(_) => tracing::debug!("messages are not back yet, or somebody else has them"),
    }
}

pub(super) async fn look(channel: &Channel, queue: ShortString) -> Result<Queue, AskFault> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    ask(channel.queue_declare(queue, options, FieldTable::default())).await
}
