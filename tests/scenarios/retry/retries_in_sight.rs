//! A retry copy says why it waits, and until when; `hive-host dead` shows it, retries it now or dead-letters it.
//! No component sees what it says.

use anyhow::{Context, Result};
use hive_tests::{Broker, Commands, Finished, HiveToml, HostProcess, Message, Vhost, eventually};
use lapin::types::{AMQPValue, FieldTable};

use crate::retry::retries::{assert_same, message_with_everything};
use crate::{assert_settled, consuming};

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

/// Messages that have failed once and wait for an hour; no host runs any more.
async fn waiting(messages: impl IntoIterator<Item = Message>) -> Result<(Vhost, Commands)> {
    let toml = HiveToml::one("letters", "fail", WAITS_FOR_AN_HOUR);
    let (vhost, mut host) = consuming("sight", toml.clone()).await?;
    let mut count = 0;
    for message in messages {
        vhost.publish("", "letters", message).await?;
        count += 1;
        // In this order, whichever worker is quicker.
        vhost.wait_ready("letters.retry.1h", count).await?;
    }
    assert_settled(&vhost, &mut host, "letters").await?;
    let commands = Commands::on(&vhost, &toml)?;
    Ok((vhost, commands))
}

fn with_id(id: &str) -> Message {
    let id = id.to_owned();
    Message::new(id.clone()).with(|properties| properties.with_message_id(id.into()))
}

async fn dead(commands: &Commands, verb: &str, arguments: &[&str]) -> Result<Finished> {
    commands.run(&["dead", verb], arguments).await
}

#[track_caller]
fn assert_done(finished: &Finished, words: &str) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains(words), "{finished:?}");
}

#[tokio::test]
async fn a_delay_queue_is_listed_with_attempts_errors_and_times() -> Result<()> {
    let (vhost, commands) = waiting([with_id("m-1"), with_id("m-2")]).await?;
    let listed = dead(&commands, "list", &["letters.retry.1h"]).await?;
    assert_done(&listed, "2 listed of 2 in letters.retry.1h");
    for words in ["DUE", "ATTEMPT", "2 of 5", "m-2", "cannot take m-1"] {
        assert!(listed.stdout.contains(words), "{words}: {listed:?}");
    }
    assert!(!listed.stdout.contains("DIED"), "{listed:?}");

    let listed = dead(
        &commands,
        "list",
        &["letters.retry.1h", "--json", "--where", "error~take m-2"],
    );
    let lines = listed.await?.json_lines()?;
    let [line] = lines.as_slice() else {
        anyhow::bail!("{lines:?}");
    };
    assert_eq!(line["attempt"], 2);
    assert_eq!(line["of"], 5);
    assert_eq!(line["attempts"], 1);
    assert_eq!(line["class"], "error");
    assert_eq!(line["queue"], "letters");
    assert_eq!(line["consumer"], "letters");
    let time = |key: &str| line[key].as_u64().with_context(|| format!("no {key}"));
    assert!([3600, 3601].contains(&(time("due")? - time("time")?)));

    let shown = dead(&commands, "show", &["letters.retry.1h", "--limit", "1"]).await?;
    for words in ["due", "2 of 5", "waits since", "cannot take m-1"] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
    let shown = dead(
        &commands,
        "show",
        &["letters.retry.1h", "--json", "--limit", "1"],
    );
    let whole = shown.await?.json_lines()?;
    // As the component will see it.
    assert_eq!(whole[0]["attempt"], 2);
    assert_eq!(whole[0]["queue"], "letters");
    // Looking is no return, and changes no order.
    vhost.wait_ready("letters.retry.1h", 2).await?;
    let left = vhost.drain("letters.retry.1h").await?;
    let left: Vec<_> = left.iter().map(Message::id).collect();
    assert_eq!(left, ["m-1", "m-2"]);
    Ok(())
}

