//! One bout: a work, a size, a kind of queue and a concurrency, in which contenders take turns.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use hive_tests::{Broker, HostProcess, Vhost};
use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep};

use super::contender::{Contender, hive_toml};
use super::work::{OUT, QUEUE, Work, message};

/// How often the queues are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A contender that takes longer stands still.
const LONGEST_RUN: Duration = Duration::from_secs(300);

/// The bytes of all messages together, at most, so that large ones do not fill the broker.
const MOST_BYTES: usize = 200 << 20;

/// What contenders do, and under which conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bout {
    pub(crate) work: Work,
    pub(crate) size: usize,
    pub(crate) queue: &'static str,
    pub(crate) concurrency: u16,
}

impl Bout {
    /// Those that the aims are about.
    pub(crate) fn of_the_aims() -> Vec<Self> {
        [
            (Work::Ack, "classic"),
            (Work::Ack, "quorum"),
            (Work::Publish, "classic"),
        ]
        .map(|(work, queue)| Self {
            work,
            size: 1024,
            queue,
            concurrency: 4,
        })
        .into()
    }

    pub(crate) fn is_of_the_aims(&self) -> bool {
        Self::of_the_aims().contains(self)
    }

    /// Every one.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for work in Work::ALL {
            for size in [128, 1024, 64 * 1024] {
                for queue in ["classic", "quorum"] {
                    all.extend([1, 4].map(|concurrency| Self {
                        work,
                        size,
                        queue,
                        concurrency,
                    }));
                }
            }
        }
        all
    }

    fn messages(&self, contender: Contender, percent: u32) -> u32 {
        let most = u32::try_from(MOST_BYTES / self.size).unwrap_or(u32::MAX);
        let wanted = self.work.messages() / contender.share(self.work);
        (wanted.min(most) * percent / 100).max(1)
    }
}

impl fmt::Display for Bout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            work,
            size,
            queue,
            concurrency,
        } = self;
        write!(
            f,
            "{work}, {size} B, {queue} queue, concurrency {concurrency}"
        )
    }
}

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// Messages a second.
    pub(crate) rate: f64,
    /// Microseconds of processor time of the client for each message.
    pub(crate) client: f64,
}

/// Where a bout takes place.
pub(crate) struct Ring {
    vhost: Vhost,
    bout: Bout,
    prefetch: u16,
    percent: u32,
}

impl Ring {
    /// Makes the queues, and has a host compile what it runs, which it then keeps.
    pub(crate) async fn enter(
        broker: &Broker,
        bout: Bout,
        prefetch: u16,
        percent: u32,
    ) -> Result<Self> {
        let vhost = broker.vhost("bench").await?;
        vhost.declare_queue(OUT, "classic").await?;
        let toml = hive_toml(&bout, prefetch, "reuse");
        HostProcess::run(&vhost, &toml)
            .await?
            .quietly()
            .stop()
            .await?;
        Ok(Self {
            vhost,
            bout,
            prefetch,
            percent,
        })
    }

    /// Has a contender empty the queue.
    pub(crate) async fn run(&self, contender: Contender) -> Result<Taken> {
        let channel = self.vhost.channel().await?;
        for queue in [QUEUE, OUT] {
            let purge = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
            purge.await?;
        }
        let count = self.bout.messages(contender, self.percent);
        let messages = (0..count).map(|number| message(number, self.bout.size));
        self.vhost.publish_all("", QUEUE, messages).await?;
        let running = contender.start(&self.vhost, &self.bout, self.prefetch)?;
        let deadline = Instant::now() + LONGEST_RUN;
        let mut begun = (Instant::now(), Duration::ZERO);
        while Instant::now() < deadline {
            let waiting = look(&channel, QUEUE).await?;
            let is_over = match self.bout.work {
                Work::Ack => waiting == 0,
                Work::Publish | Work::Retry => look(&channel, OUT).await? >= count,
            };
            let now = (Instant::now(), running.processor_time()?);
            if is_over {
                channel.close(200, "done".into()).await?;
                // A queue of which the last message was let out has a prefetch of them that nobody has
                // handled yet.
                let handled = match self.bout.work {
                    Work::Ack => count.saturating_sub(self.prefetch.into()).max(1),
                    Work::Publish | Work::Retry => count,
                };
                let per_message = |time: Duration| time.as_secs_f64() / f64::from(handled);
                return Ok(Taken {
                    rate: 1.0 / per_message(now.0 - begun.0),
                    client: per_message(now.1 - begun.1) * 1e6,
                });
            }
            if waiting == count {
                begun = now;
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("it was not done within {LONGEST_RUN:?}");
    }
}

/// How many messages wait, by the broker's own word of this moment.
pub(crate) async fn look(channel: &Channel, queue: &str) -> Result<u32> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
    Ok(declared.await?.message_count())
}
