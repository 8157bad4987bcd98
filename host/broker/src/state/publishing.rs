//! Publications: who may, where they go, what the publisher hears, and where dead letters go.

use std::sync::Arc;

use amq_protocol::protocol::basic;
use bytes::Bytes;

use super::State;
use super::input::At;
use super::users::Access;
use super::vhost::exchange_called;
use crate::faults::Faults;
use crate::message::{Message, Reason};
use crate::queue::{ChannelKey, Dead, Push, QueueId};
use crate::refusal::Refusal;
use crate::wire::{Field, Properties};

/// The name that a client gives for its own replies.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The properties of a channel that a publication needs.
struct Publisher {
    vhost: Arc<str>,
    key: ChannelKey,
    confirms: bool,
    /// The name for its own replies.
    reply: Option<Arc<str>>,
}

impl State {
    /// Carries out `basic.publish`, once all of the message is there.
    pub(super) fn publish(
        &mut self,
        at: At,
        publish: &basic::Publish,
        mut properties: Properties,
        body: Bytes,
    ) -> Result<(), Refusal> {
        let exchange_name = publish.exchange.as_str();
        if publish.immediate {
            return Err(Refusal::not_implemented("immediate=true"));
        }
        self.check_access(at, Access::Write, exchange_name, false)?;
        let Some(publisher) = self.publisher(at) else {
            return Ok(());
        };
        let Publisher {
            vhost,
            key,
            confirms,
            reply,
        } = publisher;
        let found = self.vhosts.get(&*vhost);
        let Some(exchange) = found
            .map(|vhost| vhost.exchange(exchange_name))
            .transpose()?
        else {
            return Ok(());
        };
        if exchange.internal {
            return Err(Refusal::access_refused(format!(
                "cannot publish to internal {}",
                exchange_called(exchange_name, &vhost)
            )));
        }
        let exchange_name = exchange.name.clone();
        if properties.text(Field::ReplyTo).as_deref() == Some(REPLY_TO) {
            let Some(reply) = reply else {
                return Err(Refusal::precondition_failed(
                    "fast reply consumer does not exist",
                ));
            };
            properties = properties.with_text(Field::ReplyTo, Some(&reply));
        }
        let routing_key = publish.routing_key.as_str();
        let message = Message::published(exchange_name, routing_key, properties, body)?;
        self.check_user_id(at, &message)?;
        let number = confirms.then(|| self.next_publication(at));
        if number.is_some() && Faults::use_up(&mut self.faults.nacked_publishes) {
            self.confirm(key, number, false);
            return Ok(());
        }
        if self.reply_directly(&message) {
            self.confirm(key, number, true);
            return Ok(());
        }
        let queues = self
            .vhosts
            .get(&*vhost)
            .map(|vhost| vhost.route(&message))
            .unwrap_or_default();
        if queues.is_empty() && publish.mandatory {
            self.give_back(at, &message);
        }
        let message = Arc::new(message);
        let mut is_stored = true;
        let mut frozen = None;
        for id in queues {
            is_stored &= self.push(id, &message);
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.counted.publish += 1;
                frozen = frozen.or(queue.frozen.then_some(id));
            }
        }
        match (frozen, number) {
            (Some(queue), Some(number)) => self.withheld.push((queue, key, number)),
            _ => self.confirm(key, number, is_stored),
        }
        Ok(())
    }

    /// Publishes a message of nobody's; the number of queues that took it.
    pub(crate) fn publish_from_inside(&mut self, vhost: &str, message: Message) -> usize {
        let vhost = self.vhosts.get(vhost);
        let queues = vhost.map(|vhost| vhost.route(&message));
        let message = Arc::new(message);
        let queues = queues.unwrap_or_default().into_iter();
        queues.filter(|id| self.push(*id, &message)).count()
    }

    fn publisher(&self, at: At) -> Option<Publisher> {
        let connection = self.connections.get(&at.connection)?;
        let channel = connection.channels.get(&at.channel)?;
        Some(Publisher {
            vhost: connection.vhost.clone(),
            key: channel.key,
            confirms: channel.confirms.is_some(),
            reply: channel.reply.as_ref().map(|reply| reply.name.clone()),
        })
    }

    /// The number of the next publication that the client wants to be confirmed.
    fn next_publication(&mut self, at: At) -> u64 {
        let connection = self.connections.get_mut(&at.connection);
        let channel = connection.and_then(|connection| connection.channels.get_mut(&at.channel));
        let Some(count) = channel.and_then(|channel| channel.confirms.as_mut()) else {
            return 0;
        };
        *count += 1;
        *count
    }

    fn check_user_id(&self, at: At, message: &Message) -> Result<(), Refusal> {
        let user = self
            .connections
            .get(&at.connection)
            .map_or("", |connection| &connection.user);
        match message.properties.text(Field::UserId) {
            Some(claimed) if claimed != user => Err(Refusal::precondition_failed(format!(
                "user_id property set to '{claimed}' but authenticated user was '{user}'"
            ))),
            _ => Ok(()),
        }
    }

    /// Hands a reply to the channel that waits for it; `false` where the message is none.
    fn reply_directly(&mut self, message: &Message) -> bool {
        if !message.exchange.is_empty() {
            return false;
        }
        let Some(key) = self.replies.get(message.routing_key()).copied() else {
            return false;
        };
        let Some(connection) = self.connections.get_mut(&key.connection) else {
            return false;
        };
        let Some(channel) = connection.channels.get_mut(&key.channel) else {
            return false;
        };
        let Some(reply) = channel.reply.clone() else {
            return false;
        };
        let deliver = basic::Deliver {
            consumer_tag: (&*reply.tag).into(),
            delivery_tag: channel.tag(),
            redelivered: false,
            exchange: "".into(),
            routing_key: message.routing_key().into(),
        };
        connection.send_content(
            key.channel,
            basic::AMQPMethod::Deliver(deliver),
            &message.properties,
            message,
        );
        true
    }

    /// `basic.return`, which goes before the confirm.
    fn give_back(&mut self, at: At, message: &Message) {
        if let Some(connection) = self.connections.get_mut(&at.connection) {
            let back = basic::Return {
                reply_code: 312,
                reply_text: "NO_ROUTE".into(),
                exchange: (&*message.exchange).into(),
                routing_key: message.routing_key().into(),
            };
            connection.send_content(
                at.channel,
                basic::AMQPMethod::Return(back),
                &message.properties,
                message,
            );
        }
    }

    /// Sends the confirm of a publication, if it is owed one.
    pub(super) fn confirm(&mut self, key: ChannelKey, number: Option<u64>, is_stored: bool) {
        let Some(delivery_tag) = number else {
            return;
        };
        if Faults::use_up(&mut self.faults.dropped_confirms) {
            return;
        }
        let Some(connection) = self.connections.get_mut(&key.connection) else {
            return;
        };
        let channel = connection.channels.get(&key.channel);
        if channel.is_none_or(|channel| channel.key != key || channel.is_closing) {
            return;
        }
        let answer = if is_stored {
            basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag,
                multiple: false,
            })
        } else {
            basic::AMQPMethod::Nack(basic::Nack {
                delivery_tag,
                multiple: false,
                requeue: false,
            })
        };
        connection.send_basic(key.channel, answer);
    }

    /// Stores a message in a queue; `false` where the queue rejects it.
    fn push(&mut self, id: QueueId, message: &Arc<Message>) -> bool {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else {
            return true;
        };
        let pushed = queue.push(message, now);
        self.stir(id);
        match pushed {
            Push::Stored => true,
            Push::Rejected => false,
            Push::RejectedDead(dead) => {
                self.bury(id, dead);
                false
            }
        }
    }

    /// Publishes a dead message to the dead-letter exchange of its queue, if it has one.
    pub(super) fn bury(&mut self, id: QueueId, dead: Dead) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let Some(exchange) = &queue.arguments.dead_letter_exchange else {
            return;
        };
        let key = queue.arguments.dead_letter_key.as_ref();
        let letter = dead
            .message
            .died(&queue.name, dead.reason, now, exchange, key);
        let Some(vhost) = self.vhosts.get(&*queue.vhost) else {
            return;
        };
        let mut targets = vhost.route(&letter);
        if dead.reason != Reason::Rejected {
            let queues = &self.queues;
            targets.retain(|target| {
                let target = queues.get(target);
                target.is_none_or(|target| !letter.circles_to(&target.name))
            });
        }
        let is_taken = |target: &QueueId| {
            let target = self.queues.get(target);
            target.is_some_and(|target| !target.rejects(&letter))
        };
        let is_possible = !targets.is_empty() && targets.iter().all(is_taken);
        if let Some(queue) = self.queues.get_mut(&id)
            && queue.arguments.at_least_once
            && !is_possible
        {
            queue.keep_stuck(dead, now);
            self.stir(id);
            return;
        }
        let letter = Arc::new(letter);
        for target in targets {
            self.push(target, &letter);
        }
    }
}
