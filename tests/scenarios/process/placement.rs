//! `placement = "single"`: of several hosts one at a time consumes a queue, and the next takes over when it goes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, Finished, HiveToml, HostProcess, Message, Version, Vhost, eventually, run_to_end,
    scratch,
};
use serde_json::Value;

/// How often the queue changes hosts in the test of hand-overs, where `HIVE_HAND_OVERS` names no other number.
const HAND_OVERS: usize = 30;

/// One consumer of `letters`, on one host at a time.
pub(super) fn single(queue_keys: &str, consumer_keys: &str) -> HiveToml {
    let keys = format!("placement = \"single\"\nretry = \"none\"\n{consumer_keys}");
    HiveToml::new()
        .queue("letters", queue_keys)
        .component("turns", "")
        .consumer("letters", "turns", &keys)
}

/// A host of this name.
pub(super) async fn host(vhost: &Vhost, toml: &HiveToml, name: &str) -> Result<HostProcess> {
    let named = toml
        .text(vhost)
        .replace("name = \"tests\"", &format!("name = \"{name}\""));
    let host = HostProcess::launch(&named)?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    Ok(host)
}

/// Hosts of these names, started together.
pub(super) async fn hosts(
    vhost: &Vhost,
    toml: &HiveToml,
    names: &[&str],
) -> Result<Vec<HostProcess>> {
    futures_util::future::try_join_all(names.iter().map(|name| host(vhost, toml, name))).await
}

pub(super) fn letters(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Message> {
    numbers.map(|number| Message::new(number.to_string()))
}

/// The bodies that the guest of a host has ended with.
pub(super) fn ended(host: &HostProcess) -> Vec<String> {
    let printed = host.printed().into_iter();
    let words =
        printed.filter_map(|line| Some(line.strip_prefix("ended ")?.split_once(' ')?.1.to_owned()));
    words.collect()
}

/// Waits until the hosts have ended with this many letters between them.
pub(super) async fn wait_for_ended(hosts: &[HostProcess], count: usize) -> Result<()> {
    let look = async || Ok(hosts.iter().map(|host| ended(host).len()).sum::<usize>());
    let what = format!("{count} letters are handled");
    eventually(&what, look, |ended| *ended >= count)
        .await
        .map(drop)
}

/// Pauses or resumes the consumer of a host.
pub(crate) async fn command(host: &HostProcess, verb: &str) -> Result<()> {
    let path = format!("/v1/consumers/letters/{verb}");
    let answer = host
        .command(&path, "content-type: application/json\r\n")
        .await?;
    ensure!(answer.status == 200, "{verb}: {answer:?}");
    Ok(())
}

/// Whether the broker moves a queue back to the host with the highest priority.
pub(super) fn moves_back(vhost: &Vhost) -> bool {
    vhost.version() >= Version::V4_0
}

/// `hive-host check --broker` on this file.
fn check_at_broker(toml: &HiveToml, vhost: &Vhost) -> Result<Finished> {
    let file = scratch("check").join("hive.toml");
    std::fs::write(&file, toml.text(vhost))?;
    run_to_end(&["check", &file.to_string_lossy(), "--broker"])
}

fn state(status: &str) -> Result<(String, String)> {
    let status: Value = serde_json::from_str(status)?;
    let consumer = &status["consumers"][0];
    let text = |key: &str| consumer[key].as_str().unwrap_or_default().to_owned();
    Ok((text("state"), text("reason")))
}

#[tokio::test]
async fn one_host_handles_and_the_other_stands_by_and_is_ready() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("single").await?;
    let hosts = hosts(&vhost, &single("", ""), &["a", "b"]).await?;
    vhost.publish_all("", "letters", letters(0..50)).await?;
    wait_for_ended(&hosts, 50).await?;
    let (busy, idle): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| !ended(host).is_empty());
    let ([busy], [idle]) = (&busy[..], &idle[..]) else {
        anyhow::bail!("{} hosts have handled letters", busy.len());
    };
    for (host, expected, standby) in [(busy, "consuming", 0), (idle, "standby", 1)] {
        let (code, ready) = host.readiness().await?;
        assert_eq!(
            (code, &ready["missing"]),
            (200, &Value::Array(Vec::new())),
            "{ready}"
        );
        assert_eq!(ready["consumers"]["standby"], standby, "{ready}");
        assert_eq!(ready["consumers"]["consuming"], 1 - standby, "{ready}");
        let (state, reason) = state(&host.admin("/v1/status").await?.body)?;
        assert_eq!(state, expected, "{reason}");
        assert_eq!(
            reason.contains("another host consumes"),
            standby == 1,
            "{reason}"
        );
        let series = r#"hive_consumer_standby{consumer="letters",queue="letters"}"#;
        assert_eq!(host.metric(series).await?, f64::from(standby));
        let up = r#"hive_consumer_up{consumer="letters",queue="letters"}"#;
        assert_eq!(host.metric(up).await?, 1.0);
    }
    let declared = vhost.counters("letters")?;
    assert_eq!(
        declared["arguments"]["x-single-active-consumer"], true,
        "{declared}"
    );
    Ok(())
}

