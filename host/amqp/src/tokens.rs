//! A queue of tokens that one host at a time is given: the broker chooses which, and gives the tokens to another host
//! when the channel of that one has ended.
//!
//! It is a quorum queue with a single active consumer, consumed over the link for deliveries, on a channel of its own.
//! The channel is closed to leave and the consumer never cancelled: a cancelled consumer keeps its tokens, while the
//! next one is active without them.

use std::sync::Arc;

use futures_util::StreamExt;
use hive_core::codes::Reason;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Consumer};

use crate::link::Link;
use crate::message::names::{cut_short, short};
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave};

/// More than there ever are: a host has to be given all of them.
const PREFETCH: u16 = 1_000;

/// A place in the line for a queue's tokens, as long as its channel is open.
#[derive(Debug)]
pub struct Tokens {
    queue: Arc<str>,
    session: SharedSession,
    channel: Channel,
    stream: Consumer,
}

/// A message of the queue.
#[derive(Debug)]
pub struct TokenGiven {
    /// By which it is acknowledged.
    pub tag: u64,
    /// What it says.
    pub body: Vec<u8>,
}

impl Tokens {
    /// Declares the queue and consumes from it, once there is a connection; `None` when there will be none any more.
    pub(crate) async fn stand(queue: &str, tag: &str, link: &Link) -> Option<Result<Self, Reason>> {
        let session = link.session().await?;
        Some(Self::stand_in(queue, tag, session).await)
    }

    async fn stand_in(queue: &str, tag: &str, session: SharedSession) -> Result<Self, Reason> {
        let channel = session.channel().await.map_err(|fault| reason_of(&fault))?;
        let end = session.endings().watch(channel.id());
        let stream = declare(&channel, queue, tag).await;
        let why = "the queue of tokens cannot be consumed";
        let consumed = session.or_leave(channel, &end, stream, why).await;
        let (channel, stream) = consumed.map_err(|fault| reason_of(&fault))?;
        Ok(Self {
            queue: queue.into(),
            session,
            channel,
            stream,
        })
    }

    /// The next token that the broker gives to this host. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// The channel has ended, and its tokens are another's.
    pub async fn next(&mut self) -> Result<TokenGiven, Reason> {
        tokio::select! {
            () = self.session.over().cancelled() => Err("the connection was lost".into()),
            given = self.stream.next() => match given {
                Some(Ok(delivery)) => Ok(TokenGiven {
                    tag: delivery.delivery_tag,
                    body: delivery.data,
                }),
                _ => Err("the broker ended the channel that holds the token".into()),
            },
        }
    }

    /// Takes a token out of the queue.
    ///
    /// # Errors
    ///
    /// The channel has ended.
    pub async fn ack(&self, tag: u64) -> Result<(), Reason> {
        let acked = self.channel.basic_ack(tag, BasicAckOptions::default());
        ask(acked)
            .await
            .map(drop)
            .map_err(|fault| reason_of(&fault))
    }

    /// Asks the broker over the channel that holds the tokens, so that a host which stood still learns that they are
    /// another's.
    ///
    /// # Errors
    ///
    /// The channel has ended, or the broker does not answer.
    pub async fn are_held(&self) -> Result<(), Reason> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let looking =
            self.channel
                .queue_declare(short(&self.queue), options, FieldTable::default());
        ask(looking)
            .await
            .map(drop)
            .map_err(|fault| reason_of(&fault))
    }

    /// Gives the tokens to the next host.
    pub async fn leave(self) {
        leave(&self.channel, "the host gives its turn away").await;
    }
}

async fn declare(channel: &Channel, queue: &str, tag: &str) -> Result<Consumer, AskFault> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    ask(channel.queue_declare(short(queue), options, arguments())).await?;
    ask(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions::default();
    ask(channel.basic_consume(short(queue), cut_short(tag), options, FieldTable::default())).await
}

fn arguments() -> FieldTable {
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString(LongString::from("quorum"));
    arguments.insert("x-queue-type".into(), quorum);
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments
}

fn reason_of(fault: &AskFault) -> Reason {
    Reason::new(fault.code(), fault)
}
