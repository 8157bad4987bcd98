//! Batches in company: what `dedup` promises of each delivery holds for those of a batch.

use anyhow::Result;
use hive_tests::{Message, eventually};

use crate::grouping::batches::batches;
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
    host.wait_for_printed("batch of 3: a/1 b/1 c/1").await?;
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
    host.wait_for_printed("batch of 3: d/1 e/1 f/1").await?;
    host.wait_for_printed("batch of 1: e-again/1").await?;
    eventually("its retry is passed over", look, |count| *count == 2.0).await?;
    let out = vhost.take("out", 6).await?;
    let mut out: Vec<_> = out.iter().map(Message::text).collect();
    out.sort();
    assert_eq!(out, ["a", "b", "c", "d", "e-again", "f"]);
    assert_settled(&vhost, &mut host, "letters").await
}
