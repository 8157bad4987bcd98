//! Messages that end the host: each is dead-lettered in the end, and its neighbours are handled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, MemoryLimit, Message, RedisServer, Version, Vhost, eventually,
    scratch,
};

use crate::assert_settled;

/// Neighbours of a killer within one prefetch.
const INNOCENTS: usize = 63;

/// Two deaths until it is tried alone, three until it is dead-lettered.
const DEATHS: u32 = 5;

/// A message whose handling is ended by `kill -9`, long before it would end by itself.
const KILLER: &str = "wait 100000";

fn toml(queues: &[&str], kind: &str, keys: &str) -> HiveToml {
    let killer = "timeout = \"10m\"\nmemory = \"2GiB\"";
    let toml = HiveToml::new().component("killer", killer).queue("out", "");
    queues.iter().fold(toml, |toml, queue| {
        toml.queue(queue, &format!("type = \"{kind}\""))
            .consumer(queue, "killer", keys)
    })
}

/// A hive.toml in a folder of its own, where the host keeps its store beside it.
fn written(vhost: &Vhost, toml: &HiveToml) -> Result<PathBuf> {
    let file = scratch("quarantine").join("hive.toml");
    std::fs::write(&file, toml.text(vhost))?;
    Ok(file)
}

async fn vhost_with(queues: &[&str], kind: &str) -> Result<Vhost> {
    let vhost = Broker::shared().await?.vhost("quarantine").await?;
    for queue in queues {
        vhost.declare_queue(queue, kind).await?;
    }
    vhost.declare_queue("out", "quorum").await?;
    Ok(vhost)
}

/// A killer, and its innocent neighbours behind it.
async fn publish(vhost: &Vhost, killer: &str) -> Result<()> {
    let innocents = (0..INNOCENTS).map(|number| Message::new(number.to_string()));
    let messages = [Message::new(killer)].into_iter().chain(innocents);
    vhost.publish_all("", "letters", messages).await
}

/// Whether the killer is handled, as this line tells, and not dead-lettered.
async fn is_begun(vhost: &Vhost, host: &HostProcess, line: &str) -> Result<bool> {
    let look = async || {
        if host.count_printed(line) > 0 {
            return Ok(Some(true));
        }
        Ok((letters(vhost, "letters.dead").await? > 0).then_some(false))
    };
    let what = "the killer is handled or dead-lettered";
    eventually(what, look, Option::is_some).await?.context(what)
}

async fn letters(vhost: &Vhost, queue: &str) -> Result<u32> {
    match vhost.queues()?.iter().any(|name| name == queue) {
        true => vhost.ready(queue).await,
        false => Ok(0),
    }
}

/// Runs hosts from one file, and kills each as it begins with the killer, until that is dead-lettered;
/// gives the last one and the deaths. `line` tells that it is begun.
async fn killed_until_dead(vhost: &Vhost, file: &Path, line: &str) -> Result<(HostProcess, u32)> {
    for deaths in 0..=DEATHS {
        let mut host = HostProcess::launch_file(file, &[])?;
        if !is_begun(vhost, &host, line).await? {
            return Ok((host, deaths));
        }
        host.kill9()?;
    }
    anyhow::bail!("{DEATHS} deaths did not dead-letter it");
}

/// Waits until every innocent was handed on, and the killer is where it belongs.
async fn assert_accounted_for(vhost: &Vhost, killer: &str) -> Result<()> {
    let mut seen = BTreeSet::new();
    vhost
        .take_until("out", |message| {
            seen.insert(message.text());
            seen.len() == INNOCENTS
        })
        .await?;
    ensure!(!seen.contains(killer), "the killer was handled");
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text(), killer);
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("crash"));
    Ok(())
}

async fn a_killer_among_innocents(kind: &str, keys: &str) -> Result<()> {
    a_killer_of_hosts_with(kind, &toml(&["letters"], kind, keys)).await
}

