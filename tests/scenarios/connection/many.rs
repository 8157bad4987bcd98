//! More consumers and publishers than a connection has channels: the host opens further connections for them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, eventually, scratch};

/// Of ten channels a connection has one for itself, and four stay free.
const CHANNELS: u16 = 10;
/// See [`CHANNELS`].
const ON_EACH: usize = 5;

const QUEUES: usize = 14;

const KEYS: &str = "retry = { limit = 0 }";

fn name(number: usize) -> String {
    format!("letters-{number:02}")
}

/// This many consumers, each with a queue of its own and a dead-letter queue. The broker closes a channel that looks at one
/// that is missing, and there are few numbers: lapin gives the error once more with the next channel of a number.
fn consumers(numbers: std::ops::Range<usize>) -> HiveToml {
    let base = HiveToml::new()
        .queue("out", r#"type = "classic""#)
        .component("echo", "");
    numbers.map(name).fold(base, |toml, queue| {
        toml.queue(&queue, r#"type = "classic""#)
            .consumer(&queue, "echo", KEYS)
    })
}

fn text(toml: &HiveToml, vhost: &Vhost) -> String {
    toml.text_for(&format!("{}?channel_max={CHANNELS}", vhost.url()))
}

/// A message through each queue.
async fn all_are_consumed(
    vhost: &Vhost,
    numbers: std::ops::Range<usize>,
    round: &str,
) -> Result<()> {
    let letter = |number| {
        let queue = name(number);
        let body = format!("{round} {queue}");
        (queue, body)
    };
    let letters: Vec<_> = numbers.map(letter).collect();
    let messages = letters
        .iter()
        .map(|(queue, body)| (queue, Message::new(body.clone())));
    vhost.publish_each("", messages).await?;
    let mut expected: BTreeSet<_> = letters.into_iter().map(|(_, body)| body).collect();
    vhost
        .take_until("out", |message| {
            // What was in flight on a connection that was closed comes twice.
            expected.remove(&message.text());
            expected.is_empty()
        })
        .await
}

fn subscribed(host: &HostProcess) -> usize {
    host.count_events("consumer.subscribed", &[])
}

async fn wait_for_subscriptions(host: &HostProcess, count: usize) -> Result<()> {
    let what = format!("{count} subscriptions");
    let look = async || Ok(subscribed(host));
    eventually(&what, look, |seen| *seen >= count)
        .await
        .map(drop)
}

async fn wait_for_connections(vhost: &Vhost, expected: &[&str]) -> Result<()> {
    let look = async || {
        let names = vhost.host_connections()?.into_iter().map(|one| one.given);
        Ok(names.collect::<BTreeSet<_>>())
    };
    let expected: BTreeSet<_> = expected.iter().map(ToString::to_string).collect();
    let connections = eventually("the connections of the host", look, |seen| {
        *seen == expected
    });
    connections.await.map(drop)
}

/// Before a component has published.
const CONSUMING: [&str; 4] = [
    "tests: main (consume)",
    "tests: main (consume 2)",
    "tests: main (consume 3)",
    "tests: main (publish)",
];

/// When each has.
const ALL: [&str; 6] = [
    "tests: main (consume)",
    "tests: main (consume 2)",
    "tests: main (consume 3)",
    "tests: main (publish)",
    "tests: main (publish 2)",
    "tests: main (publish 3)",
];

#[tokio::test]
async fn consumers_beyond_the_channels_of_a_connection_are_on_further_ones() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("many").await?;
    let host = HostProcess::launch(&text(&consumers(0..QUEUES), &vhost))?;
    wait_for_subscriptions(&host, QUEUES).await?;
    wait_for_connections(&vhost, &CONSUMING).await?;
    let (status, report) = host.readiness().await?;
    ensure!(status == 200, "{report}");
    all_are_consumed(&vhost, 0..QUEUES, "at the start").await?;
    wait_for_connections(&vhost, &ALL).await?;

    // A further connection is lost: its consumers come back, and the others do not notice.
    vhost.close_host_connection("tests: main (consume 2)")?;
    host.wait_for_event("link.lost", &[("link", "tests: main (consume 2)")])
        .await?;
    wait_for_subscriptions(&host, QUEUES + ON_EACH).await?;
    all_are_consumed(&vhost, 0..QUEUES, "after the second was lost").await?;
    assert_eq!(subscribed(&host), QUEUES + ON_EACH);
    assert_eq!(host.count_events("link.lost", &[]), 1);

    // The first one is lost, and everything is declared again on the next: the others consume meanwhile.
    vhost.close_host_connection("tests: main (consume)")?;
    host.wait_for_event("link.lost", &[("link", "tests: main (consume)")])
        .await?;
    wait_for_subscriptions(&host, QUEUES + 2 * ON_EACH).await?;
    all_are_consumed(&vhost, 0..QUEUES, "after the first was lost").await?;
    assert_eq!(subscribed(&host), QUEUES + 2 * ON_EACH);
    assert_eq!(host.count_events("link.lost", &[]), 2);
    wait_for_connections(&vhost, &ALL).await?;
    let (status, report) = host.readiness().await?;
    ensure!(status == 200, "{report}");
    Ok(())
}

#[tokio::test]
async fn further_connections_come_and_go_with_the_consumers_of_a_reload() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("many-reload").await?;
    let file = scratch("many-reload").join("hive.toml");
    let write = |toml: &HiveToml| std::fs::write(&file, text(toml, &vhost));
    write(&consumers(0..2))?;
    let mut host = HostProcess::launch_file(&file, &[])?;
    wait_for_subscriptions(&host, 2).await?;
    let few = ["tests: main (consume)", "tests: main (publish)"];
    wait_for_connections(&vhost, &few).await?;
    all_are_consumed(&vhost, 0..2, "at the start").await?;

    write(&consumers(0..QUEUES))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    wait_for_subscriptions(&host, QUEUES).await?;
    wait_for_connections(&vhost, &CONSUMING).await?;
    all_are_consumed(&vhost, 0..QUEUES, "with all").await?;
    wait_for_connections(&vhost, &ALL).await?;

    // Those that stay keep their connection; the empty one is closed, which is no loss.
    write(&consumers(0..2))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    wait_for_connections(&vhost, &few).await?;
    all_are_consumed(&vhost, 0..2, "with few").await?;
    assert_eq!(subscribed(&host), QUEUES);
    assert_eq!(host.count_events("link.lost", &[]), 0);
    host.stop().await
}
