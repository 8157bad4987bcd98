//! `hive-host dead republish`: back to where it failed, as it was, each once, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use hive_tests::{
    Broker, Commands, HiveToml, HostProcess, Message, Vhost, eventually, eventually_within,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use crate::retry::retries::message_with_everything;
use crate::{assert_settled, consuming};

/// For thousands of messages on a busy machine.
const LONG: Duration = Duration::from_secs(180);

const REPUBLISH: [&str; 2] = ["dead", "republish"];

fn rejecting() -> HiveToml {
    HiveToml::one("letters", "reject", "")
}

fn numbered(number: usize) -> Message {
    message_with_everything()
        .with(|properties| properties.with_message_id(format!("m-{number}").into()))
        .header("number", i64::try_from(number).expect("it is small"))
}

/// `count` messages that were rejected, and no host.
async fn dead(label: &str, count: usize) -> Result<(Vhost, Commands)> {
    dead_of(label, count, rejecting()).await
}

/// The same, with another hive.toml.
async fn dead_of(label: &str, count: usize, toml: HiveToml) -> Result<(Vhost, Commands)> {
    let (vhost, mut host) = consuming(label, toml).await?;
    vhost
        .publish_all("", "letters", (0..count).map(numbered))
        .await?;
    let all_dead = u32::try_from(count)?;
    let look = || vhost.ready("letters.dead");
    eventually_within(LONG, "all are dead", look, |ready| *ready == all_dead).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let commands = Commands::on(&vhost, &rejecting())?;
    Ok((vhost, commands))
}

/// As it was published: every property, and every header but the host's own.
#[track_caller]
fn assert_as_published(found: &Message, number: usize) {
    let original = numbered(number);
    let without_headers = |message: &Message| {
        let properties = message.properties.clone();
        properties.with_headers(FieldTable::default())
    };
    assert_eq!(found.body, original.body);
    assert_eq!(without_headers(found), without_headers(&original));
    assert_eq!(found.own_headers(), original.headers());
    for name in [
        "x-hive-reason",
        "x-hive-attempts",
        "x-hive-attempt",
        "x-hive-queue",
        "x-death",
    ] {
        assert!(found.value(name).is_none(), "{name} is still there");
    }
}

#[tokio::test]
async fn s35_replay_moves_as_many_as_it_is_told_as_they_were() -> Result<()> {
    // One after the other, or they would not be dead in the order in which they came.
    let one_at_a_time = HiveToml::one("letters", "reject", "prefetch = 1");
    let (vhost, commands) = dead_of("s35", 5, one_at_a_time).await?;
    let none = commands
        .run(&REPUBLISH, &["letters", "--limit", "0"])
        .await?;
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(
        none.stdout.contains("0 of 5 messages republished"),
        "{none:?}"
    );
    // What was looked at goes back a moment after the command has left.
    vhost.wait_ready("letters.dead", 5).await?;

    let three = commands
        .run(&REPUBLISH, &["letters", "--limit", "3"])
        .await?;
    assert_eq!(three.code, Some(0), "{three:?}");
    assert!(
        three
            .stdout
            .contains("3 of 5 messages republished from letters.dead: 3 to letters"),
        "{three:?}"
    );
    vhost.wait_ready("letters", 3).await?;
    vhost.wait_ready("letters.dead", 2).await?;
    for (number, message) in vhost.drain("letters").await?.iter().enumerate() {
        assert_as_published(message, number);
    }
    // What was not wanted was never handed out: a return would be counted, and could change the order.
    let left = vhost.drain("letters.dead").await?;
    let left: Vec<_> = left.iter().map(|one| (one.id(), one.redelivered)).collect();
    assert_eq!(left, [("m-3", false), ("m-4", false)]);
    Ok(())
}

