//! Consumers of streams: where they begin, where they go on, and what becomes of a message that fails.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, Proxy, RedisServer, Stores, Vhost, eventually,
    eventually_within, example, example_component, guest, scratch,
};
use lapin::types::{AMQPValue, FieldTable};

/// One consumer of the stream `events` whose component tells the queue `out`.
pub(crate) fn reading(stream: &str, consumer_keys: &str) -> HiveToml {
    let keys = format!("stream = {{ {stream} }}\n{consumer_keys}");
    HiveToml::new()
        .queue("events", "type = \"stream\"")
        .queue("out", "type = \"classic\"")
        .component("offsets", "")
        .consumer("events", "offsets", &keys)
}

/// A vhost with a stream `events` of these messages.
async fn stream_of(label: &str, bodies: &[&str]) -> Result<Vhost> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    vhost.declare_queue("events", "stream").await?;
    publish(&vhost, bodies).await?;
    Ok(vhost)
}

async fn publish(vhost: &Vhost, bodies: &[&str]) -> Result<()> {
    let messages = bodies.iter().map(|body| Message::new(*body));
    vhost.publish_all("", "events", messages).await
}

/// Where a host and the hosts after it have their hive.toml, with the store beside it.
fn home() -> PathBuf {
    scratch("stream").join("hive.toml")
}

/// The next messages of a queue, in their order.
async fn told(vhost: &Vhost, queue: &str, count: usize) -> Result<Vec<String>> {
    let messages = vhost.take(queue, count).await?;
    Ok(messages.iter().map(Message::text).collect())
}

/// Waits until the store has the position.
async fn wait_stored(host: &HostProcess, position: u32) -> Result<()> {
    let series = "hive_stream_stored_offset{consumer=\"events\",queue=\"events\"}";
    let what = format!("the store has the offset {position}");
    let position = f64::from(position);
    eventually(&what, || host.metric(series), |stored| *stored == position).await?;
    Ok(())
}

#[tokio::test]
async fn s36_first_replays_all_and_next_gets_the_new_and_nothing_is_retried() -> Result<()> {
    let stores = Stores::new().await?;
    for (store, keys) in stores.all() {
        first_and_next(&keys)
            .await
            .with_context(|| format!("with the store {store}"))?;
    }
    Ok(())
}

async fn first_and_next(store: &str) -> Result<()> {
    let vhost = stream_of("s36", &["a", "fail b", "reject c", "d"]).await?;
    let consumer = |name: &str| {
        format!(
            "queue = \"events\"\ncomponent = \"{name}\"\n\
             stream = {{ offset = \"{name}\", on_error = \"skip\" }}"
        )
    };
    let mut toml = HiveToml::new()
        .section("store", store)
        .queue("events", "type = \"stream\"");
    for name in ["first", "next"] {
        let config = format!("config = {{ out = \"{name}\" }}");
        toml = toml
            .queue(name, "")
            .component_at(name, &guest("offsets"), &config)
            .section(&format!("consumers.{name}"), &consumer(name));
    }
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    for name in ["first", "next"] {
        host.wait_for_event("consumer.subscribed", &[("consumer", name)])
            .await?;
    }
    publish(&vhost, &["e", "retry f", "trap g", "h"]).await?;
    assert_eq!(
        told(&vhost, "first", 4).await?,
        ["0 a", "3 d", "4 e", "7 h"]
    );
    assert_eq!(told(&vhost, "next", 2).await?, ["4 e", "7 h"]);

    // Each failure was seen once, nothing was put into the stream, and no queue was made for it.
    for (class, count) in [
        ("error", 1.0),
        ("rejected", 1.0),
        ("retry", 1.0),
        ("trap", 1.0),
    ] {
        let series = format!("hive_failures_total{{class=\"{class}\",consumer=\"first\"}}");
        assert_eq!(host.metric(&series).await?, count, "{class}");
    }
    let skipped = "hive_deliveries_total{consumer=\"first\",outcome=\"skipped\"}";
    assert_eq!(host.metric(skipped).await?, 4.0);
    vhost.assert_queues(&["events", "first", "next"])?;
    publish(&vhost, &["i"]).await?;
    assert_eq!(told(&vhost, "first", 1).await?, ["8 i"]);
    host.stop().await
}

