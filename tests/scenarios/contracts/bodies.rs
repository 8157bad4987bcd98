//! `schema.body` and `schema.decode`: what reaches the component, and what becomes of the rest.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use hive_tests::{Commands, HiveToml, Message, Vhost, run_to_end, scratch};
use serde_json::json;

use super::schema;
use crate::{assert_says, assert_settled, consuming};

const ORDER: &str = r#"{"id": 7, "lines": [{"sku": "A"}]}"#;

/// `lines` need a `sku` of capitals, and an order an `id`.
fn of_an_order() -> PathBuf {
    schema(&json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "integer"},
            "lines": {"items": {"properties": {"sku": {"pattern": "^[A-Z]+$"}}}},
        },
    }))
}

/// A consumer of `orders` with this component and this `schema`, and the queue `out`.
fn orders(component: &str, schema: &str) -> HiveToml {
    HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .component(component, "")
        .consumer("orders", component, &format!("schema = {{ {schema} }}"))
}

fn body(path: &PathBuf) -> String {
    format!("body = {path:?}")
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn encoded(encoding: &str, body: Vec<u8>) -> Message {
    Message::new(body).with(|properties| {
        properties
            .with_content_encoding(encoding.into())
            .with_message_id("m-1".into())
    })
}

/// The next dead letter, which is one of these classes at its first attempt, and the error of which says this.
async fn assert_dead(vhost: &Vhost, error: &str) -> Result<Message> {
    let dead = vhost.take_one("orders.dead").await?;
    assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("schema"));
    assert_eq!(dead.number_of("x-hive-attempts"), Some(1));
    let told = dead.text_of("x-hive-error").unwrap_or_default();
    assert!(told.contains(error), "{told}");
    Ok(dead)
}

/// The component panics at whatever it sees, so that a dead letter of another class is one that it did not see.
#[tokio::test]
async fn what_does_not_match_is_dead_at_once_and_no_instance_sees_it() -> Result<()> {
    let toml = orders("trap", &body(&of_an_order()));
    let (vhost, mut host) = consuming("schema", toml).await?;
    for (body, error) in [
        (
            r#"{"id": 7, "lines": [{"sku": "A"}, {"sku": "secret"}]}"#,
            r#"/lines/1/sku: the value does not match "^[A-Z]+$" (rule /properties/lines/items/properties/sku/pattern)"#,
        ),
        (
            "{}",
            r#"the whole: "id" is a required property (rule /required)"#,
        ),
        (
            "secret",
            "it is not JSON: expected value at line 1 column 1",
        ),
        ("", "it is not JSON: EOF"),
        ("[[[[", "it is not JSON: EOF"),
    ] {
        vhost.publish("", "orders", Message::new(body)).await?;
        let dead = assert_dead(&vhost, error).await?;
        assert_eq!(dead.text(), body);
        let told = dead.text_of("x-hive-error").unwrap_or_default();
        assert!(!told.contains("secret"), "{told}");
    }
    let deep = "[".repeat(1_000_000);
    vhost.publish("", "orders", Message::new(deep)).await?;
    assert_dead(&vhost, "it is not JSON: recursion limit exceeded").await?;
    let class = [("class", "schema"), ("code", "HIVE-0409")];
    assert_eq!(host.count_events("delivery.settled", &class), 6);
    assert_eq!(host.count_printed("boom"), 0, "an instance saw one");
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn what_matches_is_handed_over_as_it_came() -> Result<()> {
    let toml = orders("echo", &body(&of_an_order()));
    let (vhost, mut host) = consuming("schema-ok", toml).await?;
    vhost.publish("", "orders", Message::new(ORDER)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), ORDER);
    assert_settled(&vhost, &mut host, "orders").await?;
    assert_eq!(vhost.ready("orders.dead").await?, 0);
    Ok(())
}

