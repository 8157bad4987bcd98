//! `dedup` under `kill -9`: nothing is lost, and what is handled twice was in a window that is known.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Stores, Vhost, eventually, scratch};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Mutex;

const SIGKILL: i32 = 9;

fn once(run: usize, consumer_keys: &str, store: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "type = \"classic\"")
        .component(
            "once",
            &format!("config = {{ run = \"{run}\" }}\nlog_lines = 0"),
        )
        .consumer("letters", "once", consumer_keys)
        .section("store", store)
}

/// Which runs of the host handled each message, by what came to `out`.
#[derive(Default, Debug)]
struct Handled(BTreeMap<String, Vec<usize>>);

impl Handled {
    fn add(&mut self, message: &Message) -> Result<()> {
        let text = message.text();
        let (run, body) = text.split_once(' ').context("a run and a body")?;
        self.0
            .entry(body.to_owned())
            .or_default()
            .push(run.parse()?);
        Ok(())
    }

    /// How many messages were handled how often.
    fn table(&self) -> BTreeMap<usize, usize> {
        let mut table = BTreeMap::new();
        for runs in self.0.values() {
            *table.entry(runs.len()).or_default() += 1;
        }
        table
    }

    /// How often one was handled that an earlier run of the host had in its window, by that run.
    fn repeats(&self) -> BTreeMap<usize, usize> {
        let mut repeats = BTreeMap::new();
        for runs in self.0.values() {
            let mut runs = runs.clone();
            runs.sort_unstable();
            for pair in runs.windows(2) {
                *repeats.entry(pair[0]).or_default() += 1;
            }
        }
        repeats
    }
}

/// Ends a host at `step`; two copies of each message are on their way, and every message has to be
/// handled, at most twice where the step is in the window, and then not again.
async fn assert_nothing_is_lost(step: &str, retried: bool) -> Result<()> {
    const MESSAGES: usize = 40;
    let stores = Stores::new().await?;
    for (_, store) in stores.lasting() {
        let vhost = Broker::shared().await?.vhost("dedup").await?;
        vhost.declare_queue("letters", "quorum").await?;
        vhost.declare_queue("out", "classic").await?;
        let folder = scratch("dedup");
        let file = folder.join("hive.toml");
        let keys = "concurrency = 4\nprefetch = 16\ndedup = { key = \"message-id\" }\n\
                    retry = { limit = 3, delays = [\"200ms\"] }";
        let guest = if retried { "fail-until" } else { "once" };
        let toml = |run: usize| {
            HiveToml::new()
                .queue("letters", "")
                .queue("out", "type = \"classic\"")
                .component(guest, &format!("config = {{ run = \"{run}\" }}"))
                .consumer("letters", guest, keys)
                .section("store", &store)
                .text(&vhost)
        };
        let message = |number: usize| {
            let message = Message::new(format!("{number}"))
                .with(|properties| properties.with_message_id(format!("id-{number}").into()));
            if retried {
                message.header("until", 2_i64)
            } else {
                message
            }
        };
        let copies = (0..MESSAGES).flat_map(|number| [message(number), message(number)]);
        vhost.publish_all("", "letters", copies).await?;
        std::fs::write(&file, toml(1))?;
        let mut armed = HostProcess::launch_armed_file(&file, &format!("{step}=10*off->return"))?;
        let status = armed.wait().await?;
        ensure!(
            status.signal() == Some(SIGKILL),
            "it died at {step}: {status}"
        );

        std::fs::write(&file, toml(2))?;
        let mut host = HostProcess::launch_file(&file, &[])?;
        let drained = async || {
            let retrying = vhost.ready("letters.retry.200ms").await.unwrap_or_default();
            let settled = vhost.ready("letters").await? + retrying;
            let in_flight = host
                .metric("hive_deliveries_in_flight{consumer=\"letters\"}")
                .await?;
            Ok((settled, in_flight, vhost.ready("out").await?))
        };
        eventually(
            "all of it was handled",
            drained,
            |(ready, in_flight, out)| {
                *ready == 0 && *in_flight == 0.0 && *out >= u32::try_from(MESSAGES).unwrap_or(0)
            },
        )
        .await?;
        host.stop().await?;
        assert_eq!(vhost.ready("letters").await?, 0);
        assert_eq!(vhost.ready("letters.dead").await?, 0);
        let came: Vec<String> = vhost
            .drain("out")
            .await?
            .iter()
            .map(Message::text)
            .collect();
        let numbers: BTreeSet<&str> = came
            .iter()
            .filter_map(|text| text.rsplit(' ').next())
            .collect();
        assert_eq!(
            numbers.len(),
            MESSAGES,
            "{step}: every message was handled: {came:?}"
        );
        // Of those in hand at the kill each may have been handled already.
        assert!(
            came.len() <= MESSAGES + 16,
            "{step}: {} came: {came:?}",
            came.len()
        );
    }
    Ok(())
}

