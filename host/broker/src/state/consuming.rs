//! Consumers and `basic.get`: who gets what, and the methods of the class `basic` but for publications.

use std::sync::Arc;

use amq_protocol::protocol::basic;

use super::State;
use super::channel::{Phase, Reply};
use super::input::At;
use super::publishing::REPLY_TO;
use super::users::Access;
use crate::queue::{
    Consumer, ConsumerKey, Delivered, Delivery, Offset, Queue, QueueId, QueueKind, Settlement,
};
use crate::refusal::Refusal;
use crate::time::Time;
use crate::wire::{described, integer, kind_of, text};

impl State {
    pub(super) fn basic_method(
        &mut self,
        at: At,
        method: basic::AMQPMethod,
    ) -> Result<(), Refusal> {
        use basic::AMQPMethod as Method;
        match method {
            Method::Qos(qos) => self.qos(at, &qos),
            Method::Consume(consume) if consume.queue.as_str() == REPLY_TO => {
                self.consume_replies(at, &consume)
            }
            Method::Consume(consume) => self.consume(at, &consume),
            Method::Cancel(cancel) => {
                self.cancel(at, cancel.consumer_tag.as_str());
                if !cancel.nowait {
                    let consumer_tag = cancel.consumer_tag;
                    self.reply(at, Method::CancelOk(basic::CancelOk { consumer_tag }));
                }
                Ok(())
            }
            Method::CancelOk(_) => Ok(()),
            Method::Get(get) => self.get(at, &get),
            Method::Ack(ack) => {
                let how = Settlement::Acknowledged;
                self.settle(at, ack.delivery_tag, ack.multiple, how)
            }
            // From 4.3 on, a message that a client gives back by name does not count as failed.
            Method::Nack(nack) => {
                let how = settlement(nack.requeue, false);
                self.settle(at, nack.delivery_tag, nack.multiple, how)
            }
            Method::Reject(reject) => {
                let how = settlement(reject.requeue, true);
                self.settle(at, reject.delivery_tag, false, how)
            }
            Method::Recover(basic::Recover { requeue: true }) => {
                self.recover(at);
                self.reply(at, Method::RecoverOk(basic::RecoverOk {}));
                Ok(())
            }
            Method::RecoverAsync(basic::RecoverAsync { requeue: true }) => {
                self.recover(at);
                Ok(())
            }
            Method::Recover(_) | Method::RecoverAsync(_) => {
                Err(Refusal::not_implemented("requeue=false"))
            }
            _ => Err(Refusal::command_invalid("unimplemented method")),
        }
    }

    pub(super) fn reply(&mut self, at: At, method: basic::AMQPMethod) {
        if let Some(connection) = self.connections.get_mut(&at.connection) {
            connection.send_basic(at.channel, method);
        }
    }

