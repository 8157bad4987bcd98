//! Who is compared: each a process of its own, started for one run and ended after it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use hive_tests::{HiveToml, HostProcess, contender, peak_kib, processor_time, start};

use super::bout::Bout;
use super::work::{QUEUE, Work};
use super::{myself, null};

/// Who empties the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// lapin as its documentation has it.
    NativeSimplest,
    /// lapin, optimised: batched acks.
    NativeBest,
    /// A socket and nothing else, on the null broker.
    Bare,
    HiveReused,
    HiveFresh,
    /// Another build of the host, with reused instances.
    HiveOther(&'static Path),
    Amqplib,
    Pika,
    AioPika,
}

impl Contender {
    /// The contenders that take part unless others are asked for.
    pub(crate) const ALL: [Self; 7] = [
        Self::NativeSimplest,
        Self::NativeBest,
        Self::HiveReused,
        Self::HiveFresh,
        Self::Amqplib,
        Self::Pika,
        Self::AioPika,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NativeSimplest => "lapin, simplest",
            Self::NativeBest => "lapin, best",
            Self::Bare => "no library",
            Self::HiveReused => "hive, reused",
            Self::HiveFresh => "hive, fresh",
            Self::HiveOther(_) => "hive, the other build",
            Self::Amqplib => "amqplib",
            Self::Pika => "pika",
            Self::AioPika => "aio-pika",
        }
    }

    /// Its interpreter and program, if it is neither this program nor the host.
    fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Amqplib => Some(("node", "amqplib_consumer.js")),
            Self::Pika => Some(("python/bin/python", "pika_consumer.py")),
            Self::AioPika => Some(("python/bin/python", "aio_pika_consumer.py")),
            _ => None,
        }
    }

    pub(crate) fn is_there(self) -> bool {
        self.program()
            .is_none_or(|(interpreter, program)| contender(interpreter, program).is_some())
    }

    /// One thread of an interpreter does one thing at a time, so a higher concurrency makes no difference to
    /// it; nor to a single task.
    pub(crate) fn takes_part_in(self, bout: &Bout) -> bool {
        let is_alone = !matches!(
            self,
            Self::NativeSimplest | Self::HiveReused | Self::HiveFresh | Self::HiveOther(_)
        );
        bout.concurrency == 1 || !is_alone || bout.is_of_the_aims()
    }

    /// The part of the messages that it is given, so that no run takes half a minute.
    pub(crate) fn share(self, work: Work) -> u32 {
        match (self, work) {
            (
                Self::Bare
                | Self::NativeBest
                | Self::HiveReused
                | Self::HiveFresh
                | Self::HiveOther(_),
                _,
            ) => 1,
            (Self::NativeSimplest, Work::Ack) => 1,
            (Self::NativeSimplest, Work::Publish | Work::Retry) => 6,
            (Self::Amqplib, _) => 2,
            (Self::Pika | Self::AioPika, _) => 10,
        }
    }

    /// Starts it on the broker at `url`, on a queue that is full.
    pub(crate) fn start(self, url: &str, bout: &Bout) -> Result<Running> {
        let prefetch = bout.prefetch.to_string();
        let tail = [QUEUE, &prefetch, bout.work.word()];
        let mut command = match self {
            Self::HiveReused => return hive(url, bout, "reuse"),
            Self::HiveFresh => return hive(url, bout, "fresh"),
            Self::HiveOther(program) => {
                let toml = hive_toml(bout, "reuse").text_for(url);
                return Ok(Running::Hive(
                    HostProcess::launch_other(program, &toml)?.quietly(),
                ));
            }
            Self::NativeSimplest | Self::NativeBest => {
                let mut command = Command::new(myself()?);
                let how = if self == Self::NativeBest {
                    "best"
                } else {
                    "simplest"
                };
                command.args(["native", how]).arg(url).args(tail);
                command.arg(bout.concurrency.to_string());
                command
            }
            Self::Bare => {
                let mut command = Command::new(myself()?);
                command.arg("bare").arg(null::port_of(url)?).args(tail);
                command
            }
            Self::Amqplib | Self::Pika | Self::AioPika => {
                let (interpreter, program) = self.program().context("it has a program")?;
                let found = contender(interpreter, program);
                let (interpreter, program) = found.context("it was there before")?;
                let mut command = Command::new(interpreter);
                command.arg(program).arg(url).args(tail);
                command.env("NODE_PATH", hive_tests::contenders().join("node_modules"));
                command
            }
        };
        command.stdin(Stdio::null());
        Ok(Running::Other(start(&mut command)?))
    }
}

