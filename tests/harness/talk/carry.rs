//! Carries the steps of a conversation out with one broker, and keeps what it says.

use std::collections::BTreeMap;

use amq_protocol::protocol::{AMQPClass, basic, channel, connection, exchange, queue, tx};
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use anyhow::Result;

use super::Speaker;
use super::client::{Client, Said};
use super::heard::{self, Heard};
use super::step::{Argument, Is, Route, Sent, Settle, Step};
use super::strategy::{EXCHANGES, QUEUES, QUORUM};

/// The channel of the steps, and the one that only counts.
const STEPS: u16 = 1;
const COUNTS: u16 = 2;

/// A tag that no delivery has.
const UNKNOWN: u64 = 1_000;

/// One side of a conversation.
pub(super) struct Talk {
    client: Client,
    vhost: String,
    prefix: String,
    /// Those that were consumed, by tag: the queue, and whether there is nothing to settle.
    consumers: BTreeMap<String, (&'static str, bool)>,
    /// The queue of the last `basic.get`, and whether there is nothing to settle.
    got: (&'static str, bool),
    open: Vec<Open>,
    step: usize,
    heard: Heard,
    has_ended: bool,
}

/// A delivery that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// The step that brought it.
    step: usize,
    queue: &'static str,
    message: String,
    tag: u64,
}

impl Talk {
    pub(super) async fn begin(speaker: &Speaker, prefix: &str) -> Result<Self> {
        let mut talk = Self {
            client: Client::open(speaker).await?,
            vhost: speaker.vhost.clone(),
            prefix: prefix.to_owned(),
            consumers: BTreeMap::new(),
            got: ("", true),
            open: Vec::new(),
            step: 0,
            heard: Heard::default(),
            has_ended: false,
        };
        talk.channel(STEPS).await?;
        talk.channel(COUNTS).await?;
        Ok(talk)
    }

    /// Opens a channel. What comes on the other one in the meantime is kept.
    async fn channel(&mut self, channel: u16) -> Result<()> {
        self.client.open_channel(channel)?;
        let mut answers = 2;
        while answers > 0 && !self.has_ended {
            let said = self.client.said().await?;
            if said.channel == channel {
                answers -= 1;
            } else {
                self.take_in(&said)?;
            }
        }
        Ok(())
    }

    /// Whether the broker has closed the connection.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes a step, and gives what is seen at once.
    pub(super) async fn take(&mut self, number: usize, step: &Step) -> Result<Heard> {
        self.step = number;
        self.heard = Heard::default();
        match step {
            Step::Leave => self.leave().await?,
            _ => self.ask(number, step)?,
        }
        self.look().await
    }

    /// What has been seen since the step, once the broker has got to its end.
    pub(super) async fn look(&mut self) -> Result<Heard> {
        self.sync().await?;
        for queue in QUEUES {
            if self.has_ended {
                break;
            }
            let count = self.count(queue).await?;
            self.heard.queues.insert(queue, count);
        }
        Ok(self.heard.clone())
    }

    /// Takes away what the conversation has made, and closes the connection.
    pub(super) async fn end(mut self) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        for name in QUEUES {
            self.delete_queue(COUNTS, name, [false, false])?;
            while self.said().await?.channel != COUNTS {}
        }
        for name in EXCHANGES {
            self.delete_exchange(COUNTS, name, false)?;
            while self.said().await?.channel != COUNTS {}
        }
        let close = connection::AMQPMethod::Close(connection::Close {
            reply_code: 200,
            reply_text: "".into(),
            class_id: 0,
            method_id: 0,
        });
        self.client.method(0, AMQPClass::Connection(close))?;
        while self.said().await?.channel != 0 {}
        Ok(())
    }

