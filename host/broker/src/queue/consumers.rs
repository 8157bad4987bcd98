//! Who gets the next message of a queue: priorities, turns, prefetch, and the one that is active.

use std::sync::Arc;

/// A channel of a connection, with the count of its opening: a number that is opened again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelKey {
    pub(crate) connection: u64,
    pub(crate) channel: u16,
    pub(crate) opening: u64,
}

/// A consumer anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ConsumerKey {
    pub(crate) channel: ChannelKey,
    pub(crate) tag: Arc<str>,
}

/// A consumer of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) key: ConsumerKey,
    pub(crate) no_ack: bool,
    /// How many deliveries it may have unacknowledged; 0 means no limit.
    pub(crate) prefetch: u32,
    pub(crate) priority: i64,
    pub(crate) exclusive: bool,
    pub(crate) unacked: u32,
    /// The next offset that it reads, of a stream.
    pub(crate) offset: u64,
}

impl Consumer {
    pub(crate) fn has_credit(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.unacked < self.prefetch
    }
}

/// The consumers of a queue, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    waiting: Vec<Consumer>,
    /// Whether only one of them gets messages, and whether a higher priority takes over from it.
    single: Option<Takeover>,
    active: Option<ConsumerKey>,
}

/// The effect of a consumer with a higher priority that joins a queue with a single active consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takeover {
    /// First come, first served: classic queues.
    Never,
    /// It becomes the active one as soon as the present one has nothing in flight: quorum queues.
    ByPriority,
}

impl Consumers {
    pub(super) fn new(single: Option<Takeover>) -> Self {
        Self {
            single,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, consumer: Consumer) {
        self.waiting.push(consumer);
    }

    /// Removes one, and says whether it was there.
    pub(super) fn remove(&mut self, key: &ConsumerKey) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|consumer| consumer.key != *key);
        if self.active.as_ref() == Some(key) {
            self.active = None;
        }
        self.waiting.len() != before
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.waiting.iter().any(|consumer| consumer.exclusive)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.waiting.iter()
    }

    pub(super) fn get_mut(&mut self, key: &ConsumerKey) -> Option<&mut Consumer> {
        self.waiting
            .iter_mut()
            .find(|consumer| consumer.key == *key)
    }

    /// The consumer of the next message, which then has its turn behind the others of its priority.
    pub(super) fn next(&mut self, accepts: impl Fn(&Consumer) -> bool) -> Option<&mut Consumer> {
        let place = match self.single {
            Some(takeover) => {
                let place = self.active_place(takeover)?;
                let consumer = &mut self.waiting[place];
                if consumer.has_credit() && accepts(consumer) {
                    return Some(consumer);
                }
                return None;
            }
            None => {
                let able = self.waiting.iter().enumerate();
                let able = able.filter(|(_, consumer)| consumer.has_credit() && accepts(consumer));
                // The first of the highest.
                able.max_by_key(|(place, consumer)| (consumer.priority, std::cmp::Reverse(*place)))?
                    .0
            }
        };
        let consumer = self.waiting.remove(place);
        self.waiting.push(consumer);
        self.waiting.last_mut()
    }

    fn active_place(&mut self, takeover: Takeover) -> Option<usize> {
        let highest = || {
            let all = self.waiting.iter().enumerate();
            match takeover {
                Takeover::Never => all.map(|(place, _)| place).next(),
                Takeover::ByPriority => all
                    .max_by_key(|(place, consumer)| (consumer.priority, std::cmp::Reverse(*place)))
                    .map(|(place, _)| place),
            }
        };
        let present = self.active.as_ref().and_then(|key| {
            self.waiting
                .iter()
                .position(|consumer| consumer.key == *key)
        });
        let place = match present {
            None => highest()?,
            Some(present) if takeover == Takeover::Never => present,
            Some(present) => {
                let other = highest()?;
                let (old, new) = (&self.waiting[present], &self.waiting[other]);
                if new.priority <= old.priority {
                    present
                } else if old.unacked == 0 {
                    other
                } else {
                    return None;
                }
            }
        };
        self.active = Some(self.waiting[place].key.clone());
        Some(place)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::queue) fn consumer(tag: &str, prefetch: u32, priority: i64) -> Consumer {
        Consumer {
            key: ConsumerKey {
                channel: ChannelKey {
                    connection: 1,
                    channel: 1,
                    opening: 1,
                },
                tag: tag.into(),
            },
            no_ack: false,
            prefetch,
            priority,
            exclusive: false,
            unacked: 0,
            offset: 0,
        }
    }

    fn turns(consumers: &mut Consumers, count: usize) -> Vec<String> {
        let mut turns = Vec::new();
        for _ in 0..count {
            let Some(consumer) = consumers.next(|_| true) else {
                break;
            };
            consumer.unacked += 1;
            turns.push(consumer.key.tag.to_string());
        }
        turns
    }

    #[test]
    fn equals_take_turns_and_the_higher_goes_first_while_it_has_credit() {
        let mut consumers = Consumers::new(None);
        for (tag, prefetch, priority) in [("a", 2, 0), ("high", 1, 5), ("b", 2, 0)] {
            consumers.add(consumer(tag, prefetch, priority));
        }
        assert_eq!(turns(&mut consumers, 9), ["high", "a", "b", "a", "b"]);
    }

    #[test]
    fn on_a_classic_queue_the_first_stays_active_and_on_a_quorum_queue_the_highest_takes_over() {
        for (takeover, expected) in [(Takeover::Never, "a"), (Takeover::ByPriority, "high")] {
            let mut consumers = Consumers::new(Some(takeover));
            consumers.add(consumer("a", 0, 0));
            assert_eq!(turns(&mut consumers, 1), ["a"]);
            consumers.add(consumer("high", 0, 5));
            if takeover == Takeover::ByPriority {
                assert!(turns(&mut consumers, 1).is_empty(), "one is in flight yet");
            }
            let key = consumer("a", 0, 0).key;
            consumers.get_mut(&key).unwrap().unacked = 0;
            assert_eq!(turns(&mut consumers, 1), [expected]);
        }
    }

    #[test]
    fn when_the_active_one_goes_another_is() {
        let mut consumers = Consumers::new(Some(Takeover::Never));
        for tag in ["a", "b"] {
            consumers.add(consumer(tag, 1, 0));
        }
        assert_eq!(turns(&mut consumers, 2), ["a"]);
        assert!(consumers.remove(&consumer("a", 0, 0).key));
        assert_eq!(turns(&mut consumers, 2), ["b"]);
    }
}
