//! Reads the messages of a queue once and in their order: [`Browsing`].
//!
//! Messages that were read and not acknowledged go back when reading ends, all at once: refused by one frame if
//! the broker does not count that, otherwise by closing the channel. A quorum queue then puts them where they
//! were; given back one by one they would end up behind everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hive_core::dead::Death;
use hive_lifecycle::Tasks;
use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use crate::consume::acks::flusher;
use crate::consume::acks::sink::{AckSink, Subscribed};
use crate::consume::settlement::{Delivery, Settled, Settlement};
use crate::message::bookkeeping::{REASON, RESERVED};
use crate::message::broker_headers::delivery_count;
use crate::message::came_back::CameBack;
use crate::message::death::{read_death, without_deaths};
use crate::message::edit::EditOf;
use crate::message::names::{cut_short, short};
use crate::message::original::{Original, header, receive};
use crate::message::waiting::Waiting;
use crate::session::SharedSession;
use crate::session::depth::{offered, until, waiting};
use crate::session::fault::describe;
use crate::session::limits::{AskFault, ask};

/// After this long without a message, the queue is asked whether anything is left.
const SILENCE: Duration = Duration::from_millis(500);

/// Empty answers after which another consumer is assumed to have the rest.
const QUESTIONS: u32 = 10;

/// Why a queue cannot be read, or not to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrowseFault {
    /// There is no queue of that name.
    #[error("there is no queue {0:?} at the broker")]
    NoSuchQueue(String),
    /// Reading a stream does not remove anything from it, so the operations here make no sense on one.
    #[error("{0:?} is a stream, which gives nothing away and takes nothing back")]
    Stream(String),
    /// The broker refuses, or is gone.
    #[error("cannot read the queue {queue:?}: {reason}")]
    Lost {
        /// The queue.
        queue: String,
        /// The error of the broker or of the connection.
        reason: String,
    },
}

/// One message of a queue that is read. It goes back when reading ends, unless it is acknowledged.
#[derive(Debug)]
pub struct Letter {
    /// The message; the broker's record of its end is taken off, and in `death`.
    pub delivery: Delivery,
    /// How it got where it is: what it died of, or what a copy in a delay queue failed with.
    pub death: Death,
    /// What it waits for, if it is a copy in a delay queue.
    pub waiting: Option<Waiting>,
    /// Which dead letter it replaces, if an edit has made it and was interrupted before it was sent.
    pub edit: Option<EditOf>,
    /// How often a quorum queue has handed it out before; 0 where that is not known.
    pub handed_out: u64,
}

impl Letter {
    /// The identity of the message, however often it is dead-lettered: see [`Original::identity`].
    pub fn identity(&self) -> String {
        let original = &self.delivery.original;
        let kept: BTreeMap<_, _> = original
            .headers()
            .filter(|(name, _)| !name.as_str().starts_with(RESERVED))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let alive = Original {
            properties: (original.properties.clone()).with_headers(FieldTable::from(kept)),
            ..original.clone()
        };
        alive.identity(&self.delivery.envelope.message.body)
    }
}

/// How many messages the broker hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOut {
    /// At most this many that are not acknowledged.
    pub at_once: u16,
    /// At most this many in all, and none that arrived later. `None` for no such limit.
    pub in_all: Option<u64>,
}

/// Reads the messages that are in a queue, and none that arrive later.
#[derive(Debug)]
pub struct Browsing {
    queue: Arc<str>,
    session: SharedSession,
    stream: Consumer,
    sink: Arc<AckSink>,
    /// Who else consumed at the beginning.
    others: u32,
    /// Messages that were there at the beginning and have not arrived yet.
    there: u32,
    left: u32,
    asked: u32,
    /// The queue had nothing to give when it was asked last. What it has given before is still on its way, over a slow
    /// link for longer than [`SILENCE`], and in front of the answer.
    is_empty: bool,
    /// Acks that are sent at once before others are kept back; `None` for all.
    free_acks: Option<u64>,
    kept_back: Vec<Settlement>,
    lost: u64,
}