#[tokio::test]
async fn compressed_bodies_are_decoded_for_the_component_and_kept_for_the_dead_letter() -> Result<()>
{
    let keys = format!("{}, decode = true", body(&of_an_order()));
    let (vhost, mut host) = consuming("decode", orders("echo", &keys)).await?;
    for (encoding, body) in [
        ("gzip", gzip(ORDER.as_bytes())?),
        ("zstd", zstd::encode_all(ORDER.as_bytes(), 3)?),
        // Some clients write a character set there.
        ("utf-8", ORDER.as_bytes().to_vec()),
    ] {
        vhost.publish("", "orders", encoded(encoding, body)).await?;
        let out = vhost.take_one("out").await?;
        assert_eq!(out.text(), ORDER, "{encoding}");
        assert_eq!(out.id(), "m-1");
        let left = out.properties.content_encoding().as_ref();
        let left = left.map(ToString::to_string);
        assert_eq!(left.as_deref(), (encoding == "utf-8").then_some("utf-8"));
    }
    let wrong = gzip(br#"{"id": "7"}"#)?;
    for (body, error) in [
        (wrong, r#"/id: the value is not of type "integer""#),
        (ORDER.as_bytes().to_vec(), "the body is not gzip"),
    ] {
        let message = encoded("gzip", body.clone());
        vhost.publish("", "orders", message).await?;
        let dead = assert_dead(&vhost, error).await?;
        assert_eq!(dead.body, body, "the dead letter is as it came");
        let encoding = dead.properties.content_encoding().as_ref();
        assert_eq!(encoding.map(ToString::to_string).as_deref(), Some("gzip"));
    }
    assert_settled(&vhost, &mut host, "orders").await
}

/// A retry is of the message as it came, and decoded again.
#[tokio::test]
async fn a_retried_message_is_decoded_at_each_attempt() -> Result<()> {
    let toml = HiveToml::new().queue("orders", "").queue("out", "").routes(
        "orders",
        r#"{ when = "attempt < 3", retry = { reason = "{{ body.id }}", delay = "20ms" } },
               { publish = { exchange = "", routing_key = "out" } }"#,
        "schema.decode = true\nretry = { limit = 2, delays = [\"20ms\"] }",
    );
    let (vhost, mut host) = consuming("decode-again", toml).await?;
    vhost
        .publish("", "orders", encoded("gzip", gzip(ORDER.as_bytes())?))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), ORDER);
    assert_settled(&vhost, &mut host, "orders").await
}

/// 400 MB of zeros in less than half a megabyte: neither decoded nor in memory.
#[tokio::test]
async fn a_bomb_is_refused_and_costs_no_memory() -> Result<()> {
    const MIB: u64 = 1024;
    let (vhost, mut host) = consuming("bomb", orders("echo", "decode = true")).await?;
    vhost
        .publish("", "orders", encoded("gzip", gzip(b"1")?))
        .await?;
    assert_eq!(vhost.take_one("out").await?.text(), "1");
    let before = host.peak_kib()?;
    let zeros = vec![0; 400_000_000];
    for (encoding, bomb) in [
        ("gzip", gzip(&zeros)?),
        ("zstd", zstd::encode_all(&zeros[..], 3)?),
    ] {
        assert!(bomb.len() < 500_000);
        vhost.publish("", "orders", encoded(encoding, bomb)).await?;
        assert_dead(&vhost, "more than 16777216 bytes").await?;
    }
    let grown = host.peak_kib()?.saturating_sub(before);
    assert!(grown < 100 * MIB, "{grown} KiB more");
    assert_settled(&vhost, &mut host, "orders").await
}

