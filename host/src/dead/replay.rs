//! Sends dead letters, and copies that wait for a retry, back to where they failed; or such copies to the
//! dead-letter queue.
//!
//! A letter is published, mandatory, and confirmed by the broker; only then is the dead one acknowledged.
//! Whatever ends the process between the two leaves it in both queues, and never in none.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hive_amqp::{
    BrowseFault, Connection, Letter, Outgoing, PublishFault, Publisher, Unpublishable,
};
use tokio::time::Instant;

use super::when::seconds;
use super::{Numbered, Walk};

/// Letters on their way at once.
const ON_THE_WAY: usize = 200;

/// After this many letters that cannot be sent, replaying stops: they would fill the broker's window.
const MOST_LEFT: usize = 100;

/// How long letters on their way get after a stop: a broker that is short of memory confirms none.
const LAST_CONFIRMATIONS: Duration = Duration::from_secs(10);

/// Where dead letters are sent.
#[derive(Debug, Clone)]
pub struct Target {
    /// The queue that they are read from; none is sent there.
    pub from: String,
    /// The way that they go.
    pub way: Way,
}

/// The queue that letters go to, and what they are there.
#[derive(Debug, Clone)]
pub enum Way {
    /// Each to the queue in which it failed: a dead letter at its first attempt, a copy in a delay queue at the
    /// attempt that it waits for.
    Home,
    /// All to this queue, at their first attempt.
    To(String),
    /// Copies in a delay queue to a dead-letter queue, as dead letters.
    Dead(DeadLetters),
}

/// The dead-letter queue of copies in a delay queue.
#[derive(Debug, Clone)]
pub enum DeadLetters {
    /// This one for all.
    One(String),
    /// That of the queue that each came from.
    Of(BTreeMap<Arc<str>, Arc<str>>),
}

impl DeadLetters {
    fn of(&self, home: Option<&String>) -> Result<String, String> {
        match self {
            Self::One(queue) => Ok(queue.clone()),
            Self::Of(queues) => {
                let found = home.and_then(|home| queues.get(home.as_str()));
                let found = found.map(|queue| queue.to_string());
                found.ok_or_else(|| {
                    "hive.toml names no dead-letter queue for the queue that it came from, or several; name one \
                     with --to"
                        .to_owned()
                })
            }
        }
    }
}

/// A letter that was wanted and is still where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The place of the letter in the queue, from 1.
    pub number: u64,
    /// Why.
    pub reason: String,
}

/// The result.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many went to each queue.
    pub sent: BTreeMap<String, u64>,
    /// The letters that could not be sent.
    pub left: Vec<Left>,
    /// How many had been sent, and were dead again before their turn; they are not sent twice.
    pub back_again: u64,
    /// How many may have been sent and still be among the dead letters: the connection broke, or the broker had
    /// not confirmed them at the stop.
    pub doubtful: u64,
    /// Whether it was stopped before the end.
    pub stopped: bool,
    /// Why it could not continue.
    pub broken: Option<String>,
}

impl Replayed {
    /// How many went to any queue.
    pub fn total(&self) -> u64 {
        self.sent.values().sum()
    }

    /// Whether every letter that was wanted went where it should.
    pub fn is_whole(&self) -> bool {
        self.left.is_empty() && self.doubtful == 0 && self.broken.is_none()
    }
}

/// One letter that was sent, and how the publication ended.
struct Flight {
    number: u64,
    queue: String,
    letter: Letter,
    ended: Result<(), PublishFault>,
}

/// Sends every letter of `walk`, until `stop` resolves.
///
/// No letter is sent twice. The walk ends at the messages that were there when it began; a letter that was sent
/// and is dead again before the walk ends is recognised by its identity and its time.
pub async fn replay(
    walk: &mut Walk,
    target: &Target,
    connection: &Connection,
    publisher: &Publisher,
    stop: impl Future<Output = ()>,
) -> Replayed {
    let mut replayed = Replayed::default();
    let mut flying = FuturesUnordered::new();
    let mut sent = HashSet::new();
    let began = seconds(walk.began());
    let mut taking = true;
    let patience = tokio::time::sleep(LAST_CONFIRMATIONS);
    tokio::pin!(stop, patience);
    loop {
        taking &= replayed.broken.is_none() && replayed.left.len() < MOST_LEFT;
        tokio::select! {
            biased;
            Some(flight) = flying.next(), if !flying.is_empty() => replayed.landed(flight, walk),
            () = &mut stop, if taking => {
                taking = false;
                replayed.stopped = true;
                patience.as_mut().reset(Instant::now() + LAST_CONFIRMATIONS);
            }
            () = &mut patience, if replayed.stopped => {
                replayed.doubtful += flying.len() as u64;
                break;
            }
            next = walk.next(), if taking && flying.len() < ON_THE_WAY => match next {
                Ok(None) => taking = false,
                Err(fault) => {
                    taking = false;
                    replayed.broken = Some(fault.to_string());
                }
                Ok(Some(Numbered { number, letter })) => {
                    let identity = letter.identity();
                    let died_since = letter.death.time.zip(began).is_some_and(|(died, began)| died >= began);
                    if died_since && sent.contains(&identity) {
                        replayed.back_again += 1;
                        continue;
                    }
                    match revived(&letter, target, connection) {
                        Err(reason) => replayed.left.push(Left { number, reason }),
                        Ok((queue, outgoing)) => {
                            sent.insert(identity);
                            let confirmation = publisher.publish(vec![outgoing]).await;
                            flying.push(async move {
                                let ended = confirmation.await;
                                Flight { number, queue, letter, ended }
                            });
                        }
                    }
                }
            },
            else => break,
        }
        if !taking {
            walk.take_no_more();
            if flying.is_empty() {
                break;
            }
        }
    }
    replayed.doubtful += walk.lost();
    replayed
}

