//! What goes back to a queue: nothing is lost by it, however often, and nothing that is nobody's fault
//! goes round and round.
//!
//! A quorum queue of RabbitMQ 4.0 and later drops what came back too often, 21 times where nothing else
//! is set. So each way of giving back is gone 25 times here.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, RedisServer, Vhost, eventually, scratch};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::Mutex;

use crate::broker::broker_faults::set_consumer_timeout;
use crate::pace::flow::{tell, wait_for_state};
use crate::{assert_settled, consuming};

/// More than any broker lets a message come back.
const TIMES: usize = 25;
const MESSAGES: u32 = 60;
const PREFETCH: u32 = 40;

/// A call that no test waits for.
const ENDLESS: &str = "600000";
/// A call that is over soon.
const SHORT: &str = "300";

/// A consumer of a queue of the default kind, whose calls sleep for as long as the body says.
fn slow(prefetch: u32) -> HiveToml {
    HiveToml::new()
        .host("shutdown_timeout = \"100ms\"")
        .connection(r#"reconnect = { first = "50ms", max = "200ms" }"#)
        .queue("letters", "")
        .queue("out", "")
        .component("slow", r#"timeout = "20m""#)
        .consumer(
            "letters",
            "slow",
            &format!("concurrency = 2\nprefetch = {prefetch}"),
        )
}

/// Publishes messages that can be told apart.
async fn publish(vhost: &Vhost, body: &str) -> Result<()> {
    let messages = (0..MESSAGES).map(|number| {
        Message::new(body).with(|properties| properties.with_message_id(number.to_string().into()))
    });
    vhost.publish_all("", "letters", messages).await
}

/// Waits until the host has a prefetch of messages in hand.
async fn wait_in_hand(vhost: &Vhost, prefetch: u32) -> Result<()> {
    vhost.wait_ready("letters", MESSAGES - prefetch).await
}

/// Every message is in its queue, or was handled. What a channel held is back a moment after it closed.
async fn assert_none_lost(vhost: &Vhost) -> Result<()> {
    let there: Mutex<BTreeSet<String>> = Mutex::default();
    let look = async || {
        let mut there = there.lock().await;
        for queue in ["letters", "out"] {
            for message in vhost.drain(queue).await? {
                there.insert(message.id().to_owned());
            }
        }
        Ok(there.len())
    };
    let count = usize::try_from(MESSAGES)?;
    eventually("no message is lost", look, |seen| *seen == count).await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0, "dead-lettered");
    Ok(())
}

/// The same where no message can have been handled.
async fn assert_all_back(vhost: &Vhost) -> Result<()> {
    vhost.wait_ready("letters", MESSAGES).await?;
    assert_none_lost(vhost).await
}

/// Ends a host 25 times in mid-work, and finds every message in its queue each time.
async fn assert_ends_lose_nothing(
    label: &str,
    end: impl AsyncFn(&mut HostProcess) -> Result<()>,
) -> Result<()> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let toml = slow(PREFETCH);
    for time in 0..TIMES {
        let mut host = HostProcess::run(&vhost, &toml).await?;
        if time == 0 {
            publish(&vhost, ENDLESS).await?;
        }
        wait_in_hand(&vhost, PREFETCH).await?;
        end(&mut host).await?;
        vhost.wait_ready("letters", MESSAGES).await?;
    }
    assert_all_back(&vhost).await
}

#[tokio::test]
async fn a_host_that_is_killed_25_times_loses_nothing() -> Result<()> {
    assert_ends_lose_nothing("kills", async |host| host.kill9()).await
}

#[tokio::test]
async fn a_host_that_is_stopped_25_times_in_mid_work_loses_nothing() -> Result<()> {
    let stop = async |host: &mut HostProcess| {
        host.sigterm();
        host.wait().await.map(drop)
    };
    assert_ends_lose_nothing("stops", stop).await
}