#[tokio::test]
async fn a_number_a_time_and_the_last_chunk_are_places_to_begin_at() -> Result<()> {
    let vhost = stream_of("places", &["a", "b", "c"]).await?;
    // The broker knows when a chunk was written, and the place is told in whole seconds.
    let now = || async { Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs()) };
    let before = now().await?;
    let later = eventually("two seconds later", now, |now| *now > before + 1).await?;
    publish(&vhost, &["d"]).await?;

    let since = format!("offset = \"{}\"", rfc3339(later));
    for (stream, expected) in [
        ("offset = 1", &["1 b", "2 c", "3 d"][..]),
        ("offset = \"last\"", &["3 d"]),
        (&since, &["3 d"]),
    ] {
        let mut host = HostProcess::run(&vhost, &reading(stream, "")).await?;
        let told = told(&vhost, "out", expected.len()).await;
        assert_eq!(told.context(stream.to_owned())?, expected, "{stream}");
        host.stop().await?;
        assert_eq!(vhost.ready("out").await?, 0, "{stream}");
    }
    Ok(())
}

/// As hive.toml has it.
fn rfc3339(seconds: u64) -> String {
    // Civil from days, as by Howard Hinnant's "chrono-compatible low-level date algorithms".
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() -> Result<()> {
    let stores = Stores::new().await?;
    for (store, keys) in stores.lasting() {
        let vhost = stream_of("resumes", &["a", "b", "c"]).await?;
        let file = home();
        let toml = reading("offset = \"first\"", "concurrency = 4").section("store", &keys);
        let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
        let mut first = told(&vhost, "out", 3).await?;
        first.sort();
        assert_eq!(first, ["0 a", "1 b", "2 c"], "{store}");
        host.stop().await?;
        publish(&vhost, &["d"]).await?;
        let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
        assert_eq!(told(&vhost, "out", 1).await?, ["3 d"], "{store}");
        host.stop().await?;
        assert_eq!(vhost.ready("out").await?, 0, "handled twice with {store}");
    }
    Ok(())
}

/// Each has its hive.toml in a folder of its own, and nothing but the Redis in common.
#[tokio::test]
async fn a_host_that_takes_over_goes_on_where_the_killed_one_was() -> Result<()> {
    let vhost = stream_of("handed-over", &["a", "b", "c"]).await?;
    let redis = RedisServer::start().await?;
    let toml =
        reading("offset = \"first\", group = \"ledger\"", "").section("store", &redis.store());
    let mut host = HostProcess::run_file(&vhost, &toml, &home()).await?;
    assert_eq!(told(&vhost, "out", 3).await?, ["0 a", "1 b", "2 c"]);
    wait_stored(&host, 3).await?;
    host.kill9()?;
    publish(&vhost, &["d"]).await?;
    let mut host = HostProcess::run_file(&vhost, &toml, &home()).await?;
    assert_eq!(told(&vhost, "out", 1).await?, ["3 d"]);
    host.stop().await?;
    assert_eq!(vhost.ready("out").await?, 0, "nothing was handled twice");
    Ok(())
}

#[tokio::test]
async fn next_is_the_same_place_after_a_restart_before_the_first_message() -> Result<()> {
    let vhost = stream_of("next", &["a", "b"]).await?;
    let file = home();
    let toml = reading("offset = \"next\"", "");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    wait_stored(&host, 2).await?;
    host.kill9()?;
    publish(&vhost, &["c", "d"]).await?;
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    assert_eq!(told(&vhost, "out", 2).await?, ["2 c", "3 d"]);
    host.stop().await
}

#[tokio::test]
async fn a_store_in_memory_forgets_at_the_end_of_the_host() -> Result<()> {
    let vhost = stream_of("forgets", &["a", "b"]).await?;
    let toml = reading("offset = \"first\"", "").section("store", "kind = \"memory\"");
    for _ in 0..2 {
        let mut host = HostProcess::run(&vhost, &toml).await?;
        assert_eq!(told(&vhost, "out", 2).await?, ["0 a", "1 b"]);
        host.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_group_of_another_name_begins_anew() -> Result<()> {
    let vhost = stream_of("groups", &["a", "b"]).await?;
    let file = home();
    for group in ["one", "another"] {
        let stream = format!("offset = \"first\", group = \"{group}\"");
        let mut host = HostProcess::run_file(&vhost, &reading(&stream, ""), &file).await?;
        assert_eq!(told(&vhost, "out", 2).await?, ["0 a", "1 b"], "{group}");
        host.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_above_a_slow_one_is_not_written_down() -> Result<()> {
    let bodies = ["a", "slow 3000", "c", "d", "e", "f"];
    let vhost = stream_of("slow", &bodies).await?;
    let file = home();
    let toml = reading("offset = \"first\"", "concurrency = 4");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let fast: BTreeSet<_> = told(&vhost, "out", 5).await?.into_iter().collect();
    assert!(!fast.contains("1 slow 3000"), "{fast:?}");
    wait_stored(&host, 1).await?;
    host.kill9()?;

    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let again: BTreeSet<_> = told(&vhost, "out", 5).await?.into_iter().collect();
    assert!(again.contains("1 slow 3000"), "{again:?}");
    assert!(!again.contains("0 a"), "it was written down: {again:?}");
    wait_stored(&host, 6).await?;
    host.stop().await
}

#[tokio::test]
async fn a_lost_connection_makes_no_gap_and_no_repeat() -> Result<()> {
    let vhost = stream_of("cut", &["a"]).await?;
    let proxy = Proxy::start(Broker::shared().await?.port())?;
    // Nothing is published: a lost connection may repeat that.
    let keys = "stream = { offset = \"first\" }\nconcurrency = 4\nprefetch = 20";
    let toml = HiveToml::new()
        .queue("events", "type = \"stream\"")
        .component("offsets", "")
        .queue("out", "")
        .consumer("events", "offsets", keys);
    let mut host = HostProcess::run_at(&vhost.url_through(&proxy), &toml).await?;
    let bodies: Vec<String> = (1..200).map(|number| format!("nap 20 {number}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    publish(&vhost, &bodies).await?;
    for seen in [40, 90, 140] {
        let what = "some are handled";
        let look = async || Ok(host.count_printed("attempt 1 of"));
        eventually(what, look, |count| *count > seen).await?;
        proxy.cut();
    }
    let acked = "hive_deliveries_total{consumer=\"events\",outcome=\"acked\"}";
    eventually("all are handled", || host.metric(acked), |n| *n >= 200.0).await?;
    wait_stored(&host, 200).await?;
    host.stop().await?;
    let printed = host.printed();
    for body in bodies {
        let whole = format!("attempt 1 of {body}");
        let times = printed.iter().filter(|line| **line == whole).count();
        assert_eq!(times, 1, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_stops_at_what_fails_and_a_swap_lets_it_go_on() -> Result<()> {
    let vhost = stream_of("stops", &["a", "fail b", "c"]).await?;
    let file = home();
    let toml = reading("offset = \"first\"", "");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    assert_eq!(told(&vhost, "out", 1).await?, ["0 a"]);
    let reason = stopped(&host).await?;
    assert!(
        reason.contains("offset 1") && reason.contains("asked to fail"),
        "{reason}"
    );
    let up = "hive_consumer_up{consumer=\"events\",queue=\"events\"}";
    assert_eq!(host.metric(up).await?, 0.0);
    host.stop().await?;

    // It begins there again, and only there.
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    stopped(&host).await?;
    assert_eq!(vhost.ready("out").await?, 0);
    vhost.assert_queues(&["events", "out"])?;
    let code = guest("echo");
    let swap = ["offsets", &*code.to_string_lossy()];
    let swapped = host.told("swap", &file, &swap).await?;
    assert_eq!(swapped.code, Some(0), "{swapped:?}");
    assert_eq!(told(&vhost, "out", 2).await?, ["fail b", "c"]);
    let ready = async || Ok(host.readiness().await?.0);
    eventually("it consumes again", ready, |status| *status == 200).await?;
    host.stop().await
}

/// Why the consumer has stopped, as readiness tells.
async fn stopped(host: &HostProcess) -> Result<String> {
    let look = async || {
        let (_, told) = host.readiness().await?;
        let reason = told["missing"][0]["reason"].as_str();
        Ok(reason.unwrap_or_default().to_owned())
    };
    eventually("it has stopped", look, |reason| {
        reason.contains("stopped at offset")
    })
    .await
}

#[tokio::test]
async fn what_fails_can_be_dead_lettered() -> Result<()> {
    let vhost = stream_of("dead", &["a", "fail b", "c"]).await?;
    let stream = "offset = \"first\", on_error = \"dead-letter\"";
    let toml = reading(stream, "retry = { dead_letter = \"graves\" }");
    let mut host = HostProcess::run(&vhost, &toml).await?;
    assert_eq!(told(&vhost, "out", 2).await?, ["0 a", "2 c"]);
    let dead = vhost.take_one("graves").await?;
    assert_eq!(dead.text(), "fail b");
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("error"));
    assert_eq!(dead.number_of("x-stream-offset"), Some(1));
    vhost.assert_queues(&["events", "graves", "out"])?;
    wait_stored(&host, 3).await?;
    host.stop().await
}

#[tokio::test]
async fn a_publication_that_nobody_takes_is_tried_again_in_place() -> Result<()> {
    let vhost = stream_of("away", &["a", "b"]).await?;
    let toml = HiveToml::new()
        .queue("events", "type = \"stream\"")
        .component("offsets", "")
        .consumer(
            "events",
            "offsets",
            "stream = { offset = \"first\", on_error = \"skip\" }",
        );
    // `out` refuses what it has no room for, which is the broker's trouble and nobody's fault.
    let mut no_room = FieldTable::default();
    no_room.insert("x-max-length".into(), AMQPValue::LongLongInt(0));
    no_room.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    vhost.declare_queue_with("out", no_room).await?;
    let mut host = HostProcess::run(&vhost, &toml).await?;
    let kept = "hive_deliveries_kept{consumer=\"events\"}";
    eventually("both are kept", || host.metric(kept), |n| *n == 2.0).await?;
    vhost.delete_queue("out").await?;
    vhost.declare_queue("out", "classic").await?;
    let mut told = told(&vhost, "out", 2).await?;
    told.sort();
    assert_eq!(told, ["0 a", "1 b"]);
    host.stop().await
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_told() -> Result<()> {
    let vhost = stream_of("anew", &["a", "b", "c"]).await?;
    let file = home();
    let toml = reading("offset = \"first\"", "");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    told(&vhost, "out", 3).await?;
    host.stop().await?;
    vhost.delete_queue("events").await?;
    vhost.declare_queue("events", "stream").await?;
    publish(&vhost, &["d"]).await?;

    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    let told_so = async || Ok(host.readiness().await?.1.to_string());
    let deadline = Duration::from_secs(60);
    let is_told = |status: &String| status.contains("ends before offset 3");
    eventually_within(deadline, "readiness tells it", told_so, is_told).await?;
    publish(&vhost, &["e", "f", "g"]).await?;
    assert_eq!(told(&vhost, "out", 1).await?, ["3 g"]);
    let ready = async || Ok(host.readiness().await?.0);
    eventually("it consumes again", ready, |status| *status == 200).await?;
    host.stop().await
}

#[tokio::test]
async fn a_queue_that_is_no_stream_is_not_read_as_one() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("nostream").await?;
    vhost.declare_queue("events", "quorum").await?;
    vhost.declare_queue("out", "classic").await?;
    vhost.publish("", "events", Message::new("a")).await?;
    let toml = HiveToml::new().component("offsets", "").consumer(
        "events",
        "offsets",
        "stream = { offset = \"first\" }",
    );
    let mut host = HostProcess::launch(&toml.text(&vhost))?;
    let look = async || Ok(host.readiness().await?.1["missing"][0]["reason"].to_string());
    let is_told = |reason: &String| reason.contains("stream");
    eventually("readiness tells it", look, is_told).await?;
    host.stop().await?;
    assert_eq!(vhost.ready("events").await?, 1, "it was left alone");
    Ok(())
}

#[tokio::test]
async fn the_example_runs_as_it_stands() -> Result<()> {
    example_component("streams");
    let vhost = Broker::shared().await?.vhost("example").await?;
    let (url, store) = (vhost.url(), scratch("example").join("hive.db"));
    let variables = [
        ("RABBITMQ_URL", &*url),
        ("STORE", &*store.to_string_lossy()),
    ];
    let toml = example("streams").join("hive.toml");
    let run = async || {
        let host = HostProcess::launch_file(&toml, &variables)?;
        host.wait_for_start_of("balances").await?;
        anyhow::Ok(host)
    };
    let mut host = run().await?;
    let mut samples: Vec<_> = std::fs::read_dir(example("streams").join("messages"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    samples.sort();
    let bodies: Vec<_> = samples
        .iter()
        .map(std::fs::read)
        .collect::<Result<_, _>>()?;
    let messages = bodies.into_iter().map(Message::new);
    vhost.publish_all("", "movements", messages).await?;
    let last = r#"{"account":"tea","cents":38000,"offset":4}"#;
    assert_eq!(told(&vhost, "balances", 4).await?[3], last);
    let failed = vhost.take_one("movements.failed").await?;
    assert!(failed.text().contains("much"), "{failed:?}");
    host.stop().await?;

    let mut host = run().await?;
    let more = Message::new(r#"{ "account": "tea", "cents": 1 }"#);
    vhost.publish("", "movements", more).await?;
    let told = told(&vhost, "balances", 1).await?;
    assert_eq!(told, [r#"{"account":"tea","cents":38001,"offset":5}"#]);
    host.stop().await
}
