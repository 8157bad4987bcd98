//! Ids, names and routing keys that are not UTF-8: each is told from every other, and goes on as the bytes
//! that it came as.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use hive_tests::{Commands, HiveToml, RawMessage, Vhost, eventually, property};

use crate::{assert_settled, consuming};

/// A true value as it stands in a header table.
const TRUE: [u8; 2] = [b't', 1];

fn text(octets: &[u8]) -> Vec<u8> {
    let length = u32::try_from(octets.len()).expect("it is short");
    [b"S".as_slice(), &length.to_be_bytes(), octets].concat()
}

fn to(queue: &str) -> RawMessage {
    RawMessage {
        routing_key: queue.into(),
        ..RawMessage::default()
    }
    .with(property::DELIVERY_MODE, &[2])
}

/// Every text of it is none.
fn everything() -> RawMessage {
    let mut message = to("letters")
        .with(property::CONTENT_TYPE, b"text/\xe4")
        .with(property::CORRELATION_ID, &[0x80, 0x81, 0x00])
        .with(property::REPLY_TO, b"answers\xff")
        .with(
            property::MESSAGE_ID,
            &(0..16).map(|n| 0xf0 + n).collect::<Vec<_>>(),
        )
        .with(property::TIMESTAMP, &1_700_000_000_u64.to_be_bytes())
        .with(property::TYPE, &[0xc3])
        .with(property::APP_ID, b"hive-bytes:ff")
        .header(&[0xff, 0xfe], &TRUE)
        .header(&[0xff, 0xfd], &text(&[0xff]))
        .header(b"plain", &TRUE);
    let inner = [&[1, 0xfa][..], &TRUE].concat();
    let length = u32::try_from(inner.len())
        .expect("it is short")
        .to_be_bytes();
    let table = [b"F".as_slice(), &length, &inner].concat();
    message = message.header(b"table", &table);
    message.body = b"hello".to_vec();
    message
}

/// So long that no text of theirs fits into a short string.
fn everything_and_long() -> RawMessage {
    everything()
        .with(property::CORRELATION_ID, &[0xff; 255])
        .with(property::MESSAGE_ID, &[0xfe; 200])
        .header(&[0xfc; 255], &TRUE)
}

fn headers_of_the_publisher(message: &RawMessage) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut headers = message.headers.clone();
    headers.retain(|name, _| {
        let name = String::from_utf8_lossy(name);
        !name.starts_with("x-")
    });
    headers
}

#[track_caller]
fn assert_as_published(found: &RawMessage, published: &RawMessage) {
    assert_eq!(found.properties, published.properties);
    assert_eq!(headers_of_the_publisher(found), published.headers);
    assert_eq!(found.body, published.body);
}

fn only(mut found: Vec<RawMessage>) -> Result<RawMessage> {
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().context("one is there")
}

/// As a publisher writes them that counts in eight bytes: half of the counters are no text.
#[tokio::test]
async fn ids_that_are_counters_are_no_repeats_of_one_another() -> Result<()> {
    let keys = "dedup = { key = \"message-id\" }\nretry = { limit = 0 }";
    let toml = HiveToml::one("letters", "echo", keys).queue("out", "");
    let (vhost, mut host) = consuming("octets", toml).await?;
    let counters = (0..256_u64).map(u64::to_be_bytes);
    let messages: Vec<_> = counters
        .clone()
        .map(|counter| to("letters").with(property::MESSAGE_ID, &counter))
        .collect();
    vhost.publish_octets("", &messages)?;
    vhost.wait_ready("out", 256).await?;
    // And each is one of itself.
    vhost.publish_octets("", &messages[100..200])?;
    let repeats = "hive_deliveries_total{consumer=\"letters\",outcome=\"duplicate\"}";
    let look = || host.metric(repeats);
    eventually("100 are repeats", look, |seen| *seen == 100.0).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let found = vhost.drain_octets("out")?;
    assert_eq!(found.len(), 256);
    let ids: BTreeSet<_> = found
        .iter()
        .map(|message| message.properties[&property::MESSAGE_ID].clone())
        .collect();
    assert_eq!(ids, counters.map(Vec::from).collect());
    Ok(())
}

/// Waits in its delay queue.
#[tokio::test]
async fn a_retry_copy_has_every_byte() -> Result<()> {
    let toml = HiveToml::one("letters", "fail", r#"retry = { delays = ["1h"] }"#);
    let (vhost, mut host) = consuming("octets", toml).await?;
    for message in [everything(), everything_and_long()] {
        vhost.publish_octets("", std::slice::from_ref(&message))?;
        vhost.wait_ready("letters.retry.1h", 1).await?;
        let copy = only(vhost.drain_octets("letters.retry.1h")?)?;
        assert_as_published(&copy, &message);
    }
    assert_settled(&vhost, &mut host, "letters").await
}

/// By way of a retry copy, and with the key that it was published with.
#[tokio::test]
async fn a_dead_letter_and_its_replay_have_every_byte() -> Result<()> {
    let bound = r#"bindings = [{ exchange = "post" }]"#;
    let toml = HiveToml::new()
        .exchange("post", r#"type = "fanout""#)
        .queue("letters", bound)
        .component("fail", "")
        .consumer(
            "letters",
            "fail",
            "retry = { limit = 1, delays = [\"50ms\"] }",
        );
    let (vhost, mut host) = consuming("octets", toml.clone()).await?;
    let key = [0xfe, b'.', 0xff];
    let message = RawMessage {
        routing_key: key.to_vec(),
        ..everything_and_long()
    };
    let died = async || {
        vhost.publish_octets("post", std::slice::from_ref(&message))?;
        vhost.wait_ready("letters.dead", 1).await?;
        anyhow::Ok(())
    };
    died().await?;
    let dead = only(vhost.drain_octets("letters.dead")?)?;
    assert_as_published(&dead, &message);
    assert_eq!(dead.headers[&b"x-hive-routing-key"[..]], text(&key));
    died().await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    let replayed = replayed(&vhost, &toml).await?;
    assert_as_published(&replayed, &message);
    Ok(())
}

/// The message of `letters.dead` once it is sent back to `letters`.
async fn replayed(vhost: &Vhost, toml: &HiveToml) -> Result<RawMessage> {
    let commands = Commands::on(vhost, toml)?;
    let sent = commands.run(&["dead", "republish"], &["letters"]).await?;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    vhost.wait_ready("letters", 1).await?;
    only(vhost.drain_octets("letters")?)
}

/// What a component hands on goes out as the bytes that it came as, and a reply finds its request.
#[tokio::test]
async fn a_component_hands_on_every_byte() -> Result<()> {
    let toml = HiveToml::one("letters", "echo", "retry = { limit = 0 }").queue("out", "");
    let (vhost, mut host) = consuming("octets", toml).await?;
    // Of a table within the headers a component sees JSON, which has other types.
    let mut message = everything();
    message.headers.remove(&b"table"[..]);
    vhost.publish_octets("", std::slice::from_ref(&message))?;
    vhost.wait_ready("out", 1).await?;
    let mut found = only(vhost.drain_octets("out")?)?;
    // Bytes are bytes to it, which AMQP has a type of its own for.
    let octets = found.headers.get_mut(&[0xff, 0xfd][..]);
    octets.context("the header is there")?[0] = b'S';
    assert_as_published(&found, &message);
    assert_settled(&vhost, &mut host, "letters").await
}