#[tokio::test]
async fn a_prefetch_that_is_changed_25_times_by_a_reload_loses_nothing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("reloads").await?;
    let file = scratch("reloads").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &slow(PREFETCH), &file).await?;
    publish(&vhost, ENDLESS).await?;
    for time in 0..TIMES {
        let prefetch = PREFETCH + u32::try_from(time % 2)?;
        if time > 0 {
            reload(&vhost, &host, &slow(prefetch), &file).await?;
        }
        wait_in_hand(&vhost, prefetch).await?;
    }
    host.kill9()?;
    assert_all_back(&vhost).await
}

async fn reload(vhost: &Vhost, host: &HostProcess, toml: &HiveToml, file: &Path) -> Result<()> {
    std::fs::write(file, toml.text(vhost))?;
    let reloaded = host.told("reload", file, &[]).await?;
    ensure!(reloaded.code == Some(0), "{reloaded:?}");
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_is_paused_25_times_loses_nothing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("pauses").await?;
    let file = scratch("pauses").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &slow(PREFETCH), &file).await?;
    publish(&vhost, SHORT).await?;
    for _ in 0..TIMES {
        wait_for_state(&host, "consuming").await?;
        tell(&host, "pause", &file).await?;
        tell(&host, "resume", &file).await?;
    }
    tell(&host, "pause", &file).await?;
    // What is in hand may take longer than the stop.
    host.sigterm();
    host.wait().await?;
    assert_none_lost(&vhost).await
}

#[tokio::test]
async fn connections_that_are_closed_25_times_lose_nothing() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("closed").await?;
    let mut host = HostProcess::run(&vhost, &slow(PREFETCH)).await?;
    publish(&vhost, "2000").await?;
    for time in 1..=TIMES {
        broker.close_connections(&vhost)?;
        host.wait_for_events("consumer.subscribed", &[("consumer", "letters")], time + 1)
            .await?;
    }
    host.kill9()?;
    let look = async || vhost.consumers("letters").await;
    eventually("it is gone", look, |consumers| *consumers == 0).await?;
    assert_none_lost(&vhost).await
}

/// A queue that refuses what it has no room for.
fn room_for_one() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("classic".into()),
    );
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    arguments
}

const KEPT: &str = "hive_deliveries_kept{consumer=\"letters\"}";

fn outcome(outcome: &str) -> String {
    format!("hive_deliveries_total{{consumer=\"letters\",outcome=\"{outcome}\"}}")
}

/// One publication of two finds no room: the other one goes out once, and the component is called once.
#[tokio::test]
async fn a_publication_to_a_full_queue_is_tried_again_in_the_host_and_nothing_else_is() -> Result<()>
{
    let toml = HiveToml::new()
        .queue("letters", "")
        .component("slow", "")
        .consumer("letters", "slow", "concurrency = 4");
    let vhost = Broker::shared().await?.vhost("full").await?;
    vhost.declare_queue_with("out", room_for_one()).await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    const COUNT: usize = 5;
    let messages = (0..COUNT).map(|_| Message::new("0"));
    vhost.publish_all("", "letters", messages).await?;
    let kept = async || host.metric(KEPT).await;
    eventually("all but one are kept", kept, |kept| *kept == 4.0).await?;
    let named = async || {
        let (code, readiness) = host.readiness().await?;
        Ok((code, readiness["keeping"][0].clone()))
    };
    let what = "readiness names them";
    let (code, keeping) = eventually(what, named, |(_, keeping)| keeping.is_object()).await?;
    assert_eq!(code, 200, "the consumer consumes");
    assert_eq!(keeping["consumer"], "letters");
    assert_eq!(keeping["deliveries"], 4);
    assert_eq!(vhost.take("out", COUNT).await?.len(), COUNT);
    eventually("none is kept", kept, |kept| *kept == 0.0).await?;
    assert_eq!(
        host.count_printed("started"),
        COUNT,
        "the component was called again"
    );
    assert_eq!(host.metric(&outcome("requeued")).await?, 0.0);
    assert_settled(&vhost, &mut host, "letters").await
}