/// A call of the guest, by the clock of the guest.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) host: usize,
    pub(super) begins: u128,
    /// `None` for one that was cut.
    pub(super) ended: Option<u128>,
    body: String,
}

/// Every call of every host, in the order of their beginnings.
pub(super) fn calls(hosts: &[HostProcess]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for (host, process) in hosts.iter().enumerate() {
        let mut open = BTreeMap::new();
        for line in process.printed() {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().context("three words");
            let (verb, at, body) = (word()?, word()?.parse()?, word()?.to_owned());
            match verb {
                "begins" => {
                    open.insert(body.clone(), calls.len());
                    calls.push(Call {
                        host,
                        begins: at,
                        ended: None,
                        body,
                    });
                }
                _ => calls[open.remove(&body).context("one that began")?].ended = Some(at),
            }
        }
    }
    calls.sort_by_key(|call| call.begins);
    Ok(calls)
}

/// How often the queue changed hosts, after none of them began before the others had ended.
fn hand_overs(calls: &[Call]) -> Result<usize> {
    let mut latest = BTreeMap::<usize, u128>::new();
    let mut changes = 0;
    let mut last = None;
    for call in calls {
        let others = latest.iter().filter(|(host, _)| **host != call.host);
        for (host, ended) in others {
            ensure!(
                *ended <= call.begins,
                "host {host} was at work until {ended}: {call:?}"
            );
        }
        changes += usize::from(last.is_some_and(|last| last != call.host));
        last = Some(call.host);
        let ended = call.ended.with_context(|| format!("{call:?} was cut"))?;
        let until = latest.entry(call.host).or_default();
        *until = ended.max(*until);
    }
    Ok(changes)
}

/// The host that has begun a call after `since`, while `feed` sees to it that the queue's messages do not end.
pub(super) async fn active(
    hosts: &[HostProcess],
    since: &[usize],
    but: Option<usize>,
    feed: impl AsyncFn() -> Result<()>,
) -> Result<usize> {
    let look = async || {
        feed().await?;
        let began = |host: &HostProcess| host.count_printed("begins ");
        let counts = hosts.iter().map(began).zip(since);
        let mut busy = counts.enumerate().filter(|(_, (now, before))| now > before);
        Ok(busy
            .find(|(host, _)| Some(*host) != but)
            .map(|(host, _)| host))
    };
    let found = eventually("a host is at work", look, Option::is_some).await?;
    found.context("none")
}

pub(super) fn begun(hosts: &[HostProcess]) -> Vec<usize> {
    hosts
        .iter()
        .map(|host| host.count_printed("begins "))
        .collect()
}