#[tokio::test]
async fn killed_once_it_has_claimed() -> Result<()> {
    assert_nothing_is_lost("dedup.claimed", false).await
}

#[tokio::test]
async fn killed_between_the_confirmation_and_the_commit() -> Result<()> {
    assert_nothing_is_lost("dedup.committing", false).await
}

#[tokio::test]
async fn killed_between_the_commit_and_the_ack() -> Result<()> {
    assert_nothing_is_lost("dedup.committed", false).await
}

#[tokio::test]
async fn killed_between_the_copy_for_a_retry_and_the_ack() -> Result<()> {
    assert_nothing_is_lost("retry.confirmed", true).await
}

const KEYS: usize = 20_000;
const COPIES: usize = 3;
const KILLS: usize = 10;
const PREFETCH: usize = 100;
const SEED: u64 = 34;

/// Every key three times, at random distances.
fn shuffled() -> Vec<usize> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut numbers: Vec<usize> = (0..KEYS * COPIES).map(|place| place % KEYS).collect();
    for place in (1..numbers.len()).rev() {
        numbers.swap(place, random.random_range(0..=place));
    }
    numbers
}

/// Runs one host after the other, killing each but the last once it has handled its share.
async fn run_and_kill(vhost: &Vhost, file: &Path) -> Result<HostProcess> {
    let keys =
        format!("concurrency = 4\nprefetch = {PREFETCH}\ndedup = {{ key = \"message-id\" }}");
    let launch = |run: usize| {
        std::fs::write(file, once(run, &keys, "kind = \"embedded\"").text(vhost))?;
        HostProcess::launch_file(file, &[])
    };
    for run in 1..=KILLS {
        let mut host = launch(run)?;
        let goal = u32::try_from(run * KEYS / (KILLS + 1))?;
        let out = || vhost.ready("out");
        eventually("its share was handled", out, |ready| *ready >= goal).await?;
        host.kill9()?;
    }
    launch(KILLS + 1)
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the table is what the test is for")]
async fn twenty_thousand_keys_thrice_across_ten_kills() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("dedup").await?;
    vhost.declare_queue("letters", "quorum").await?;
    vhost.declare_queue("out", "classic").await?;
    let messages = shuffled().into_iter().map(|number| {
        Message::new(format!("{number}"))
            .with(|properties| properties.with_message_id(format!("id-{number}").into()))
    });
    vhost.publish_all("", "letters", messages).await?;
    let file = scratch("dedup").join("hive.toml");
    let mut host = run_and_kill(&vhost, &file).await?;
    let over = async || {
        let series = "hive_deliveries_in_flight{consumer=\"letters\"}";
        Ok((vhost.ready("letters").await?, host.metric(series).await?))
    };
    eventually("all of it was taken", over, |seen| *seen == (0, 0.0)).await?;
    host.stop().await?;
    assert_eq!(vhost.ready("letters").await?, 0);
    assert_eq!(vhost.ready("letters.dead").await?, 0);

    let handled = Mutex::new(Handled::default());
    let mut left = vhost.ready("out").await?;
    let failed = Mutex::new(None);
    vhost
        .take_until("out", |message| {
            let added = handled.try_lock().map(|mut handled| handled.add(&message));
            if let Ok(Err(error)) = added {
                *failed.try_lock().expect("nobody else has it") = Some(error);
            }
            left -= 1;
            left == 0
        })
        .await?;
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let handled = handled.into_inner();
    eprintln!("seed {SEED}: {KEYS} keys, {COPIES} copies of each, {KILLS} kills");
    eprintln!("handled  keys");
    for (times, keys) in handled.table() {
        eprintln!("{times:>7}  {keys}");
    }
    eprintln!("handled again since the host was killed between the effect and the commit:");
    for (run, repeats) in handled.repeats() {
        eprintln!("  killed in run {run:>2}: {repeats:>3} of at most {PREFETCH} in hand");
        assert!(run <= KILLS, "the last run was not killed");
        assert!(repeats <= PREFETCH, "more than it had in hand");
    }
    assert_eq!(handled.0.len(), KEYS, "every key was handled");
    for (key, runs) in &handled.0 {
        let distinct: BTreeSet<_> = runs.iter().collect();
        assert_eq!(
            distinct.len(),
            runs.len(),
            "{key} was handled twice in one run: {runs:?}"
        );
    }
    Ok(())
}