    /// `global` is taken as false: RabbitMQ 4.3 does so unless its operator permits the deprecated feature.
    fn qos(&mut self, at: At, qos: &basic::Qos) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        channel.prefetch = qos.prefetch_count;
        self.reply(at, basic::AMQPMethod::QosOk(basic::QosOk {}));
        Ok(())
    }

    fn consume(&mut self, at: At, consume: &basic::Consume) -> Result<(), Refusal> {
        let name = self.queue_name(at, consume.queue.as_str())?;
        let tag = self.consumer_tag(at, consume.consumer_tag.as_str())?;
        self.check_access(at, Access::Read, &name, true)?;
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        let (key, prefetch) = (channel.key, u32::from(channel.prefetch));
        let now = self.now;
        let Some(queue) = self.accessible_queue(at, &name)? else {
            return Ok(());
        };
        let priority = match consume.arguments.inner().get("x-priority") {
            None => 0,
            Some(value) => integer(value).ok_or_else(|| {
                let kind = kind_of(value);
                Refusal::precondition_failed(format!(
                    "invalid arg 'x-priority' for {}: \"expected integer, got {kind}\"",
                    queue.described()
                ))
            })?,
        };
        let offset = offset(queue, consume, prefetch, now)?;
        let is_exclusive = consume.exclusive && queue.arguments.kind == QueueKind::Classic;
        let is_possible = queue.consumer_count() == 0 && !queue.arguments.single_active;
        if queue.has_exclusive_consumer() || (is_exclusive && !is_possible) {
            return Err(Refusal::access_refused(format!(
                "{} in exclusive use",
                queue.described()
            )));
        }
        let consumer = Consumer {
            key: ConsumerKey {
                channel: key,
                tag: tag.clone(),
            },
            no_ack: consume.no_ack,
            prefetch,
            priority,
            exclusive: is_exclusive,
            unacked: 0,
            offset: 0,
        };
        queue.add_consumer(consumer, offset, now);
        let id = queue.id;
        if let Some(channel) = self.channel_mut(at) {
            channel.consumers.insert(tag.clone(), id);
        }
        if !consume.nowait {
            let consumer_tag = (&*tag).into();
            self.reply(
                at,
                basic::AMQPMethod::ConsumeOk(basic::ConsumeOk { consumer_tag }),
            );
        }
        self.stir(id);
        Ok(())
    }

    /// The tag of a new consumer: the client's, which has to be new, or one of the broker's.
    fn consumer_tag(&mut self, at: At, asked: &str) -> Result<Arc<str>, Refusal> {
        if asked.is_empty() {
            return Ok(self.fresh_name("amq.ctag-").into());
        }
        let is_taken = self.channel_mut(at).is_some_and(|channel| {
            let reply = channel.reply.as_ref();
            channel.consumers.contains_key(asked) || reply.is_some_and(|reply| &*reply.tag == asked)
        });
        if is_taken {
            return Err(Refusal::not_allowed(format!(
                "attempt to reuse consumer tag '{asked}'"
            )));
        }
        Ok(asked.into())
    }

    /// A consumer of `amq.rabbitmq.reply-to`: replies come to this channel without a queue.
    fn consume_replies(&mut self, at: At, consume: &basic::Consume) -> Result<(), Refusal> {
        let tag = self.consumer_tag(at, consume.consumer_tag.as_str())?;
        if !consume.no_ack {
            return Err(Refusal::precondition_failed(
                "reply consumer cannot acknowledge",
            ));
        }
        let name: Arc<str> = self.fresh_name(&format!("{REPLY_TO}.")).into();
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        if channel.reply.is_some() {
            return Err(Refusal::precondition_failed("reply consumer already set"));
        }
        channel.reply = Some(Reply {
            tag: tag.clone(),
            name: name.clone(),
        });
        let key = channel.key;
        self.replies.insert(name, key);
        if !consume.nowait {
            let consumer_tag = (&*tag).into();
            self.reply(
                at,
                basic::AMQPMethod::ConsumeOk(basic::ConsumeOk { consumer_tag }),
            );
        }
        Ok(())
    }

    fn cancel(&mut self, at: At, tag: &str) {
        let now = self.now;
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        if channel
            .reply
            .as_ref()
            .is_some_and(|reply| &*reply.tag == tag)
        {
            if let Some(reply) = channel.reply.take() {
                self.replies.remove(&reply.name);
            }
            return;
        }
        let key = channel.key;
        let Some((tag, id)) = channel.consumers.remove_entry(tag) else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.remove_consumer(&ConsumerKey { channel: key, tag }, now);
        }
        self.after_consumer(id);
    }

    /// Deletes a queue that goes with its last consumer; another one's turn may have come.
    pub(super) fn after_consumer(&mut self, id: QueueId) {
        let is_last = self
            .queues
            .get(&id)
            .is_some_and(|queue| queue.auto_delete && queue.consumer_count() == 0);
        if is_last {
            self.delete_queue(id);
        } else {
            self.stir(id);
        }
    }

    fn get(&mut self, at: At, get: &basic::Get) -> Result<(), Refusal> {
        let name = self.queue_name(at, get.queue.as_str())?;
        self.check_access(at, Access::Read, &name, true)?;
        let now = self.now;
        let Some(queue) = self.accessible_queue(at, &name)? else {
            return Ok(());
        };
        if queue.is_stream() {
            return Err(Refusal::not_implemented(format!(
                "basic.get not supported by stream queues {}",
                queue.described()
            )));
        }
        if queue.arguments.single_active && queue.arguments.kind == QueueKind::Quorum {
            return Err(Refusal::resource_locked(format!(
                "cannot obtain access to locked {}. basic.get operations are not supported by \
                 <<\"quorum\">> queues with single active consumer",
                queue.described()
            )));
        }
        let id = queue.id;
        let delivery = if queue.frozen {
            None
        } else {
            queue.get(get.no_ack, now)
        };
        let message_count = queue.ready_count() as u32;
        self.stir(id);
        let Some(delivery) = delivery else {
            self.reply(at, basic::AMQPMethod::GetEmpty(basic::GetEmpty {}));
            return Ok(());
        };
        let Some(delivery_tag) = self.hand_over(at, id, &delivery, None) else {
            return Ok(());
        };
        let ok = basic::GetOk {
            delivery_tag,
            redelivered: delivery.redelivered,
            exchange: (&*delivery.message.exchange).into(),
            routing_key: delivery.message.routing_key().into(),
            message_count,
        };
        self.send_delivery(at, basic::AMQPMethod::GetOk(ok), &delivery);
        Ok(())
    }

    /// Sends what a queue has for the consumers that have room for it.
    pub(super) fn deliver_from(&mut self, id: QueueId) {
        loop {
            let Self {
                queues,
                connections,
                ..
            } = self;
            let Some(queue) = queues.get_mut(&id) else {
                return;
            };
            let next = queue.deliver(|consumer| {
                let connection = connections.get(&consumer.key.channel.connection);
                connection.is_some_and(|connection| {
                    connection.phase == Phase::Running && !connection.is_congested()
                })
            });
            let Some((consumer, delivery)) = next else {
                return;
            };
            let key = consumer.key;
            let at = At {
                connection: key.channel.connection,
                channel: key.channel.channel,
            };
            let Some(delivery_tag) = self.hand_over(at, id, &delivery, Some(key.tag.clone()))
            else {
                continue;
            };
            let deliver = basic::Deliver {
                consumer_tag: (&*key.tag).into(),
                delivery_tag,
                redelivered: delivery.redelivered,
                exchange: (&*delivery.message.exchange).into(),
                routing_key: delivery.message.routing_key().into(),
            };
            self.send_delivery(at, basic::AMQPMethod::Deliver(deliver), &delivery);
        }
    }

    /// Numbers a delivery on its channel, which remembers it until it is settled.
    fn hand_over(
        &mut self,
        at: At,
        queue: QueueId,
        delivery: &Delivery,
        consumer: Option<Arc<str>>,
    ) -> Option<u64> {
        let channel = self.channel_mut(at)?;
        let tag = channel.tag();
        if let Some(sequence) = delivery.sequence {
            let delivered = Delivered {
                queue,
                sequence,
                channel: channel.key,
                consumer,
            };
            channel.unacked.insert(tag, delivered);
        }
        Some(tag)
    }

    fn send_delivery(&mut self, at: At, method: basic::AMQPMethod, delivery: &Delivery) {
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return;
        };
        let message = &delivery.message;
        if delivery.headers.is_empty() {
            connection.send_content(at.channel, method, &message.properties, message);
        } else {
            let properties = message.properties.with_headers(&delivery.headers);
            connection.send_content(at.channel, method, &properties, message);
        }
    }
}

