//! Delivery limits of quorum queues: none unless hive.toml asks for one, and what a limit drops is kept.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, Commands, HiveToml, HostProcess, Message, Version, Vhost, eventually};
use lapin::options::BasicGetOptions;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

/// More often than any broker's own limit allows.
const OFTEN: u32 = 25;

/// A consumer that acknowledges, on `queue` with these keys.
fn consumed(queue: &str, keys: &str) -> HiveToml {
    HiveToml::new()
        .queue(queue, keys)
        .component("ack", "")
        .consumer(queue, "ack", "")
}

/// Has a host declare what `toml` says, and ends it.
async fn declared_by_a_host(vhost: &Vhost, toml: &HiveToml) -> Result<()> {
    HostProcess::run(vhost, toml).await?.stop().await
}

/// Takes one message and gives it back with its channel, as a host that dies does.
async fn give_back(vhost: &Vhost, queue: &str, times: u32) -> Result<()> {
    for time in 1..=times {
        let channel = vhost.channel().await?;
        // The one before is back a moment after its channel is closed.
        let got = eventually(
            "the message is there",
            async || {
                Ok(channel
                    .basic_get(queue.into(), BasicGetOptions::default())
                    .await?)
            },
            Option::is_some,
        );
        got.await.with_context(|| format!("{queue}, time {time}"))?;
        channel.close(200, "given back".into()).await?;
    }
    Ok(())
}

fn argument(vhost: &Vhost, queue: &str) -> Result<Value> {
    Ok(vhost.counters(queue)?["arguments"]["x-delivery-limit"].clone())
}

fn with_limit(limit: i64) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    arguments
}

/// What `hive-host check --broker` has to say of the queues of the one connection.
async fn departures(vhost: &Vhost, toml: &HiveToml) -> Result<Vec<Value>> {
    let commands = Commands::on(vhost, toml)?;
    let checked = commands.run(&["check"], &["--broker", "--json"]).await?;
    ensure!(checked.code == Some(0), "{checked:?}");
    let checked: Value = serde_json::from_str(&checked.stdout)?;
    let all = checked["brokers"][0]["departures"].as_array();
    Ok(all.context("it asked the broker")?.clone())
}