/// While the queue is full, the host that consumes is paused and resumed, again and again. The guests print when they
/// begin and end: no host begins while another one is at work, and each letter is handled once.
#[tokio::test]
async fn hand_overs_wait_for_what_is_in_flight() -> Result<()> {
    let wanted = std::env::var("HIVE_HAND_OVERS")
        .ok()
        .map(|number| number.parse());
    let wanted = wanted.transpose()?.unwrap_or(HAND_OVERS);
    let vhost = Broker::shared().await?.vhost("handovers").await?;
    let hosts = hosts(&vhost, &single("", "concurrency = 3"), &["a", "b", "c"]).await?;
    let published = Cell::new(0);
    let feed = async || {
        if vhost.ready("letters").await? < 500 {
            let next = published.get()..published.get() + 1000;
            published.set(next.end);
            vhost.publish_all("", "letters", letters(next)).await?;
        }
        Ok(())
    };
    let mut changes = 0;
    while changes < wanted {
        let now = active(&hosts, &begun(&hosts), None, &feed).await?;
        let before = begun(&hosts);
        command(&hosts[now], "pause").await?;
        active(&hosts, &before, Some(now), &feed).await?;
        let before = begun(&hosts);
        command(&hosts[now], "resume").await?;
        changes += 1;
        if moves_back(&vhost) {
            let home = active(&hosts, &before, None, &feed).await?;
            changes += usize::from(home == now);
        }
    }
    let published = published.get();
    wait_for_ended(&hosts, published).await?;
    let calls = calls(&hosts)?;
    let seen = hand_overs(&calls)?;
    ensure!(seen >= wanted, "only {seen} hand-overs of {wanted}");
    assert_eq!(calls.len(), published, "a letter was handled twice");
    let bodies: BTreeSet<_> = calls.iter().map(|call| &*call.body).collect();
    assert_eq!(bodies.len(), published);
    Ok(())
}

/// `kill -9`: the next host consumes at once; where the broker moves queues back, the queue comes home.
#[tokio::test]
async fn a_killed_host_is_followed_and_its_queue_comes_home() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("killed-single").await?;
    let toml = single("", "");
    let names = ["a", "b"];
    let mut hosts = hosts(&vhost, &toml, &names).await?;
    vhost.publish_all("", "letters", letters(0..10)).await?;
    wait_for_ended(&hosts, 10).await?;
    let home = usize::from(ended(&hosts[0]).is_empty());
    hosts[home].kill9()?;
    let other = 1 - home;
    vhost.publish_all("", "letters", letters(10..20)).await?;
    let handled = async || Ok(ended(&hosts[other]).len());
    eventually("the other host took over", handled, |count| *count >= 10).await?;
    let again = host(&vhost, &toml, names[home]).await?;
    vhost.publish_all("", "letters", letters(20..30)).await?;
    let (expected, idle) = match moves_back(&vhost) {
        true => (&again, &hosts[other]),
        false => (&hosts[other], &again),
    };
    let before = ended(idle).len();
    let last = async || Ok(ended(expected));
    eventually("the last letter is handled", last, |bodies| {
        bodies.iter().any(|body| body == "29")
    })
    .await?;
    assert_eq!(ended(idle).len(), before, "both handled letters");
    Ok(())
}

/// A host whose link is gone does not go on with what another host may have been given: its call is cut.
#[tokio::test]
async fn a_lost_connection_cuts_the_call_that_another_host_repeats() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("cut-single").await?;
    let toml = HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("letters", "")
        .component("turns", "timeout = \"10m\"")
        .consumer(
            "letters",
            "turns",
            "placement = \"single\"\nretry = \"none\"",
        );
    let hosts = hosts(&vhost, &toml, &["a", "b"]).await?;
    vhost
        .publish(
            "",
            "letters",
            Message::new("slow").header("pause", 600_000_i64),
        )
        .await?;
    let first = active(&hosts, &[0, 0], None, async || Ok(())).await?;
    // The management page learns of a connection some seconds after it was opened.
    let close = async || vhost.close_host_connections();
    eventually("the connections are closed", close, |closed| *closed >= 4).await?;
    hosts[first]
        .wait_for_event("delivery.settled", &[("outcome", "lost")])
        .await?;
    let look = async || Ok(begun(&hosts).iter().sum::<usize>());
    eventually("it is begun again", look, |begun| *begun >= 2).await?;
    Ok(())
}

