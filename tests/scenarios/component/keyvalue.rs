//! What components keep in the host's store: `wasi:keyvalue`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, RedisServer, Vhost, check, eventually, scratch,
};
use tokio::sync::Mutex;

use crate::consuming;

pub(crate) const GRANTED: &str = "allow = { keyvalue = [\"box\", \"counters\"] }";

/// A guest that does to a bucket what it is told to, one message at a time.
pub(crate) fn obedient(component_keys: &str) -> HiveToml {
    HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("keyvalue", component_keys)
        .consumer("letters", "keyvalue", "")
}

pub(crate) async fn ask(vhost: &Vhost, request: &str) -> Result<String> {
    vhost.publish("", "letters", Message::new(request)).await?;
    Ok(vhost.take_one("out").await?.text())
}

pub(crate) async fn assert_answers(vhost: &Vhost, answers: &[(&str, &str)]) -> Result<()> {
    for (request, answer) in answers {
        assert_eq!(ask(vhost, request).await?, *answer, "{request}");
    }
    Ok(())
}

#[tokio::test]
async fn everything_that_the_interfaces_have() -> Result<()> {
    let (vhost, mut host) = consuming("keyvalue", obedient(GRANTED)).await?;
    let answers = [
        ("box get a", "-"),
        ("box exists a", "false"),
        ("box set a 1", "done"),
        ("box set a 2", "done"),
        ("box get a", "2"),
        ("box exists a", "true"),
        ("box increment a 40", "42"),
        ("box get a", "42"),
        ("box set-many b=x c=y", "done"),
        ("box get-many c none a", "y - 42"),
        ("box keys", "a b c"),
        ("box delete b", "done"),
        ("box delete b", "done"),
        ("box delete-many a none", "done"),
        ("box keys", "c"),
        ("counters keys", ""),
        ("counters increment a 1", "1"),
        ("box get a", "-"),
    ];
    assert_answers(&vhost, &answers).await?;
    host.stop().await
}

#[tokio::test]
async fn the_other_kinds_of_store_answer_alike() -> Result<()> {
    let redis = RedisServer::start().await?;
    for store in ["kind = \"memory\"".to_owned(), redis.store()] {
        assert_answers_alike(&store).await?;
    }
    Ok(())
}

async fn assert_answers_alike(store: &str) -> Result<()> {
    let toml = obedient(GRANTED).section("store", store);
    let (vhost, mut host) = consuming("keyvalue", toml).await?;
    let answers = [
        ("box set-many a=1 b=2", "done"),
        ("box increment a 1", "2"),
        ("box get-many a b c", "2 2 -"),
        ("box delete a", "done"),
        ("box keys", "b"),
    ];
    assert_answers(&vhost, &answers).await?;
    host.stop().await
}

#[tokio::test]
async fn more_keys_than_a_page_holds_are_listed_each_once() -> Result<()> {
    let (vhost, _host) = consuming("keyvalue", obedient(GRANTED)).await?;
    let answers = [
        ("box fill 0 1000", "done"),
        ("box fill 1000 2000", "done"),
        ("box fill 1500 2300", "done"),
        ("box count", "2300"),
    ];
    assert_answers(&vhost, &answers).await
}

#[tokio::test]
async fn what_is_too_large_is_an_error_and_nothing_is_kept_of_it() -> Result<()> {
    let (vhost, _host) = consuming("keyvalue", obedient(GRANTED)).await?;
    let long = "k".repeat(1025);
    for (request, reason) in [
        ("box set-large a 1048577", "1048577 bytes"),
        (format!("box set {long} 1").as_str(), "1025 bytes"),
        ("box fill 0 1001", "1001 keys"),
        ("box increment word 1", "no number"),
    ] {
        if request.contains("word") {
            assert_eq!(ask(&vhost, "box set word one").await?, "done");
        }
        let answer = ask(&vhost, request).await?;
        assert!(
            answer.contains("Other") && answer.contains(reason),
            "{answer}"
        );
    }
    assert_eq!(ask(&vhost, "box set-large a 1048576").await?, "done");
    assert_eq!(ask(&vhost, "box keys").await?, "word a");
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_not_granted_is_denied_and_the_log_names_the_key() -> Result<()> {
    let (vhost, host) = consuming("keyvalue", obedient("allow = { keyvalue = [\"box\"] }")).await?;
    assert_answers(&vhost, &[("counters keys", "AccessDenied")]).await?;
    host.wait_for_event_naming("component.denied", "components.keyvalue.allow.keyvalue")
        .await?;
    let denied = r#"hive_denied_total{capability="keyvalue",component="keyvalue"}"#;
    assert_eq!(host.metric(denied).await?, 1.0);
    assert_answers(&vhost, &[("box set a 1", "done")]).await
}

#[tokio::test]
async fn a_host_whose_components_keep_nothing_makes_no_file() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("keyvalue").await?;
    let folder = scratch("store");
    let host = launch_in(&folder, &obedient("").text(&vhost))?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    assert_answers(&vhost, &[("box keys", "AccessDenied")]).await?;
    drop(host);
    assert!(!folder.join("hive.db").exists());
    Ok(())
}

fn launch_in(folder: &Path, toml: &str) -> Result<HostProcess> {
    let path = folder.join("hive.toml");
    std::fs::write(&path, toml)?;
    HostProcess::launch_file(&path, &[])
}

