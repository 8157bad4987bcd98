//! The soak: many thousands of messages through several consumers while a seeded schedule of faults
//! runs, and then an account of every single one.
//!
//! A message was asked for something: to be acknowledged, handed on, retried, rejected, trapped on or
//! hung on. At the end its number has to be where that leads, once at least. What is nowhere is lost,
//! and then the program ends with a failure.

mod account;
mod faults;
mod report;
mod site;
mod traffic;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use hive_tests::{HostProcess, Proxy, Version, Vhost, eventually_within, scratch};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use self::account::Account;
use self::faults::Fault;
use self::report::Report;
use self::site::Site;
use self::traffic::{QUEUES, Traffic};

/// How long the backlog may take when the faults are over. A delay queue that found its target gone
/// tries again after three minutes (RabbitMQ, "Quorum Queues", at-least-once dead lettering).
const BACKLOG: Duration = Duration::from_secs(600);

/// The broker counts every five seconds what a queue hands to its dead-letter exchange, and the management
/// page shows it up to five seconds later (RabbitMQ, "Management", `collect_statistics_interval`).
const STATISTICS: Duration = Duration::from_secs(12);

/// How long a host may be silent after a fault before the soak gives up.
const SILENCE: Duration = Duration::from_secs(120);

/// How often the host is asked how much it has handled, and how much is sent each time.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TRICKLE: usize = 2;

/// Breaks everything on purpose while messages flow, and accounts for each.
#[derive(Debug, Parser)]
struct Options {
    /// The RabbitMQ to run it on: 3.10, 4.0 or 4.3; the one that HIVE_BROKER names unless given
    #[arg(long, value_name = "VERSION")]
    broker: Option<Version>,
    /// Messages in all
    #[arg(long, default_value_t = 200_000)]
    messages: u32,
    /// Faults in all
    #[arg(long, default_value_t = 100)]
    faults: u32,
    /// Gives the same messages and the same schedule again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// On a cluster of three nodes, which are killed, stopped, frozen and cut off too
    #[arg(long)]
    cluster: bool,
    /// Only the kinds of faults whose name holds this text, as in "broker"
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Everything there is.
pub(crate) struct Stage {
    site: Site,
    vhost: Vhost,
    /// The proxies between the host and the nodes.
    links: Vec<Proxy>,
    /// The host's hive.toml, and the prefetch that it says.
    file: PathBuf,
    prefetch: u16,
    host: HostProcess,
    account: Account,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let mut rng = StdRng::seed_from_u64(options.seed);
    let only = options.only.as_deref();
    let schedule = Fault::schedule(options.faults, only, options.cluster, &mut rng)?;
    let mut traffic = Traffic::new(options.messages, &mut rng);
    let version = options.broker.map_or_else(Version::of_run, Ok)?;
    say(&match options.cluster {
        true => format!(
            "starting a cluster of three RabbitMQ {version}, a proxy before each node, and a host"
        ),
        false => format!("starting a private RabbitMQ {version}, a proxy before it, and a host"),
    });
    let mut stage = Stage::set(version, options.cluster).await?;
    let begun = Instant::now();
    let mut report = Report::new(
        version,
        stage.site.nodes().len(),
        options.messages,
        options.seed,
    );
    // Half of a portion before each fault and half after, so that some deliveries are always in flight.
    let portion = (options.messages / options.faults.max(1)).max(2) as usize / 2;
    for (number, fault) in schedule.iter().enumerate() {
        traffic.publish(&stage.vhost, portion).await;
        let over = fault.happen(&mut stage).await?;
        let silence = stage.silence(over, &mut traffic).await?;
        stage.site.mend().await?;
        traffic.publish(&stage.vhost, portion).await;
        report.fault(fault.name(), silence);
        say(&format!(
            "{:>4} of {}  {:<32} silent for {:.1} s after it",
            number + 1,
            schedule.len(),
            fault.to_string(),
            silence.as_secs_f64(),
        ));
    }
    traffic.publish_rest(&stage.vhost).await?;
    say("no more faults; waiting for the backlog");
    stage.finish_backlog().await?;
    let Stage {
        vhost,
        mut host,
        mut account,
        ..
    } = stage;
    host.stop().await?;
    account.add_log(&mut host);
    account.add_queues(&vhost).await?;
    let verdict = account.judge(&traffic);
    println(&report.table(&verdict, begun.elapsed()));
    ensure!(verdict.is_good(), "{}", verdict.complaint());
    Ok(())
}

impl Stage {
    async fn set(version: Version, is_cluster: bool) -> Result<Self> {
        let site = Site::prepare(version, is_cluster).await?;
        let vhost = site.vhost().await?;
        let links = site.links()?;
        let prefetch = traffic::PREFETCHES[0];
        let file = scratch("soak").join("hive.toml");
        std::fs::write(&file, hive_toml(prefetch, &vhost, &links))?;
        let mut host = HostProcess::launch_file(&file, &[])?.quietly();
        wait_for_all(&host).await?;
        if let Site::One(broker) = &site {
            // RabbitMQ 3.10 may lose the leader of a quorum queue that it declared just before it was
            // killed. One restart in peace, and its log is on disk.
            host.stop().await?;
            broker.stop().await?;
            broker.restart().await?;
            host = HostProcess::launch_file(&file, &[])?.quietly();
            wait_for_all(&host).await?;
        }
        Ok(Self {
            site,
            vhost,
            links,
            file,
            prefetch,
            host,
            account: Account::default(),
        })
    }