fn settlement(requeue: bool, failed: bool) -> Settlement {
    if requeue {
        Settlement::Requeued { failed }
    } else {
        Settlement::Discarded
    }
}

/// Where a consumer of a stream begins, and whether it may consume from one.
fn offset(
    queue: &Queue,
    consume: &basic::Consume,
    prefetch: u32,
    now: Time,
) -> Result<Offset, Refusal> {
    let asked = consume.arguments.inner().get("x-stream-offset");
    if !queue.is_stream() {
        return Ok(Offset::Next);
    }
    let name = queue.described();
    if prefetch == 0 {
        return Err(Refusal::precondition_failed(format!(
            "consumer prefetch count is not set for stream {name}"
        )));
    }
    if consume.no_ack {
        return Err(Refusal::not_implemented(format!(
            "automatic acknowledgement not supported by stream {name}"
        )));
    }
    Offset::read(asked, now).ok_or_else(|| {
        let asked = asked.map_or_else(String::new, |value| {
            let shown = match text(value) {
                Some(text) => format!("<<\"{text}\">>"),
                None => described(value),
            };
            format!("{{{},{shown}}}", kind_of(value))
        });
        Refusal::precondition_failed(format!(
            "invalid arg 'x-stream-offset' for {name}: {{invalid_stream_offset_arg,{asked}}}"
        ))
    })
}