/// The hive.toml of a bout.
pub(crate) fn hive_toml(bout: &Bout, instances: &str) -> HiveToml {
    let (guest, config) = match bout.work {
        Work::Ack => ("ack", ""),
        Work::Publish => ("enrich", "config = { work = \"publish\" }\n"),
        Work::Retry => ("enrich", "config = { work = \"retry\" }\n"),
    };
    // All consumers share one dead-letter queue and have no delay queues: their existence costs broker and host
    // the same for each consumer, and nothing fails here.
    let retry = match bout.consumers {
        1 => "limit = 3, delays = [\"100ms\"]",
        _ => "limit = 0, dead_letter = \"bench.dead\"",
    };
    let (prefetch, concurrency) = (bout.prefetch, bout.concurrency);
    let keys = format!("prefetch = {prefetch}\nconcurrency = {concurrency}\nretry = {{ {retry} }}");
    let instances = format!("instances = \"{instances}\"\n{config}");
    let toml = HiveToml::new().component(guest, &instances);
    let kind = format!("type = \"{}\"", bout.queue);
    bout.queues().iter().fold(toml, |toml, queue| {
        toml.queue(queue, &kind).consumer(queue, guest, &keys)
    })
}

fn hive(url: &str, bout: &Bout, instances: &str) -> Result<Running> {
    let toml = hive_toml(bout, instances);
    Ok(Running::Hive(
        HostProcess::launch(&toml.text_for(url))?.quietly(),
    ))
}

/// A contender at work. Killed when it is dropped.
#[derive(Debug)]
pub(crate) enum Running {
    Hive(HostProcess),
    Other(Child),
}

impl Running {
    fn id(&self) -> u32 {
        match self {
            Self::Hive(host) => host.id(),
            Self::Other(child) => child.id(),
        }
    }

    /// The processor time that it has taken so far.
    pub(crate) fn processor_time(&self) -> Result<std::time::Duration> {
        processor_time(self.id()).context("the contender has ended before its work")
    }

    /// The most memory that it ever had resident, in KiB.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        peak_kib(self.id()).context("the contender has ended with its work")
    }

    /// How many queues a host consumes.
    pub(crate) fn consuming(&self) -> Result<usize> {
        Ok(self.host()?.count_events("consumer.subscribed", &[]))
    }

    /// How many messages a host has acknowledged, of all its consumers.
    pub(crate) async fn handled(&self) -> Result<u32> {
        acked(self.host()?).await
    }

    /// The port of a host's admin server.
    pub(crate) async fn admin_port(&self) -> Result<u16> {
        self.host()?.admin_port().await
    }

    fn host(&self) -> Result<&HostProcess> {
        match self {
            Self::Hive(host) => Ok(host),
            Self::Other(_) => bail!("a host alone can be asked"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Other(child) = self {
            // It may have ended already, which is as good.
            if child.kill().is_ok() {
                drop(child.wait());
            }
        }
    }
}

/// Deliveries that were acknowledged, of all consumers of a host.
pub(crate) async fn acked(host: &HostProcess) -> Result<u32> {
    let metrics = host.admin("/metrics").await?.body;
    let acked = metrics.lines().filter_map(|line| {
        let line = line.strip_prefix("hive_deliveries_total{")?;
        let (labels, value) = line.rsplit_once(' ')?;
        labels.contains("outcome=\"acked\"").then_some(value)
    });
    let counts: Result<Vec<u32>, _> = acked.map(str::parse).collect();
    Ok(counts.context("a count is a number")?.into_iter().sum())
}