/// The attempt that it would have been at the end of its delay, of the same message.
#[tokio::test]
async fn retry_now_keeps_the_attempt_and_the_message() -> Result<()> {
    let original = message_with_everything();
    let (vhost, commands) = waiting([original.clone(), with_id("m-2")]).await?;
    let one = ["letters.retry.1h", "--limit", "1"];
    let dry = dead(&commands, "republish", &[&one[..], &["--dry-run"]].concat()).await?;
    assert_done(&dry, "1 would be republished");
    vhost.wait_ready("letters.retry.1h", 2).await?;
    let sent = dead(&commands, "republish", &one).await?;
    assert_done(
        &sent,
        "1 of 2 messages republished from letters.retry.1h: 1 to letters",
    );
    vhost.wait_ready("letters.retry.1h", 1).await?;
    let copy = vhost.take_one("letters").await?;
    assert_same(&copy, &original);
    assert_eq!(copy.number_of("x-hive-attempt"), Some(2));
    assert_eq!(
        copy.text_of("x-hive-retry-queue").as_deref(),
        Some("letters")
    );
    Ok(())
}

/// A host calls the component with it at once, and counts on from there.
#[tokio::test]
async fn a_retry_now_is_the_next_attempt() -> Result<()> {
    let toml = HiveToml::one("letters", "fail-until", WAITS_FOR_AN_HOUR).queue("out", "");
    let (vhost, mut host) = consuming("sight", toml.clone()).await?;
    let message = Message::new("hello").header("until", 3_i64);
    vhost.publish("", "letters", message).await?;
    let commands = Commands::on(&vhost, &toml)?;
    for _ in 2..=3 {
        vhost.wait_ready("letters.retry.1h", 1).await?;
        let sent = dead(&commands, "republish", &["letters.retry.1h"]).await?;
        assert_done(&sent, "1 to letters");
    }
    let out = vhost.take_one("out").await?;
    assert_eq!(out.text(), "attempt 3 of hello");
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_waiting_retry_can_be_dead_lettered_now() -> Result<()> {
    let original = message_with_everything();
    let (vhost, commands) = waiting([original.clone(), with_id("m-2")]).await?;
    // As a plain message it would be a dead letter that nobody knows anything of.
    let plain = ["letters.retry.1h", "--to", "letters.dead"];
    let refused = dead(&commands, "republish", &plain).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("dead letter"), "{refused:?}");
    let of_the_dead = dead(&commands, "letter", &["letters"]).await?;
    assert_eq!(of_the_dead.code, Some(2), "{of_the_dead:?}");

    let moved = dead(&commands, "letter", &["letters.retry.1h", "--limit", "1"]).await?;
    assert_done(
        &moved,
        "1 of 2 messages dead-lettered from letters.retry.1h: 1 to letters.dead",
    );
    vhost.wait_ready("letters.retry.1h", 1).await?;
    let listed = dead(&commands, "list", &["letters", "--json"]).await?;
    let line = &listed.json_lines()?[0];
    assert_eq!(line["class"], "error");
    assert_eq!(line["attempts"], 1);
    vhost.wait_ready("letters.dead", 1).await?;
    let letter = vhost.take_one("letters.dead").await?;
    assert_same(&letter, &original);
    assert_none(&letter);
    let text = |name: &str| letter.text_of(name).with_context(|| name.to_owned());
    assert_eq!(text("x-hive-reason")?, "error");
    assert!(text("x-hive-error")?.contains("cannot take"));
    assert_eq!(text("x-hive-queue")?, "letters");
    assert_eq!(text("x-hive-consumer")?, "letters");
    assert_eq!(letter.number_of("x-hive-attempts"), Some(1));
    assert_eq!(letter.value("x-hive-attempt"), None);
    Ok(())
}

/// A delay queue never changes, so one that was declared without a limit stays in use, and nothing is wrong with it.
#[tokio::test]
async fn a_delay_queue_of_an_earlier_host_is_used_as_it_is() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("sight").await?;
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", "letters"),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(3_600_000));
    let queue = "letters.retry.1h";
    vhost.declare_queue_with(queue, arguments).await?;
    let toml = HiveToml::one("letters", "fail", WAITS_FOR_AN_HOUR);
    let host = HostProcess::run(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    vhost.wait_ready(queue, 1).await?;
    assert_eq!(host.count_events("topology.departure", &[]), 0);
    assert_eq!(host.readiness().await?.0, 200);
    Ok(())
}