    /// Starts the host again after it has ended; the log of the one before is read to its end.
    async fn start_host(&mut self) -> Result<()> {
        let new = HostProcess::launch_file(&self.file, &[])?.quietly();
        let mut old = std::mem::replace(&mut self.host, new);
        self.account.add_log(&mut old);
        Ok(())
    }

    /// Has the host read a hive.toml with another prefetch.
    async fn reload_host(&mut self) -> Result<()> {
        let [one, other] = traffic::PREFETCHES;
        self.prefetch = if self.prefetch == one { other } else { one };
        let text = hive_toml(self.prefetch, &self.vhost, &self.links);
        std::fs::write(&self.file, text)?;
        self.command("/v1/reload").await
    }

    /// Gives the host a command, which must succeed.
    async fn command(&self, path: &str) -> Result<()> {
        let headers = "content-type: application/json\r\n";
        let answer = self.host.command(path, headers).await?;
        ensure!(answer.status == 200, "{path} was answered with {answer:?}");
        Ok(())
    }

    /// How long after `over` the host handled its first delivery. A few messages are sent all along,
    /// so that there is one to be handled.
    async fn silence(&self, over: Instant, traffic: &mut Traffic) -> Result<Duration> {
        let mut before = None;
        loop {
            // A host that has just started has no admin server yet.
            if let Ok(metrics) = self.host.admin("/metrics").await {
                let handled = handled(&metrics.body);
                if handled > *before.get_or_insert(handled) {
                    return Ok(over.elapsed());
                }
            }
            ensure!(
                over.elapsed() < SILENCE,
                "nothing was handled for {SILENCE:?} after a fault; the host's log ends with\n{}",
                self.log_tail()
            );
            traffic.publish(&self.vhost, TRICKLE).await;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until nothing waits anywhere, and has not for so long that the broker's statistics know it.
    async fn finish_backlog(&self) -> Result<()> {
        let quiet_since = Mutex::new(None);
        let look = async || {
            let mut waiting = 0;
            for queue in self.vhost.queues()? {
                if QUEUES.iter().any(|(name, _)| queue.starts_with(name))
                    && !queue.ends_with(".dead")
                {
                    waiting += self.vhost.ready(&queue).await?;
                }
            }
            let on_their_way = self.vhost.being_dead_lettered()?;
            let metrics = self.host.admin("/metrics").await?.body;
            let in_flight = sum(&metrics, "hive_deliveries_in_flight", |_| true);
            let is_quiet = waiting == 0 && on_their_way == 0 && in_flight == 0;
            let mut since = quiet_since.lock().expect("nobody panics while holding it");
            *since = is_quiet.then(|| since.unwrap_or_else(Instant::now));
            let quiet_for = since.map(|since: Instant| since.elapsed());
            Ok((waiting, on_their_way, in_flight, quiet_for))
        };
        eventually_within(BACKLOG, "nothing waits", look, |(_, _, _, quiet_for)| {
            quiet_for.is_some_and(|quiet_for| quiet_for >= STATISTICS)
        })
        .await?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let lines = self.host.lines();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// A hive.toml whose URL names all nodes, each by way of its proxy.
fn hive_toml(prefetch: u16, vhost: &Vhost, links: &[Proxy]) -> String {
    let links: Vec<&Proxy> = links.iter().collect();
    traffic::hive_toml(prefetch).text_for(&vhost.url_through_all(&links))
}

/// Waits until every consumer consumes, and so every queue is there.
async fn wait_for_all(host: &HostProcess) -> Result<()> {
    for (queue, _) in QUEUES {
        host.wait_for_start_of(queue).await?;
    }
    Ok(())
}

/// Deliveries that were handled and settled, by the host's own count.
fn handled(metrics: &str) -> u64 {
    sum(metrics, "hive_deliveries_total", |labels| {
        ["acked", "retried", "dead_lettered"]
            .iter()
            .any(|outcome| labels.contains(outcome))
    })
}

/// The sum of the series of one metric.
fn sum(metrics: &str, name: &str, is_wanted: impl Fn(&str) -> bool) -> u64 {
    let series = metrics.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        value.parse::<u64>().ok().filter(|_| is_wanted(labels))
    });
    series.sum()
}

fn say(text: &str) {
    println(text);
}

#[expect(clippy::print_stdout, reason = "a program speaks to people here")]
fn println(text: &str) {
    println!("{text}");
}
