//! What components keep in the host's store: `wasi:keyvalue`.

use std::collections::BTreeMap;
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

const COUNTED: usize = 400;
const KEYS: usize = 4;

/// The highest number told for each key, once every delivery was told of at least once.
async fn told_of_all(vhost: &Vhost) -> Result<(usize, BTreeMap<String, u64>)> {
    let told: Mutex<(usize, BTreeMap<String, u64>)> = Mutex::default();
    let look = async || {
        let mut told = told.lock().await;
        for message in vhost.drain("out").await? {
            let text = message.text();
            let (number, key) = text.split_once(' ').context("a number and a key")?;
            let number: u64 = number.parse()?;
            let highest = told.1.entry(key.to_owned()).or_default();
            *highest = number.max(*highest);
            told.0 += 1;
        }
        Ok(told.0)
    };
    eventually("every delivery was told of", look, |count| {
        *count >= COUNTED
    })
    .await?;
    Ok(told.into_inner())
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
    let messages = (0..COUNTED).map(|number| Message::new(format!("k{}", number % KEYS)));
    vhost.publish_all("", "letters", messages).await?;
    for _ in 0..3 {
        let mut host = launch_in(&folder, &toml)?;
        let before = vhost.ready("out").await.unwrap_or_default();
        let look = async || vhost.ready("out").await;
        eventually("some were counted", look, |ready| *ready > before).await?;
        host.kill9()?;
    }
    let mut host = launch_in(&folder, &toml)?;
    let (told, highest) = told_of_all(&vhost).await?;
    host.stop().await?;
    assert_eq!(vhost.ready("letters").await?, 0);
    let sum: u64 = highest.values().sum();
    assert_eq!(highest.len(), KEYS);
    // Each that was told of was counted before; those that came twice were counted twice.
    assert!(
        sum >= u64::try_from(told)?,
        "{told} told, {highest:?} counted"
    );

    // What was counted is there after a clean stop as well.
    let mut host = launch_in(&folder, &toml)?;
    vhost.publish("", "letters", Message::new("k0")).await?;
    let next = vhost.take_one("out").await?.text();
    let k0 = highest.get("k0").context("k0 was counted")?;
    assert_eq!(next, format!("{} k0", k0 + 1));
    host.stop().await
}
