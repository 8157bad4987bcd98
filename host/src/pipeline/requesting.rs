//! Requests of a component to others over the broker: they go out over the connection of the consumer that the component
//! is called for, and over a channel of their own, which the broker may close over one of them.

use std::pin::Pin;
use std::sync::Arc;

use hive_amqp::{Connection, NoReply, Publisher, Request};
use hive_core::message::{Message, Publication};
use hive_lifecycle::Tasks;
use hive_sandbox::{Requester, Unanswered};
use hive_telemetry::RequestEnd;
use tokio::time::Instant;

/// The requests of one consumer, or of one route over HTTP.
pub struct Requesting {
    connection: Arc<Connection>,
    publisher: Publisher,
}

impl Requesting {
    /// Requests of `name`, which is one of `table`.
    pub fn of(
        name: &str,
        table: &str,
        connection: &Arc<Connection>,
        tasks: &Tasks,
    ) -> Arc<dyn Requester> {
        Arc::new(Self {
            publisher: connection.publisher(name, table, tasks),
            connection: Arc::clone(connection),
        })
    }
}

impl Requester for Requesting {
    fn request(
        &self,
        publication: Publication,
        until: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Message, Unanswered>> + Send + '_>> {
        Box::pin(async move {
            let request = Request { publication, until };
            let reply = self.connection.request(request, &self.publisher).await;
            reply.map_err(|no_reply| Unanswered {
                end: end(&no_reply),
                text: no_reply.to_string(),
            })
        })
    }
}

fn end(no_reply: &NoReply) -> RequestEnd {
    match no_reply {
        NoReply::Refused(_) => RequestEnd::Refused,
        NoReply::Unroutable(_) => RequestEnd::Unroutable,
        NoReply::TimedOut => RequestEnd::TimedOut,
        NoReply::Disconnected(_) => RequestEnd::Disconnected,
    }
}