/// The letter as it goes out, and the queue that it goes to.
fn revived(
    letter: &Letter,
    target: &Target,
    connection: &Connection,
) -> Result<(String, Outgoing), String> {
    if letter.edit.is_some() {
        return Err(
            "an edit of it was interrupted, and it may have been sent; `hive-host dead edit` finishes that"
                .to_owned(),
        );
    }
    let home = letter.death.queue.as_ref();
    let queue = match &target.way {
        Way::Home => home.cloned(),
        Way::To(queue) => Some(queue.clone()),
        Way::Dead(_) if letter.waiting.is_none() => {
            return Err("it does not wait for a retry here".to_owned());
        }
        Way::Dead(queues) => Some(queues.of(home)?),
    };
    let queue = &queue.ok_or("nothing on it says which queue it was in; name one with --to")?;
    if *queue == target.from {
        return Err(format!(
            "it died in {queue:?} itself; name another queue with --to"
        ));
    }
    let original = &letter.delivery.original;
    let body = letter.delivery.envelope.message.body.clone();
    let limits = connection.publish_limits();
    let outgoing = match (&target.way, &letter.waiting) {
        (Way::Dead(_), _) => {
            let end = (&letter.death, SystemTime::now());
            Outgoing::dead_letter_now(original, body, queue, end, &limits)
        }
        (_, Some(waiting)) if Some(queue) == home => {
            Outgoing::retry_now(original, body, queue, waiting.attempt, &limits)
        }
        _ => Outgoing::republication(original, body, &letter.death, queue, &limits),
    };
    match outgoing {
        Ok(outgoing) => Ok((queue.clone(), outgoing)),
        Err(Unpublishable(reason)) => Err(reason),
    }
}

impl Replayed {
    fn landed(&mut self, flight: Flight, walk: &mut Walk) {
        let Flight {
            number,
            queue,
            letter,
            ended,
        } = flight;
        match ended {
            Ok(()) => {
                walk.ack(letter.delivery.settlement);
                *self.sent.entry(queue).or_default() += 1;
            }
            Err(PublishFault::Unroutable { .. }) => self.left.push(Left {
                number,
                reason: format!("there is no queue {queue:?} any more; name another with --to"),
            }),
            Err(fault @ (PublishFault::TimedOut | PublishFault::Disconnected)) => {
                self.broken.get_or_insert_with(|| fault.to_string());
            }
            Err(PublishFault::Nacked) => self.left.push(Left {
                number,
                reason: format!("the queue {queue:?} does not take it; it may be full"),
            }),
            Err(PublishFault::Refused { text, .. }) => {
                self.left.push(Left {
                    number,
                    reason: text,
                });
            }
        }
    }
}

/// Deletes every letter of `walk`, until `stop` resolves. Returns how many were deleted.
///
/// # Errors
///
/// Why it could not continue, with the number of deleted letters.
pub async fn purge(
    walk: &mut Walk,
    stop: impl Future<Output = ()>,
) -> Result<u64, (u64, BrowseFault)> {
    let mut acked = 0;
    tokio::pin!(stop);
    let fault = loop {
        let next = tokio::select! {
            biased;
            () = &mut stop => break None,
            next = walk.next() => next,
        };
        match next {
            Ok(None) => break None,
            Ok(Some(Numbered { letter, .. })) => {
                walk.ack(letter.delivery.settlement);
                acked += 1;
            }
            Err(fault) => break Some(fault),
        }
    };
    walk.take_no_more();
    let gone = acked - walk.lost();
    fault.map_or(Ok(gone), |fault| Err((gone, fault)))
}
