//! The exchange of a group and the queue of a member. Nothing of them stays when the last host has gone.

use std::sync::Arc;

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Consumer, ExchangeKind};

use crate::message::names::short;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask};

/// What the names of exchange and queues begin with, so that one pattern gives the rights to all of them.
const PREFIX: &str = "hive.hosts.";

/// The routing key of what is for every member. No id is the same.
pub(super) const ALL: &str = "all";

/// Messages, and bytes of them, that wait for a member at most. The oldest go first: a host that stands still costs
/// the broker no more.
const MOST_MESSAGES: i64 = 1_000;
const MOST_BYTES: i64 = 64 << 20;

/// Messages that a member is given before it has read the first.
const PREFETCH: u16 = 100;

/// The names of a member's entities.
#[derive(Debug)]
pub(super) struct Entities {
    pub(super) group: Arc<str>,
    pub(super) exchange: Arc<str>,
    id: Arc<str>,
}

impl Entities {
    pub(super) fn new(group: &str, id: &str) -> Self {
        Self {
            group: group.into(),
            exchange: format!("{PREFIX}{group}").into(),
            id: id.into(),
        }
    }

    /// Declares both, and consumes the queue.
    pub(super) async fn declare(
        &self,
        session: &SharedSession,
    ) -> Result<(Channel, Consumer), AskFault> {
        let channel = session.channel().await?;
        let end = session.endings().watch(channel.id());
        let consumer = self.declare_on(&channel).await;
        let why = "the group cannot be joined";
        session.or_leave(channel, &end, consumer, why).await
    }

    async fn declare_on(&self, channel: &Channel) -> Result<Consumer, AskFault> {
        let exchange = short(&self.exchange);
        let queue = short(&format!("{}.{}", self.exchange, self.id));
        let options = ExchangeDeclareOptions {
            // It goes with the last queue that is bound to it.
            auto_delete: true,
            ..ExchangeDeclareOptions::default()
        };
        let none = FieldTable::default;
        ask(channel.exchange_declare(exchange.clone(), ExchangeKind::Direct, options, none()))
            .await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        ask(channel.queue_declare(queue.clone(), options, arguments())).await?;
        for key in [ALL, &*self.id] {
            let options = QueueBindOptions::default();
            let binding = (queue.clone(), exchange.clone(), short(key));
            ask(channel.queue_bind(binding.0, binding.1, binding.2, options, none())).await?;
        }
        ask(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        ask(channel.basic_consume(queue.clone(), queue, options, none())).await
    }
}

fn arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    // An exclusive queue can be no other, whatever the default of the vhost is.
    let classic = AMQPValue::LongString(LongString::from("classic"));
    arguments.insert("x-queue-type".into(), classic);
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_MESSAGES));
    arguments.insert(
        "x-max-length-bytes".into(),
        AMQPValue::LongLongInt(MOST_BYTES),
    );
    let drop_head = AMQPValue::LongString(LongString::from("drop-head"));
    arguments.insert("x-overflow".into(), drop_head);
    arguments
}