/// A stop, a pause and a reload wait for nothing that is kept.
#[tokio::test]
async fn what_is_kept_in_the_host_goes_back_as_soon_as_it_stops() -> Result<()> {
    let toml = HiveToml::new()
        .host("shutdown_timeout = \"10m\"")
        .queue("letters", "")
        .component("slow", "")
        .consumer("letters", "slow", "");
    let vhost = Broker::shared().await?.vhost("full").await?;
    let mut none = room_for_one();
    none.insert("x-max-length".into(), AMQPValue::LongLongInt(0));
    vhost.declare_queue_with("out", none).await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new("0")).await?;
    let kept = async || host.metric(KEPT).await;
    eventually("it is kept", kept, |kept| *kept == 1.0).await?;
    host.stop().await?;
    vhost.wait_ready("letters", 1).await?;
    let back = vhost.take_one("letters").await?;
    assert_eq!(
        back.value("x-hive-attempt"),
        None,
        "it went back as it came"
    );
    Ok(())
}

/// Effects done, and their keys not remembered: the component must not do them again and again.
async fn held_by_its_store(
    store: &str,
    take_away: impl FnOnce(&HostProcess) -> Result<()>,
    give_back: impl FnOnce(&HostProcess) -> Result<()>,
) -> Result<()> {
    let keys = "dedup = { key = \"message-id\" }\nconcurrency = 2\nprefetch = 30";
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("slow", "")
        .consumer("letters", "slow", keys)
        .section("store", store);
    let (vhost, mut host) = consuming("store", toml).await?;
    take_away(&host)?;
    publish(&vhost, "0").await?;
    let why = async || {
        let (code, readiness) = host.readiness().await?;
        Ok((code, readiness["missing"][0]["reason"].clone()))
    };
    let (code, reason) = eventually("it says so", why, |(_, reason)| reason.is_string()).await?;
    assert_eq!(code, 503, "{reason}");
    assert!(
        reason
            .as_str()
            .is_some_and(|reason| reason.contains("store")),
        "{reason}"
    );
    let begun = host.count_printed("started");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        host.count_printed("started"),
        begun,
        "it takes nothing more"
    );
    give_back(&host)?;
    let count = usize::try_from(MESSAGES)?;
    assert_eq!(vhost.take("out", count).await?.len(), count);
    let acked = outcome("acked");
    let look = async || host.metric(&acked).await;
    eventually("all are done", look, |acked| *acked == f64::from(MESSAGES)).await?;
    assert_eq!(
        host.count_printed("started"),
        count,
        "something was handled twice"
    );
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_store_that_takes_nothing_holds_its_consumer_and_repeats_nothing() -> Result<()> {
    let redis = RedisServer::start().await?;
    let memory = |most| {
        redis
            .command(&["CONFIG", "SET", "maxmemory", most])
            .map(drop)
    };
    held_by_its_store(&redis.store(), |_| memory("1"), |_| memory("0")).await
}

/// As on a full disk: no file of the host's takes another byte.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_store_whose_file_cannot_grow_holds_its_consumer_and_repeats_nothing() -> Result<()> {
    let full = |host: &HostProcess| host.limit_files(Some(0));
    let free = |host: &HostProcess| host.limit_files(None);
    held_by_its_store("kind = \"embedded\"", full, free).await
}

