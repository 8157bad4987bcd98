//! Delayed publications: kept by the broker in a bounded number of queues, never early, hardly late, and
//! there though the host that published them is not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{HiveToml, Message, eventually};
use tokio::time::Instant;

use crate::consuming;

/// From three seconds on, so that most of them still wait when the host is killed; in steps that no rung
/// of the ladder has, three messages each.
const DELAYS: usize = 40;
const EACH: usize = 3;

/// What a busy machine may add: to the way of a message through the host, and to that through the queues.
const SLACK: Duration = Duration::from_secs(10);

/// Deliveries whose publications the broker has.
const ACKED: &str = r#"hive_deliveries_total{consumer="letters",outcome="acked"}"#;

fn delay(number: usize) -> Duration {
    Duration::from_millis(3000 + 217 * number as u64)
}

/// What is promised.
fn latest(delay: Duration) -> Duration {
    delay + (delay / 10).max(Duration::from_secs(1))
}

/// What came.
#[derive(Debug)]
struct Came {
    began: Instant,
    /// How long it took to publish those that are to come in time.
    published: Duration,
    /// By the number of the delay.
    times: BTreeMap<usize, usize>,
    latest: Duration,
    /// What came before its delay was over, or long after.
    faults: Vec<String>,
    /// What comes now was left behind by the broker.
    is_woken: bool,
}

impl Came {
    /// Whether that was the last one.
    fn note(&mut self, message: &Message) -> bool {
        let text = message.text();
        let (round, number) = text.split_once(' ').unwrap_or_default();
        let number = number.parse().unwrap_or(usize::MAX);
        *self.times.entry(number).or_default() += 1;
        if round == "more" {
            let (took, delay) = (self.began.elapsed(), delay(number));
            self.latest = self.latest.max(took.saturating_sub(delay));
            let is_late = took > latest(delay) + self.published + SLACK;
            if took < delay || is_late && !self.is_woken {
                let fault = format!("{number}, of {delay:?}, came after {took:?}");
                self.faults.push(fault);
            }
        }
        self.times.values().sum::<usize>() == DELAYS * EACH
    }
}

fn later(body: String, delay: Duration) -> Message {
    let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    Message::new(body)
        .text_header("routing-key", "out")
        .header("delay-ms", milliseconds)
}

#[tokio::test]
async fn delayed_publications_come_once_and_in_time_though_the_host_is_killed() -> Result<()> {
    let toml = HiveToml::one("letters", "publish", "concurrency = 4").queue("out", "");
    let (vhost, mut host) = consuming("delays", toml).await?;
    // The queues are made first: on a slow machine that takes longer than the shortest delay.
    let first = (0..DELAYS).map(|number| later(format!("first {number}"), delay(number)));
    vhost.publish_all("", "letters", first).await?;
    let look = || host.metric(ACKED);
    eventually("the first were published", look, |count| {
        *count >= DELAYS as f64
    })
    .await?;
    let began = Instant::now();
    let more = (1..EACH).flat_map(|_| 0..DELAYS);
    let more = more.map(|number| later(format!("more {number}"), delay(number)));
    vhost.publish_all("", "letters", more).await?;
    let all = (DELAYS * EACH) as f64;
    eventually("all were published", look, |count| *count == all).await?;
    let mut came = Came {
        began,
        published: began.elapsed(),
        times: BTreeMap::new(),
        latest: Duration::ZERO,
        faults: Vec::new(),
        is_woken: false,
    };
    host.kill9()?;

    let taking = vhost.take_until("out", |message| came.note(&message));
    let mut woken = 0;
    if taking.await.is_err() {
        // No host is there any more. What the broker has left where it was is late, and not lost.
        came.is_woken = true;
        for queue in delay_queues(vhost.queues()?) {
            woken += vhost.ready(&queue).await?;
            vhost.wake(&queue).await?;
        }
        let rest = vhost.take_until("out", |message| came.note(&message));
        let rest = rest.await;
        rest.with_context(|| format!("some never came, though {woken} were woken; {came:?}"))?;
    }
    assert_eq!(came.faults, Vec::<String>::new());
    assert_eq!(came.times.len(), DELAYS, "{came:?}");
    assert!(came.times.values().all(|times| *times == EACH), "{came:?}");
    assert_eq!(vhost.ready("out").await?, 0, "none came twice");
    let queues = delay_queues(vhost.queues()?);
    for queue in &queues {
        assert_eq!(vhost.ready(queue).await?, 0, "{queue}");
    }
    // A rung for each second up to ten, and two above.
    assert!(queues.len() <= 10, "{DELAYS} delays take {queues:?}");
    report(&format!(
        "{DELAYS} delays from {:?} to {:?} in {} queues; the latest came {:?} after its delay; the \
         broker had left {woken} in their queues",
        delay(0),
        delay(DELAYS - 1),
        queues.len(),
        came.latest
    ));
    Ok(())
}

#[tokio::test]
async fn a_delay_of_more_than_a_day_becomes_a_day_and_none_makes_a_queue_of_its_own() -> Result<()>
{
    let toml = HiveToml::one("letters", "publish", "").queue("out", "");
    let (vhost, mut host) = consuming("delays", toml).await?;
    let hour = Duration::from_secs(3600);
    // Two days, a hundred years, and a bit less than a day.
    let delays = [hour * 48, hour * 24 * 36_500, hour * 24 - hour / 4];
    let messages = delays.map(|delay| later("later".to_owned(), delay));
    vhost.publish_all("", "letters", messages).await?;
    let look = || host.metric(ACKED);
    eventually("all were published", look, |count| *count == 3.0).await?;
    host.stop().await?;
    let queues = delay_queues(vhost.queues()?);
    assert_eq!(queues.len(), 1, "{queues:?}");
    let queue = queues.first().context("it is there")?;
    assert!(queue.contains("24h"), "{queue}");
    vhost.wait_ready(queue, 3).await
}

/// Those that were made on demand.
fn delay_queues(queues: Vec<String>) -> BTreeSet<String> {
    let made = queues.into_iter();
    made.filter(|queue| queue.starts_with("hive.delay."))
        .collect()
}

#[expect(
    clippy::print_stdout,
    reason = "figures are for whoever runs the test with --nocapture"
)]
fn report(text: &str) {
    println!("{text}");
}
