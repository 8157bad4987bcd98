//! Many queues over three hosts, each queue consumed by one of them at a time: how they spread, what a consumer in
//! standby costs, how long a queue stands still when its host is killed, and when it is home again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HostProcess, Message, Version, Vhost, guest, scratch};
use tokio::time::{Instant, sleep};

use super::say;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// The host that is killed.
const KILLED: usize = 1;

/// How often the logs of the hosts are read.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long allocators get to settle.
const SETTLED: Duration = Duration::from_secs(5);

/// Whatever takes longer stands still.
const LONGEST: Duration = Duration::from_secs(1800);

/// A message: the queue, and the round in which it was published.
type Letter = (usize, String);

/// A message that a component has handled: the host, and when, in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Handled {
    host: usize,
    at: u128,
}

pub(crate) async fn measure(broker: &Broker, queues: usize, kind: &str) -> Result<()> {
    let alone = resident_with_one(broker, kind).await?;
    let vhost = broker.vhost("hosts").await?;
    let begun = Instant::now();
    let mut hosts = Vec::new();
    for name in NAMES {
        hosts.push(launch(&vhost, name, queues, kind)?);
    }
    for host in &hosts {
        subscribed(host, queues).await?;
    }
    say(&format!(
        "\n{queues} {kind} queues, three hosts, one broker ({:?}): all three subscribed to all of them after {:.1} s",
        vhost.version(),
        begun.elapsed().as_secs_f64()
    ));
    sleep(SETTLED).await;
    for (name, host) in NAMES.iter().zip(&hosts) {
        let resident = host.usage()?.resident_kib;
        let more = u32::try_from(resident.saturating_sub(alone))?;
        say(&format!(
            "host {name}: {resident} KiB, {:.1} KiB for each consumer, none of which has handled anything",
            f64::from(more) / f64::from(u32::try_from(queues)?)
        ));
    }
    let homes = spread(&vhost, &hosts, queues).await?;
    let of_the_killed: Vec<usize> = (0..queues).filter(|queue| homes[queue] == KILLED).collect();
    followed(&vhost, &mut hosts, &of_the_killed).await?;
    match vhost.version() >= Version::V4_0 && kind == "quorum" {
        true => home_again(&vhost, &mut hosts, queues, &of_the_killed).await?,
        false => say("these queues do not move back to a host that returns"),
    }
    let again = handled(&hosts)
        .values()
        .filter(|times| times.len() > 1)
        .count();
    say(&format!(
        "{again} messages were handled more than once, none was lost"
    ));
    for host in &mut hosts {
        host.stop().await?;
    }
    Ok(())
}

/// The memory of a host with one consumer.
async fn resident_with_one(broker: &Broker, kind: &str) -> Result<u64> {
    let vhost = broker.vhost("one-queue").await?;
    let mut host = launch(&vhost, NAMES[0], 1, kind)?;
    subscribed(&host, 1).await?;
    sleep(SETTLED).await;
    let resident = host.usage()?.resident_kib;
    host.stop().await?;
    Ok(resident)
}

/// One message for each queue says which host consumes it.
async fn spread(
    vhost: &Vhost,
    hosts: &[HostProcess],
    queues: usize,
) -> Result<BTreeMap<usize, usize>> {
    let letters = publish(vhost, 0..queues, "spread").await?;
    let handled = wait_for(hosts, &letters).await?;
    let homes: BTreeMap<usize, usize> = letters
        .iter()
        .map(|letter| (letter.0, handled[letter][0].host))
        .collect();
    let even = float(queues)? / float(NAMES.len())?;
    for (host, name) in NAMES.iter().enumerate() {
        let has = homes.values().filter(|home| **home == host).count();
        say(&format!(
            "host {name} consumes {has} queues: {:+.1} % of an even share",
            (float(has)? / even - 1.0) * 100.0
        ));
    }
    Ok(homes)
}

/// A host is killed that holds a message of each of its queues: until another host has handled each.
async fn followed(vhost: &Vhost, hosts: &mut [HostProcess], queues: &[usize]) -> Result<()> {
    hosts[KILLED].sigstop();
    let letters = publish(vhost, queues.iter().copied(), "killed").await?;
    // The broker hands them to the host that does not read.
    sleep(Duration::from_secs(1)).await;
    let killed = now()?;
    hosts[KILLED].kill9()?;
    let handled = wait_for(hosts, &letters).await?;
    let stood: Vec<u128> = letters
        .iter()
        .map(|letter| handled[letter][0].at.saturating_sub(killed))
        .collect();
    let after: Vec<usize> = letters
        .iter()
        .map(|letter| handled[letter][0].host)
        .collect();
    let parts: Vec<String> = NAMES
        .iter()
        .enumerate()
        .filter(|(host, _)| *host != KILLED)
        .map(|(host, name)| {
            let took = after.iter().filter(|one| **one == host).count();
            format!("{took} by {name}")
        })
        .collect();
    report("killed: its queues were consumed again", stood)?;
    say(&format!("taken over: {}", parts.join(", ")));
    Ok(())
}

