//! Dead letters, and copies that wait for a retry, looked at, replayed and deleted: what `hive-host dead` does, apart
//! from how it prints.
//!
//! [`meant`] says which queue is meant, [`Filter`] which of its messages. [`Walk`] reads the queue from its
//! head and gives those; what is not acknowledged goes back to where it was when the walk ends, so that
//! looking changes nothing. [`replay`] sends messages back to where they failed.

mod desk;
mod edit;
mod filter;
mod meant;
mod replay;
mod view;
mod when;

use hive_amqp::{BrowseFault, Browsing, Connection, HandedOut, Letter, Settlement, Waiting};
use hive_core::dead::{Groups, Story, story};
use hive_lifecycle::Tasks;

pub use self::desk::{Choice, Desk, DeskFault, Job, PlanReader, Revision};
pub use self::edit::{
    EditFault, Edited, Found, Place, contracts, draft_of, find, finish, replace_and_send,
};
pub use self::filter::{Condition, FIELDS, Filter};
pub use self::meant::{Meant, connection_of, meant};
pub use self::replay::{DeadLetters, Left, Replayed, Target, Way, purge, replay};
pub use self::view::{groups_json, line_json, replayed_json, whole_json};
pub use self::when::{moment, shown};

use std::collections::VecDeque;
use std::time::SystemTime;

/// The prefetch if each message is settled soon. As many acks may be kept back at the end, and their messages
/// come again if the process is killed meanwhile.
const AT_ONCE: u16 = 256;

/// The most bytes of bodies that a command holds at once.
pub const MOST_HELD: usize = 256 << 20;

/// A message with its place in the queue.
#[derive(Debug)]
pub struct Numbered {
    /// Counted from 1 at the head of the queue.
    pub number: u64,
    /// The message.
    pub letter: Letter,
}

impl Numbered {
    /// The end of the message in words and as data; `None` for one that neither died nor waits for a retry.
    pub fn story(&self) -> Option<Story> {
        let waiting = self.letter.waiting.as_ref();
        story(&self.letter.death, waiting.map(Waiting::waits))
    }
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
    /// Whether all of them are read before the first is removed: see [`Walk::expect`].
    pub held: bool,
}

impl Wanted {
    /// Whether a message may go back to the queue that was looked at.
    pub fn puts_back(&self) -> bool {
        !self.taken || self.held || !self.filter.is_everything()
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
    /// What [`Self::expect`] has read.
    held: Option<VecDeque<Numbered>>,
}

/// Why what was expected is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unexpected {
    /// Other messages came or some went.
    #[error("{found} messages match now, and {expected} were expected; nothing was changed")]
    Count {
        /// As many as are there.
        found: u64,
        /// As many as should be.
        expected: u64,
    },
    /// They are in memory until each is dealt with.
    #[error(
        "the messages that match have more than {} MiB of bodies, which --expect has to hold at once; choose fewer \
         with --where, --group or --limit; nothing was changed", .0 >> 20
    )]
    TooLarge(usize),
    /// The queue cannot be read.
    #[error(transparent)]
    Unread(#[from] BrowseFault),
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
            at_once: match !wanted.puts_back() {
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
            held: None,
        })
    }

    /// The next message that is wanted; none at the end. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// See [`Browsing::next`].
    pub async fn next(&mut self) -> Result<Option<Numbered>, BrowseFault> {
        match &mut self.held {
            Some(held) => Ok(held.pop_front()),
            None => self.read().await,
        }
    }

    /// Reads all messages that are wanted, and holds them if they are as many as `count`: no other consumer can take
    /// one from then on, and [`Self::next`] gives these. The walk has to have been begun with [`Wanted::held`]. At most
    /// `most` bytes of bodies are held.
    ///
    /// # Errors
    ///
    /// They are not as many; then the walk has to end.
    pub async fn expect(&mut self, count: u64, most: usize) -> Result<(), Unexpected> {
        let mut held = VecDeque::new();
        let mut bytes = 0;
        while let Some(one) = self.read().await? {
            bytes += one.letter.delivery.envelope.message.body.len();
            match self.matched <= count {
                true => held.push_back(one),
                // It is over; the rest is only counted.
                false => held.clear(),
            }
            if bytes > most && self.matched <= count {
                return Err(Unexpected::TooLarge(most));
            }
        }
        if self.matched != count {
            return Err(Unexpected::Count {
                found: self.matched,
                expected: count,
            });
        }
        self.held = Some(held);
        Ok(())
    }

    /// Reads to the end and counts those that ended alike.
    ///
    /// # Errors
    ///
    /// See [`Self::next`].
    pub async fn groups(&mut self) -> Result<Groups, BrowseFault> {
        let mut groups = Groups::default();
        while let Some(one) = self.next().await? {
            let id = one.letter.delivery.envelope.message.properties.message_id;
            groups.add(&one.letter.death, one.number, id.as_deref());
        }
        Ok(groups)
    }

    async fn read(&mut self) -> Result<Option<Numbered>, BrowseFault> {
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
