//! The cost of a component, compared with the same work by other clients on the same broker.
//!
//! A queue is filled, then emptied by one contender, each time in a process of its own. Contenders take turns,
//! round by round, so that other load on the machine affects all of them. Throughput is measured by the
//! broker's own counts, from the last look that saw the queue full to the first that saw the work done. The
//! broker shares the machine, so the client's processor time is reported too.

mod axis;
mod bout;
mod brokers;
mod contender;
mod fairness;
mod hosts;
mod http;
mod memory;
mod native;
mod null;
mod pages;
mod plot;
mod report;
mod ring;
mod scale;
mod small;
mod sweep;
mod turns;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use hive_tests::Broker;

use self::bout::Bout;
use self::contender::Contender;
use self::report::Table;
use self::ring::Ring;
use self::sweep::Sweep;
use self::turns::turns;

/// Compares hive-host with other clients of RabbitMQ. Without arguments: what the aims are about, in
/// about ten minutes.
#[derive(Debug, Parser)]
struct Options {
    /// Every work, with bodies of 128 B, 1 KiB and 64 KiB, on classic and quorum queues, with concurrency
    /// 1 and 4: hours
    #[arg(long)]
    matrix: bool,
    /// Rounds, of which the medians are reported: 5, with --plot 3
    #[arg(long)]
    rounds: Option<usize>,
    /// The prefetch
    #[arg(long, default_value_t = Bout::BASE.prefetch)]
    prefetch: u16,
    /// How many of the usual messages, in percent; fewer take less time and vary more [default: 100, with --plot 40]
    #[arg(long, value_name = "PERCENT")]
    messages: Option<u32>,
    /// Only contenders whose name holds this text, as in "hive"
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Another build of hive-host, such as one from before a change: it takes turns with this one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plot", "scale"])]
    against: Option<PathBuf>,
    /// Only bouts whose name holds this text, as in "quorum"; with --plot, only such sweeps: concurrency,
    /// prefetch, body, consumers
    #[arg(long, value_name = "TEXT")]
    bout: Option<String>,
    /// Instead of all that: this many queues with a consumer each, on one host
    #[arg(long, value_name = "QUEUES", num_args = 0..=1, default_missing_value = "10000")]
    scale: Option<u32>,
    /// Instead of all that: this many queues over three hosts, each consumed by one of them at a time (`placement =
    /// "single"`); one host is killed and comes back
    #[arg(
        long,
        value_name = "QUEUES",
        num_args = 0..=1,
        default_missing_value = "10000",
        conflicts_with_all = ["matrix", "scale", "plot", "against"]
    )]
    hosts: Option<usize>,
    /// The type of the queues of --hosts: quorum or classic
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "quorum",
        requires = "hosts"
    )]
    queues: String,
    /// Instead of all that: what a flood of this many messages of one tenant costs 99 others, with and without
    /// `concurrency_by`
    #[arg(
        long,
        value_name = "MESSAGES",
        num_args = 0..=1,
        default_missing_value = "10000",
        conflicts_with_all = ["matrix", "scale", "plot", "against", "hosts"]
    )]
    fairness: Option<usize>,
    /// Instead of all that: the host and the best native consumer on RabbitMQ and on the broker in the process, in turns
    #[arg(long, conflicts_with_all = ["matrix", "scale", "plot", "against"])]
    brokers: bool,
    /// Instead of all that: clients on a broker that stores nothing and costs them nothing, as fast as they can and at
    /// half of that
    #[arg(long, conflicts_with_all = ["matrix", "scale", "plot", "hosts", "fairness", "brokers"])]
    null: bool,
    /// Instead of all that: POSTs that become messages, to a route of the host and to the same service with axum and lapin,
    /// at full rate and 30,000 at once
    #[arg(long, conflicts_with_all = ["matrix", "scale", "plot", "hosts", "fairness", "brokers", "null", "bout", "prefetch"])]
    http: bool,
    /// Instead of all that: what this many open admin pages cost a host that is busy
    #[arg(
        long,
        value_name = "PAGES",
        num_args = 0..=1,
        default_missing_value = "50",
        conflicts_with_all = ["matrix", "scale", "plot", "hosts", "fairness", "brokers", "null", "http", "bout", "against"]
    )]
    pages: Option<usize>,
    /// Instead of all that: the host's memory while 300 bodies of 16 MiB wait for it
    #[arg(long, conflicts_with_all = ["matrix", "scale", "plot", "hosts", "fairness", "brokers", "null", "http", "pages", "bout", "against"])]
    memory: bool,
    /// In place of all that: what grows with concurrency, prefetch, the size of a body and the number of
    /// consumers, as tables, and as a picture in that file; about ten minutes
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "docs/performance.svg",
        conflicts_with_all = ["matrix", "scale", "prefetch"]
    )]
    plot: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// The roles in which the bench starts itself.
