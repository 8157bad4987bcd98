//! One try at a batch on one channel: publish all, wait for all, take the union of what came back.

use std::collections::HashMap;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation, Error};

use super::batch::{Item, Verdict};
use crate::message::bookkeeping::PUBLISH_ID;
use crate::message::headers::integer;
use crate::session::Session;
use crate::session::fault::{broker_error, is_brokers_own, is_internal, words};

/// Why a round ended before every item had its verdict.
#[derive(Debug)]
pub(super) enum Broken {
    /// The broker closed the channel, over one of the items.
    Channel(String),
    /// The connection is gone; with words when one of the items may be why.
    Connection(Option<String>),
    /// The connection is gone over an error that the broker calls its own. It has one of those when it
    /// restarts, and also over a routing key that looks like a direct reply-to and is none (seen on
    /// RabbitMQ 3.10.8).
    Internal(String),
    /// The channel was closed already.
    Stale,
    /// The broker did not confirm in time.
    Silent,
}

impl Broken {
    /// The broker's words, where an item may be the cause.
    pub(super) fn culprit(&self) -> Option<String> {
        match self {
            Self::Channel(words) | Self::Internal(words) => Some(words.clone()),
            Self::Connection(words) => words.clone(),
            Self::Stale | Self::Silent => None,
        }
    }

    fn from(error: &Error) -> Self {
        match broker_error(error) {
            Some(answer) if error.is_amqp_soft_error() => Self::Channel(words(answer)),
            Some(answer) if is_internal(answer) => Self::Internal(words(answer)),
            Some(answer) if is_brokers_own(answer) => Self::Connection(None),
            Some(answer) => Self::Connection(Some(words(answer))),
            None if error.is_io_error() => Self::Connection(None),
            None => Self::Stale,
        }
    }

    /// Of two errors in one round, the one that says more: those that follow the first only say
    /// that the channel is closed.
    fn says_more_than(&self, other: &Self) -> bool {
        self.culprit().is_some() && other.culprit().is_none()
    }
}

/// Publishes `items` and gives each its verdict; where that breaks off, those that are known.
pub(super) async fn publish_round(
    channel: &Channel,
    session: &Session,
    items: &mut [&mut Item],
) -> Option<Broken> {
    let mut broken: Option<Broken> = None;
    let mut note = |error: &Error| {
        let next = Broken::from(error);
        if broken.as_ref().is_none_or(|told| next.says_more_than(told)) {
            broken = Some(next);
        }
    };
    let mut confirms = Vec::with_capacity(items.len());
    for item in items.iter() {
        match publish(channel, item).await {
            Ok(confirm) => confirms.push(confirm),
            Err(error) => {
                note(&error);
                break;
            }
        }
    }
    let mut confirmed = Vec::with_capacity(confirms.len());
    let mut returned = HashMap::new();
    for (item, confirm) in items.iter_mut().zip(confirms) {
        let answer = confirm.await;
        if answer.is_ok() {
            session.has_answered();
        }
        let message = match answer {
            Ok(Confirmation::Ack(message)) => {
                confirmed.push(item);
                message
            }
            Ok(Confirmation::Nack(message)) => {
                item.verdict = Some(Verdict::Nacked);
                message
            }
            Ok(Confirmation::NotRequested) => None,
            Err(error) => {
                note(&error);
                None
            }
        };
        if let Some((id, text)) = message.and_then(|message| read_return(&message)) {
            returned.insert(id, text);
        }
    }
    // The broker returns a message before it confirms it, but lapin may hold the return until a later
    // confirmation. At a barrier that held, none is left. At one that broke, none is left if none was seen at
    // all; otherwise the publications that a return would matter to are published again.
    let complete = broken.is_none() || returned.is_empty();
    for item in confirmed {
        item.verdict = match returned.remove(&item.id) {
            Some(text) => Some(Verdict::Returned(text)),
            None if complete || !item.outgoing.mandatory => Some(Verdict::Stored),
            None => None,
        };
    }
    broken
}

async fn publish(channel: &Channel, item: &Item) -> Result<lapin::PublisherConfirm, Error> {
    let outgoing = &item.outgoing;
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    channel
        .basic_publish(
            outgoing.exchange.clone(),
            outgoing.routing_key.clone(),
            options,
            &outgoing.body,
            outgoing.properties_with_id(item.id),
        )
        .await
}

fn read_return(message: &BasicReturnMessage) -> Option<(i64, String)> {
    let headers = message.properties.headers().as_ref()?;
    let id = integer(headers.inner().get(PUBLISH_ID)?)?;
    let text = format!(
        "{} {} (exchange {:?}, routing key {:?})",
        message.reply_code,
        message.reply_text,
        message.exchange.as_str(),
        message.routing_key.as_str(),
    );
    Some((id, text))
}