/// Those that match are one call; the others do not hold it up and are not in it.
#[tokio::test]
async fn a_batch_is_called_with_those_that_match() -> Result<()> {
    let text = schema(&json!({"type": "string", "pattern": "^[0-9]+ "}));
    let keys = format!(
        "batch = {{ size = 4, wait = \"15m\" }}\nschema = {{ {} }}",
        body(&text)
    );
    let toml = HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .component("batch", "")
        .consumer("orders", "batch", &keys);
    let (vhost, mut host) = consuming("schema-batch", toml).await?;
    // The component would take the quotes as a part of the number.
    let bodies = [r#""1 publish""#, "7", r#""2 publish""#, "{"];
    vhost
        .publish_all("", "orders", bodies.map(Message::new))
        .await?;
    let out = vhost.take("out", 2).await?;
    let mut out: Vec<_> = out.iter().map(Message::text).collect();
    out.sort();
    assert_eq!(out, [r#""1"#, r#""2"#]);
    host.wait_for_printed("batch of 2").await?;
    for _ in 0..2 {
        assert_dead(&vhost, "the body does not match its schema").await?;
    }
    // None of them matches: no call.
    vhost
        .publish_all("", "orders", ["7", "8", "9", "{"].map(Message::new))
        .await?;
    vhost.take("orders.dead", 4).await?;
    assert_eq!(host.count_printed("batch of"), 1);
    assert_settled(&vhost, &mut host, "orders").await
}

/// A message at fault says nothing of the component: it neither pauses the consumer nor ends a pause.
#[tokio::test]
async fn what_does_not_match_does_not_pause_the_consumer() -> Result<()> {
    let keys = format!(
        "schema = {{ {} }}\npause_on = {{ failure_ratio = 0.1, of_last = 2 }}",
        body(&of_an_order())
    );
    let toml = HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .component("echo", "")
        .consumer("orders", "echo", &keys);
    let (vhost, mut host) = consuming("schema-pause", toml).await?;
    let wrong = (0..20).map(|_| Message::new("wrong"));
    vhost.publish_all("", "orders", wrong).await?;
    vhost.take("orders.dead", 20).await?;
    vhost.publish("", "orders", Message::new(ORDER)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), ORDER);
    assert_eq!(host.count_events("consumer.paused", &[]), 0);
    assert_settled(&vhost, &mut host, "orders").await
}

/// The second message stands for a replay of the first, corrected: the key that `dedup` and `ordered_by` know them by is
/// neither remembered nor held.
#[tokio::test]
async fn what_does_not_match_is_not_remembered_and_holds_no_key() -> Result<()> {
    let keys = format!(
        "schema = {{ {} }}\ndedup = {{ key = \"message-id\" }}\nordered_by = \"header:shop\"",
        body(&of_an_order())
    );
    let toml = HiveToml::new()
        .queue("orders", "")
        .queue("out", "")
        .component("echo", "")
        .consumer("orders", "echo", &keys)
        .section("store", r#"kind = "memory""#);
    let (vhost, mut host) = consuming("schema-dedup", toml).await?;
    let sent = |body: &str| {
        let message = Message::new(body).text_header("shop", "a");
        message.with(|properties| properties.with_message_id("m-1".into()))
    };
    vhost.publish("", "orders", sent("{}")).await?;
    assert_dead(&vhost, "/required").await?;
    vhost.publish("", "orders", sent(ORDER)).await?;
    assert_eq!(vhost.take_one("out").await?.text(), ORDER);
    assert_settled(&vhost, &mut host, "orders").await
}

#[tokio::test]
async fn a_reload_reads_the_schema_again_and_keeps_the_old_one_if_that_is_faulty() -> Result<()> {
    let file = of_an_order();
    let toml = orders("echo", &body(&file));
    let (vhost, mut host) = consuming("schema-reload", toml).await?;
    vhost.publish("", "orders", Message::new("{}")).await?;
    assert_dead(&vhost, "/required").await?;

    std::fs::write(&file, "{")?;
    host.sighup();
    host.wait_for_event("config.refused", &[]).await?;
    vhost.publish("", "orders", Message::new("{}")).await?;
    assert_dead(&vhost, "/required").await?;

    std::fs::write(&file, r#"{"type": "object"}"#)?;
    host.sighup();
    host.wait_for_event("config.reloaded", &[]).await?;
    vhost.publish("", "orders", Message::new("{}")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "{}");
    assert_settled(&vhost, &mut host, "orders").await
}

/// What would be read over a network, or is not there, is an error of the start.
#[tokio::test]
async fn a_schema_that_cannot_be_used_is_an_error_of_the_file() -> Result<()> {
    let far = schema(&json!({"$ref": "https://shop.example/order.json"}));
    let folder = scratch("contracts");
    let file = folder.join("hive.toml");
    let toml = orders("echo", &body(&far));
    std::fs::write(&file, toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    let file = file.to_string_lossy();
    let checked = run_to_end(&["check", &file])?;
    let says = [
        "HIVE-0139",
        "consumers.orders.schema.body",
        "only files are read",
    ];
    assert_says(&checked, 2, &says);
    Ok(())
}

/// `invoke` and `test` go through the same door.
#[tokio::test]
async fn invoke_and_test_hold_messages_against_the_schema() -> Result<()> {
    let folder = scratch("contracts");
    let file = folder.join("hive.toml");
    let toml = HiveToml::new().queue("orders", "").queue("out", "").routes(
        "orders",
        r#"{ publish = { exchange = "", routing_key = "out" } }"#,
        &format!("schema = {{ {} }}", body(&of_an_order())),
    );
    std::fs::write(&file, toml.text_for("amqp://guest:guest@127.0.0.1:1/%2f"))?;
    let config = file.to_string_lossy();
    let invoke = async |body: &str| {
        let message = json!({ "body": body }).to_string();
        Commands::anywhere(&[])
            .run_with(
                &["invoke"],
                &["orders", "--config", &config],
                message.as_bytes(),
            )
            .await
    };
    assert_says(&invoke(ORDER).await?, 0, &["publish 1"]);
    assert_says(&invoke("{}").await?, 1, &["schema", "/required"]);
    std::fs::write(
        folder.join("orders.test.toml"),
        r#"
        [[component]]
        name = "an order without an id is not handed over"
        message = { body-json = {} }
        expect = { failure = "schema" }

        [[component]]
        name = "one with an id is"
        message = { body-json = { id = 1 } }
        expect = { action = "publish" }
        "#,
    )?;
    assert_says(&run_to_end(&["test", &config])?, 0, &["2 passed"]);
    Ok(())
}