    /// Waits until all that was sent on the channel is carried out. A channel that was closed is opened again.
    async fn sync(&mut self) -> Result<()> {
        let flow = channel::AMQPMethod::Flow(channel::Flow { active: true });
        self.client.method(STEPS, AMQPClass::Channel(flow))?;
        while !self.has_ended {
            let said = self.said().await?;
            if said.channel != STEPS {
                continue;
            }
            match said.method {
                AMQPClass::Channel(channel::AMQPMethod::FlowOk(_)) => break,
                AMQPClass::Channel(channel::AMQPMethod::Close(_)) => {
                    return self.open_again().await;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the channel, and opens it again.
    async fn leave(&mut self) -> Result<()> {
        let close = channel::AMQPMethod::Close(channel::Close {
            reply_code: 200,
            reply_text: "".into(),
            class_id: 0,
            method_id: 0,
        });
        self.client.method(STEPS, AMQPClass::Channel(close))?;
        loop {
            let said = self.said().await?;
            let is_closed = matches!(
                said.method,
                AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))
            );
            if said.channel == STEPS && is_closed {
                return self.open_again().await;
            }
        }
    }

    async fn open_again(&mut self) -> Result<()> {
        self.open.clear();
        self.consumers.clear();
        self.channel(STEPS).await
    }

    /// How many messages and consumers a queue has. Where there is none, the broker closes the channel.
    async fn count(&mut self, name: &'static str) -> Result<String> {
        self.declare_queue(COUNTS, name, [true, false, false, false], &[])?;
        loop {
            let said = self.said().await?;
            match said.method {
                _ if self.has_ended => return Ok("the connection is closed".to_owned()),
                AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) if said.channel == COUNTS => {
                    return Ok(match name {
                        QUORUM => ok.message_count.to_string(),
                        _ => format!("{}/{}", ok.message_count, ok.consumer_count),
                    });
                }
                AMQPClass::Channel(channel::AMQPMethod::Close(close)) if said.channel == COUNTS => {
                    self.channel(COUNTS).await?;
                    return Ok(close.reply_code.to_string());
                }
                _ => {}
            }
        }
    }

    /// The next method; what is for the channel of the steps is kept.
    async fn said(&mut self) -> Result<Said> {
        let said = self.client.said().await?;
        self.take_in(&said)?;
        Ok(said)
    }

    fn take_in(&mut self, said: &Said) -> Result<()> {
        match &said.method {
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
                self.has_ended = true;
                let text = self.without_vhost(close.reply_text.as_str());
                let close = format!("connection closed: {} {text}", close.reply_code);
                // An answer from just before it may be lost with the connection.
                self.heard = Heard::default();
                self.heard.answers.push(close);
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                self.client.method(said.channel, AMQPClass::Channel(ok))?;
                if said.channel == STEPS {
                    let text = self.without_vhost(close.reply_text.as_str());
                    let (code, class, method) = (close.reply_code, close.class_id, close.method_id);
                    let close = format!("channel closed: {code} {text} ({class}.{method})");
                    self.heard.answers.push(close);
                }
            }
            _ if said.channel == STEPS => self.keep(said),
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, said: &Said) {
        use basic::AMQPMethod as Method;
        let content = said.content.as_ref();
        let answer = match (&said.method, content) {
            // Not the answer to a step.
            (
                AMQPClass::Channel(
                    channel::AMQPMethod::FlowOk(_) | channel::AMQPMethod::CloseOk(_),
                ),
                _,
            ) => return,
            (AMQPClass::Basic(Method::Deliver(deliver)), Some(content)) => {
                let tag = deliver.consumer_tag.to_string();
                let message = heard::message(
                    content,
                    deliver.exchange.as_str(),
                    deliver.routing_key.as_str(),
                    deliver.redelivered,
                );
                let (queue, is_settled) = self.consumers.get(&tag).copied().unwrap_or(("", true));
                if !is_settled {
                    self.opened(queue, &message, deliver.delivery_tag);
                }
                self.heard.consumers.entry(tag).or_default().push(message);
                return;
            }
            (AMQPClass::Basic(Method::Cancel(cancel)), _) => {
                let tag = cancel.consumer_tag.to_string();
                let of_consumer = self.heard.consumers.entry(tag).or_default();
                of_consumer.push("cancelled".to_owned());
                return;
            }
            (AMQPClass::Basic(Method::GetOk(got)), Some(content)) => {
                let message = heard::message(
                    content,
                    got.exchange.as_str(),
                    got.routing_key.as_str(),
                    got.redelivered,
                );
                let (queue, is_settled) = self.got;
                if !is_settled {
                    self.opened(queue, &message, got.delivery_tag);
                }
                format!("got {message}, {} left", got.message_count)
            }
            (AMQPClass::Basic(Method::Return(back)), Some(content)) => {
                let (exchange, key) = (back.exchange.as_str(), back.routing_key.as_str());
                let message = heard::message(content, exchange, key, false);
                format!(
                    "returned {} {}: {message}",
                    back.reply_code, back.reply_text
                )
            }
            // Each publication is confirmed before the next one, and `multiple` may be set or not.
            (AMQPClass::Basic(Method::Ack(ack)), _) => format!("confirmed {}", ack.delivery_tag),
            (AMQPClass::Basic(Method::Nack(nack)), _) => format!("refused {}", nack.delivery_tag),
            // RabbitMQ counts a client of a quorum queue as a consumer once it has got from it.
            (AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)), _)
                if ok.queue == self.named(QUORUM) =>
            {
                format!("declared {}: {}", ok.queue, ok.message_count)
            }
            (AMQPClass::Queue(method), _) => format!("{method:?}"),
            (AMQPClass::Exchange(method), _) => format!("{method:?}"),
            (AMQPClass::Basic(method), _) => format!("{method:?}"),
            (method, _) => format!("{method:?}"),
        };
        self.heard.answers.push(answer);
    }

    fn opened(&mut self, queue: &'static str, message: &str, tag: u64) {
        self.open.push(Open {
            step: self.step,
            queue,
            message: message.to_owned(),
            tag,
        });
        // Between the queues of a step there is no order.
        self.open.sort();
    }

    fn without_vhost(&self, text: &str) -> String {
        text.replace(&format!("vhost '{}'", self.vhost), "vhost 'V'")
    }

    /// The name at the broker.
    fn named(&self, name: &str) -> ShortString {
        if name.is_empty() || name.starts_with("amq.") {
            return name.into();
        }
        format!("{}{name}", self.prefix).into()
    }

    fn table(&self, entries: &[(&'static str, Argument)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, argument) in entries {
            table.insert((*name).into(), self.value(argument));
        }
        table
    }

    fn value(&self, argument: &Argument) -> AMQPValue {
        let text = |text: &str| AMQPValue::LongString(text.into());
        match argument {
            Argument::Number(number) => AMQPValue::LongInt(*number),
            Argument::Text(content) => text(content),
            Argument::Name(name) => text(self.named(name).as_str()),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
            Argument::Names(names) => {
                let names = names.iter().map(|name| text(self.named(name).as_str()));
                AMQPValue::FieldArray(names.collect::<Vec<_>>().into())
            }
        }
    }

    fn ask(&mut self, number: usize, step: &Step) -> Result<()> {
        match step {
            Step::Queue {
                name,
                flags,
                arguments,
            } => self.declare_queue(STEPS, name, *flags, arguments),
            Step::Exchange {
                name,
                kind,
                flags: [passive, durable, auto_delete, internal],
                alternate,
            } => {
                let alternate = alternate.map(|name| ("alternate-exchange", Argument::Name(name)));
                let declare = exchange::Declare {
                    exchange: self.named(name),
                    kind: (*kind).into(),
                    passive: *passive,
                    durable: *durable,
                    auto_delete: *auto_delete,
                    internal: *internal,
                    nowait: false,
                    arguments: self.table(alternate.as_slice()),
                };
                self.exchange(exchange::AMQPMethod::Declare(declare))
            }
            Step::Bind(is, queue, route) => self.bind(*is, queue, route),
            Step::Join(is, to, route) => self.join(*is, to, route),
            Step::Publish {
                exchange,
                key,
                mandatory,
                sent,
            } => self.publish(number, (exchange, key), *mandatory, sent),
            Step::Get { queue, no_ack } => {
                if self.is_unordered(queue) {
                    return Ok(());
                }
                self.got = (queue, *no_ack);
                self.basic(basic::AMQPMethod::Get(basic::Get {
                    queue: self.named(queue),
                    no_ack: *no_ack,
                }))
            }
            Step::Consume { .. } => self.consume(step),
            Step::Cancel(tag) => self.basic(basic::AMQPMethod::Cancel(basic::Cancel {
                consumer_tag: (*tag).into(),
                nowait: false,
            })),
            Step::Settle(place, how) => self.settle(*place, *how),
            Step::SettleUnknown(how) => self.answer(UNKNOWN, *how),
            Step::Recover { requeue } => {
                self.open.clear();
                let recover = basic::Recover { requeue: *requeue };
                self.basic(basic::AMQPMethod::Recover(recover))
            }
            Step::Purge(name) => {
                let purge = queue::Purge {
                    queue: self.named(name),
                    nowait: false,
                };
                let purge = queue::AMQPMethod::Purge(purge);
                self.client.method(STEPS, AMQPClass::Queue(purge))
            }
            Step::DeleteQueue { name, flags } => self.delete_queue(STEPS, name, *flags),
            Step::DeleteExchange { name, if_unused } => {
                self.delete_exchange(STEPS, name, *if_unused)
            }
            Step::Leave => Ok(()),
            Step::OpenAgain => {
                let open = channel::AMQPMethod::Open(channel::Open {});
                self.client.method(STEPS, AMQPClass::Channel(open))
            }
            Step::Commit => {
                let commit = tx::AMQPMethod::Commit(tx::Commit {});
                self.client.method(STEPS, AMQPClass::Tx(commit))
            }
        }
    }

    /// Whether a second delivery of a quorum queue would be open: several that come back to one have an order of
    /// their own in RabbitMQ.
    fn is_unordered(&self, queue: &str) -> bool {
        let mut consumers = self.consumers.values();
        let is_consumed = consumers.any(|(of, _)| *of == queue);
        let is_open = self.open.iter().any(|open| open.queue == queue);
        queue == QUORUM && (is_consumed || is_open)
    }

    fn declare_queue(
        &mut self,
        channel: u16,
        name: &str,
        [passive, durable, exclusive, auto_delete]: [bool; 4],
        arguments: &[(&'static str, Argument)],
    ) -> Result<()> {
        let declare = queue::AMQPMethod::Declare(queue::Declare {
            queue: self.named(name),
            passive,
            durable,
            exclusive,
            auto_delete,
            nowait: false,
            arguments: self.table(arguments),
        });
        self.client.method(channel, AMQPClass::Queue(declare))
    }

    fn delete_queue(
        &mut self,
        channel: u16,
        name: &str,
        [if_unused, if_empty]: [bool; 2],
    ) -> Result<()> {
        let delete = queue::AMQPMethod::Delete(queue::Delete {
            queue: self.named(name),
            if_unused,
            if_empty,
            nowait: false,
        });
        self.client.method(channel, AMQPClass::Queue(delete))
    }

    fn delete_exchange(&mut self, channel: u16, name: &str, if_unused: bool) -> Result<()> {
        let delete = exchange::AMQPMethod::Delete(exchange::Delete {
            exchange: self.named(name),
            if_unused,
            nowait: false,
        });
        self.client.method(channel, AMQPClass::Exchange(delete))
    }

    fn bind(&mut self, is: Is, name: &str, route: &Route) -> Result<()> {
        let (queue, exchange) = (self.named(name), self.named(route.from));
        let (routing_key, arguments) = (route.key.into(), self.table(&route.arguments));
        let method = match is {
            Is::There => queue::AMQPMethod::Bind(queue::Bind {
                queue,
                exchange,
                routing_key,
                nowait: false,
                arguments,
            }),
            Is::Gone => queue::AMQPMethod::Unbind(queue::Unbind {
                queue,
                exchange,
                routing_key,
                arguments,
            }),
        };
        self.client.method(STEPS, AMQPClass::Queue(method))
    }

    fn join(&mut self, is: Is, to: &str, route: &Route) -> Result<()> {
        let (destination, source) = (self.named(to), self.named(route.from));
        let (routing_key, arguments) = (route.key.into(), self.table(&route.arguments));
        self.exchange(match is {
            Is::There => exchange::AMQPMethod::Bind(exchange::Bind {
                destination,
                source,
                routing_key,
                nowait: false,
                arguments,
            }),
            Is::Gone => exchange::AMQPMethod::Unbind(exchange::Unbind {
                destination,
                source,
                routing_key,
                nowait: false,
                arguments,
            }),
        })
    }

    fn publish(
        &mut self,
        number: usize,
        (exchange, key): (&str, &str),
        mandatory: bool,
        sent: &Sent,
    ) -> Result<()> {
        let mut properties = basic::AMQPProperties::default();
        if let Some(priority) = sent.priority {
            properties = properties.with_priority(priority);
        }
        if let Some(expiration) = sent.expiration {
            properties = properties.with_expiration(expiration.into());
        }
        if let Some(user) = sent.user {
            properties = properties.with_user_id(user.into());
        }
        if !sent.headers.is_empty() {
            properties = properties.with_headers(self.table(&sent.headers));
        }
        let routing_key = match exchange {
            "" => self.named(key),
            _ => key.into(),
        };
        self.basic(basic::AMQPMethod::Publish(basic::Publish {
            exchange: self.named(exchange),
            routing_key,
            mandatory,
            immediate: false,
        }))?;
        let body = format!("message {number}");
        self.client.content(STEPS, properties, body.as_bytes())
    }

    fn consume(&mut self, step: &Step) -> Result<()> {
        let Step::Consume {
            queue,
            tag,
            flags: [no_ack, exclusive],
            priority,
            prefetch,
        } = step
        else {
            return Ok(());
        };
        if self.is_unordered(queue) {
            return Ok(());
        }
        let prefetch_count = if *queue == QUORUM { 1 } else { *prefetch };
        self.basic(basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count,
            global: false,
        }))?;
        let known = self.consumers.entry((*tag).to_owned());
        known.or_insert((queue, *no_ack));
        let priority = priority.clone().map(|priority| ("x-priority", priority));
        self.basic(basic::AMQPMethod::Consume(basic::Consume {
            queue: self.named(queue),
            consumer_tag: (*tag).into(),
            no_local: false,
            no_ack: *no_ack,
            exclusive: *exclusive,
            nowait: false,
            arguments: self.table(priority.as_slice()),
        }))
    }

    /// Where several are settled, those are that came with the same step or before it.
    fn settle(&mut self, place: usize, how: Settle) -> Result<()> {
        let Some(chosen) = self.open.get(place).cloned() else {
            return Ok(());
        };
        let is_multiple = matches!(
            how,
            Settle::Ack { multiple: true } | Settle::Nack { multiple: true, .. }
        );
        if !is_multiple {
            self.open.remove(place);
            return self.answer(chosen.tag, how);
        }
        let until = self.open.iter().filter(|open| open.step <= chosen.step);
        let is_dead = matches!(how, Settle::Nack { requeue: false, .. });
        if is_dead && until.clone().any(|open| open.queue != chosen.queue) {
            // Dead letters of several queues may meet in one, in any order.
            return Ok(());
        }
        let tag = until.map(|open| open.tag).max().unwrap_or(chosen.tag);
        self.open.retain(|open| open.tag > tag);
        self.answer(tag, how)
    }

    fn answer(&mut self, delivery_tag: u64, how: Settle) -> Result<()> {
        self.basic(match how {
            Settle::Ack { multiple } => basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag,
                multiple,
            }),
            Settle::Nack { multiple, requeue } => basic::AMQPMethod::Nack(basic::Nack {
                delivery_tag,
                multiple,
                requeue,
            }),
            Settle::Reject { requeue } => basic::AMQPMethod::Reject(basic::Reject {
                delivery_tag,
                requeue,
            }),
        })
    }

    fn basic(&mut self, method: basic::AMQPMethod) -> Result<()> {
        self.client.method(STEPS, AMQPClass::Basic(method))
    }

    fn exchange(&mut self, method: exchange::AMQPMethod) -> Result<()> {
        self.client.method(STEPS, AMQPClass::Exchange(method))
    }
}
