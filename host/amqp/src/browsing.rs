//! Reads the messages of a queue once and in their order: [`Browsing`].
//!
//! Messages that were read and not acknowledged go back when reading ends, all at once: refused by one frame if
//! the broker does not count that, otherwise by closing the channel. A quorum queue then puts them where they
//! were; given back one by one they would end up behind everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hive_lifecycle::Tasks;
use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};

use super::acks::flusher::AckSink;
use super::bookkeeping::{REASON, RESERVED};
use super::broker_headers::delivery_count;
use super::came_back::CameBack;
use super::death::{Death, without_deaths};
use super::depth::{offered, until, waiting};
use super::fault::describe;
use super::limits::{AskFault, ask};
use super::original::{Original, header, receive};
use super::session::SharedSession;
use super::settlement::{Delivery, Settlement};

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
    /// How it got where it is.
    pub death: Death,
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
}

impl Browsing {
    /// Begins to read; the broker hands out at most `at_once` messages that are not acknowledged.
    pub(super) async fn begin(
        session: SharedSession,
        queue: &str,
        at_once: u16,
        tag: &str,
        tasks: &Tasks,
    ) -> Result<Self, BrowseFault> {
        let lost = |fault| fault_of(queue, &fault);
        let channel = session.channel().await.map_err(lost)?;
        let seen = waiting(&session, &name(queue)).await.map_err(lost)?;
        // 0 would be no limit at all.
        let prefetch = at_once.max(1);
        ask(channel.basic_qos(prefetch, BasicQosOptions::default()))
            .await
            .map_err(lost)?;
        let end = session.endings().watch(channel.id());
        let tag = ShortString::try_new(tag).unwrap_or_default();
        let consuming = channel.basic_consume(
            name(queue),
            tag.clone(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let stream = ask(consuming).await.map_err(lost)?;
        let names = (name(queue), tag);
        let sink = AckSink::start((channel, end), names, prefetch, session.clone(), tasks);
        Ok(Self {
            queue: queue.into(),
            session,
            stream,
            sink,
            others: seen.consumers,
            there: seen.messages,
            left: seen.messages,
            asked: 0,
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
                Err(_silence) => {
                    let offered = offered(&self.session, &name(&self.queue)).await;
                    let offered = offered.map_err(|fault| fault_of(&self.queue, &fault))?;
                    self.asked += 1;
                    if offered == 0 || self.asked == QUESTIONS {
                        self.left = 0;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Ends reading. When this returns, unacknowledged messages are in their places again for the next reader,
    /// unless the broker is slow.
    pub async fn end(self) {
        self.sink.retire();
        self.sink.ended().cancelled().await;
        // A queue forgets a consumer and takes back what it had in one step.
        let others = self.others;
        until(&self.session, &name(&self.queue), |now| {
            now.consumers <= others
        })
        .await;
    }

    fn letter(&mut self, mut delivery: lapin::message::Delivery) -> Result<Letter, BrowseFault> {
        self.left -= 1;
        self.asked = 0;
        let tag = delivery.delivery_tag;
        let came_back = CameBack::of(&delivery);
        let handed_out = delivery_count(&delivery.properties);
        // A dead letter says where in its stream it was, and is in none itself.
        let is_dead_letter = header(&delivery.properties, REASON).is_some();
        let death = Death::read(&delivery.properties, &self.queue);
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
            },
            death,
            handed_out: handed_out.unwrap_or_default(),
        })
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

/// A name that is too long for AMQP is replaced by the empty one: no queue has either.
fn name(queue: &str) -> ShortString {
    ShortString::try_new(queue).unwrap_or_default()
}
