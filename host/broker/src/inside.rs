//! Messages that a test puts in and looks at without a connection.

use std::sync::Arc;

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::basic::{AMQPProperties, gen_properties};
use amq_protocol::types::FieldTable;
use bytes::Bytes;

use crate::message::Message;
use crate::server::Shared;
use crate::state::State;
use crate::wire::Properties;

/// A message that waits in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its headers, as a consumer would see them.
    pub headers: FieldTable,
    /// Its body.
    pub body: Vec<u8>,
}

/// Publishes a message; the number of queues that took it.
pub(crate) fn publish(
    shared: &Shared,
    vhost: &str,
    to: (&str, &str),
    properties: &AMQPProperties,
    body: Vec<u8>,
) -> Result<usize, String> {
    let (exchange, routing_key) = to;
    let raw = gen_properties(properties)(WriteContext::from(Vec::new()));
    let (raw, _) = raw.map_err(|error| error.to_string())?.into_inner();
    let properties = Properties::read(Bytes::from(raw)).ok_or("the properties are malformed")?;
    shared.with(|state| {
        let message = message(state, vhost, exchange, routing_key, properties, body)?;
        Ok(state.publish_from_inside(vhost, message))
    })
}

fn message(
    state: &State,
    vhost: &str,
    exchange: &str,
    routing_key: &str,
    properties: Properties,
    body: Vec<u8>,
) -> Result<Message, String> {
    let found = state.vhosts.get(vhost);
    let found = found.ok_or_else(|| format!("there is no vhost {vhost:?}"))?;
    let exchange = found
        .exchange(exchange)
        .map_err(|refusal| refusal.explanation)?;
    let name = Arc::clone(&exchange.name);
    let published = Message::published(name, routing_key, properties, Bytes::from(body));
    published.map_err(|refusal| refusal.explanation)
}

/// The messages that wait in a queue and that no consumer has, the next one first.
pub(crate) fn waiting(shared: &Shared, vhost: &str, queue: &str) -> Vec<Waiting> {
    shared.with(|state| {
        let queue = state.queue_id(vhost, queue);
        let queue = queue.and_then(|id| state.queues.get(&id));
        let messages = queue.map(|queue| queue.peek(usize::MAX));
        let messages = messages.unwrap_or_default();
        let waiting = messages.iter().map(|message| Waiting {
            headers: message.properties.headers(),
            body: message.body.to_vec(),
        });
        waiting.collect()
    })
}
