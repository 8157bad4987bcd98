//! The orders example on live input, on a RabbitMQ of its own, with what the broker counted at the
//! end.
//!
//! It ends with a failure where an order was lost: neither priced, nor dead-lettered, nor waiting.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hive_tests::{Broker, HostProcess, Message, Vhost, example, example_component};
use tokio::time::{Instant, sleep};

const EXCHANGE: &str = "orders";
const QUEUE: &str = "orders.created";
const CREATED: &str = "order.created";
/// The routing key of a priced order from any country.
const PRICED: &str = "order.priced.#";
/// Where the demo listens for what the component publishes.
const LISTENER: &str = "demo.priced";

/// How often each sample is sent, and the pause between two orders: live, and readable.
const TIMES: usize = 4;
const PAUSE: Duration = Duration::from_millis(150);
/// How long the retries of the last order may take.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The state of the orders so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    priced: u64,
    retries: u64,
    /// Dead messages, by the reason that they carry.
    dead: BTreeMap<String, u64>,
    /// In the queue or in one of its delay queues.
    waiting: u64,
}

impl Tally {
    fn dead(&self) -> u64 {
        self.dead.values().sum()
    }

    /// Getting more than was sent is not a loss: a message may be delivered twice, and is then priced twice.
    fn lost(&self) -> u64 {
        self.sent
            .saturating_sub(self.priced + self.dead() + self.waiting)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  orders sent            {:>6}", self.sent)?;
        writeln!(f, "  priced                 {:>6}", self.priced)?;
        writeln!(f, "  retried                {:>6}  times", self.retries)?;
        writeln!(f, "  dead-lettered          {:>6}", self.dead())?;
        for (reason, count) in &self.dead {
            writeln!(f, "    {reason:<20} {count:>6}")?;
        }
        writeln!(f, "  still waiting          {:>6}", self.waiting)?;
        write!(f, "  lost                   {:>6}", self.lost())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    say("starting a private RabbitMQ");
    let broker = Broker::private().await?;
    let vhost = broker.vhost("demo").await?;
    say("starting hive-host on examples/orders/hive.toml");
    example_component("orders");
    let toml = example("orders").join("hive.toml");
    let variables = [("RABBITMQ_URL", vhost.url())];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut host = HostProcess::launch_file(&toml, &variables)?.quietly();
    host.wait_for_start()
        .await
        .with_context(|| host.lines().join("\n"))?;
    vhost.declare_queue(LISTENER, "classic").await?;
    vhost.bind(LISTENER, EXCHANGE, PRICED).await?;

    let mut tally = Tally::default();
    send(&vhost, &mut tally).await?;
    follow(&vhost, &mut tally).await?;
    host.stop().await?;
    count_the_rest(&vhost, &mut tally).await?;
    say(&format!("what the broker counted:\n{tally}"));
    if tally.lost() > 0 {
        bail!("{} orders were lost", tally.lost());
    }
    Ok(())
}

/// Publishes the samples of the example in turns, and reports the results meanwhile.
async fn send(vhost: &Vhost, tally: &mut Tally) -> Result<()> {
    let samples = samples()?;
    for (name, body) in samples.iter().cycle().take(samples.len() * TIMES) {
        tally.sent += 1;
        let id = format!("demo-{}", tally.sent);
        let message = Message::new(body.clone()).with(|properties| {
            properties
                .with_message_id(id.as_str().into())
                .with_content_type("application/json".into())
        });
        vhost.publish(EXCHANGE, CREATED, message).await?;
        say(&format!("sent      {id:<9} {name}"));
        tell_priced(vhost, tally).await?;
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Waits until every order has come to an end, or for as long as there is patience.
async fn follow(vhost: &Vhost, tally: &mut Tally) -> Result<()> {
    let dead_letters = format!("{QUEUE}.dead");
    let deadline = Instant::now() + PATIENCE;
    let mut told = 0;
    loop {
        tell_priced(vhost, tally).await?;
        let dead = u64::from(vhost.ready(&dead_letters).await?);
        if dead > told {
            say(&format!("dead      {dead} so far"));
            told = dead;
        }
        if tally.priced + dead >= tally.sent || Instant::now() > deadline {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn tell_priced(vhost: &Vhost, tally: &mut Tally) -> Result<()> {
    for message in vhost.drain(LISTENER).await? {
        tally.priced += 1;
        say(&format!("priced    {}", one_line(&message.text())));
    }
    Ok(())
}

/// Counts the messages in the queues, when nothing changes them any more.
async fn count_the_rest(vhost: &Vhost, tally: &mut Tally) -> Result<()> {
    tell_priced(vhost, tally).await?;
    tally.waiting = u64::from(vhost.ready(QUEUE).await?);
    let delays = format!("{QUEUE}.retry.");
    for queue in vhost
        .queues()?
        .iter()
        .filter(|queue| queue.starts_with(&delays))
    {
        tally.waiting += u64::from(vhost.ready(queue).await?);
        let stats = &vhost.counters(queue)?["message_stats"];
        tally.retries += stats["publish"].as_u64().unwrap_or(0);
    }
    for message in vhost.drain(&format!("{QUEUE}.dead")).await? {
        let reason = message.text_of("x-hive-reason").unwrap_or_default();
        let error = message.text_of("x-hive-error").unwrap_or_default();
        say(&format!("dead      {reason}: {}", one_line(&error)));
        *tally.dead.entry(reason).or_default() += 1;
    }
    Ok(())
}

/// The example's sample messages, by their file names.
fn samples() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = example("orders").join("messages");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot read the samples in {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    let read = |path: PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((name, std::fs::read(&path)?))
    };
    paths.into_iter().map(read).collect()
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(100).collect()
}

#[expect(clippy::print_stdout, reason = "showing is all that a demo does")]
fn say(what: &str) {
    println!("{what}");
}