/// The host is started again: until it has handled a message of each of its queues.
async fn home_again(
    vhost: &Vhost,
    hosts: &mut [HostProcess],
    queues: usize,
    homes: &[usize],
) -> Result<()> {
    let started = now()?;
    let begun = Instant::now();
    hosts[KILLED] = launch(vhost, NAMES[KILLED], queues, "quorum")?;
    let mut away: BTreeSet<usize> = homes.iter().copied().collect();
    let mut all = BTreeSet::new();
    let mut took = Vec::new();
    for round in 0.. {
        ensure!(begun.elapsed() < LONGEST, "{} queues stay away", away.len());
        let letters = publish(vhost, away.iter().copied(), &format!("home-{round}")).await?;
        let handled = wait_for(hosts, &letters).await?;
        for letter in &letters {
            let first = handled[letter][0];
            if first.host == KILLED {
                away.remove(&letter.0);
                took.push(first.at.saturating_sub(started));
            }
        }
        all.extend(letters);
        if away.is_empty() {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    subscribed(&hosts[KILLED], queues).await?;
    let subscribed = begun.elapsed().as_secs_f64();
    say(&format!(
        "started again: subscribed to everything after {subscribed:.1} s"
    ));
    report("started again: its queues were home", took)
}

fn report(what: &str, mut times: Vec<u128>) -> Result<()> {
    times.sort_unstable();
    let seconds = |time: Option<&u128>| -> Result<f64> {
        let milliseconds = time.context("no queue")? / 1000;
        Ok(f64::from(u32::try_from(milliseconds)?) / 1000.0)
    };
    say(&format!(
        "{what} after {:.2} s (median), {:.2} s (longest of {})",
        seconds(times.get(times.len() / 2))?,
        seconds(times.last())?,
        times.len()
    ));
    Ok(())
}

async fn publish(
    vhost: &Vhost,
    queues: impl IntoIterator<Item = usize>,
    round: &str,
) -> Result<Vec<Letter>> {
    let letters: Vec<Letter> = queues
        .into_iter()
        .map(|queue| (queue, round.to_owned()))
        .collect();
    let messages = letters.iter().map(|(queue, round)| {
        let body = format!("{round} {queue}");
        (name(*queue), Message::new(body))
    });
    vhost.publish_each("", messages).await?;
    Ok(letters)
}

/// Waits until each of these letters was handled.
async fn wait_for(
    hosts: &[HostProcess],
    letters: &[Letter],
) -> Result<BTreeMap<Letter, Vec<Handled>>> {
    let begun = Instant::now();
    loop {
        let handled = handled(hosts);
        let left = letters
            .iter()
            .filter(|letter| !handled.contains_key(letter))
            .count();
        if left == 0 {
            return Ok(handled);
        }
        ensure!(begun.elapsed() < LONGEST, "{left} messages are not handled");
        sleep(LOOK_EVERY).await;
    }
}

/// All that the components of the hosts have handled, the first time first.
fn handled(hosts: &[HostProcess]) -> BTreeMap<Letter, Vec<Handled>> {
    let mut all = BTreeMap::<Letter, Vec<Handled>>::new();
    for (host, process) in hosts.iter().enumerate() {
        for line in process.printed() {
            if let Some((letter, at)) = ended(&line) {
                all.entry(letter).or_default().push(Handled { host, at });
            }
        }
    }
    for times in all.values_mut() {
        times.sort_by_key(|handled| handled.at);
    }
    all
}

/// As the guest prints it.
fn ended(line: &str) -> Option<(Letter, u128)> {
    let mut words = line.strip_prefix("ended ")?.split(' ');
    let at = words.next()?.parse().ok()?;
    let round = words.next()?.to_owned();
    let queue = words.next()?.parse().ok()?;
    Some(((queue, round), at))
}

async fn subscribed(host: &HostProcess, queues: usize) -> Result<()> {
    let begun = Instant::now();
    while host.count_events("consumer.subscribed", &[]) < queues {
        ensure!(begun.elapsed() < LONGEST, "not every queue is consumed");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn name(number: usize) -> String {
    format!("tenant-{number:05}")
}

fn launch(vhost: &Vhost, host: &str, queues: usize, kind: &str) -> Result<HostProcess> {
    let file = configuration(vhost, host, queues, kind)?;
    Ok(HostProcess::launch_file(&file, &[])?.quietly())
}

fn configuration(vhost: &Vhost, host: &str, queues: usize, kind: &str) -> Result<PathBuf> {
    let mut text = format!(
        "[host]\nname = \"{host}\"\nadmin = \"127.0.0.1:0\"\nlog_format = \"json\"\n\
         [connections.main]\nurl = \"{}\"\n\
         [components.turns]\npath = \"{}\"\nlog_lines = 1000000\n",
        vhost.url(),
        guest("turns").display()
    );
    for number in 0..queues {
        let name = name(number);
        write!(
            text,
            "[queues.{name}]\ntype = \"{kind}\"\n\
             [consumers.{name}]\nqueue = \"{name}\"\ncomponent = \"turns\"\nplacement = \"single\"\nretry = {{ limit = 0, dead_letter = \"tenants.dead\" }}\n"
        )?;
    }
    let file = scratch("hosts").join("hive.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

fn now() -> Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())
}

fn float(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
