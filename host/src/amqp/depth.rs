//! How many messages wait in a queue, by the broker's own word.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use thiserror::Error;

use super::connection::Connection;
use super::consumer::short;
use super::limits::{AskFault, ask, leave};

/// Why nobody knows how many messages wait in a queue.
#[derive(Debug, Error)]
pub enum DepthFault {
    /// There is no connection to ask over.
    #[error("the connection is down")]
    Down,
    /// The broker refuses to tell, or does not answer.
    #[error("{0}")]
    Untold(String),
}

impl From<AskFault> for DepthFault {
    fn from(fault: AskFault) -> Self {
        Self::Untold(fault.to_string())
    }
}

impl Connection {
    /// How many messages of `queue` no consumer has been given.
    ///
    /// Asked on a channel of its own: a broker closes the channel where there is no such queue, and lets
    /// it stand still where the queue has no leader.
    ///
    /// # Errors
    ///
    /// The connection is down, the queue is gone, or the broker does not answer in time.
    pub async fn depth(&self, queue: &str) -> Result<u32, DepthFault> {
        let session = self.consuming().current().ok_or(DepthFault::Down)?;
        let channel = session.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asked = ask(channel.queue_declare(short(queue), options, FieldTable::default())).await;
        leave(&channel, "the queue was looked at").await;
        Ok(asked?.message_count())
    }
}
