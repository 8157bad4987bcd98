//! A retry copy says why it waits, and until when; no component sees that.

use anyhow::{Context, Result};
use hive_tests::{HiveToml, HostProcess, Message, eventually};
use lapin::types::AMQPValue;

use crate::consuming;

const WAITS_FOR_AN_HOUR: &str = r#"retry = { limit = 4, delays = ["1h"] }"#;

/// What a copy of another host says, and what a component would publish if it saw it.
const NOTES: [&str; 7] = [
    "x-hive-retry-reason",
    "x-hive-retry-error",
    "x-hive-retry-limit",
    "x-hive-retry-time",
    "x-hive-retry-due",
    "x-hive-retry-consumer",
    "x-hive-retry-queue",
];

fn time_of(message: &Message, name: &str) -> Result<u64> {
    match message.value(name) {
        Some(AMQPValue::Timestamp(seconds)) => Ok(*seconds),
        other => anyhow::bail!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn a_retry_copy_says_why_it_waits_and_until_when() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", WAITS_FOR_AN_HOUR);
    let (vhost, _host) = consuming("sight", toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    let copy = vhost.take_one("letters.retry.1h").await?;
    let text = |name: &str| copy.text_of(name).with_context(|| name.to_owned());
    assert_eq!(text("x-hive-retry-reason")?, "error");
    let error = text("x-hive-retry-error")?;
    assert!(error.contains("cannot take hello"), "{error}");
    assert_eq!(text("x-hive-retry-consumer")?, "letters");
    assert_eq!(text("x-hive-retry-queue")?, "letters");
    assert_eq!(copy.number_of("x-hive-attempt"), Some(2));
    assert_eq!(copy.number_of("x-hive-retry-limit"), Some(4));
    let (time, due) = (
        time_of(&copy, "x-hive-retry-time")?,
        time_of(&copy, "x-hive-retry-due")?,
    );
    // A second that has begun counts as a whole one.
    assert!([3600, 3601].contains(&(due - time)), "{time} to {due}");
    Ok(())
}

/// A delay that no policy names is rounded up, and that is the one which counts.
#[tokio::test]
async fn a_copy_is_due_when_the_delay_of_its_queue_ends() -> Result<()> {
    let toml = HiveToml::one("letters", "retry", r#"retry = { delays = ["1h"] }"#);
    let (vhost, _host) = consuming("sight", toml).await?;
    let asked = Message::new("later").header("delay-ms", 100_500_i64);
    vhost.publish("", "letters", asked).await?;
    let look = async || {
        let queues = vhost.queues()?.into_iter();
        let on_demand = |queue: &String| queue.starts_with("letters.retry.1m43s.");
        Ok(queues.filter(on_demand).collect::<Vec<_>>())
    };
    let queues = eventually("the queue is made", look, |found| found.len() == 1).await?;
    let queue = queues[0].clone();
    let copy = vhost.take_one(&queue).await?;
    let waits = time_of(&copy, "x-hive-retry-due")? - time_of(&copy, "x-hive-retry-time")?;
    assert!([103, 104].contains(&waits), "{waits} s in {queue}");
    assert_eq!(
        copy.text_of("x-hive-retry-reason").as_deref(),
        Some("retry")
    );
    Ok(())
}

/// Neither the component, which publishes everything that it sees, nor the dead letter.
#[tokio::test]
async fn nothing_that_comes_of_a_retry_has_its_notes() -> Result<()> {
    let failing = HiveToml::one("letters", "fail", r#"retry = { delays = ["3s"] }"#);
    let (vhost, mut host) = consuming("sight", failing).await?;
    let original = Message::new("hello").text_header("kept", "yes");
    vhost.publish("", "letters", original.clone()).await?;
    vhost.wait_ready("letters.retry.3s", 1).await?;
    host.stop().await?;
    let echoing = HiveToml::one("letters", "echo", "retry = { limit = 1 }").queue("out", "");
    let mut host = HostProcess::run(&vhost, &echoing).await?;
    let seen = vhost.take_one("out").await?;
    assert_eq!(seen.own_headers(), original.headers());
    assert_none(&seen);
    host.stop().await?;

    let again = NOTES.iter().fold(Message::new("hello"), |message, name| {
        message.text_header(name, "letters")
    });
    let again = again.header("x-hive-attempt", 2_i64);
    vhost.publish("", "letters", again).await?;
    let rejecting = HiveToml::one("letters", "reject", "");
    let _host = HostProcess::run(&vhost, &rejecting).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_none(&dead);
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("rejected"));
    Ok(())
}

#[track_caller]
fn assert_none(message: &Message) {
    for name in NOTES {
        assert!(message.value(name).is_none(), "{name} is there");
    }
}
