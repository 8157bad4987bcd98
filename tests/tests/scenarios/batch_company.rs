//! Batches in company: what `dedup` and `stream` promise of each delivery holds for those of a batch.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually, scratch};

use crate::batches::batches;
use crate::{assert_settled, consuming};

fn known_as(id: &str, body: &str) -> Message {
    Message::new(body).with(|properties| properties.with_message_id(id.into()))
}

#[tokio::test]
async fn a_repeat_is_in_no_batch_and_is_handled_only_if_its_first_was_not() -> Result<()> {
    let keys = "dedup = { key = \"message-id\" }\nretry = { delays = [\"50ms\"] }";
    let toml = batches(3, "1s", keys).section("store", "kind = \"memory\"");
    let (vhost, mut host) = consuming("batches", toml).await?;
    let messages = [
        known_as("1", "a publish"),
        known_as("2", "b publish"),
        known_as("2", "b-again publish"),
        known_as("3", "c publish"),
    ];
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_line("batch of 3: a/1 b/1 c/1").await?;
    let duplicates = r#"hive_deliveries_total{consumer="letters",outcome="duplicate"}"#;
    let look = || host.metric(duplicates);
    eventually("the repeat is passed over", look, |count| *count == 1.0).await?;

    // The second repeat waits until the batch of its first has failed, and takes its place.
    let messages = [
        known_as("4", "d publish"),
        known_as("5", "e trap-once"),
        known_as("5", "e-again publish"),
        known_as("6", "f publish"),
    ];
    vhost.publish_all("", "letters", messages).await?;
    host.wait_for_line("batch of 3: d/1 e/1 f/1").await?;
    host.wait_for_line("batch of 1: e-again/1").await?;
    eventually("its retry is passed over", look, |count| *count == 2.0).await?;
    let out = vhost.take("out", 6).await?;
    let mut out: Vec<_> = out.iter().map(Message::text).collect();
    out.sort();
    assert_eq!(out, ["a", "b", "c", "d", "e-again", "f"]);
    assert_settled(&vhost, &mut host, "letters").await
}

#[tokio::test]
async fn a_stream_is_read_in_batches_and_resumed_behind_the_last_one_handled() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("batches").await?;
    vhost.declare_queue("events", "stream").await?;
    let toml = HiveToml::new()
        .queue("events", "type = \"stream\"")
        .queue("out", "type = \"classic\"")
        .component("batch", "")
        .consumer(
            "events",
            "batch",
            "batch = { size = 3, wait = \"500ms\" }\nstream = { offset = \"first\", on_error = \"skip\" }",
        );
    let publish = async |bodies: &[&str]| {
        let messages = bodies.iter().map(|body| Message::new(*body));
        vhost.publish_all("", "events", messages).await
    };
    publish(&["a publish", "b reject", "c publish", "d publish"]).await?;
    let file = scratch("batches").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &toml, &file).await?;
    host.wait_for_line("batch of 3: a/1 b/1 c/1").await?;
    host.wait_for_line("batch of 1: d/1").await?;
    let stored = r#"hive_stream_stored_offset{consumer="events",queue="events"}"#;
    let look = || host.metric(stored);
    eventually("the offset is stored", look, |stored| *stored == 4.0).await?;
    host.stop().await?;
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    publish(&["e publish"]).await?;
    host.wait_for_line("batch of 1: e/1").await?;
    assert_eq!(host.count("batch of"), 1, "nothing was read again");
    let out = vhost.take("out", 4).await?;
    let out: Vec<_> = out.iter().map(Message::text).collect();
    assert_eq!(out, ["a", "c", "d", "e"]);
    Ok(())
}
