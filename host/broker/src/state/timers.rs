//! Effects of time: messages and queues expire, dead letters are tried again, and ordered faults happen.

use std::cmp::Reverse;

use super::State;
use super::channel::Connection;
use crate::faults::{Fault, is_method};
use crate::queue::QueueId;
use crate::refusal::Refusal;
use crate::time::Time;

impl State {
    /// Notes when time alone changes a queue next.
    pub(super) fn schedule(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let deadline = queue.deadline();
        // An earlier one that is set already finds out by itself that there is nothing to do yet.
        if let Some(deadline) = deadline
            && queue.scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            queue.scheduled = Some(deadline);
            self.timers.push(Reverse((deadline, id)));
        }
    }

    /// When the next timer ends.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timers.peek().map(|Reverse((time, _))| *time)
    }

    /// Moves the clock, and does everything on the way at its own time.
    pub(crate) fn advance(&mut self, to: Time) {
        while let Some(deadline) = self.deadline()
            && deadline <= to
        {
            self.now = self.now.max(deadline);
            if let Some(Reverse((time, id))) = self.timers.pop() {
                self.ring(time, id);
                self.settle_down();
            }
        }
        self.now = self.now.max(to);
    }

    fn ring(&mut self, time: Time, id: QueueId) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        if queue.scheduled == Some(time) {
            queue.scheduled = None;
        }
        if queue.has_lapsed(now) {
            self.delete_queue(id);
            return;
        }
        let due = queue.due_stuck(now);
        for dead in due {
            self.bury(id, dead);
        }
        self.stir(id);
    }

    /// Carries out a fault; `Err` describes an invalid request.
    pub(crate) fn inject(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::DropConfirms { times } => self.faults.dropped_confirms += times,
            Fault::NackPublishes { times } => self.faults.nacked_publishes += times,
            Fault::Cut { connection } => self.cut(connection.as_deref())?,
            Fault::CutAt { method } => {
                known_method(&method)?;
                self.faults.cut_at(method);
            }
            Fault::Answer {
                method,
                code,
                text,
                times,
            } => {
                known_method(&method)?;
                if times > 0 {
                    self.faults.answer(method, Refusal::new(code, text), times);
                }
            }
            Fault::Block { reason } => self.alarm = Some(reason),
            Fault::Unblock => {
                self.alarm = None;
                self.connections.values_mut().for_each(Connection::release);
            }
            Fault::Freeze { vhost, queue } => self.freeze(&vhost, &queue, true)?,
            Fault::Thaw { vhost, queue } => self.freeze(&vhost, &queue, false)?,
            Fault::CancelConsumers { vhost, queue } => self.cancel_consumers(&vhost, &queue)?,
            Fault::Crash => {
                self.cut(None)?;
                self.forget_the_last();
            }
            Fault::Clear => self.faults = Default::default(),
        }
        self.settle_down();
        Ok(())
    }

    /// Nobody has anything any more, and acknowledgements that were not safe did not happen.
    fn forget_the_last(&mut self) {
        let now = self.now;
        let mut queues: Vec<QueueId> = self.queues.keys().copied().collect();
        queues.sort();
        for id in queues {
            if let Some(queue) = self.queues.get_mut(&id) {
                queue.recover(now);
            }
            self.stir(id);
        }
        let connections: Vec<u64> = self.connections.keys().copied().collect();
        for id in connections {
            self.close_channels(id);
        }
    }

    fn cut(&mut self, name: Option<&str>) -> Result<(), String> {
        let mut found = false;
        for connection in self.connections.values_mut() {
            if name.is_none_or(|name| connection.name.as_deref() == Some(name)) {
                found = true;
                connection.cut = true;
                connection.wake.notify_one();
            }
        }
        match name {
            Some(name) if !found => Err(format!("there is no connection with the name {name:?}")),
            _ => Ok(()),
        }
    }

    fn named_queue(&self, vhost: &str, queue: &str) -> Result<QueueId, String> {
        self.queue_id(vhost, queue)
            .ok_or_else(|| format!("there is no queue {queue:?} in the vhost {vhost:?}"))
    }

    fn freeze(&mut self, vhost: &str, name: &str, frozen: bool) -> Result<(), String> {
        let id = self.named_queue(vhost, name)?;
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.frozen = frozen;
        }
        if !frozen {
            let withheld = std::mem::take(&mut self.withheld);
            for (queue, key, number) in withheld {
                if queue == id {
                    self.confirm(key, Some(number), true);
                } else {
                    self.withheld.push((queue, key, number));
                }
            }
            self.stir(id);
        }
        Ok(())
    }

    fn cancel_consumers(&mut self, vhost: &str, name: &str) -> Result<(), String> {
        let id = self.named_queue(vhost, name)?;
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(());
        };
        let keys: Vec<_> = queue
            .consumers()
            .map(|consumer| consumer.key.clone())
            .collect();
        for key in &keys {
            queue.remove_consumer(key, now);
        }
        for key in &keys {
            self.cancel_from_here(key);
        }
        self.after_consumer(id);
        Ok(())
    }
}

fn known_method(method: &str) -> Result<(), String> {
    if is_method(method) {
        Ok(())
    } else {
        Err(format!(
            "no client sends the method {method:?}; they are named as in basic.publish"
        ))
    }
}
