//! The broker in the process against RabbitMQ 4.3: conversations that are made from a seed and held with both, where
//! everything that the client sees is compared. Where the two differ, the test fails, or docs/broker.md names it and
//! the conversations leave it out.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use hive_tests::{Broker, HostProcess, Speaker, Step, Version, conversation, difference};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::time::Instant;

/// `HIVE_CONVERSATIONS=1000..9000` holds others.
const SEEDS: std::ops::Range<u64> = 0..300;

/// The longest conversation, without the steps that make something to talk about.
const STEPS: usize = 40;

/// Held side by side.
const AT_ONCE: usize = 6;

/// For RabbitMQ to show what the other has shown. Only a difference waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// For making the conversation short in which the two differ, and the patience in the meantime.
const SHRINKING: Duration = Duration::from_secs(60);
const LESS_PATIENCE: Duration = Duration::from_secs(2);

fn seeds() -> Result<std::ops::Range<u64>> {
    let Ok(wanted) = std::env::var("HIVE_CONVERSATIONS") else {
        return Ok(SEEDS);
    };
    let (from, to) = wanted
        .split_once("..")
        .context("HIVE_CONVERSATIONS=FROM..TO")?;
    Ok(from.parse()?..to.parse()?)
}

/// The same for the same seed.
fn conversation_of(seed: u64) -> Result<impl ValueTree<Value = Vec<Step>>> {
    let mut octets = [0; 32];
    octets[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let tree = conversation(STEPS).new_tree(&mut runner);
    tree.map_err(|reason| anyhow::anyhow!("seed {seed}: {reason}"))
}

/// Holds one conversation; gives the shortest course that was found in which the two differ.
async fn hold(rabbitmq: &Speaker, memory: &Speaker, seed: u64) -> Result<Option<String>> {
    let mut tree = conversation_of(seed)?;
    let prefix = format!("{seed}-");
    let found = difference(rabbitmq, memory, &prefix, &tree.current(), PATIENCE).await?;
    let Some(mut shortest) = found else {
        return Ok(None);
    };
    let start = Instant::now();
    let mut trial = 0;
    let mut is_simpler = tree.simplify();
    while is_simpler && start.elapsed() < SHRINKING {
        trial += 1;
        let prefix = format!("{seed}-{trial}-");
        let steps = tree.current();
        is_simpler = match difference(rabbitmq, memory, &prefix, &steps, LESS_PATIENCE).await? {
            Some(course) => {
                shortest = course;
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    Ok(Some(format!("seed {seed}:\n{shortest}")))
}

#[tokio::test]
#[expect(
    clippy::print_stdout,
    reason = "the counts are for whoever reads the run"
)]
async fn generated_conversations_go_as_with_rabbitmq() -> Result<()> {
    let rabbitmq = Broker::shared().await?;
    let why = "the broker in the process is like RabbitMQ 4.3";
    let test = "generated_conversations_go_as_with_rabbitmq";
    if !rabbitmq.version().is_one_of(&[Version::V4_3], test, why) {
        return Ok(());
    }
    let vhost = rabbitmq.vhost("conversations").await?;
    let reference = Speaker {
        name: "RabbitMQ",
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, rabbitmq.port())),
        vhost: vhost.name().to_owned(),
    };
    let mut process = HostProcess::launch_command(&["broker", "--port", "0"])?;
    let url = process.wait_for_output("amqp://").await?;
    let address = url.split(['@', '/']).nth(3).context("an address")?;
    let memory = Speaker {
        name: "hive-broker",
        address: address.parse()?,
        vhost: "/".to_owned(),
    };
    let (start, seeds) = (Instant::now(), seeds()?);
    let held = stream::iter(seeds.clone()).map(|seed| hold(&reference, &memory, seed));
    let held = held.buffer_unordered(AT_ONCE);
    let different: Vec<String> = held
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await?;
    println!(
        "{} conversations in {:?}, {} differ",
        seeds.count(),
        start.elapsed(),
        different.len()
    );
    process.stop().await?;
    if !different.is_empty() {
        bail!("{}", different.join("\n"));
    }
    Ok(())
}
