//! How fast a component consumes, as a ratio against plain lapin consumers on the same broker.
//!
//! A queue is filled, then emptied by one contender; the time runs from the last look that saw it
//! full to the first that saw it empty, by the broker's own count. Contenders take turns, round by
//! round, so that whatever else the machine does in the meantime meets them all.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use futures_util::StreamExt;
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep};

const QUEUE: &str = "bench";
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Compares hive-host with plain lapin consumers.
#[derive(Debug, Parser)]
struct Options {
    /// Messages in each run
    #[arg(long, default_value_t = 100_000)]
    messages: u32,
    /// Bytes in each message
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Runs of each contender
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Unacknowledged messages that the broker lets out at once
    #[arg(long, default_value_t = 500)]
    prefetch: u16,
    /// The type of the queue: classic or quorum
    #[arg(long, default_value = "classic")]
    queue: String,
    /// Deliveries that the host handles at once
    #[arg(long, default_value_t = 4)]
    concurrency: u16,
}

#[derive(Debug, Clone, Copy)]
enum Contender {
    AckEach,
    AckCoalesced,
    Hive,
}

const CONTENDERS: [Contender; 3] = [Contender::AckEach, Contender::AckCoalesced, Contender::Hive];

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::AckEach => "lapin, one ack each",
            Self::AckCoalesced => "lapin, acks coalesced",
            Self::Hive => "hive-host, ack component",
        }
    }

    /// Empties the queue, and gives the time that it took.
    async fn run(self, vhost: &Vhost, options: &Options) -> Result<Duration> {
        match self {
            Self::AckEach => plain(vhost, options, 1).await,
            Self::AckCoalesced => plain(vhost, options, u32::from(options.prefetch / 4)).await,
            Self::Hive => hive(vhost, options).await,
        }
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the result of a program")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let broker = Broker::private().await?;
    let vhost = broker.vhost("bench").await?;
    vhost.declare_queue(QUEUE, &options.queue).await?;
    println!(
        "{} messages of {} bytes, {} queue, prefetch {}, messages a second:",
        options.messages, options.size, options.queue, options.prefetch
    );
    let mut rates = [const { Vec::new() }; CONTENDERS.len()];
    for round in 1..=options.rounds {
        for (contender, rates) in CONTENDERS.iter().zip(&mut rates) {
            fill(&vhost, &options).await?;
            let taken = contender.run(&vhost, &options).await?;
            let rate = f64::from(options.messages) / taken.as_secs_f64();
            println!("  round {round}  {:<26} {rate:>8.0}", contender.name());
            rates.push(rate);
        }
    }
    let medians = rates.map(median);
    println!(
        "\n{:<28} {:>8}  {:>10}  {:>10}",
        "", "median", "to each", "to coalesced"
    );
    for (contender, rate) in CONTENDERS.iter().zip(medians) {
        let (each, coalesced) = (rate / medians[0], rate / medians[1]);
        println!(
            "{:<28} {rate:>8.0}  {each:>10.2}  {coalesced:>10.2}",
            contender.name()
        );
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

async fn fill(vhost: &Vhost, options: &Options) -> Result<()> {
    ensure!(
        vhost.ready(QUEUE).await? == 0,
        "the last run left messages behind"
    );
    let body = vec![b'x'; options.size];
    let messages = (0..options.messages).map(|_| Message::new(body.clone()));
    vhost.publish_all("", QUEUE, messages).await
}

async fn hive(vhost: &Vhost, options: &Options) -> Result<Duration> {
    let keys = format!(
        "prefetch = {}\nconcurrency = {}",
        options.prefetch, options.concurrency
    );
    let toml = HiveToml::new()
        .queue(QUEUE, &format!("type = \"{}\"", options.queue))
        .component("ack", "")
        .consumer(QUEUE, "ack", &keys);
    let mut host = HostProcess::launch(&toml.text(vhost))?.quietly();
    let taken = time_to_empty(vhost, options.messages).await?;
    host.stop().await?;
    Ok(taken)
}

async fn plain(vhost: &Vhost, options: &Options, ack_every: u32) -> Result<Duration> {
    let channel = vhost.channel().await?;
    let consumer = consume(&channel, options, ack_every);
    let ((), taken) = tokio::try_join!(consumer, time_to_empty(vhost, options.messages))?;
    channel.close(200, "done".into()).await?;
    Ok(taken)
}

async fn consume(channel: &Channel, options: &Options, ack_every: u32) -> Result<()> {
    channel
        .basic_qos(options.prefetch, BasicQosOptions::default())
        .await?;
    let mut deliveries = channel
        .basic_consume(
            QUEUE.into(),
            "plain".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let acks = BasicAckOptions {
        multiple: ack_every > 1,
    };
    for number in 1..=options.messages {
        let Some(delivery) = deliveries.next().await else {
            break;
        };
        let delivery = delivery?;
        if number % ack_every == 0 || number == options.messages {
            delivery.ack(acks).await?;
        }
    }
    Ok(())
}

/// Looks at the queue while somebody else empties it.
async fn time_to_empty(vhost: &Vhost, full: u32) -> Result<Duration> {
    let channel = vhost.channel().await?;
    let mut start = Instant::now();
    loop {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare(QUEUE.into(), passive, FieldTable::default())
            .await?;
        let now = Instant::now();
        match queue.message_count() {
            ready if ready == full => start = now,
            0 => {
                channel.close(200, "done".into()).await?;
                return Ok(now - start);
            }
            _ => {}
        }
        sleep(LOOK_EVERY).await;
    }
}