impl Browsing {
    /// Begins to read.
    pub(crate) async fn begin(
        session: SharedSession,
        queue: &str,
        handed_out: HandedOut,
        tag: &str,
        tasks: &Tasks,
    ) -> Result<Self, BrowseFault> {
        let lost = |fault| fault_of(queue, &fault);
        let channel = session.channel().await.map_err(lost)?;
        let seen = waiting(&session, &short(queue)).await.map_err(lost)?;
        let (prefetch, free_acks) = handed_out.of(seen.messages);
        ask(channel.basic_qos(prefetch, BasicQosOptions::default()))
            .await
            .map_err(lost)?;
        let end = session.endings().watch(channel.id());
        let tag = cut_short(tag);
        let consuming = channel.basic_consume(
            short(queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let stream = ask(consuming).await.map_err(lost)?;
        let subscribed = Subscribed {
            channel,
            end,
            queue: short(queue),
            consumer_tag: tag,
            prefetch,
            is_single: false,
            may_be_neglected: true,
            is_discovered: false,
        };
        let sink = flusher::start(subscribed, session.clone(), None, tasks);
        Ok(Self {
            queue: queue.into(),
            session,
            stream,
            sink,
            others: seen.consumers,
            there: seen.messages,
            left: seen.messages,
            asked: 0,
            is_empty: false,
            free_acks,
            kept_back: Vec::new(),
            lost: 0,
        })
    }

    /// How many messages waited in the queue when reading began.
    pub fn there(&self) -> u32 {
        self.there
    }

    /// The next message. `None` when all that were there at the beginning have arrived, or no more can:
    /// messages that another consumer took meanwhile are not waited for long. Dropping the future loses no
    /// message.
    pub async fn next(&mut self) -> Result<Option<Letter>, BrowseFault> {
        while self.left > 0 {
            match tokio::time::timeout(SILENCE, self.stream.next()).await {
                Ok(Some(Ok(delivery))) => return self.letter(delivery).map(Some),
                Ok(Some(Err(error))) => return Err(lost(&self.queue, &describe(&error))),
                Ok(None) => return Err(lost(&self.queue, "the broker cancelled the consumer")),
                Err(_silence) if self.is_empty => self.left = 0,
                Err(_silence) => {
                    let offered = offered(&self.session, &short(&self.queue)).await;
                    let offered = offered.map_err(|fault| fault_of(&self.queue, &fault))?;
                    self.asked += 1;
                    self.is_empty = offered == 0;
                    if self.asked == QUESTIONS {
                        self.left = 0;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes a message out of the queue. The broker answers an ack with the next message, which is not wanted
    /// where a limit is reached with it: those acks are kept back until [`Self::take_no_more`].
    pub fn ack(&mut self, settlement: Settlement) {
        match &mut self.free_acks {
            Some(0) => self.kept_back.push(settlement),
            Some(left) => {
                *left -= 1;
                self.settle(settlement);
            }
            None => self.settle(settlement),
        }
    }

    /// No further message is wanted. The consumer is cancelled, and the acks that were kept back are sent after
    /// that.
    pub fn take_no_more(&mut self) {
        self.sink.leave();
        self.free_acks = None;
        for settlement in std::mem::take(&mut self.kept_back) {
            self.settle(settlement);
        }
    }

    /// How many acks the broker will not hear of: expect those messages again.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn settle(&mut self, settlement: Settlement) {
        if settlement.ack() == Settled::Lost {
            self.lost += 1;
        }
    }

    /// Ends reading. When this returns, unacknowledged messages are in their places again for the next reader,
    /// unless the broker is slow.
    pub async fn end(self) {
        self.sink.retire();
        self.sink.ended().cancelled().await;
        // A queue forgets a consumer and takes back what it had in one step.
        let others = self.others;
        until(&self.session, &short(&self.queue), |now| {
            now.consumers <= others
        })
        .await;
    }

    fn letter(&mut self, mut delivery: lapin::message::Delivery) -> Result<Letter, BrowseFault> {
        self.left -= 1;
        self.asked = 0;
        self.is_empty = false;
        let tag = delivery.delivery_tag;
        let came_back = CameBack::of(delivery.redelivered, &delivery.properties);
        let handed_out = delivery_count(&delivery.properties);
        // A dead letter says where in its stream it was, and is in none itself.
        let is_dead_letter = header(&delivery.properties, REASON).is_some();
        let (waiting, death) = match Waiting::read(&delivery.properties, &self.queue) {
            Some((waiting, failure)) => (Some(waiting), failure),
            None => (None, read_death(&delivery.properties, &self.queue)),
        };
        let edit = EditOf::read(&delivery.properties);
        delivery.properties = without_deaths(delivery.properties);
        let (envelope, original) = receive(self.queue.clone(), delivery);
        if envelope.stream_offset.is_some() && !is_dead_letter {
            self.sink.is_of_a_stream();
            return Err(BrowseFault::Stream(self.queue.to_string()));
        }
        let settlement = Settlement::new(tag, &self.sink, None);
        Ok(Letter {
            delivery: Delivery {
                came_back,
                envelope,
                original,
                settlement,
                _part: None,
            },
            death,
            waiting,
            edit,
            handed_out: handed_out.unwrap_or_default(),
        })
    }
}

impl HandedOut {
    /// The prefetch for a queue with this many messages, and how many acks may be answered with a further one.
    fn of(self, there: u32) -> (u16, Option<u64>) {
        let in_all = self.in_all.map(|most| most.min(there.into()));
        let most = in_all.map_or(u16::MAX, |most| u16::try_from(most).unwrap_or(u16::MAX));
        // 0 would be no limit at all.
        let prefetch = self.at_once.min(most).max(1);
        (
            prefetch,
            in_all.map(|most| most.saturating_sub(prefetch.into())),
        )
    }
}

fn fault_of(queue: &str, fault: &AskFault) -> BrowseFault {
    match fault {
        fault if fault.is_not_found() => BrowseFault::NoSuchQueue(queue.to_owned()),
        // A stream gives no single message.
        fault if fault.is_not_implemented() => BrowseFault::Stream(queue.to_owned()),
        fault => lost(queue, &fault.to_string()),
    }
}

fn lost(queue: &str, reason: &str) -> BrowseFault {
    BrowseFault::Lost {
        queue: queue.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_handed_out_than_is_wanted() {
        let of = |at_once, in_all, there| HandedOut { at_once, in_all }.of(there);
        // What is handed out at once and what free acks bring make the number that is wanted.
        assert_eq!(of(256, Some(3), 5), (3, Some(0)));
        assert_eq!(of(256, Some(300), 1000), (256, Some(44)));
        assert_eq!(of(256, Some(u64::MAX), 1000), (256, Some(744)));
        assert_eq!(of(256, Some(1000), 5), (5, Some(0)));
        // The prefetch 0 would have no limit.
        assert_eq!(of(256, Some(0), 5), (1, Some(0)));
        assert_eq!(of(256, Some(7), 0), (1, Some(0)));
        assert_eq!(of(u16::MAX, None, 5), (u16::MAX, None));
    }
}