#[tokio::test]
async fn the_first_grant_may_come_with_a_reload_and_a_file_that_is_no_store_refuses_it()
-> Result<()> {
    let vhost = Broker::shared().await?.vhost("keyvalue").await?;
    let folder = scratch("store");
    let host = launch_in(&folder, &obedient("").text(&vhost))?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    let file = folder.join("hive.toml");
    std::fs::write(&file, obedient(GRANTED).text(&vhost))?;

    std::fs::write(folder.join("hive.db"), "somebody's notes")?;
    let refused = host.told("reload", &file, &[]).await?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("`store.path`"), "{refused:?}");
    assert_answers(&vhost, &[("box keys", "AccessDenied")]).await?;

    std::fs::remove_file(folder.join("hive.db"))?;
    let reloaded = host.told("reload", &file, &[]).await?;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert_answers(&vhost, &[("box set a 1", "done"), ("box get a", "1")]).await
}

#[tokio::test]
async fn two_components_share_a_bucket() -> Result<()> {
    let toml = obedient(GRANTED)
        .queue("counted", "")
        .component("tally", GRANTED)
        .consumer("counted", "tally", "");
    let (vhost, _host) = consuming("keyvalue", toml).await?;
    assert_answers(&vhost, &[("counters increment a 10", "10")]).await?;
    vhost.publish("", "counted", Message::new("a")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "11 a");
    assert_answers(&vhost, &[("counters get a", "11")]).await
}

#[tokio::test]
async fn a_second_host_on_the_same_file_does_not_start_and_says_why() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("keyvalue").await?;
    let folder = scratch("store");
    let toml = obedient(GRANTED).text(&vhost);
    let host = launch_in(&folder, &toml)?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    assert_answers(&vhost, &[("box set a 1", "done")]).await?;
    let mut second = launch_in(&folder, &toml)?;
    assert_eq!(second.wait().await?.code(), Some(1));
    let lines = second.lines_to_the_end().join("\n");
    assert!(
        lines.contains("`store.path`") && lines.contains("another process"),
        "{lines}"
    );
    // Nor does a check open it.
    let checked = check(&toml)?;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert_answers(&vhost, &[("box get a", "1")]).await
}

const WAVES: usize = 4;
const WAVE: usize = 100;
const KEYS: usize = 4;

/// What came of the deliveries: which messages were counted, how often that was told, and the highest number for each key.
#[derive(Default)]
struct Told {
    messages: BTreeSet<String>,
    times: usize,
    highest: BTreeMap<String, u64>,
}

impl Told {
    async fn add_all_of(&mut self, vhost: &Vhost) -> Result<()> {
        for message in vhost.drain("out").await? {
            let text = message.text();
            let (number, key) = text.split_once(' ').context("a number and a key")?;
            let highest = self.highest.entry(key.to_owned()).or_default();
            *highest = number.parse::<u64>()?.max(*highest);
            self.messages.insert(message.id().to_owned());
            self.times += 1;
        }
        Ok(())
    }
}

/// Publishes one wave. What comes of a message is known by its id, however often it is handled.
async fn publish_wave(vhost: &Vhost, wave: usize) -> Result<()> {
    let messages = (wave * WAVE..(wave + 1) * WAVE).map(|number| {
        Message::new(format!("k{}", number % KEYS))
            .with(|properties| properties.with_message_id(format!("m{number}").into()))
    });
    vhost.publish_all("", "letters", messages).await
}

#[tokio::test]
async fn deliveries_are_counted_across_kills_of_the_host() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("keyvalue").await?;
    let folder = scratch("store");
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("tally", GRANTED)
        .consumer("letters", "tally", "concurrency = 4\nprefetch = 16")
        .text(&vhost);
    vhost.declare_queue("letters", "quorum").await?;
    vhost.declare_queue("out", "quorum").await?;
    // A wave for each host: with one for all of them, a quick host leaves nothing to the others.
    for wave in 1..WAVES {
        let before = vhost.ready("out").await?;
        publish_wave(&vhost, wave).await?;
        let mut host = launch_in(&folder, &toml)?;
        let look = async || vhost.ready("out").await;
        eventually("some were counted", look, |ready| *ready > before).await?;
        host.kill9()?;
    }
    publish_wave(&vhost, 0).await?;
    let mut host = launch_in(&folder, &toml)?;
    let told: Mutex<Told> = Mutex::default();
    let look = async || {
        let mut told = told.lock().await;
        told.add_all_of(&vhost).await?;
        Ok(told.messages.len())
    };
    let all = |count: &usize| *count == WAVES * WAVE;
    eventually("every message was counted", look, all).await?;
    host.stop().await?;
    let mut told = told.into_inner();
    told.add_all_of(&vhost).await?;
    let Told { times, highest, .. } = told;
    assert_eq!(highest.len(), KEYS);
    // Each that was told of was counted before; those that came twice were counted twice.
    let sum: u64 = highest.values().sum();
    assert!(
        sum >= u64::try_from(times)?,
        "{times} told, {highest:?} counted"
    );

    // What was counted is there after a clean stop as well.
    let mut host = launch_in(&folder, &toml)?;
    let last = Message::new("k0").with(|properties| properties.with_message_id("last".into()));
    vhost.publish("", "letters", last).await?;
    let mut next = None;
    // One that came back to the queue when the host stopped may be counted before it.
    vhost
        .take_until("out", |message| {
            let is_last = message.id() == "last-0";
            next = is_last.then(|| message.text());
            is_last
        })
        .await?;
    let next = next.context("the last one was counted")?;
    let number: u64 = next.strip_suffix(" k0").context("a count of k0")?.parse()?;
    assert!(number > highest["k0"], "{number} after {highest:?}");
    host.stop().await
}
