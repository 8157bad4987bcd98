//! The whole broker as one value: what it holds, and what each frame, each turn of the clock and each fault
//! on command does to it. No socket and no task, and the same input in the same order gives the same output.
//!
//! One lock guards it. A task for each queue would bring nothing on a machine for development, and would
//! take away what tests want most: that a publication, its dead letter and its confirm have happened, in
//! this order, once the frame that caused them has been read.

mod channel;
mod consuming;
mod exchanges;
mod handshake;
mod input;
mod publishing;
mod queues;
mod settling;
mod timers;
mod users;
mod vhost;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::faults::Faults;
use crate::queue::{ChannelKey, Queue, QueueId};
use crate::time::Time;

pub(crate) use self::channel::{Connection, Phase};
pub(crate) use self::handshake::VERSION;
pub(crate) use self::input::Flow;
pub(crate) use self::queues::Made;
pub(crate) use self::users::{Password, Permission, User, Users};
pub(crate) use self::vhost::{Policy, Vhost};

/// What a broker offers to its clients, and the limits that it accepts from them.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) heartbeat: u16,
    pub(crate) frame_max: u32,
    pub(crate) channel_max: u16,
    pub(crate) largest_message: u64,
    /// How long an acknowledgement is not safe yet.
    pub(crate) acks_written_after: Duration,
}

impl Default for Limits {
    /// RabbitMQ's.
    fn default() -> Self {
        Self {
            heartbeat: 60,
            frame_max: 131_072,
            channel_max: 2047,
            largest_message: 16 * 1024 * 1024,
            acks_written_after: Duration::ZERO,
        }
    }
}

/// The broker.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) now: Time,
    pub(crate) limits: Limits,
    pub(crate) users: Users,
    pub(crate) vhosts: BTreeMap<String, Vhost>,
    pub(crate) queues: HashMap<QueueId, Queue>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) faults: Faults,
    /// Why publishers are blocked, while they are.
    pub(crate) alarm: Option<String>,
    /// The channels behind `amq.rabbitmq.reply-to` names.
    replies: HashMap<Arc<str>, ChannelKey>,
    /// Confirms that frozen queues owe: the queue, the publisher's channel, the number.
    withheld: Vec<(QueueId, ChannelKey, u64)>,
    timers: BinaryHeap<Reverse<(Time, QueueId)>>,
    /// Queues that something happened to.
    stirred: VecDeque<QueueId>,
    last_id: u64,
}

impl State {
    /// A broker with the vhost `/` and the user `guest`, as RabbitMQ begins.
    pub(crate) fn new(limits: Limits, now: Time) -> Self {
        let mut vhosts = BTreeMap::new();
        vhosts.insert("/".to_owned(), Vhost::new("/"));
        Self {
            now,
            limits,
            users: Users::default(),
            vhosts,
            queues: HashMap::new(),
            connections: BTreeMap::new(),
            faults: Faults::default(),
            alarm: None,
            replies: HashMap::new(),
            withheld: Vec::new(),
            timers: BinaryHeap::new(),
            stirred: VecDeque::new(),
            last_id: 0,
        }
    }

    /// A number that names one thing.
    fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A generated name, such as RabbitMQ gives to queues and consumers.
    fn fresh_name(&mut self, prefix: &str) -> String {
        use base64::Engine as _;
        use sha2::Digest as _;
        let number = self.fresh();
        let hash = sha2::Sha256::digest(number.to_be_bytes());
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&hash[..16]);
        format!("{prefix}{text}")
    }

    /// Notes that a queue may have something to deliver, to drop or to expire.
    pub(crate) fn stir(&mut self, id: QueueId) {
        if self.stirred.back() != Some(&id) {
            self.stirred.push_back(id);
        }
    }

    /// Delivers, drops and dead-letters until every queue is as it stays while nothing happens.
    ///
    /// A list and no recursion: a dead letter may pass through as many queues as there are.
    pub(crate) fn settle_down(&mut self) {
        while let Some(id) = self.stirred.pop_front() {
            self.deliver_from(id);
            let now = self.now;
            let Some(queue) = self.queues.get_mut(&id) else {
                continue;
            };
            let mut dead = queue.trim();
            dead.extend(queue.expire(now));
            self.schedule(id);
            for dead in dead {
                self.bury(id, dead);
            }
        }
    }

    /// The octets that a client is to get. One that had too many gets more from its queues.
    pub(crate) fn take_out(&mut self, id: u64) -> Vec<u8> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Vec::new();
        };
        let was_congested = connection.is_congested();
        let out = connection.take_out();
        if was_congested {
            let channels = connection.channels.values();
            let queues = channels.flat_map(|channel| channel.consumers.values());
            let queues: Vec<QueueId> = queues.copied().collect();
            for queue in queues {
                self.stir(queue);
            }
        }
        out
    }
}