async fn a_killer_of_hosts_with(kind: &str, toml: &HiveToml) -> Result<()> {
    let vhost = vhost_with(&["letters"], kind).await?;
    publish(&vhost, KILLER).await?;
    let file = written(&vhost, toml)?;
    let (mut host, deaths) = killed_until_dead(&vhost, &file, &format!("began {KILLER}")).await?;
    assert_eq!(deaths, DEATHS);
    assert_accounted_for(&vhost, KILLER).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0, "innocents paid");
    Ok(())
}

#[tokio::test]
async fn a_killer_on_a_quorum_queue_is_dead_lettered_and_its_neighbours_are_handled() -> Result<()>
{
    a_killer_among_innocents("quorum", "").await
}

#[tokio::test]
async fn a_killer_on_a_classic_queue_is_dead_lettered_and_its_neighbours_are_handled() -> Result<()>
{
    a_killer_among_innocents("classic", "").await
}

#[tokio::test]
async fn beside_others_at_work_and_with_a_small_prefetch_a_killer_ends_too() -> Result<()> {
    a_killer_among_innocents("quorum", "concurrency = 4\nprefetch = 8").await
}

#[tokio::test]
async fn a_killer_in_a_batch_takes_none_of_the_batch_with_it() -> Result<()> {
    let vhost = vhost_with(&["letters"], "quorum").await?;
    let innocents = (0..INNOCENTS).map(|number| Message::new(format!("{number} publish")));
    let killer = [Message::new("killer slow")];
    vhost
        .publish_all("", "letters", killer.into_iter().chain(innocents))
        .await?;
    let batch = r#"batch = { size = 16, wait = "50ms" }"#;
    let toml = HiveToml::one("letters", "batch", batch).queue("out", "");
    let file = written(&vhost, &toml)?;
    let (mut host, deaths) = killed_until_dead(&vhost, &file, "killer/1").await?;
    assert_eq!(deaths, DEATHS);
    assert_accounted_for(&vhost, "killer slow").await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_killer_in_a_stream_is_passed_over_once_it_is_dead_lettered() -> Result<()> {
    let vhost = vhost_with(&["letters"], "stream").await?;
    publish(&vhost, KILLER).await?;
    let keys = r#"stream = { offset = "first", on_error = "dead-letter" }"#;
    let file = written(&vhost, &toml(&["letters"], "stream", keys))?;
    let (mut host, deaths) = killed_until_dead(&vhost, &file, &format!("began {KILLER}")).await?;
    assert_eq!(deaths, DEATHS);
    assert_accounted_for(&vhost, KILLER).await?;
    host.stop().await
}

#[tokio::test]
async fn a_message_that_eats_all_memory_ends_in_the_dead_letter_queue() -> Result<()> {
    let Some(limit) = MemoryLimit::new(300 << 20, "eats_all_memory") else {
        return Ok(());
    };
    let vhost = vhost_with(&["letters"], "quorum").await?;
    publish(&vhost, "eat").await?;
    let file = written(&vhost, &toml(&["letters"], "quorum", ""))?;
    let mut deaths = 0;
    let mut host = loop {
        let mut host = HostProcess::launch_limited_file(&file, &limit)?;
        if !is_begun(&vhost, &host, "began eat").await? {
            break host;
        }
        host.wait().await?;
        deaths += 1;
        ensure!(deaths <= DEATHS, "it goes on killing");
    };
    assert_eq!(deaths, DEATHS);
    assert_accounted_for(&vhost, "eat").await?;
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_message_on_another_queue_never_pays_for_a_killer() -> Result<()> {
    let queues = ["letters", "others"];
    let vhost = vhost_with(&queues, "quorum").await?;
    publish(&vhost, KILLER).await?;
    // In flight whenever the host dies.
    vhost
        .publish("", "others", Message::new("wait 3000"))
        .await?;
    let file = written(&vhost, &toml(&queues, "quorum", ""))?;
    let (mut host, _) = killed_until_dead(&vhost, &file, &format!("began {KILLER}")).await?;
    let mut seen = BTreeSet::new();
    vhost
        .take_until("out", |message| {
            seen.insert(message.text());
            seen.len() == INNOCENTS + 1
        })
        .await?;
    assert_eq!(letters(&vhost, "others.dead").await?, 0);
    assert_settled(&vhost, &mut host, "others").await
}

/// Whether another host lives is known by its word in the store, which a dead one renews no more.
#[tokio::test]
async fn a_killer_of_hosts_that_share_a_redis_is_dead_lettered_too() -> Result<()> {
    let redis = RedisServer::start().await?;
    let toml = toml(&["letters"], "classic", "").section("store", &redis.store());
    a_killer_of_hosts_with("classic", &toml).await
}

/// No death is known after it. So which one is tried first is drawn, and by chance each of the others is handled
/// before the killer sooner or later.
#[tokio::test]
async fn beside_a_killer_and_a_store_in_memory_every_neighbour_is_handled_in_the_end() -> Result<()>
{
    // Each host handles half of those that are left, about.
    const HOSTS: usize = 60;
    let vhost = vhost_with(&["letters"], "classic").await?;
    publish(&vhost, KILLER).await?;
    let toml = toml(&["letters"], "classic", "").section("store", "kind = \"memory\"");
    let file = written(&vhost, &toml)?;
    let mut seen = BTreeSet::new();
    for _ in 0..HOSTS {
        let mut host = HostProcess::launch_file(&file, &[])?;
        ensure!(
            is_begun(&vhost, &host, &format!("began {KILLER}")).await?,
            "it was dead-lettered, though nobody knows of a death"
        );
        host.kill9()?;
        for message in vhost.drain("out").await? {
            seen.insert(message.text());
        }
        if seen.len() == INNOCENTS {
            return Ok(());
        }
    }
    anyhow::bail!(
        "{} of {INNOCENTS} were handled by {HOSTS} hosts",
        seen.len()
    );
}

/// Ends a host 25 times in mid-call, in a way that is no death, and has the message handled after.
async fn assert_never_dead_lettered(
    kind: &str,
    end: impl AsyncFn(&Vhost, &mut HostProcess) -> Result<()>,
) -> Result<()> {
    // Long enough that a host on a busy machine is ended within it.
    let message = "wait 6000";
    let vhost = vhost_with(&[], kind).await?;
    // More returns than a quorum queue of RabbitMQ 4 lets pass by default.
    let limit = match (kind, Version::of_run()?) {
        ("quorum", Version::V4_0 | Version::V4_3) => "delivery_limit = -1",
        _ => "",
    };
    let toml = HiveToml::new()
        .queue("letters", &format!("type = \"{kind}\"\n{limit}"))
        .queue("out", "")
        .component("killer", "timeout = \"10m\"")
        .consumer("letters", "killer", "");
    let file = written(&vhost, &toml.clone().host("shutdown_timeout = \"0s\""))?;
    for round in 0..25 {
        let mut host = HostProcess::launch_file(&file, &[])?;
        if round == 0 {
            host.wait_for_start().await?;
            vhost.publish("", "letters", Message::new(message)).await?;
        }
        host.wait_for_printed(&format!("began {message}")).await?;
        end(&vhost, &mut host).await?;
    }
    // With time to stop: what it has published is not acknowledged yet.
    let mut host = HostProcess::launch_file(&written(&vhost, &toml)?, &[])?;
    assert_eq!(vhost.take_one("out").await?.text(), message);
    assert_eq!(letters(&vhost, "letters.dead").await?, 0);
    assert_settled(&vhost, &mut host, "letters").await
}

/// In the middle of a call, which `shutdown_timeout` does not wait for: with exit code 1.
async fn stopped(_: &Vhost, host: &mut HostProcess) -> Result<()> {
    host.sigterm();
    assert_eq!(host.wait().await?.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn what_was_only_stopped_is_never_dead_lettered_from_a_quorum_queue() -> Result<()> {
    assert_never_dead_lettered("quorum", stopped).await
}

#[tokio::test]
async fn what_was_only_stopped_is_never_dead_lettered_from_a_classic_queue() -> Result<()> {
    assert_never_dead_lettered("classic", stopped).await
}
