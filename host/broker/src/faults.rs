//! Faults on command: what a test has the broker do that no broker does by itself.

use crate::refusal::Refusal;

/// A fault that the broker is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The next confirms are not sent, though their messages are stored.
    DropConfirms {
        /// How many; a publication that needs no confirm does not count.
        times: u64,
    },
    /// The next publications with confirms are answered `basic.nack`, and not stored.
    NackPublishes {
        /// How many.
        times: u64,
    },
    /// The sockets of connections are closed without a word.
    Cut {
        /// The connection's name, or all of them.
        connection: Option<String>,
    },
    /// The socket of the connection that sends this method next is closed instead of an answer.
    CutAt {
        /// The method as AMQP names it: `basic.publish`, `basic.ack`, `queue.declare`.
        method: String,
    },
    /// The next such methods are answered by closing the channel, or with a hard code such as 541 the
    /// connection.
    Answer {
        /// The method as AMQP names it: `basic.consume`, `queue.declare`.
        method: String,
        /// AMQP's reply code.
        code: u16,
        /// The explanation behind the code's name.
        text: String,
        /// How many.
        times: u64,
    },
    /// Publishers are blocked, as by RabbitMQ's alarms.
    Block {
        /// The reason that clients see, such as `low on memory`.
        reason: String,
    },
    /// The end of [`Fault::Block`].
    Unblock,
    /// A queue takes messages, but delivers none and confirms none.
    Freeze {
        /// The queue's vhost.
        vhost: String,
        /// The queue.
        queue: String,
    },
    /// The end of [`Fault::Freeze`]; the confirms that are owed are sent.
    Thaw {
        /// The queue's vhost.
        vhost: String,
        /// The queue.
        queue: String,
    },
    /// A consumer is cancelled, as RabbitMQ does when a queue's leader moves or a consumer is too slow.
    CancelConsumers {
        /// The queue's vhost.
        vhost: String,
        /// The queue.
        queue: String,
    },
    /// The broker is killed and is there again at once: every connection is cut, and messages whose acknowledgement was
    /// not safe yet ([`Settings::acks_written_after`](crate::Settings::acks_written_after)) are in their queues again.
    Crash,
    /// Forgets all faults that were ordered and have not happened yet.
    Clear,
}

/// The faults that wait for their occasion.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) dropped_confirms: u64,
    pub(crate) nacked_publishes: u64,
    answers: Vec<Answer>,
    cuts: Vec<String>,
}

#[derive(Debug)]
struct Answer {
    method: String,
    refusal: Refusal,
    times: u64,
}

/// The fault that a method runs into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hit {
    Answer(Refusal),
    Cut,
}

impl Faults {
    pub(crate) fn answer(&mut self, method: String, refusal: Refusal, times: u64) {
        self.answers.push(Answer {
            method,
            refusal,
            times,
        });
    }

    pub(crate) fn cut_at(&mut self, method: String) {
        self.cuts.push(method);
    }

    /// The fault that awaits a method, which is used up thereby.
    pub(crate) fn meet(&mut self, class: u16, method: u16) -> Option<Hit> {
        if self.cuts.is_empty() && self.answers.is_empty() {
            return None;
        }
        let name = name_of(class, method);
        if let Some(place) = self.cuts.iter().position(|cut| cut == name) {
            self.cuts.remove(place);
            return Some(Hit::Cut);
        }
        let place = self
            .answers
            .iter()
            .position(|answer| answer.method == name)?;
        let answer = &mut self.answers[place];
        let refusal = answer.refusal.clone();
        answer.times = answer.times.saturating_sub(1);
        if answer.times == 0 {
            self.answers.remove(place);
        }
        Some(Hit::Answer(refusal))
    }

    /// Uses one of a number of times up, if any are left.
    pub(crate) fn use_up(times: &mut u64) -> bool {
        let is_due = *times > 0;
        *times = times.saturating_sub(1);
        is_due
    }
}

/// The methods that a client sends, as AMQP names them.
const METHODS: [(u16, u16, &str); 27] = [
    (10, 40, "connection.open"),
    (20, 10, "channel.open"),
    (20, 20, "channel.flow"),
    (20, 40, "channel.close"),
    (40, 10, "exchange.declare"),
    (40, 20, "exchange.delete"),
    (40, 30, "exchange.bind"),
    (40, 40, "exchange.unbind"),
    (50, 10, "queue.declare"),
    (50, 20, "queue.bind"),
    (50, 30, "queue.purge"),
    (50, 40, "queue.delete"),
    (50, 50, "queue.unbind"),
    (60, 10, "basic.qos"),
    (60, 20, "basic.consume"),
    (60, 30, "basic.cancel"),
    (60, 40, "basic.publish"),
    (60, 70, "basic.get"),
    (60, 80, "basic.ack"),
    (60, 90, "basic.reject"),
    (60, 100, "basic.recover-async"),
    (60, 110, "basic.recover"),
    (60, 120, "basic.nack"),
    (85, 10, "confirm.select"),
    (90, 10, "tx.select"),
    (90, 20, "tx.commit"),
    (90, 30, "tx.rollback"),
];

fn name_of(class: u16, method: u16) -> &'static str {
    METHODS
        .iter()
        .find(|(other_class, other_method, _)| (*other_class, *other_method) == (class, method))
        .map_or("", |(_, _, name)| name)
}

/// Whether a fault could ever be met at a method of this name.
pub(crate) fn is_method(name: &str) -> bool {
    METHODS.iter().any(|(_, _, other)| *other == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_met_as_often_as_it_was_ordered() {
        let mut faults = Faults::default();
        faults.answer("basic.consume".to_owned(), Refusal::new(541, "x"), 2);
        faults.cut_at("basic.ack".to_owned());
        assert_eq!(faults.meet(60, 40), None);
        for _ in 0..2 {
            let hit = faults.meet(60, 20);
            assert_eq!(hit, Some(Hit::Answer(Refusal::new(541, "x"))));
        }
        assert_eq!(faults.meet(60, 20), None);
        assert_eq!(faults.meet(60, 80), Some(Hit::Cut));
        assert_eq!(faults.meet(60, 80), None);
    }
}
