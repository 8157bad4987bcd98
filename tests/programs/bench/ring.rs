//! Where a bout takes place: a run fills the queues and has one contender empty them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use hive_tests::{Broker, HostProcess, Vhost, processor_time};
use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep};

use super::bout::Bout;
use super::contender::{Contender, Running, hive_toml};
use super::work::{OUT, QUEUE, Work, message};

/// How often a contender is looked at; one that counts for itself is asked less often, since that takes its
/// time.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A contender that takes longer stands still.
const LONGEST_RUN: Duration = Duration::from_secs(300);

/// KiB, as /proc has them, in MiB, as tables have them.
pub(crate) fn mib(kib: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1024.0)
}

/// The cost of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// Messages a second.
    pub(crate) rate: f64,
    /// Microseconds of processor time of the client for each message.
    pub(crate) client: f64,
    /// Microseconds of processor time of the broker for each message.
    pub(crate) broker: f64,
    /// The most memory that the client ever had resident, in MiB.
    pub(crate) memory: f64,
}

/// Where a bout takes place.
pub(crate) struct Ring<'b> {
    broker: &'b Broker,
    vhost: Vhost,
    bout: Bout,
    percent: u32,
}

/// The result of one look at a contender.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Whether time runs.
    is_off: bool,
    /// Messages that it is through with, at least.
    done: u32,
    is_over: bool,
}

/// A moment of a run: when, the processor time of client and broker until then, and the messages done.
type Moment = (Instant, Duration, Duration, u32);

impl<'b> Ring<'b> {
    /// Makes the queues, and has a host compile what it runs, which it then keeps.
    pub(crate) async fn enter(broker: &'b Broker, bout: Bout, percent: u32) -> Result<Self> {
        let vhost = broker.vhost("bench").await?;
        vhost.declare_queue(OUT, "classic").await?;
        HostProcess::run(&vhost, &hive_toml(&bout, "reuse"))
            .await?
            .quietly()
            .stop()
            .await?;
        Ok(Self {
            broker,
            vhost,
            bout,
            percent,
        })
    }

    /// Has a contender empty the queues.
    pub(crate) async fn run(&self, contender: Contender) -> Result<Taken> {
        let channel = self.vhost.channel().await?;
        let count = self.bout.messages(contender, self.percent);
        self.fill(&channel, count).await?;
        let running = contender.start(&self.vhost.url(), &self.bout)?;
        let deadline = Instant::now() + LONGEST_RUN;
        let mut begun = self.moment(&running, 0)?;
        while Instant::now() < deadline {
            let seen = self.look(&channel, &running, count).await?;
            let now = self.moment(&running, seen.done)?;
            if seen.is_over {
                channel.close(200, "done".into()).await?;
                return taken(begun, now, running.peak_kib()?);
            }
            if !seen.is_off {
                begun = now;
            }
            sleep(self.pause()).await;
        }
        bail!("it was not done within {LONGEST_RUN:?}");
    }

    async fn fill(&self, channel: &Channel, count: u32) -> Result<()> {
        let queues = self.bout.queues();
        for queue in queues.iter().map(String::as_str).chain([OUT]) {
            let purge = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
            purge.await?;
        }
        let evenly = queues.iter().cycle().cloned();
        let messages = (0..count).map(|number| message(number, self.bout.size));
        self.vhost.publish_each("", evenly.zip(messages)).await
    }

    async fn look(&self, channel: &Channel, running: &Running, count: u32) -> Result<Look> {
        if self.bout.consumers > 1 {
            return self.ask(running, count).await;
        }
        let waiting = look(channel, QUEUE).await?;
        let is_off = waiting < count;
        Ok(match self.bout.work {
            // After the last message of a queue was delivered, a prefetch of messages is still unhandled.
            Work::Ack => Look {
                is_off,
                done: match waiting {
                    0 => count.saturating_sub(self.bout.prefetch.into()).max(1),
                    _ => count.saturating_sub(waiting),
                },
                is_over: waiting == 0,
            },
            Work::Publish | Work::Retry => {
                let done = look(channel, OUT).await?;
                Look {
                    is_off,
                    done,
                    is_over: done >= count,
                }
            }
        })
    }

    /// Of many queues the broker does not say at once how many messages wait, but a host counts what it
    /// has handled. Time runs once all of them are consumed.
    async fn ask(&self, running: &Running, count: u32) -> Result<Look> {
        let consuming = running.consuming()?;
        let done = match consuming {
            0 => 0,
            _ => running.handled().await?,
        };
        Ok(Look {
            is_off: consuming >= usize::try_from(self.bout.consumers)?,
            done,
            is_over: done >= count,
        })
    }

    fn pause(&self) -> Duration {
        match self.bout.consumers {
            1 => LOOK_EVERY,
            _ => ASK_EVERY,
        }
    }

    fn moment(&self, running: &Running, done: u32) -> Result<Moment> {
        let broker = processor_time(self.broker.id())?;
        Ok((Instant::now(), running.processor_time()?, broker, done))
    }
}

fn taken(begun: Moment, over: Moment, peak_kib: u64) -> Result<Taken> {
    let handled = over.3.checked_sub(begun.3).filter(|handled| *handled > 0);
    let handled = handled.context("all was done before time ran: more messages are needed")?;
    let per_message = |time: Duration| time.as_secs_f64() / f64::from(handled);
    Ok(Taken {
        rate: 1.0 / per_message(over.0 - begun.0),
        client: per_message(over.1 - begun.1) * 1e6,
        broker: per_message(over.2 - begun.2) * 1e6,
        memory: mib(peak_kib)?,
    })
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
