//! The broker's view of a connection and its channels, and the frames on their way to the client.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic, channel, connection};
use bytes::BytesMut;
use tokio::sync::Notify;

use crate::message::Message;
use crate::queue::{ChannelKey, Delivered, QueueId};
use crate::refusal::Refusal;
use crate::wire::{self, Properties};

/// So many octets wait for a client that does not read before its consumers get no more.
const CONGESTED: usize = 4 * 1024 * 1024;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Header,
    Start,
    Tune,
    Open,
    Running,
    /// The broker has closed it and waits for the client to agree.
    Closing,
    Closed,
}

/// The capabilities that a client announces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Capabilities {
    pub(crate) cancel_notify: bool,
    pub(crate) blocked: bool,
    pub(crate) failure_close: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    /// The name that the client gave itself.
    pub(crate) name: Option<String>,
    pub(crate) peer: String,
    pub(crate) from_loopback: bool,
    pub(crate) user: String,
    pub(crate) vhost: Arc<str>,
    pub(crate) capabilities: Capabilities,
    pub(crate) frame_max: u32,
    pub(crate) channel_max: u16,
    /// Seconds that the client and the broker agreed upon; 0 is none.
    pub(crate) heartbeat: u16,
    pub(crate) channels: BTreeMap<u16, Channel>,
    /// Whether the client was notified that publishers are blocked.
    pub(crate) told_blocked: bool,
    /// Wakes the connection when publishers are not blocked any more, so that it notifies the client.
    pub(crate) wake: Arc<Notify>,
    /// Wakes the reader after an alarm.
    pub(crate) unblocked: Arc<Notify>,
    /// A fault on command: the socket is closed without a word.
    pub(crate) cut: bool,
    out: Vec<u8>,
}

/// The reply consumer of a channel.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) tag: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// The part of a publication that has arrived, while some of its frames are missing.
#[derive(Debug, Default)]
pub(crate) enum Assembly {
    #[default]
    None,
    Header(Box<basic::Publish>),
    Body {
        publish: Box<basic::Publish>,
        properties: Properties,
        body: BytesMut,
        left: u64,
    },
}

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) key: ChannelKey,
    /// The broker has closed it and waits for the client to agree.
    pub(crate) is_closing: bool,
    pub(crate) assembly: Assembly,
    /// How many publications have been numbered, once the client wants confirms.
    pub(crate) confirms: Option<u64>,
    pub(crate) prefetch: u16,
    pub(crate) unacked: BTreeMap<u64, Delivered>,
    pub(crate) consumers: HashMap<Arc<str>, QueueId>,
    pub(crate) last_queue: String,
    pub(crate) reply: Option<Reply>,
    next_tag: u64,
}

impl Channel {
    pub(crate) fn new(key: ChannelKey) -> Self {
        Self {
            key,
            is_closing: false,
            assembly: Assembly::None,
            confirms: None,
            prefetch: 0,
            unacked: BTreeMap::new(),
            consumers: HashMap::new(),
            last_queue: String::new(),
            reply: None,
            next_tag: 0,
        }
    }

    /// The tag of the next delivery.
    pub(crate) fn tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }
}

impl Connection {
    pub(crate) fn new(peer: String, from_loopback: bool) -> Self {
        Self {
            phase: Phase::Header,
            name: None,
            peer,
            from_loopback,
            user: String::new(),
            vhost: "".into(),
            capabilities: Capabilities::default(),
            frame_max: 0,
            channel_max: 0,
            heartbeat: 0,
            channels: BTreeMap::new(),
            told_blocked: false,
            wake: Arc::default(),
            unblocked: Arc::default(),
            cut: false,
            out: Vec::new(),
        }
    }

    /// The octets that the client is to get, which are then the writer's.
    pub(crate) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether the client reads more slowly than it is written to.
    pub(crate) fn is_congested(&self) -> bool {
        self.out.len() > CONGESTED
    }

    pub(crate) fn send_octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
        self.wake.notify_one();
    }

    pub(crate) fn send(&mut self, channel: u16, method: AMQPClass) {
        wire::method(&mut self.out, channel, method);
        self.wake.notify_one();
    }

    pub(crate) fn send_basic(&mut self, channel: u16, method: basic::AMQPMethod) {
        self.send(channel, AMQPClass::Basic(method));
    }

    pub(crate) fn send_heartbeat(&mut self) {
        wire::heartbeat(&mut self.out);
    }

    /// A method with a message behind it.
    pub(crate) fn send_content(
        &mut self,
        channel: u16,
        method: basic::AMQPMethod,
        properties: &Properties,
        message: &Message,
    ) {
        wire::method(&mut self.out, channel, AMQPClass::Basic(method));
        wire::content(
            &mut self.out,
            channel,
            properties,
            &message.body,
            self.frame_max,
        );
        self.wake.notify_one();
    }

    /// Closes the connection from the broker's side.
    pub(crate) fn send_close(&mut self, refusal: &Refusal, class_id: u16, method_id: u16) {
        let close = connection::Close {
            reply_code: refusal.code,
            reply_text: refusal.text().as_str().into(),
            class_id,
            method_id,
        };
        self.phase = Phase::Closing;
        self.send(
            0,
            AMQPClass::Connection(connection::AMQPMethod::Close(close)),
        );
        // A reader that an alarm blocks has to see that the connection is over.
        self.unblocked.notify_one();
    }

    /// Closes a channel from the broker's side.
    pub(crate) fn send_channel_close(
        &mut self,
        channel: u16,
        refusal: &Refusal,
        class_id: u16,
        method_id: u16,
    ) {
        let close = channel::Close {
            reply_code: refusal.code,
            reply_text: refusal.text().as_str().into(),
            class_id,
            method_id,
        };
        self.send(
            channel,
            AMQPClass::Channel(channel::AMQPMethod::Close(close)),
        );
    }
}