/// Slower than the broker has patience for, at every attempt: a bounded number of attempts, one dead
/// letter, and nothing else. What was prefetched behind it is handled once, on a channel that lives.
#[tokio::test]
async fn a_handler_that_is_always_slower_than_the_consumer_timeout_ends_in_one_dead_letter()
-> Result<()> {
    const QUICK: usize = 20;
    let keys = r#"retry = { limit = 1, delays = ["100ms"] }
concurrency = 1
prefetch = 10"#;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("slow", r#"timeout = "20m""#)
        .consumer("letters", "slow", keys);
    let broker = Broker::private().await?;
    set_consumer_timeout(&broker)?;
    let vhost = broker.vhost("overrun").await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    vhost.publish("", "letters", Message::new(ENDLESS)).await?;
    let quick = (0..QUICK).map(|number| Message::new(number.to_string()));
    vhost.publish_all("", "letters", quick).await?;
    let dead = vhost.take_one("letters.dead").await?;
    assert_eq!(dead.text(), ENDLESS);
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("timeout"));
    assert_eq!(dead.number_of("x-hive-attempts"), Some(2));
    let out = vhost.take("out", QUICK).await?;
    let seen: BTreeSet<String> = out.iter().map(Message::text).collect();
    let quick: BTreeSet<String> = (0..QUICK).map(|number| number.to_string()).collect();
    assert_eq!(seen, quick);
    assert_eq!(host.count_printed(&format!("started {ENDLESS}")), 2);
    assert_eq!(
        host.count_printed("started"),
        2 + QUICK,
        "handled for nothing"
    );
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(vhost.ready("letters.dead").await?, 0, "one letter, not two");
    assert_eq!(vhost.ready("letters.retry.100ms").await?, 0, "no copy");
    Ok(())
}

/// Has the broker take no message larger than this from now on, over channels that are opened then.
fn set_max_message_size(broker: &Broker, bytes: u32) -> Result<()> {
    // Where it is read differs between the versions.
    for set in ["application:set_env(rabbit, ", "persistent_term:put("] {
        let set = format!("{set}max_message_size, {bytes}).");
        broker.rabbitmqctl(&["eval", &set])?;
    }
    Ok(())
}

/// It was published when the broker took larger messages than now, so no copy of it can be made.
#[tokio::test]
async fn a_message_whose_copies_the_broker_refuses_is_set_aside_and_not_handled_again() -> Result<()>
{
    let broker = Broker::private().await?;
    let vhost = broker.vhost("aside").await?;
    vhost.declare_queue("letters", "quorum").await?;
    vhost
        .publish("", "letters", Message::new("x".repeat(200_000)))
        .await?;
    set_max_message_size(&broker, 100_000)?;
    let keys = r#"retry = { limit = 1, delays = ["100ms"] }"#;
    let toml = HiveToml::new()
        .component("fail", "")
        .consumer("letters", "fail", keys);
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let kept = async || host.metric(KEPT).await;
    eventually("it is kept", kept, |kept| *kept == 1.0).await?;
    vhost.publish("", "letters", Message::new("small")).await?;
    assert_eq!(vhost.take_one("letters.dead").await?.text(), "small");
    let named = async || Ok(host.readiness().await?.1["keeping"][0]["reason"].clone());
    let reason = eventually("readiness names it", named, |reason| reason.is_string()).await?;
    let reason = reason.as_str().unwrap_or_default();
    assert!(reason.contains("max size"), "{reason}");
    // Once for the large one, twice for the small one.
    let calls = r#"hive_handling_seconds_count{component="fail",consumer="letters"}"#;
    assert_eq!(host.metric(calls).await?, 3.0);
    assert_eq!(host.metric(KEPT).await?, 1.0);
    host.stop().await?;
    vhost.wait_ready("letters", 1).await
}

/// A panic of the host over a delivery costs neither the delivery nor a worker.
#[tokio::test]
async fn a_worker_that_panics_gives_its_delivery_back_and_goes_on() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "concurrency = 2").queue("out", "");
    let vhost = Broker::shared().await?.vhost("panics").await?;
    let text = toml.text(&vhost);
    let mut host = HostProcess::launch_armed(&text, "delivery.handled=3*panic->off")?;
    host.wait_for_start().await?;
    publish(&vhost, "hello").await?;
    let count = usize::try_from(MESSAGES)?;
    let out = vhost.take("out", count).await?;
    let ids: BTreeSet<&str> = out.iter().map(Message::id).collect();
    assert_eq!(ids.len(), count);
    let panics = "hive_worker_panics_total{consumer=\"letters\"}";
    assert_eq!(host.metric(panics).await?, 3.0);
    let workers = "hive_workers{consumer=\"letters\"}";
    assert_eq!(host.metric(workers).await?, 2.0);
    assert_settled(&vhost, &mut host, "letters").await
}
