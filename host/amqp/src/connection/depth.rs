//! How many messages wait in queues.

use std::sync::Arc;

use super::Connection;
use crate::message::names::short;
use crate::session::depth::{DepthFault, seen};
use crate::session::looks::Looks;

impl Connection {
    /// How many messages of `queue` were not delivered to a consumer. If this host consumes the queue
    /// (`is_consumed`), before and after the question, then an answer without consumers means that the broker
    /// knows nothing of the queue.
    ///
    /// The question has a channel of its own: the broker closes the channel if there is no such queue, and
    /// blocks it if the queue has no leader.
    ///
    /// # Errors
    ///
    /// The connection is down, the queue is gone, or the broker does not answer in time, for the queue or for
    /// itself.
    pub async fn depth(
        &self,
        queue: &str,
        is_consumed: impl Fn() -> bool,
    ) -> Result<u32, DepthFault> {
        let session = self.consuming.current().ok_or(DepthFault::Down)?;
        let was_consumed = is_consumed();
        let seen = seen(&session, short(queue)).await?;
        seen.depth(was_consumed && is_consumed())
    }

    /// Looks at `queues`, one after the other, and passes each with its depth to `found`; see [`Connection::depth`].
    ///
    /// # Errors
    ///
    /// Why the rest of the queues was not looked at: the connection is down, or too many queues do not answer.
    pub async fn look_at(
        &self,
        queues: impl IntoIterator<Item = Arc<str>>,
        is_consumed: impl Fn(&str) -> bool,
        mut found: impl FnMut(Arc<str>, Result<u32, DepthFault>),
    ) -> Result<(), DepthFault> {
        let session = self.consuming.current().ok_or(DepthFault::Down)?;
        let topology = self.topology.load_full();
        let mut looks = Looks::new(&session);
        for queue in queues {
            let depth = match topology.cannot_be_missed(&queue) {
                // The others on this connection would pay for it.
                true => Err(DepthFault::Untold(
                    "not asked: RabbitMQ ends the connection if a queue with such a long name is missing"
                        .into(),
                )),
                false => {
                    let was_consumed = is_consumed(&queue);
                    let seen = looks.at(&queue).await?;
                    seen.and_then(|seen| seen.depth(was_consumed && is_consumed(&queue)))
                }
            };
            found(queue, depth);
        }
        looks.end().await;
        Ok(())
    }
}
