//! The effect of a client's frames: the order in which they must arrive, and who carries out which method.

use amq_protocol::protocol::{AMQPClass, access, basic, channel, confirm, tx};
use bytes::{Bytes, BytesMut};

use super::State;
use super::channel::{Assembly, Channel, Connection, Phase};
use crate::faults::Hit;
use crate::queue::ChannelKey;
use crate::refusal::Refusal;
use crate::wire::{Decoder, Frame, Properties};

/// The class `basic`.
const BASIC: u16 = 60;

/// No message is larger, whatever the broker's own limit (RabbitMQ's `MAX_MSG_SIZE`).
const LARGEST_EVER: u64 = 512 * 1024 * 1024;

/// The next step for the reader of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Read on.
    More,
    /// Read nothing until the alarm is over.
    Blocked,
    /// The connection has ended; what still arrives is ignored.
    Ended,
}

/// A channel of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) connection: u64,
    pub(super) channel: u16,
}

impl State {
    /// Takes a new connection in.
    pub(crate) fn connect(&mut self, peer: String, from_loopback: bool) -> u64 {
        let id = self.fresh();
        self.connections
            .insert(id, Connection::new(peer, from_loopback));
        id
    }

    /// Forgets a connection, and what it alone had.
    pub(crate) fn disconnect(&mut self, id: u64) {
        self.close_channels(id);
        self.connections.remove(&id);
        self.settle_down();
    }