/// The arguments of the command in a remedy, as a shell takes them apart.
fn arguments_of_the_command(remedy: &str) -> Result<Vec<String>> {
    let (_, command) = remedy.split_once("rabbitmqctl ").context("a command")?;
    let (command, _) = command
        .split_once(" (a queue follows")
        .context("and what else to know")?;
    let script = format!("printf '%s\\n' {command}");
    let output = Command::new("sh").args(["-c", &script]).output()?;
    ensure!(output.status.success(), "{output:?}");
    let arguments = String::from_utf8(output.stdout)?;
    Ok(arguments.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn what_a_host_declares_has_no_limit() -> Result<()> {
    let broker = Broker::shared().await?;
    for keys in ["", "delivery_limit = -1"] {
        let vhost = broker.vhost("limits").await?;
        declared_by_a_host(&vhost, &consumed("letters", keys)).await?;
        for queue in ["letters", "letters.dead"] {
            let expected = match broker.version() {
                // There -1 would drop the message when it comes back for the first time.
                Version::V3_10 => Value::Null,
                Version::V4_0 | Version::V4_3 => Value::from(-1),
            };
            assert_eq!(argument(&vhost, queue)?, expected, "{queue} with {keys:?}");
            vhost.publish("", queue, Message::new("hello")).await?;
            give_back(&vhost, queue, OFTEN).await?;
            assert_eq!(vhost.take_one(queue).await?.text(), "hello");
        }
    }
    Ok(())
}

/// As one that was declared before the broker was upgraded, or by a host of an earlier version.
#[tokio::test]
async fn a_queue_without_the_argument_is_consumed_and_a_policy_takes_its_limit_away() -> Result<()>
{
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("limits").await?;
    let queue = "it's (one) of v2";
    vhost.declare_queue(queue, "quorum").await?;
    vhost
        .declare_queue(&format!("{queue}.dead"), "quorum")
        .await?;
    let toml = consumed(queue, "");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    assert_eq!(host.readiness().await?.0, 200);
    vhost.publish("", queue, Message::new("hello")).await?;
    vhost.wait_ready(queue, 0).await?;
    host.stop().await?;

    let departures = departures(&vhost, &toml).await?;
    if broker.version() == Version::V3_10 {
        // No limit is what it has there.
        assert_eq!(departures, Vec::<Value>::new());
        return Ok(());
    }
    assert_eq!(departures.len(), 2, "{departures:?}");
    for departure in departures {
        let queue = departure["queue"].as_str().context("a queue")?;
        let remedy = departure["remedy"].as_str().context("a remedy")?;
        let command = arguments_of_the_command(remedy)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        broker.rabbitmqctl(&command)?;
        let in_a_url = queue.replace(' ', "%20");
        let policy = async || Ok(vhost.counters(&in_a_url)?["policy"].clone());
        let is_applied = |policy: &Value| policy == &format!("hive.{queue}");
        eventually("the policy is applied", policy, is_applied).await?;
        vhost.publish("", queue, Message::new("hello")).await?;
        give_back(&vhost, queue, OFTEN).await?;
        assert_eq!(vhost.take_one(queue).await?.text(), "hello");
    }
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_changed_in_hive_toml_does_not_stop_the_consumer() -> Result<()> {
    let broker = Broker::shared().await?;
    for (queue, has, keys) in [
        ("raised", 5, "delivery_limit = 50"),
        ("lowered", 50, "delivery_limit = 5"),
        ("taken-away", 5, ""),
    ] {
        let vhost = broker.vhost("limits").await?;
        vhost.declare_queue_with(queue, with_limit(has)).await?;
        let toml = consumed(queue, keys);
        let mut host = HostProcess::run(&vhost, &toml).await?;
        assert_eq!(host.readiness().await?.0, 200);
        vhost.publish("", queue, Message::new("hello")).await?;
        vhost.wait_ready(queue, 0).await?;
        host.stop().await?;
        assert_eq!(argument(&vhost, queue)?, Value::from(has));
        let departures = departures(&vhost, &toml).await?;
        assert_eq!(departures.len(), 1, "{queue}: {departures:?}");
        // A policy lowers a limit and lifts none.
        let remedy = departures[0]["remedy"].as_str().context("a remedy")?;
        assert_eq!(
            remedy.contains("delivery-limit\""),
            queue == "lowered",
            "{remedy}"
        );
    }
    Ok(())
}

/// Any other difference still keeps the queue's consumers waiting.
#[tokio::test]
async fn another_argument_stays_a_mismatch_beside_another_limit() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("limits").await?;
    vhost.declare_queue_with("letters", with_limit(5)).await?;
    let toml = consumed("letters", "max_length = 7");
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let look = async || host.readiness().await;
    let names_it = |(_, readiness): &(u16, Value)| {
        let reason = readiness["missing"][0]["reason"].to_string();
        reason.contains("x-max-length")
    };
    let (status, _) = eventually("readiness names the argument", look, names_it).await?;
    assert_eq!(status, 503);
    Ok(())
}

#[tokio::test]
async fn what_a_limit_drops_is_in_the_dead_letter_queue() -> Result<()> {
    const LIMIT: u32 = 3;
    let vhost = Broker::shared().await?.vhost("limits").await?;
    let toml = consumed("letters", &format!("delivery_limit = {LIMIT}"));
    declared_by_a_host(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    give_back(&vhost, "letters", LIMIT + 1).await?;
    assert_eq!(vhost.take_one("letters.dead").await?.text(), "hello");
    assert_eq!(vhost.ready("letters").await?, 0);
    // At least once: the broker keeps it until the dead-letter queue has it.
    let arguments = &vhost.counters("letters")?["arguments"];
    assert_eq!(arguments["x-dead-letter-strategy"], "at-least-once");
    assert_eq!(departures(&vhost, &toml).await?, Vec::<Value>::new());
    Ok(())
}

/// The queue was declared before Hive did that, so a policy has to.
#[tokio::test]
async fn a_queue_whose_drops_are_lost_is_consumed_and_a_policy_keeps_them() -> Result<()> {
    const LIMIT: u32 = 3;
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("limits").await?;
    vhost
        .declare_queue_with("letters", with_limit(LIMIT.into()))
        .await?;
    let toml = consumed("letters", &format!("delivery_limit = {LIMIT}"));
    declared_by_a_host(&vhost, &toml).await?;
    let departures = departures(&vhost, &toml).await?;
    assert_eq!(departures.len(), 1, "{departures:?}");
    let remedy = departures[0]["remedy"].as_str().context("a remedy")?;
    let command = arguments_of_the_command(remedy)?;
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    broker.rabbitmqctl(&command)?;
    let policy = async || Ok(vhost.counters("letters")?["policy"].clone());
    eventually("the policy is applied", policy, |policy| {
        policy == "hive.letters"
    })
    .await?;
    vhost.publish("", "letters", Message::new("hello")).await?;
    give_back(&vhost, "letters", LIMIT + 1).await?;
    assert_eq!(vhost.take_one("letters.dead").await?.text(), "hello");
    Ok(())
}

/// RabbitMQ before 4.0 takes -1 for "drop it the first time that it comes back".
#[tokio::test]
async fn a_queue_that_drops_everything_is_not_consumed() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("limits").await?;
    vhost.declare_queue_with("letters", with_limit(-1)).await?;
    let toml = consumed("letters", "delivery_limit = -1");
    if broker.version() != Version::V3_10 {
        let host = HostProcess::run(&vhost, &toml).await?;
        assert_eq!(host.readiness().await?.0, 200);
        return Ok(());
    }
    let host = HostProcess::launch(&toml.text(&vhost))?;
    let look = async || host.readiness().await;
    let names_it = |(_, readiness): &(u16, Value)| {
        let reason = readiness["missing"][0]["reason"].to_string();
        reason.contains("x-delivery-limit = -1")
    };
    let (status, _) = eventually("readiness names the limit", look, names_it).await?;
    assert_eq!(status, 503);
    assert_eq!(vhost.consumers("letters").await?, 0);
    Ok(())
}
