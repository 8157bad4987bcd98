//! What a language costs: the size of its component, how soon it handles its first delivery, how long a
//! delivery takes it, and the memory of an instance. Each language's guest of the contract test echoes
//! messages of 1 KiB.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, Language, Message, Vhost, scratch};
use tokio::time::Instant;

use crate::{row, seconds};

const QUEUE: &str = "letters";

/// Instances that share out what the host itself takes.
const INSTANCES: u16 = 9;

/// The heads of the table's columns.
pub(crate) const HEAD: [&str; 7] = [
    "language",
    "component",
    "first delivery, cold",
    "warm",
    "a delivery, reused",
    "fresh",
    "an instance",
];

/// One language's line of the table.
struct Cost {
    bytes: u64,
    cold: Duration,
    warm: Duration,
    reused: Duration,
    fresh: Duration,
    instance_kib: Option<f64>,
}

/// One language's line of the table; the time of a delivery is averaged over so many messages.
pub(crate) async fn line(broker: &Broker, language: Language, messages: usize) -> Result<String> {
    let cost = measure(broker, language, messages).await?;
    let kib = cost.bytes.div_ceil(1024);
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let mib = |kib: f64| format!("{:.1} MiB", kib / 1024.0);
    Ok(row([
        language.name.to_owned(),
        format!("{kib} KiB"),
        seconds(cost.cold),
        seconds(cost.warm),
        ms(cost.reused),
        ms(cost.fresh),
        cost.instance_kib.map_or_else(|| "–".to_owned(), mib),
    ]))
}

async fn measure(broker: &Broker, language: Language, messages: usize) -> Result<Cost> {
    let component = language.guest();
    let cache = scratch("cache");
    let vhost = broker.vhost(language.name).await?;
    for queue in [QUEUE, "out"] {
        vhost.declare_queue(queue, "classic").await?;
    }
    let run = async |instances: &str, concurrency: u16, waiting: usize| {
        let keys = format!("instances = \"{instances}\"\ntimeout = \"30s\"");
        let consumer = format!("concurrency = {concurrency}\nprefetch = 100");
        let toml = HiveToml::new()
            .component_at("guest", &component, &keys)
            .consumer(QUEUE, "guest", &consumer);
        run(&vhost, &toml, &cache, waiting).await
    };
    let (first, cold) = run("reuse", 1, 1).await?;
    first.stop().await?;
    let (one, warm) = run("reuse", 1, 1).await?;
    let reused = one.average(&vhost, messages).await?;
    let one_kib = one.0.usage()?.resident_kib;
    one.stop().await?;
    let (many, _) = run("reuse", INSTANCES, messages).await?;
    let many_kib = many.0.usage()?.resident_kib;
    let instances = many.0.metric("hive_instances{component=\"guest\"}").await?;
    many.stop().await?;
    let (fresh_each, _) = run("fresh", 1, 1).await?;
    let fresh = fresh_each.average(&vhost, messages).await?;
    fresh_each.stop().await?;
    Ok(Cost {
        bytes: std::fs::metadata(&component)?.len(),
        cold,
        warm,
        reused,
        fresh,
        // With deliveries so short that none waits for another, there is one instance and nothing to compare.
        instance_kib: (instances > 1.0)
            .then(|| many_kib.saturating_sub(one_kib) as f64 / (instances - 1.0)),
    })
}

/// A host at work on the guest.
struct Running(HostProcess);

/// Runs a host for which messages wait, and returns how long it took to handle all of them.
async fn run(
    vhost: &Vhost,
    toml: &HiveToml,
    cache: &Path,
    waiting: usize,
) -> Result<(Running, Duration)> {
    let file = scratch("languages").join("hive.toml");
    std::fs::write(&file, toml.text(vhost))?;
    send(vhost, waiting).await?;
    let cache = cache.to_str().context("a path is UTF-8")?;
    let started = Instant::now();
    let host = HostProcess::launch_file(&file, &[("HIVE_CACHE_DIR", cache)])?.quietly();
    host.wait_for_start().await?;
    arrived(vhost, waiting).await?;
    Ok((Running(host), started.elapsed()))
}

/// Waits until this many messages have come out.
async fn arrived(vhost: &Vhost, mut left: usize) -> Result<()> {
    let is_last = |_| {
        left -= 1;
        left == 0
    };
    vhost.take_until("out", is_last).await
}

impl Running {
    /// The average time of a delivery, by the host's own clock.
    async fn average(&self, vhost: &Vhost, messages: usize) -> Result<Duration> {
        let before = self.handled().await?;
        send(vhost, messages).await?;
        arrived(vhost, messages).await?;
        let after = self.handled().await?;
        Ok(Duration::from_secs_f64(
            (after.0 - before.0) / (after.1 - before.1),
        ))
    }

    /// Stops it with everything acknowledged, so that no message is redelivered to the next one.
    async fn stop(mut self) -> Result<()> {
        self.0.stop().await
    }

    /// Seconds spent in deliveries, and how many they were.
    async fn handled(&self) -> Result<(f64, f64)> {
        let series = |what| {
            format!("hive_handling_seconds_{what}{{component=\"guest\",consumer=\"{QUEUE}\"}}")
        };
        Ok((
            self.0.metric(&series("sum")).await?,
            self.0.metric(&series("count")).await?,
        ))
    }
}

async fn send(vhost: &Vhost, count: usize) -> Result<()> {
    let message = Message::new(vec![b'x'; 1024]).text_header("do", "echo");
    let messages = std::iter::repeat_n(message, count);
    vhost.publish_all("", QUEUE, messages).await
}
