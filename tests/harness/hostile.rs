//! Components that do to their host what they can, each beside a well-behaved neighbour.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer};
use tokio::time::Instant;

use crate::{Broker, HiveToml, HostProcess, Message, build};

/// A component that does harm with every delivery, and how each delivery has to end.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    /// The name of the guest's behaviour.
    pub name: &'static str,
    guest: Guest,
    keys: &'static str,
    /// `x-hive-reason` of the dead letter.
    pub reason: &'static str,
    /// A part of `x-hive-error`.
    pub error: &'static str,
    /// The memory limit of one instance in its plan, in MiB.
    pub memory_mib: u64,
    /// How many deliveries it gets.
    deliveries: usize,
}

#[derive(Debug, Clone, Copy)]
enum Guest {
    Rust(&'static str),
    Text(&'static str),
}

impl Guest {
    fn path(self) -> Result<PathBuf> {
        match self {
            Self::Rust(name) => Ok(build::guest(name)),
            Self::Text(name) => build::text_guest(name),
        }
    }
}

const DEFAULT_MEMORY_MIB: u64 = 64;

const fn hostile(
    name: &'static str,
    guest: Guest,
    keys: &'static str,
    reason: &'static str,
    error: &'static str,
) -> Hostile {
    Hostile {
        name,
        guest,
        keys,
        reason,
        error,
        memory_mib: DEFAULT_MEMORY_MIB,
        deliveries: 10,
    }
}

impl Hostile {
    const fn memory(self, memory_mib: u64) -> Self {
        Self { memory_mib, ..self }
    }
}

/// Every hostile guest, with what it should lead to.
pub const ALL: &[Hostile] = &[
    hostile(
        "spins",
        Guest::Rust("spin"),
        "timeout = \"200ms\"",
        "timeout",
        "200ms",
    ),
    hostile(
        "never returns from a host call",
        Guest::Rust("stuck"),
        "timeout = \"200ms\"",
        "timeout",
        "200ms",
    ),
    hostile("hoards memory", Guest::Rust("hog"), "", "limit", "`memory`"),
    hostile("grows tables", Guest::Text("tables"), "", "limit", "tables"),
    hostile(
        "overflows the stack",
        Guest::Rust("overflow"),
        "",
        "trap",
        "stack",
    ),
    hostile(
        "floods stdout",
        Guest::Rust("flood"),
        "timeout = \"200ms\"\nlog_lines = 100",
        "timeout",
        "200ms",
    ),
    hostile(
        "answers with gigabytes",
        Guest::Text("gigabytes"),
        "",
        "limit",
        "`max_answer`",
    ),
    hostile(
        "answers with a million publications",
        Guest::Text("million"),
        "memory = \"256MiB\"",
        "limit",
        "`max_answer`",
    )
    .memory(256),
    hostile(
        "answers with one publication too many",
        Guest::Rust("too-many"),
        "",
        "limit",
        "`max_publications`",
    ),
    hostile(
        "traps in stop",
        Guest::Rust("bad-stop"),
        "recycle_after = 1\nconfig = { stop = \"trap\" }",
        "error",
        "on to the stop",
    ),
    hostile(
        "spins in stop",
        Guest::Rust("bad-stop"),
        "recycle_after = 1\ntimeout = \"200ms\"\nconfig = { stop = \"spin\" }",
        "error",
        "on to the stop",
    ),
    hostile(
        "tries files, sockets and the environment",
        Guest::Rust("nosy"),
        "",
        "error",
        "found []",
    ),
];

/// The result of one attack.
#[derive(Debug)]
pub struct Report {
    /// The dead letters of the hostile guest.
    pub dead: Vec<Message>,
    /// The 99th percentile of the neighbour's round trips without it.
    pub alone: Duration,
    /// The 99th percentile of the neighbour's round trips during the attack.
    pub beside: Duration,
    /// Round trips of the neighbour in that time.
    pub trips: usize,
    /// The host's resident memory before it got its first delivery, in KiB.
    pub before_kib: u64,
    /// The most that it ever had, in KiB.
    pub peak_kib: u64,
    /// The host, for what else there is to see.
    pub host: HostProcess,
}

impl Hostile {
    /// Runs a host with it and with a neighbour that echoes: `trips` round trips of the neighbour
    /// alone, then as many as there are until every delivery of the hostile one has ended.
    pub async fn run(&self, trips: usize) -> Result<Report> {
        let toml = HiveToml::new()
            .queue("bad", "")
            .queue("good", "")
            .queue("out", "")
            .component_at("bad", &self.guest.path()?, self.keys)
            .component("echo", "")
            .consumer("bad", "bad", "concurrency = 1\nretry = { limit = 0 }")
            .consumer("good", "echo", "");
        let broker = Broker::shared().await?;
        let vhost = broker.vhost("hostile").await?;
        let host = HostProcess::run(&vhost, &toml).await?;
        let channel = vhost.channel().await?;
        let mut neighbour = Neighbour::new(channel).await?;
        // The first trips run through cold paths and are not measured.
        neighbour.trips(20).await?;
        let alone = p99(neighbour.trips(trips).await?);

        let before_kib = host.usage()?.resident_kib;
        let port = vhost.url().rsplit(':').next().map(|rest| {
            let digits = rest.chars().take_while(char::is_ascii_digit);
            digits.collect::<String>()
        });
        let port = port.context("the broker's URL has a port")?;
        let bad = (0..self.deliveries).map(|_| Message::new(port.clone()));
        vhost.publish_all("", "bad", bad).await?;
        let ended = Cell::new(false);
        let deaths = async {
            let dead = vhost.take("bad.dead", self.deliveries).await?;
            ended.set(true);
            anyhow::Ok(dead)
        };
        let life = async {
            let mut taken = Vec::new();
            // At least one round trip is measured, also beside a guest whose deliveries end at once.
            while !ended.get() || taken.is_empty() {
                taken.push(neighbour.trip().await?);
            }
            anyhow::Ok(taken)
        };
        let (dead, taken) = tokio::try_join!(deaths, life)?;
        Ok(Report {
            dead,
            alone,
            trips: taken.len(),
            beside: p99(taken),
            before_kib,
            peak_kib: host.peak_kib()?,
            host,
        })
    }
}

/// A client that waits for the neighbour's answers.
struct Neighbour {
    channel: Channel,
    answers: Consumer,
}

impl Neighbour {
    async fn new(channel: Channel) -> Result<Self> {
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let answers = channel
            .basic_consume("out".into(), "".into(), options, FieldTable::default())
            .await?;
        Ok(Self { channel, answers })
    }

    /// From the publication of a message to its echo.
    async fn trip(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(
                "".into(),
                "good".into(),
                options,
                b"x",
                BasicProperties::default(),
            )
            .await?;
        self.answers.next().await.context("no more answers")??;
        Ok(start.elapsed())
    }

    async fn trips(&mut self, count: usize) -> Result<Vec<Duration>> {
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            taken.push(self.trip().await?);
        }
        Ok(taken)
    }
}

/// The 99th percentile; of less than a hundred, the longest.
fn p99(mut taken: Vec<Duration>) -> Duration {
    taken.sort();
    let beyond = taken.len() / 100;
    let at = taken.len().saturating_sub(1 + beyond);
    taken.get(at).copied().unwrap_or_default()
}
