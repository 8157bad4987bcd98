//! One bout: the conditions under which contenders take turns.

use std::fmt;

use super::contender::Contender;
use super::work::{QUEUE, Work};

/// The bytes of all messages together, at most, so that large ones do not fill the broker.
const MOST_BYTES: usize = 200 << 20;

/// Messages for each unit of `prefetch`, at most: with a prefetch of one a message takes as long as a way
/// there and back.
const FOR_EACH_OF_PREFETCH: u32 = 10_000;

/// Messages for each consumer beyond the first: this many are handled while the consumer starts.
const FOR_EACH_CONSUMER: u32 = 500;

/// The work of the contenders, and its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bout {
    pub(crate) work: Work,
    pub(crate) size: usize,
    pub(crate) queue: &'static str,
    pub(crate) concurrency: u16,
    /// The prefetch of each consumer.
    pub(crate) prefetch: u16,
    /// Each with a queue of its own, all in one process.
    pub(crate) consumers: u32,
}

impl Bout {
    /// The bout that the others are variations of.
    pub(crate) const BASE: Self = Self {
        work: Work::Ack,
        size: 1024,
        queue: "classic",
        concurrency: 4,
        prefetch: 500,
        consumers: 1,
    };

    /// The bouts that the aims of docs/performance.md are about.
    pub(crate) fn of_the_aims(prefetch: u16) -> Vec<Self> {
        [
            (Work::Ack, "classic"),
            (Work::Ack, "quorum"),
            (Work::Publish, "classic"),
        ]
        .map(|(work, queue)| Self {
            work,
            queue,
            prefetch,
            ..Self::BASE
        })
        .into()
    }

    pub(crate) fn is_of_the_aims(&self) -> bool {
        Self::of_the_aims(self.prefetch).contains(self)
    }

    /// Every one.
    pub(crate) fn all(prefetch: u16) -> Vec<Self> {
        let mut all = Vec::new();
        for work in Work::ALL {
            for size in [128, 1024, 64 * 1024] {
                for queue in ["classic", "quorum"] {
                    all.extend([1, 4].map(|concurrency| Self {
                        work,
                        size,
                        queue,
                        concurrency,
                        prefetch,
                        consumers: 1,
                    }));
                }
            }
        }
        all
    }

    /// The queues that the messages are spread over.
    pub(crate) fn queues(&self) -> Vec<String> {
        match self.consumers {
            1 => vec![QUEUE.to_owned()],
            many => (0..many)
                .map(|number| format!("{QUEUE}-{number:04}"))
                .collect(),
        }
    }

    /// How many messages a contender is given.
    pub(crate) fn messages(&self, contender: Contender, percent: u32) -> u32 {
        let most = u32::try_from(MOST_BYTES / self.size).unwrap_or(u32::MAX);
        let wanted = self.work.messages() / contender.share(self.work);
        let wanted = wanted.min(FOR_EACH_OF_PREFETCH.saturating_mul(self.prefetch.into()));
        let while_starting = FOR_EACH_CONSUMER * (self.consumers - 1);
        // A number that is bounded by its bytes is small already.
        let scaled = (wanted + while_starting).saturating_mul(percent) / 100;
        scaled.clamp(1, most)
    }
}

impl fmt::Display for Bout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            work,
            size,
            queue,
            concurrency,
            ..
        } = self;
        write!(
            f,
            "{work}, {size} B, {queue} queue, concurrency {concurrency}"
        )
    }
}
