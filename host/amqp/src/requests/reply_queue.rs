//! The queue that replies come over: exclusive, so that no other connection reads or fills it by its name alone, and gone
//! with its session.

use std::sync::Arc;

use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Consumer};

use super::pending::{Pending, unguessable};
use crate::message::names::short;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask};

/// What the names of the queues begin with, so that one pattern gives the rights to all of them.
const PREFIX: &str = "hive.replies.";

/// Replies that the broker sends before the first is acknowledged. Each is acknowledged as it is read.
const PREFETCH: u16 = 100;

/// A queue, and the requests whose replies come over it.
#[derive(Debug)]
pub(super) struct ReplyQueue {
    pub(super) name: String,
    /// The same, for those who share it.
    pub(super) shown: Arc<str>,
    pub(super) pending: Arc<Pending>,
}

/// Declares a queue, and consumes it.
pub(super) async fn open(
    session: &SharedSession,
) -> Result<(Channel, Consumer, ReplyQueue), AskFault> {
    // A new name each time: the broker may not have noticed yet that the last session is gone, and keeps its queue from
    // this one.
    let name = format!("{PREFIX}{}", unguessable());
    let channel = session.channel().await?;
    let end = session.endings().watch(channel.id());
    let consumer = declare(&channel, &name).await;
    let why = "the queue for replies cannot be had";
    let (channel, consumer) = session.or_leave(channel, &end, consumer, why).await?;
    let queue = ReplyQueue {
        shown: name.as_str().into(),
        name,
        pending: Pending::new(),
    };
    Ok((channel, consumer, queue))
}

async fn declare(channel: &Channel, name: &str) -> Result<Consumer, AskFault> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    // An exclusive queue can be no other, whatever the default of the vhost is.
    let classic = AMQPValue::LongString(LongString::from("classic"));
    arguments.insert("x-queue-type".into(), classic);
    ask(channel.queue_declare(short(name), options, arguments)).await?;
    ask(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions {
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let consuming = channel.basic_consume(short(name), short(name), options, FieldTable::default());
    ask(consuming).await
}
