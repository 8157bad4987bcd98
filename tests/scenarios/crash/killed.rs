//! `kill -9` of the host at each step of a delivery: what was in hand comes again, nothing is lost.
//!
//! A failpoint, which no release has, ends the process at a step of the settlement law after some
//! deliveries have passed it; an ordinary host then finds what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually};
use tokio::sync::Mutex;

const MESSAGES: usize = 60;
const SIGKILL: i32 = 9;

/// What the messages ask for, and the queue that it leads them to.
const PUBLISH: (&str, &str) = ("publish", "out");
const RETRY: (&str, &str) = ("retry", "out");
const REJECT: (&str, &str) = ("reject", "letters.dead");

/// Where retries wait.
const OWN: &str = r#"retry = { limit = 1, delays = ["200ms"] }"#;
const SHARED: &str = r#"retry = { limit = 1, delays = ["200ms"], queues = "shared" }"#;

/// Ends a host at `step`, after it was passed `passes` times, and accounts for every message.
async fn assert_nothing_is_lost(
    step: &str,
    passes: u32,
    (behaviour, queue): (&str, &str),
) -> Result<()> {
    assert_nothing_is_lost_by(("soak", OWN), step, passes, (behaviour, queue)).await
}

/// The same in batches.
async fn assert_no_batch_is_lost(step: &str, passes: u32, asked: (&str, &str)) -> Result<()> {
    let keys = format!("{OWN}\nbatch = {{ size = 7, wait = \"300ms\" }}");
    assert_nothing_is_lost_by(("batch", &keys), step, passes, asked).await
}

async fn assert_nothing_is_lost_by(
    (guest, keys): (&str, &str),
    step: &str,
    passes: u32,
    (behaviour, queue): (&str, &str),
) -> Result<()> {
    let vhost = Broker::shared().await?.vhost("killed").await?;
    let keys = format!("concurrency = 4\n{keys}");
    let toml = HiveToml::one("letters", guest, &keys).queue("out", "");
    vhost.declare_queue("letters", "quorum").await?;
    vhost.declare_queue("out", "quorum").await?;
    let messages = (0..MESSAGES).map(|number| {
        Message::new(format!("{number} {behaviour}"))
            .with(|properties| properties.with_message_id(format!("id-{number}").into()))
    });
    vhost.publish_all("", "letters", messages).await?;

    let failpoints = match passes {
        0 => format!("{step}=return"),
        _ => format!("{step}={passes}*off->return"),
    };
    let mut armed = HostProcess::launch_armed(&toml.text(&vhost), &failpoints)?;
    let status = armed.wait().await?;
    assert_eq!(
        status.signal(),
        Some(SIGKILL),
        "it died at {step}: {status}"
    );

    let mut host = HostProcess::run(&vhost, &toml).await?;
    let seen = all_numbers(&vhost, queue).await?;
    for (number, ids) in seen {
        assert_eq!(ids.len(), 1, "{number} has one id, however often: {ids:?}");
    }
    // All came; repeats of some may still be on their way. A batch of them that a stop finds goes back.
    let look = async || waiting(&vhost).await;
    eventually("no repeat waits", look, BTreeMap::is_empty).await?;
    host.stop().await?;
    if queue != "letters.dead" {
        assert_eq!(vhost.ready("letters.dead").await?, 0, "no retry too many");
    }
    Ok(())
}

/// The messages in the consumed queue and in those of retries, by queue, where there are any.
async fn waiting(vhost: &Vhost) -> Result<BTreeMap<String, u32>> {
    let mut waiting = BTreeMap::new();
    for queue in vhost.queues()? {
        let delays = queue.contains(".retry.") || queue.starts_with("hive.retries.");
        if delays || queue == "letters" {
            let ready = vhost.ready(&queue).await?;
            if ready > 0 {
                waiting.insert(queue, ready);
            }
        }
    }
    Ok(waiting)
}

/// Waits until every number came to `queue`, and gives the message ids that each came with.
async fn all_numbers(vhost: &Vhost, queue: &str) -> Result<BTreeMap<usize, BTreeSet<String>>> {
    let seen: Mutex<BTreeMap<usize, BTreeSet<String>>> = Mutex::default();
    let look = async || {
        let mut seen = seen.lock().await;
        for message in vhost.drain(queue).await? {
            let text = message.text();
            let number = text.split(' ').next().unwrap_or_default().parse()?;
            let id = message.properties.message_id().as_ref();
            let id = id.context("it has no message-id")?.to_string();
            seen.entry(number).or_default().insert(id);
        }
        Ok(seen.len())
    };
    let what = format!("every message came to `{queue}`");
    eventually(&what, look, |count| *count == MESSAGES).await?;
    Ok(seen.into_inner())
}

#[tokio::test]
async fn before_the_component_has_seen_it() -> Result<()> {
    assert_nothing_is_lost("delivery.received", 20, PUBLISH).await
}

#[tokio::test]
async fn after_the_component_has_answered() -> Result<()> {
    assert_nothing_is_lost("delivery.handled", 20, PUBLISH).await
}

#[tokio::test]
async fn before_its_publication_is_confirmed() -> Result<()> {
    assert_nothing_is_lost("publish.submitted", 20, PUBLISH).await
}

#[tokio::test]
async fn between_the_confirmation_and_the_ack() -> Result<()> {
    assert_nothing_is_lost("publish.confirmed", 20, PUBLISH).await
}

#[tokio::test]
async fn between_the_copy_for_a_retry_and_the_ack() -> Result<()> {
    assert_nothing_is_lost("retry.confirmed", 20, RETRY).await
}

#[tokio::test]
async fn between_the_copy_in_a_shared_delay_queue_and_the_ack() -> Result<()> {
    assert_nothing_is_lost_by(("soak", SHARED), "retry.confirmed", 20, RETRY).await
}

#[tokio::test]
async fn between_the_dead_letter_and_the_ack() -> Result<()> {
    assert_nothing_is_lost("dead.confirmed", 20, REJECT).await
}

#[tokio::test]
async fn before_the_ack_is_sent() -> Result<()> {
    assert_nothing_is_lost("ack.queued", 20, PUBLISH).await
}

#[tokio::test]
async fn after_an_ack_is_sent() -> Result<()> {
    assert_nothing_is_lost("ack.sent", 0, PUBLISH).await
}

#[tokio::test]
async fn between_gathering_a_batch_and_the_call() -> Result<()> {
    assert_no_batch_is_lost("batch.gathered", 3, PUBLISH).await
}

#[tokio::test]
async fn while_a_batch_is_gathered() -> Result<()> {
    assert_no_batch_is_lost("delivery.received", 24, PUBLISH).await
}

#[tokio::test]
async fn in_the_middle_of_settling_a_batch() -> Result<()> {
    assert_no_batch_is_lost("delivery.handled", 24, PUBLISH).await
}

#[tokio::test]
async fn between_the_confirmation_and_the_ack_of_one_of_a_batch() -> Result<()> {
    assert_no_batch_is_lost("publish.confirmed", 24, PUBLISH).await
}

#[tokio::test]
async fn between_the_copy_for_a_retry_and_the_ack_of_one_of_a_batch() -> Result<()> {
    assert_no_batch_is_lost("retry.confirmed", 24, RETRY).await
}

#[tokio::test]
async fn between_the_acks_of_a_batch() -> Result<()> {
    assert_no_batch_is_lost("ack.queued", 24, PUBLISH).await
}
