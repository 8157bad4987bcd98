//! How clients settle their deliveries, and what happens to deliveries that are never settled.

use amq_protocol::protocol::basic;

use super::State;
use super::channel::Channel;
use super::input::At;
use crate::queue::{ConsumerKey, Delivered, Settlement};
use crate::refusal::Refusal;

impl State {
    pub(super) fn channel_mut(&mut self, at: At) -> Option<&mut Channel> {
        self.connections
            .get_mut(&at.connection)?
            .channels
            .get_mut(&at.channel)
    }

    /// Settles one delivery, or all up to it.
    pub(super) fn settle(
        &mut self,
        at: At,
        tag: u64,
        multiple: bool,
        how: Settlement,
    ) -> Result<(), Refusal> {
        let Some(channel) = self.channel_mut(at) else {
            return Ok(());
        };
        let unknown = || Refusal::precondition_failed(format!("unknown delivery tag {tag}"));
        let settled: Vec<Delivered> = match (multiple, tag) {
            (true, 0) => std::mem::take(&mut channel.unacked).into_values().collect(),
            (true, _) => {
                if !channel.unacked.contains_key(&tag) {
                    return Err(unknown());
                }
                let after = channel.unacked.split_off(&(tag + 1));
                std::mem::replace(&mut channel.unacked, after)
                    .into_values()
                    .collect()
            }
            (false, _) => vec![channel.unacked.remove(&tag).ok_or_else(unknown)?],
        };
        self.settle_all(settled, how);
        Ok(())
    }

    /// `basic.recover`: everything goes back, and nothing counts as failed.
    pub(super) fn recover(&mut self, at: At) {
        if let Some(channel) = self.channel_mut(at) {
            let all = std::mem::take(&mut channel.unacked);
            let how = Settlement::Requeued { failed: false };
            self.settle_all(all.into_values().collect(), how);
        }
    }

    fn settle_all(&mut self, deliveries: Vec<Delivered>, how: Settlement) {
        let now = self.now;
        for delivered in deliveries {
            let id = delivered.queue;
            // A queue that was deleted has taken its messages along.
            let Some(queue) = self.queues.get_mut(&id) else {
                continue;
            };
            let dead = queue.settle(&delivered, how, now);
            self.stir(id);
            if let Some(dead) = dead {
                self.bury(id, dead);
            }
        }
    }

    /// Takes everything from a channel that a client or the broker closes: consumers, deliveries, replies.
    pub(super) fn empty_channel(&mut self, at: At) {
        let now = self.now;
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        let key = channel.key;
        let consumers = std::mem::take(&mut channel.consumers);
        let unacked = std::mem::take(&mut channel.unacked);
        if let Some(reply) = channel.reply.take() {
            self.replies.remove(&reply.name);
        }
        // The consumers first: otherwise they would get what goes back.
        for (tag, id) in &consumers {
            if let Some(queue) = self.queues.get_mut(id) {
                let tag = tag.clone();
                queue.remove_consumer(&ConsumerKey { channel: key, tag }, now);
            }
        }
        let how = Settlement::Requeued { failed: true };
        self.settle_all(unacked.into_values().collect(), how);
        for id in consumers.into_values() {
            self.after_consumer(id);
        }
    }

    /// Takes everything from a connection: its channels, and the queues that it alone might use.
    pub(super) fn close_channels(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let channels: Vec<u16> = connection.channels.keys().copied().collect();
        for channel in channels {
            self.empty_channel(At {
                connection: id,
                channel,
            });
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.channels.clear();
        }
        let owned = self.queues.values().filter(|queue| queue.owner == Some(id));
        let mut owned: Vec<_> = owned.map(|queue| queue.id).collect();
        owned.sort();
        for queue in owned {
            self.delete_queue(queue);
        }
    }

    /// Cancels a consumer from the broker's side, and notifies the client if it supports that.
    pub(super) fn cancel_from_here(&mut self, key: &ConsumerKey) {
        let at = At {
            connection: key.channel.connection,
            channel: key.channel.channel,
        };
        let Some(connection) = self.connections.get_mut(&at.connection) else {
            return;
        };
        let Some(channel) = connection.channels.get_mut(&at.channel) else {
            return;
        };
        channel.consumers.remove(&key.tag);
        if connection.capabilities.cancel_notify {
            let cancel = basic::Cancel {
                consumer_tag: (&*key.tag).into(),
                nowait: true,
            };
            connection.send_basic(at.channel, basic::AMQPMethod::Cancel(cancel));
        }
    }
}