    /// Processes the bytes that have arrived from a client.
    pub(crate) fn input(&mut self, id: u64, decoder: &mut Decoder) -> Flow {
        loop {
            let Some(connection) = self.connections.get(&id) else {
                return Flow::Ended;
            };
            if connection.cut {
                return Flow::Ended;
            }
            if connection.phase == Phase::Header {
                match decoder.protocol_header() {
                    None => return Flow::More,
                    Some(header) if self.greet(id, header) => continue,
                    Some(_) => return Flow::Ended,
                }
            }
            let frame = match decoder.frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Flow::More,
                Err(refusal) => {
                    // After a bad frame the start of the next one is unknown.
                    self.fail_connection(id, &refusal, (0, 0));
                    return Flow::Ended;
                }
            };
            let flow = self.frame(id, frame);
            self.settle_down();
            if flow != Flow::More {
                return flow;
            }
            if let Some(connection) = self.connections.get(&id)
                && connection.phase == Phase::Open
            {
                decoder.set_frame_max(connection.frame_max);
            }
        }
    }

    fn frame(&mut self, id: u64, frame: Frame) -> Flow {
        let Some(connection) = self.connections.get(&id) else {
            return Flow::Ended;
        };
        let phase = connection.phase;
        let is_header = matches!(frame, Frame::Header { .. });
        let (channel, ids, result) = match frame {
            Frame::Heartbeat(0) => return Flow::More,
            Frame::Heartbeat(_) if phase == Phase::Closing => return Flow::More,
            Frame::Heartbeat(channel) => {
                let refusal = Refusal::unexpected_frame("a heartbeat outside of channel 0");
                (channel, (0, 0), Err(refusal))
            }
            Frame::Method(0, method) => {
                let ids = ids_of(&method);
                match *method {
                    AMQPClass::Connection(method) => match self.meet(id, ids) {
                        Err(refusal) => (0, ids, Err(refusal)),
                        Ok(false) => return Flow::Ended,
                        Ok(true) => match self.connection_method(id, method) {
                            Ok(true) => return self.after_method(id),
                            Ok(false) => return Flow::Ended,
                            Err(refusal) => (0, ids, Err(refusal)),
                        },
                    },
                    _ if phase == Phase::Closing => return Flow::More,
                    _ => {
                        let refusal = Refusal::command_invalid("unimplemented method");
                        (0, ids, Err(refusal))
                    }
                }
            }
            _ if phase == Phase::Closing => return Flow::More,
            // A client that is not known yet gets no answer.
            _ if phase != Phase::Running => return Flow::Ended,
            Frame::Method(channel, method) => {
                let ids = ids_of(&method);
                let at = At {
                    connection: id,
                    channel,
                };
                match self.meet(id, ids) {
                    Err(refusal) => (channel, ids, Err(refusal)),
                    Ok(false) => return Flow::Ended,
                    Ok(true) => (channel, ids, self.channel_method(at, *method)),
                }
            }
            Frame::Header {
                channel,
                class,
                body_size,
                properties,
            } => {
                let at = At {
                    connection: id,
                    channel,
                };
                let result = self.content_header(at, class, body_size, &properties);
                (channel, (BASIC, 40), result)
            }
            Frame::Body(channel, body) => {
                let at = At {
                    connection: id,
                    channel,
                };
                (channel, (BASIC, 40), self.content_body(at, &body))
            }
        };
        if let Err(refusal) = result {
            self.refuse(id, channel, &refusal, ids);
        }
        if is_header && self.alarm.is_some() {
            return self.hold_publisher(id);
        }
        self.after_method(id)
    }

    fn after_method(&self, id: u64) -> Flow {
        match self.connections.get(&id).map(|connection| connection.phase) {
            Some(Phase::Closed) | None => Flow::Ended,
            Some(_) => Flow::More,
        }
    }

    /// The fault on command that awaits a method; `false` where the connection is cut.
    fn meet(&mut self, id: u64, (class, method): (u16, u16)) -> Result<bool, Refusal> {
        match self.faults.meet(class, method) {
            None => Ok(true),
            Some(Hit::Answer(refusal)) => Err(refusal),
            Some(Hit::Cut) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.cut = true;
                    connection.wake.notify_one();
                }
                Ok(false)
            }
        }
    }

    /// Tells a publisher that it is blocked, and reads no more of it: so RabbitMQ does once a message's
    /// header has come.
    fn hold_publisher(&mut self, id: u64) -> Flow {
        let reason = self.alarm.clone().unwrap_or_default();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.tell_blocked(&reason);
        }
        Flow::Blocked
    }

    /// Whether an alarm still holds a publisher.
    pub(crate) fn holds(&self, id: u64) -> bool {
        let connection = self.connections.get(&id);
        self.alarm.is_some()
            && connection
                .is_some_and(|connection| connection.phase == Phase::Running && !connection.cut)
    }

    fn channel_method(&mut self, at: At, method: AMQPClass) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return Ok(());
        };
        let Some(channel) = connection.channels.get_mut(&at.channel) else {
            return match method {
                AMQPClass::Channel(channel::AMQPMethod::Open(_)) => self.open_channel(at),
                // The client has closed it at the same time as the broker.
                AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => Ok(()),
                _ => Err(Refusal::channel_error("expected 'channel.open'")),
            };
        };
        if channel.is_closing {
            match method {
                AMQPClass::Channel(channel::AMQPMethod::CloseOk(_)) => {
                    connection.channels.remove(&at.channel);
                }
                AMQPClass::Channel(channel::AMQPMethod::Close(_)) => {
                    connection.send(at.channel, channel_close_ok());
                }
                _ => {}
            }
            return Ok(());
        }
        match &channel.assembly {
            Assembly::None => {}
            Assembly::Header(_) => {
                return Err(Refusal::unexpected_frame(format!(
                    "expected content header for class {BASIC}, got non content header frame instead"
                )));
            }
            Assembly::Body { .. } => {
                return Err(Refusal::unexpected_frame(
                    "expected content body, got non content body frame instead",
                ));
            }
        }
        match method {
            AMQPClass::Basic(basic::AMQPMethod::Publish(publish)) => {
                channel.assembly = Assembly::Header(Box::new(publish));
                Ok(())
            }
            AMQPClass::Basic(method) => self.basic_method(at, method),
            AMQPClass::Queue(method) => self.queue_method(at, method),
            AMQPClass::Exchange(method) => self.exchange_method(at, method),
            AMQPClass::Channel(method) => self.own_method(at, method),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                channel.confirms.get_or_insert(0);
                if !select.nowait {
                    let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
                    connection.send(at.channel, AMQPClass::Confirm(ok));
                }
                Ok(())
            }
            AMQPClass::Access(access::AMQPMethod::Request(_)) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                connection.send(at.channel, AMQPClass::Access(ok));
                Ok(())
            }
            AMQPClass::Tx(tx::AMQPMethod::Commit(_) | tx::AMQPMethod::Rollback(_)) => {
                Err(Refusal::precondition_failed("channel is not transactional"))
            }
            AMQPClass::Tx(_) => Err(Refusal::not_implemented(
                "hive-broker has no transactions; use confirms",
            )),
            _ => Err(Refusal::command_invalid("unimplemented method")),
        }
    }

    /// Carries out a method of the class `channel`.
    fn own_method(&mut self, at: At, method: channel::AMQPMethod) -> Result<(), Refusal> {
        use channel::AMQPMethod as Method;
        match method {
            Method::Open(_) => Err(Refusal::channel_error("second 'channel.open' seen")),
            Method::Close(_) => {
                self.empty_channel(at);
                if let Some(connection) = self.connections.get_mut(&at.connection) {
                    connection.channels.remove(&at.channel);
                    connection.send(at.channel, channel_close_ok());
                }
                Ok(())
            }
            Method::Flow(flow) if flow.active => {
                if let Some(connection) = self.connections.get_mut(&at.connection) {
                    let ok = Method::FlowOk(channel::FlowOk { active: true });
                    connection.send(at.channel, AMQPClass::Channel(ok));
                }
                Ok(())
            }
            Method::Flow(_) => Err(Refusal::not_implemented("active=false")),
            _ => Err(Refusal::command_invalid("unimplemented method")),
        }
    }

    fn open_channel(&mut self, at: At) -> Result<(), Refusal> {
        let opening = self.fresh();
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return Ok(());
        };
        let most = usize::from(connection.channel_max);
        if most != 0 && connection.channels.len() >= most {
            return Err(Refusal::not_allowed(format!(
                "number of channels opened ({}) has reached the negotiated channel_max ({most})",
                connection.channels.len()
            )));
        }
        let key = ChannelKey {
            connection: at.connection,
            channel: at.channel,
            opening,
        };
        connection.channels.insert(at.channel, Channel::new(key));
        let ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
        connection.send(at.channel, AMQPClass::Channel(ok));
        Ok(())
    }

    /// The channel that a content frame is for, or `None` where it is to be passed over.
    fn content_channel(&mut self, at: At) -> Result<Option<&mut Channel>, Refusal> {
        let connection = self.connections.get_mut(&at.connection);
        match connection.and_then(|connection| connection.channels.get_mut(&at.channel)) {
            None => Err(Refusal::channel_error("expected 'channel.open'")),
            Some(channel) if channel.is_closing => Ok(None),
            Some(channel) => Ok(Some(channel)),
        }
    }

    fn content_header(
        &mut self,
        at: At,
        class: u16,
        body_size: u64,
        properties: &Bytes,
    ) -> Result<(), Refusal> {
        let largest = self.limits.largest_message;
        let Some(channel) = self.content_channel(at)? else {
            return Ok(());
        };
        let publish = match std::mem::take(&mut channel.assembly) {
            Assembly::Header(publish) => publish,
            Assembly::None => return Err(expected_method()),
            Assembly::Body { .. } => {
                return Err(Refusal::unexpected_frame(
                    "expected content body, got non content body frame instead",
                ));
            }
        };
        if class != BASIC {
            return Err(Refusal::unexpected_frame(format!(
                "expected content header for class {BASIC}, got one for class {class} instead"
            )));
        }
        if body_size > LARGEST_EVER {
            return Err(Refusal::frame_error(format!(
                "content body size {body_size} exceeds maximum allowed size {LARGEST_EVER}"
            )));
        }
        // Before its body is in memory; RabbitMQ waits for it, and answers the same.
        if body_size > largest {
            return Err(Refusal::precondition_failed(format!(
                "message size {body_size} is larger than configured max size {largest}"
            )));
        }
        // Its own copy: otherwise a small message holds on to all that was read with it.
        let Some(properties) = Properties::read(Bytes::copy_from_slice(properties)) else {
            return Err(Refusal::syntax_error(
                "the properties of a message cannot be read",
            ));
        };
        if body_size == 0 {
            return self.publish(at, &publish, properties, Bytes::new());
        }
        channel.assembly = Assembly::Body {
            publish,
            properties,
            body: BytesMut::new(),
            left: body_size,
        };
        Ok(())
    }

    fn content_body(&mut self, at: At, piece: &Bytes) -> Result<(), Refusal> {
        let Some(channel) = self.content_channel(at)? else {
            return Ok(());
        };
        let (publish, properties, mut body, left) = match std::mem::take(&mut channel.assembly) {
            Assembly::Body {
                publish,
                properties,
                body,
                left,
            } => (publish, properties, body, left),
            Assembly::None => return Err(expected_method()),
            Assembly::Header(_) => {
                return Err(Refusal::unexpected_frame(format!(
                    "expected content header for class {BASIC}, got non content header frame instead"
                )));
            }
        };
        let Some(left) = left.checked_sub(piece.len() as u64) else {
            return Err(Refusal::frame_error(
                "content body frame exceeds remaining content size",
            ));
        };
        body.extend_from_slice(piece);
        if left == 0 {
            return self.publish(at, &publish, properties, body.freeze());
        }
        channel.assembly = Assembly::Body {
            publish,
            properties,
            body,
            left,
        };
        Ok(())
    }

    /// Answers a refusal: the end of the channel or, with a hard code, of the connection.
    pub(crate) fn refuse(
        &mut self,
        id: u64,
        channel: u16,
        refusal: &Refusal,
        (class, method): (u16, u16),
    ) {
        if refusal.is_hard() || channel == 0 {
            self.fail_connection(id, refusal, (class, method));
            return;
        }
        let at = At {
            connection: id,
            channel,
        };
        self.empty_channel(at);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.send_channel_close(channel, refusal, class, method);
        if let Some(channel) = connection.channels.get_mut(&channel) {
            channel.is_closing = true;
            channel.assembly = Assembly::None;
        }
    }

    pub(crate) fn fail_connection(
        &mut self,
        id: u64,
        refusal: &Refusal,
        (class, method): (u16, u16),
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if matches!(connection.phase, Phase::Closing | Phase::Closed) {
            return;
        }
        // RabbitMQ says nothing to a client that has not agreed on limits, unless its login was the fault.
        let is_new = matches!(connection.phase, Phase::Start | Phase::Tune);
        if is_new && refusal.code != 403 {
            connection.phase = Phase::Closed;
        } else {
            connection.send_close(refusal, class, method);
        }
        self.close_channels(id);
        self.settle_down();
    }
}

impl Connection {
    /// Tells the client once that its publications wait, if it understands that.
    fn tell_blocked(&mut self, reason: &str) {
        use amq_protocol::protocol::connection::{AMQPMethod, Blocked};
        if self.capabilities.blocked && !self.told_blocked {
            self.told_blocked = true;
            let blocked = AMQPMethod::Blocked(Blocked {
                reason: reason.into(),
            });
            self.send(0, AMQPClass::Connection(blocked));
        }
    }

    /// Lets the reader continue.
    pub(crate) fn release(&mut self) {
        use amq_protocol::protocol::connection::{AMQPMethod, Unblocked};
        if std::mem::take(&mut self.told_blocked) {
            let unblocked = AMQPMethod::Unblocked(Unblocked {});
            self.send(0, AMQPClass::Connection(unblocked));
        }
        self.unblocked.notify_one();
    }
}

fn ids_of(method: &AMQPClass) -> (u16, u16) {
    (method.get_amqp_class_id(), method.get_amqp_method_id())
}

fn channel_close_ok() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}))
}

fn expected_method() -> Refusal {
    Refusal::unexpected_frame("expected method frame, got non method frame instead")
}