/// A queue that exists without a single active consumer is not consumed, and named with what to do.
#[tokio::test]
async fn a_queue_without_the_argument_is_not_consumed_and_named() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("plain-single").await?;
    vhost.declare_queue("letters", "quorum").await?;
    let declared = single("", "");
    let passive = single("passive = true", "");
    let unknown = HiveToml::new().component("turns", "").consumer(
        "letters",
        "turns",
        "placement = \"single\"\nretry = \"none\"",
    );
    for toml in [declared, passive, unknown] {
        let host = HostProcess::launch(&toml.text(&vhost))?;
        let look = async || host.readiness().await;
        let is_told = |(code, ready): &(u16, Value)| {
            *code == 503 && ready["missing"][0]["code"] == "HIVE-0221"
        };
        let (_, ready) = eventually("the queue is named", look, is_told).await?;
        let reason = ready["missing"][0]["reason"].as_str().unwrap_or_default();
        for part in [
            "x-single-active-consumer",
            "letters",
            "delete it",
            "placement",
        ] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert_eq!(vhost.consumers("letters").await?, 0);
        let checked = check_at_broker(&toml, &vhost)?;
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(
            checked.stderr.contains("x-single-active-consumer"),
            "{checked:?}"
        );
    }
    // Made anew as it should be, it is consumed by the host that does not declare it.
    vhost.delete_queue("letters").await?;
    let mut first = host(&vhost, &single("", ""), "first").await?;
    first.stop().await?;
    for keys in ["passive = true", ""] {
        let mut next = host(&vhost, &single(keys, ""), "next").await?;
        vhost.publish("", "letters", Message::new("x")).await?;
        next.wait_for_printed("ended").await?;
        next.stop().await?;
    }
    Ok(())
}

/// What `check` says of it, from the file and from the broker.
#[tokio::test]
async fn check_says_whether_a_queue_moves_back() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("check-single").await?;
    let quorum = check_at_broker(&single("", ""), &vhost)?;
    assert_eq!(quorum.code, Some(0), "{quorum:?}");
    assert!(
        quorum.stdout.contains("placement: one host at a time"),
        "{quorum:?}"
    );
    let mut host = host(&vhost, &single("", ""), "tests").await?;
    host.stop().await?;
    let there = check_at_broker(&single("", ""), &vhost)?;
    let expected = match moves_back(&vhost) {
        true => "moves back to its host",
        false => "does not move back by itself",
    };
    assert!(there.stdout.contains(expected), "{there:?}");
    let classic = check_at_broker(&single("type = \"classic\"", ""), &vhost)?;
    assert!(
        classic
            .stdout
            .contains("a classic queue does not move back"),
        "{classic:?}"
    );
    Ok(())
}

/// Priorities of several hosts that all consume.
#[tokio::test]
async fn the_consumer_of_the_higher_priority_comes_first() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("priority").await?;
    let with = |priority: i32| {
        let keys = format!("priority = {priority}\nprefetch = 8\nretry = \"none\"");
        HiveToml::one("letters", "turns", &keys)
    };
    let low = host(&vhost, &with(-1), "low").await?;
    let high = host(&vhost, &with(5), "high").await?;
    for number in 0..20 {
        vhost
            .publish("", "letters", Message::new(number.to_string()))
            .await?;
        high.wait_for_printed(&format!(" {number}")).await?;
    }
    assert!(ended(&low).is_empty());
    // What it has no room for goes to the other.
    command(&high, "pause").await?;
    vhost.publish("", "letters", Message::new("last")).await?;
    low.wait_for_printed("ended").await?;
    Ok(())
}

/// The consumer's own time-out holds in place of the queue's, where the broker has that.
#[tokio::test]
async fn a_call_may_take_as_long_as_ack_timeout_says() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("ack-timeout").await?;
    let queue = match vhost.version() {
        Version::V4_3 => "arguments = { x-consumer-timeout = 2000 }",
        _ => "",
    };
    let toml = HiveToml::new()
        .host("log = \"info,hive=debug\"")
        .queue("letters", queue)
        .component("turns", "timeout = \"20s\"")
        .consumer(
            "letters",
            "turns",
            "ack_timeout = \"30m\"\nretry = \"none\"",
        );
    let host = host(&vhost, &toml, "tests").await?;
    vhost
        .publish(
            "",
            "letters",
            Message::new("slow").header("pause", 6_000_i64),
        )
        .await?;
    host.wait_for_event("delivery.settled", &[("outcome", "acked")])
        .await?;
    assert_eq!(host.count_printed("begins"), 1);
    Ok(())
}
