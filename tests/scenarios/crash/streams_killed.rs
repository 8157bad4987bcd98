//! A stream of 100,000 messages, read to its end by hosts that are killed with `kill -9` one after the
//! other: every offset is handled, and few are handled twice.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hive_tests::{Broker, HostProcess, Message, eventually_within, scratch};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

use crate::stream::streams::reading;

const MESSAGES: u32 = 100_000;
const KILLS: u32 = 10;
const PART: u32 = MESSAGES / KILLS;
const SEED: u64 = 36;

#[tokio::test]
#[expect(
    clippy::print_stderr,
    reason = "the counts are for whoever reads the run"
)]
async fn every_offset_is_handled_across_ten_kills() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("streamed").await?;
    vhost.declare_queue("events", "stream").await?;
    vhost.declare_queue("out", "classic").await?;
    let toml = reading("offset = \"first\"", "concurrency = 4");
    let file = scratch("streamed").join("hive.toml");
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut reached = 0;
    // A part for each host: with all of it for the first, a quick one leaves nothing to be killed over.
    for kill in 0..KILLS {
        let part = kill * PART..(kill + 1) * PART;
        let messages = part.map(|number| Message::new(number.to_string()));
        vhost.publish_all("", "events", messages).await?;
        let mut host = HostProcess::run_file(&vhost, &toml, &file).await?.quietly();
        let target = reached + rng.random_range(PART / 10..PART / 10 * 9);
        let deadline = Duration::from_secs(60);
        let look = || vhost.ready("out");
        reached = eventually_within(deadline, "some are handled", look, |n| *n >= target).await?;
        host.kill9()?;
    }
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?.quietly();
    let stored = "hive_stream_stored_offset{consumer=\"events\",queue=\"events\"}";
    let deadline = Duration::from_secs(120);
    let look = || host.metric(stored);
    let end = f64::from(MESSAGES);
    eventually_within(deadline, "it was read to the end", look, |n| *n == end).await?;
    host.stop().await?;

    let (mut left, mut times) = (vhost.ready("out").await?, BTreeMap::<u32, u32>::new());
    let mut faults = Vec::new();
    vhost
        .take_until("out", |message| {
            match numbers(&message) {
                Ok((offset, body)) if offset == body => *times.entry(offset).or_default() += 1,
                other => faults.push(other),
            }
            left -= 1;
            left == 0
        })
        .await?;
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(times.len(), MESSAGES as usize, "every offset was handled");
    let more = |than: u32| times.values().filter(|count| **count > than).count();
    eprintln!(
        "{MESSAGES} offsets, {KILLS} kills: {} handled more than once, {} of them more than twice",
        more(1),
        more(2)
    );
    // Each kill repeats what was handled since the last write, 200 ms before at most, and what was in hand.
    assert!(more(1) < MESSAGES as usize / 2, "it goes on, not over");
    Ok(())
}

/// The offset and the body that it was told with.
fn numbers(message: &Message) -> Result<(u32, u32)> {
    let text = message.text();
    let (offset, body) = text.split_once(' ').context("there are two words")?;
    Ok((offset.parse()?, body.parse()?))
}