/// A component sees the message that it failed on, with the exchange and the key that it came by.
#[tokio::test]
async fn a_replayed_message_is_at_its_first_attempt_and_no_other_queue_sees_it() -> Result<()> {
    let bound = r##"bindings = [{ exchange = "post", routing_key = "letter.#" }]"##;
    let toml = HiveToml::new()
        .exchange("post", r#"type = "topic""#)
        .queue("letters", bound)
        .queue("archive", bound)
        .queue(
            "other",
            r#"bindings = [{ exchange = "post", routing_key = "other" }]"#,
        )
        .queue("out", "")
        .component("fail-until", "")
        .consumer(
            "letters",
            "fail-until",
            "retry = { limit = 1, delays = [\"20ms\"] }",
        );
    let (vhost, mut host) = consuming("replay", toml.clone()).await?;
    let mut copies = FieldArray::default();
    copies.push(AMQPValue::LongString("other".into()));
    let message = Message::new("hello")
        .header("until", 3_i64)
        .header("CC", AMQPValue::FieldArray(copies));
    vhost.publish("post", "letter.love", message).await?;
    vhost.wait_ready("letters.dead", 1).await?;
    let commands = Commands::on(&vhost, &toml)?;
    // With the host running, which fails it again at attempts 1 and 2.
    let sent = commands.run(&REPUBLISH, &["letters"]).await?;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    vhost.wait_ready("letters.dead", 1).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(
        dead.number_of("x-hive-attempts"),
        Some(2),
        "it was tried twice, not at attempt 3"
    );
    assert_eq!(dead.text_of("x-hive-exchange").as_deref(), Some("post"));
    assert_eq!(
        dead.text_of("x-hive-routing-key").as_deref(),
        Some("letter.love")
    );
    assert_eq!(
        vhost.ready("archive").await?,
        1,
        "the publisher's, and none of the replay"
    );
    assert_eq!(
        vhost.ready("other").await?,
        1,
        "the publisher's, and none of the replay"
    );
    Ok(())
}

#[tokio::test]
async fn what_fails_again_is_not_sent_again() -> Result<()> {
    const MESSAGES: usize = 300;
    let (vhost, commands) = dead("loop", MESSAGES).await?;
    let mut host = HostProcess::run(&vhost, &rejecting()).await?;
    let sent = commands.run(&REPUBLISH, &["letters", "--json"]).await?;
    let [summary]: [_; 1] = sent.json_lines()?.try_into().expect("one line");
    assert_eq!(summary["republished"], MESSAGES, "{summary}");
    vhost
        .wait_ready("letters.dead", u32::try_from(MESSAGES)?)
        .await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    vhost
        .wait_ready("letters.dead", u32::try_from(MESSAGES)?)
        .await?;
    assert_eq!(
        host.count_printed("attempt 1 of"),
        MESSAGES,
        "each was handled once more"
    );
    Ok(())
}

#[tokio::test]
async fn ten_thousand_go_back_once_each_with_a_host_running() -> Result<()> {
    const MESSAGES: usize = 10_000;
    let (vhost, commands) = dead("replay", MESSAGES).await?;
    let beside = HiveToml::one("elsewhere", "ack", "");
    let mut host = HostProcess::run(&vhost, &beside).await?;
    let sent = commands.run(&REPUBLISH, &["letters"]).await?;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(
        sent.stdout.contains("10000 of 10000 messages republished"),
        "{sent:?}"
    );
    vhost.wait_ready("letters.dead", 0).await?;
    vhost
        .wait_ready("letters", u32::try_from(MESSAGES)?)
        .await?;
    let mut seen = BTreeSet::new();
    let mut taken = 0;
    vhost
        .take_until("letters", |message| {
            let number = message.number_of("number").unwrap_or_default();
            let number = usize::try_from(number).unwrap_or_default();
            assert_as_published(&message, number);
            seen.insert(number);
            taken += 1;
            taken == MESSAGES
        })
        .await?;
    assert_eq!(seen.len(), MESSAGES, "one of them came twice");
    host.stop().await
}

/// How often each message is in one of the two queues.
async fn census(vhost: &Vhost) -> Result<BTreeMap<String, usize>> {
    let mut census = BTreeMap::new();
    for queue in ["letters", "letters.dead"] {
        let mut left = vhost.ready(queue).await?;
        if left > 0 {
            vhost
                .take_until(queue, |message| {
                    *census.entry(message.id().to_owned()).or_default() += 1;
                    left -= 1;
                    left == 0
                })
                .await?;
        }
    }
    Ok(census)
}

/// Waits until some are back, but not all.
async fn wait_for_the_midst(vhost: &Vhost) -> Result<()> {
    let look = || vhost.ready("letters");
    eventually("some are back", look, |ready| *ready > 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_kill_in_the_midst_of_a_replay_loses_nothing() -> Result<()> {
    const MESSAGES: usize = 4_000;
    let (vhost, commands) = dead("killed", MESSAGES).await?;
    let mut command = commands.start(&REPUBLISH, &["letters"])?;
    wait_for_the_midst(&vhost).await?;
    command.kill9()?;
    // What it had in hand is back once the broker has noticed.
    let look = async || Ok(vhost.ready("letters").await? + vhost.ready("letters.dead").await?);
    let all = u32::try_from(MESSAGES)?;
    eventually("all are there again", look, |ready| *ready >= all).await?;
    let census = census(&vhost).await?;
    assert_eq!(census.len(), MESSAGES, "some are lost");
    let twice = census.values().filter(|count| **count > 1).count();
    // Those that were confirmed and not yet taken off.
    assert!(twice <= 1_000, "{twice} are in both queues");
    Ok(())
}

#[tokio::test]
async fn a_replay_that_is_told_to_stop_doubles_nothing_either() -> Result<()> {
    const MESSAGES: usize = 4_000;
    let (vhost, commands) = dead("stopped", MESSAGES).await?;
    let mut command = commands.start(&REPUBLISH, &["letters"])?;
    wait_for_the_midst(&vhost).await?;
    command.sigint();
    assert_eq!(command.wait().await?.code(), Some(0));
    let census = census(&vhost).await?;
    assert_eq!(census.len(), MESSAGES, "some are lost");
    assert!(
        census.values().all(|count| *count == 1),
        "some are in both queues"
    );
    Ok(())
}

/// The queue that most go to takes no more: what it has no room for stays dead, and is told.
#[tokio::test]
async fn what_a_full_queue_does_not_take_stays() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("full").await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(2));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    vhost.declare_queue_with("letters", arguments).await?;
    vhost.declare_queue("letters.dead", "quorum").await?;
    let messages = (0..5)
        .map(|number| Message::new(number.to_string()).text_header("x-hive-queue", "letters"));
    vhost.publish_all("", "letters.dead", messages).await?;
    let commands = Commands::on(&vhost, &HiveToml::one("letters", "ack", ""))?;
    let sent = commands.run(&REPUBLISH, &["letters"]).await?;
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.stderr.contains("it may be full"), "{sent:?}");
    let taken = vhost.ready("letters").await?;
    assert!(taken >= 2, "{sent:?}");
    vhost.wait_ready("letters.dead", 5 - taken).await?;
    Ok(())
}
