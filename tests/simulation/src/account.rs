//! Where every message came to, held against what it asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hive_broker::Broker;
use hive_telemetry::{Fact, Observer};

use crate::schedule::{Behaviour, Message, QUEUES};

/// Gathers what components print: nothing else shows that a message was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    lines: Arc<Mutex<Vec<String>>>,
    /// Every fact is shown, with its time.
    traced: Option<Instant>,
}

impl Printed {
    /// With `traced`, every fact is shown.
    pub(crate) fn new(traced: bool) -> Self {
        Self {
            lines: Arc::default(),
            traced: traced.then(Instant::now),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Observer for Printed {
    fn observe(&self, fact: &Fact<'_>) {
        if let Some(begun) = self.traced {
            let since = begun.elapsed().as_secs_f64();
            crate::say(&format!("{since:>12.6} {} {fact}", fact.event()));
        }
        if let Fact::PrintedOut { line, .. } = fact {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push((*line).to_owned());
        }
    }
}

/// How often each message was seen, by its number, and where.
#[derive(Debug, Default)]
pub(crate) struct Account {
    handled: BTreeMap<usize, u32>,
    published: BTreeMap<usize, u32>,
    dead: BTreeMap<usize, u32>,
    left: BTreeSet<usize>,
    /// Dead letters that do not tell why.
    unexplained: BTreeSet<usize>,
    /// In the order in which they came out.
    order: Vec<usize>,
}

/// What the account comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Nowhere.
    pub(crate) lost: Vec<usize>,
    /// Where they did not ask to go.
    pub(crate) astray: Vec<usize>,
    /// Dead letters that do not tell why.
    pub(crate) silent: Vec<usize>,
    /// Came out behind a later one of their key.
    pub(crate) overtaken: Vec<usize>,
    /// Seen more than once at their end.
    pub(crate) repeated: usize,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.lost.is_empty()
            && self.astray.is_empty()
            && self.silent.is_empty()
            && self.overtaken.is_empty()
    }
}

impl Account {
    pub(crate) fn new(broker: &Broker, printed: &Printed) -> Self {
        let mut account = Self::default();
        for line in printed.lines() {
            let number = line.strip_prefix("handled ").and_then(number_of);
            if let Some(number) = number {
                *account.handled.entry(number).or_default() += 1;
            }
        }
        for status in broker.queues() {
            let waiting = broker.waiting("/", &status.name);
            for message in &waiting {
                let text = String::from_utf8_lossy(&message.body);
                let Some(number) = number_of(&text) else {
                    continue;
                };
                if status.name == "out" {
                    *account.published.entry(number).or_default() += 1;
                    account.order.push(number);
                } else if status.name.ends_with(".dead") {
                    *account.dead.entry(number).or_default() += 1;
                    if !message.headers.contains_key("x-hive-reason") {
                        account.unexplained.insert(number);
                    }
                } else {
                    account.left.insert(number);
                }
            }
        }
        account
    }

    /// Holds it against what the messages asked for. Those of `excused` were in a queue that was deleted.
    pub(crate) fn judge(&self, messages: &[&Message], excused: &BTreeSet<usize>) -> Verdict {
        let mut verdict = Verdict::default();
        for message in messages {
            let number = message.number;
            let (there, elsewhere) = match message.behaviour {
                Behaviour::Ack => (&self.handled, [&self.published, &self.dead]),
                Behaviour::Publish | Behaviour::Slow | Behaviour::Retry => {
                    (&self.published, [&self.handled, &self.dead])
                }
                Behaviour::Reject | Behaviour::Trap => {
                    (&self.dead, [&self.handled, &self.published])
                }
            };
            let times = there.get(&number).copied().unwrap_or_default();
            if times == 0 && !self.left.contains(&number) && !excused.contains(&number) {
                verdict.lost.push(number);
            }
            if elsewhere.iter().any(|seen| seen.contains_key(&number)) {
                verdict.astray.push(number);
            }
            if self.unexplained.contains(&number) {
                verdict.silent.push(number);
            }
            verdict.repeated += usize::from(times > 1);
        }
        verdict.overtaken = self.overtaken(messages);
        verdict
    }

    /// Messages of the ordered queue whose first appearance is behind that of a later one of their key.
    fn overtaken(&self, messages: &[&Message]) -> Vec<usize> {
        let ordered: BTreeMap<usize, u32> = messages
            .iter()
            .filter(|message| message.queue == "ordered")
            .map(|message| (message.number, message.key))
            .collect();
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<u32, usize> = BTreeMap::new();
        let mut overtaken = Vec::new();
        for number in &self.order {
            let Some(key) = ordered.get(number) else {
                continue;
            };
            if !seen.insert(*number) {
                continue;
            }
            let last = last.entry(*key).or_default();
            if number < last {
                overtaken.push(*number);
            }
            *last = (*last).max(*number);
        }
        overtaken
    }
}

/// Whether nothing waits any more for a consumer.
pub(crate) fn is_at_rest(broker: &Broker) -> bool {
    broker.queues().iter().all(|queue| {
        let ends = queue.name == "out" || queue.name.ends_with(".dead") || queue.kind == "stream";
        let is_empty = queue.ready == 0 && queue.unacked == 0;
        (ends || is_empty) && queue.stuck == 0
    })
}

/// Whether every queue is there and consumed.
pub(crate) fn is_consumed(broker: &Broker) -> bool {
    QUEUES.iter().all(|name| {
        let queue = broker.queue("/", name);
        queue.is_some_and(|queue| queue.consumers > 0)
    })
}

fn number_of(text: &str) -> Option<usize> {
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize, queue: &'static str, behaviour: Behaviour) -> Message {
        Message {
            number,
            queue,
            behaviour,
            key: 1,
            twice: false,
        }
    }

    #[test]
    fn what_is_nowhere_is_lost_and_what_is_elsewhere_went_astray() {
        let account = Account {
            published: BTreeMap::from([(1, 2)]),
            dead: BTreeMap::from([(3, 1), (4, 1)]),
            left: BTreeSet::from([5]),
            unexplained: BTreeSet::from([4]),
            ..Account::default()
        };
        let messages = [
            message(1, "work", Behaviour::Publish),
            message(2, "work", Behaviour::Ack),
            message(3, "work", Behaviour::Publish),
            message(4, "work", Behaviour::Trap),
            message(5, "work", Behaviour::Ack),
            message(6, "work", Behaviour::Ack),
        ];
        let messages: Vec<&Message> = messages.iter().collect();
        let verdict = account.judge(&messages, &BTreeSet::from([6]));
        let expected = Verdict {
            lost: vec![2, 3],
            astray: vec![3],
            silent: vec![4],
            overtaken: Vec::new(),
            repeated: 1,
        };
        assert_eq!(verdict, expected);
    }

    #[test]
    fn the_first_time_that_a_message_comes_out_counts_for_the_order() {
        let account = Account {
            order: vec![1, 3, 1, 2],
            published: BTreeMap::from([(1, 2), (2, 1), (3, 1)]),
            ..Account::default()
        };
        let messages = [1, 2, 3].map(|number| message(number, "ordered", Behaviour::Publish));
        let messages: Vec<&Message> = messages.iter().collect();
        let verdict = account.judge(&messages, &BTreeSet::new());
        assert_eq!(verdict.overtaken, [2]);
    }
}
