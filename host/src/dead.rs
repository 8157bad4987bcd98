//! Dead letters, and copies that wait for a retry, looked at, replayed and deleted: what `hive-host dead` does, apart
//! from how it prints.
//!
//! [`meant`] says which queue is meant, [`Filter`] which of its messages. [`Walk`] reads the queue from its
//! head and gives those; what is not acknowledged goes back to where it was when the walk ends, so that
//! looking changes nothing. [`replay`] sends messages back to where they failed.

mod filter;
mod meant;
mod replay;
mod when;

use hive_amqp::{BrowseFault, Browsing, Connection, HandedOut, Letter, Settlement};
use hive_lifecycle::Tasks;

pub use self::filter::{Condition, FIELDS, Filter};
pub use self::meant::{Meant, connection_of, meant};
pub use self::replay::{DeadLetters, Left, Replayed, Target, Way, purge, replay};
pub use self::when::{moment, shown};

use std::time::SystemTime;

/// The prefetch if each message is settled soon. As many acks may be kept back at the end, and their messages
/// come again if the process is killed meanwhile.
const AT_ONCE: u16 = 256;

/// A message with its place in the queue.
#[derive(Debug)]
pub struct Numbered {
    /// Counted from 1 at the head of the queue.
    pub number: u64,
    /// The message.
    pub letter: Letter,
}

/// The messages to walk over.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which messages.
    pub filter: Filter,
    /// The largest number of them; `None` for all.
    pub limit: Option<u64>,
    /// Whether matching messages are removed during the walk, instead of put back at its end.
    pub taken: bool,
}

impl Wanted {
    /// Whether a message may go back to the queue that was looked at.
    pub fn puts_back(&self) -> bool {
        !self.taken || !self.filter.is_everything()
    }
}

/// The messages of a queue that are wanted, from its head to what was its end when the walk began.
#[derive(Debug)]
pub struct Walk {
    browsing: Browsing,
    wanted: Wanted,
    /// Conditions on ages are meant from here.
    began: SystemTime,
    seen: u64,
    matched: u64,
    most_handed_out: u64,
}

impl Walk {
    /// Begins at the head of `queue`. What the walk leaves goes back at its end, or when `tasks` stop.
    ///
    /// # Errors
    ///
    /// See [`Connection::browse`].
    pub async fn begin(
        connection: &Connection,
        queue: &str,
        wanted: Wanted,
        tasks: &Tasks,
    ) -> Result<Self, BrowseFault> {
        // A message that does not match stays unacknowledged to the end, or it would be delivered again and
        // again.
        let is_everything = wanted.filter.is_everything();
        let handed_out = HandedOut {
            at_once: match wanted.taken && is_everything {
                true => AT_ONCE,
                false => u16::MAX,
            },
            in_all: is_everything.then(|| wanted.limit.unwrap_or(u64::MAX)),
        };
        Ok(Self {
            browsing: connection.browse(queue, handed_out, tasks).await?,
            wanted,
            began: SystemTime::now(),
            seen: 0,
            matched: 0,
            most_handed_out: 0,
        })
    }

    /// The next message that is wanted; none at the end. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// See [`Browsing::next`].
    pub async fn next(&mut self) -> Result<Option<Numbered>, BrowseFault> {
        while self.wanted.limit.is_none_or(|limit| self.matched < limit) {
            let Some(letter) = self.browsing.next().await? else {
                return Ok(None);
            };
            self.seen += 1;
            self.most_handed_out = self.most_handed_out.max(letter.handed_out);
            let numbered = Numbered {
                number: self.seen,
                letter,
            };
            if self.wanted.filter.matches(&numbered, self.began) {
                self.matched += 1;
                return Ok(Some(numbered));
            }
        }
        Ok(None)
    }

    /// Takes a message out of the queue: see [`Browsing::ack`].
    fn ack(&mut self, settlement: Settlement) {
        self.browsing.ack(settlement);
    }

    /// No further message is wanted: see [`Browsing::take_no_more`].
    fn take_no_more(&mut self) {
        self.browsing.take_no_more();
    }

    /// How many of the messages that were taken out come again, since the connection broke.
    fn lost(&self) -> u64 {
        self.browsing.lost()
    }

    /// Ends the walk. What it leaves is in its place again when this returns, but for a broker that is slow.
    pub async fn end(self) {
        self.browsing.end().await;
    }

    /// How many messages were in the queue when the walk began.
    pub fn there(&self) -> u64 {
        self.browsing.there().into()
    }

    /// How many of them were looked at.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many of those were wanted.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// How often the broker had handed out the message that it handed out most.
    pub fn most_handed_out(&self) -> u64 {
        self.most_handed_out
    }

    /// When the walk began.
    pub fn began(&self) -> SystemTime {
        self.began
    }
}