#[derive(Debug, Subcommand)]
enum Role {
    /// A native consumer
    #[command(hide = true)]
    Native(native::Native),
    /// A consumer without a library
    #[command(hide = true)]
    Bare(null::Bare),
    /// A broker that stores nothing
    #[command(hide = true)]
    NullBroker(null::NullBroker),
    /// A service with axum and lapin
    #[command(hide = true)]
    HttpByHand(http::ByHand),
}

impl Options {
    /// The other build that takes part.
    fn other(&self) -> Option<Contender> {
        self.other_build().map(Contender::HiveOther)
    }

    fn other_build(&self) -> Option<&'static Path> {
        let program = self.against.clone()?;
        // Whoever is compared is a small value for as long as the bench runs.
        Some(Box::leak(program.into_boxed_path()))
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    match options.role {
        Some(Role::Native(native)) => native.run(),
        Some(Role::Bare(bare)) => bare.run(),
        Some(Role::NullBroker(broker)) => broker.run(),
        Some(Role::HttpByHand(service)) => service.run(),
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(compare(options))
        }
    }
}

async fn compare(options: Options) -> Result<()> {
    if options.brokers {
        return brokers::measure(&options).await;
    }
    if options.null {
        return null::measure(&options);
    }
    if let Some(pages) = options.pages {
        return pages::measure(pages, options.rounds, options.prefetch).await;
    }
    let broker = Broker::private().await?;
    if let Some(file) = &options.plot {
        return draw(&broker, &options, file).await;
    }
    say(&report::machine());
    if let Some(queues) = options.scale {
        return scale::measure(&broker, queues).await;
    }
    if let Some(queues) = options.hosts {
        return hosts::measure(&broker, queues, &options.queues).await;
    }
    if let Some(flood) = options.fairness {
        return fairness::measure(&broker, flood, options.rounds.unwrap_or(3)).await;
    }
    if options.http {
        return http::measure(&broker, &options).await;
    }
    if options.memory {
        return memory::measure(&broker).await;
    }
    small::measure(&broker).await?;
    let contenders = Contender::ALL.into_iter().chain(options.other());
    let contenders = contenders.filter(|one| {
        let is_there = one.is_there();
        if !is_there {
            say(&format!(
                "{} is not here: scripts/prepare-contenders gets it",
                one.name()
            ));
        }
        is_there && wanted(one.name(), &options.only)
    });
    let contenders: Vec<Contender> = contenders.collect();
    let bouts = if options.matrix {
        Bout::all(options.prefetch)
    } else {
        Bout::of_the_aims(options.prefetch)
    };
    for bout in bouts
        .into_iter()
        .filter(|bout| wanted(&bout.to_string(), &options.bout))
    {
        let ring = Ring::enter(&broker, bout, options.messages.unwrap_or(100)).await?;
        let mut table = Table::default();
        let contenders = contenders.iter().copied();
        let contenders: Vec<_> = contenders.filter(|one| one.takes_part_in(&bout)).collect();
        for round in 0..options.rounds.unwrap_or(5) {
            for contender in turns(&contenders, round) {
                let taken = ring.run(contender).await;
                table.add(contender, taken.with_context(|| contender.name())?);
            }
        }
        say(&table.text(&bout));
    }
    Ok(())
}

async fn draw(broker: &Broker, options: &Options, file: &Path) -> Result<()> {
    let rounds = options.rounds.unwrap_or(3);
    let percent = options.messages.unwrap_or(40);
    let caption = report::caption(broker, rounds)?;
    say(&caption.join("\n"));
    let mut sweeps = Vec::new();
    for sweep in Sweep::ALL {
        let is_wanted = |contender: Contender| wanted(contender.name(), &options.only);
        if !wanted(sweep.name(), &options.bout) || !sweep.is_for(is_wanted) {
            continue;
        }
        let points = sweep.measure(broker, rounds, percent, is_wanted).await?;
        say(&report::sweep(sweep, &points));
        sweeps.push((sweep, points));
    }
    ensure!(!sweeps.is_empty(), "nothing is left to be measured");
    let [conditions, machine] = &caption;
    std::fs::write(file, plot::svg([conditions, machine], &sweeps)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    say(&format!("\nthe picture is in {}", file.display()));
    Ok(())
}

/// Whether a name holds the text that was asked for.
fn wanted(name: &str, text: &Option<String>) -> bool {
    text.as_ref()
        .is_none_or(|text| name.contains(text.as_str()))
}

#[expect(clippy::print_stdout, reason = "the result of a program")]
fn say(text: &str) {
    println!("{text}");
}

/// This program, to be started in another role.
fn myself() -> Result<PathBuf> {
    Ok(std::env::current_exe()?)
}
