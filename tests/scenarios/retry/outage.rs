//! What a component needs is away for hours: with the default, its messages outlive that. The broker is the one in
//! memory, whose clock the test turns.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{HiveToml, HostProcess, eventually};
use lapin::options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The attempt that succeeds.
const UNTIL: i64 = 10;

/// When that is, with the delays of the default: 1 s, 5 s, 30 s, 2 min, 10 min, 30 min, and three hours.
const OUTAGE: Duration = Duration::from_secs(13_356);

/// How far the clock goes each time. The broker keeps a delay queue for much longer than the test lasts.
const STEP: Duration = Duration::from_secs(60);

/// Turns the clock of the broker whose control port is at `address`.
async fn turn(address: &str, by: Duration) -> Result<()> {
    let body = format!(r#"{{"turn": "{}s"}}"#, by.as_secs());
    let request = format!(
        "POST /clock HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

/// A broker in a process of its own, its URL, and the address of its control port.
async fn memory() -> Result<(HostProcess, String, String)> {
    let broker = HostProcess::launch_command(&["broker", "--port", "0", "--control", "0"])?;
    let url = broker.wait_for_output("amqp://").await?.trim().to_owned();
    let control = broker.wait_for_output("http://").await?;
    let address = control.trim().trim_start_matches("http://").to_owned();
    Ok((broker, url, address))
}

/// A channel of a new connection: one that is there already may not outlive the turns of the clock.
async fn channel(url: &str) -> Result<(Connection, Channel)> {
    let client = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = client.create_channel().await?;
    Ok((client, channel))
}

async fn publish(channel: &Channel, body: &[u8], properties: BasicProperties) -> Result<()> {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "letters".into(), options, body, properties)
        .await?;
    Ok(())
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<String>> {
    let options = BasicGetOptions { no_ack: true };
    let got = channel.basic_get(queue.into(), options).await?;
    Ok(got.map(|got| String::from_utf8_lossy(&got.delivery.data).into_owned()))
}

#[tokio::test]
async fn by_default_a_message_outlives_an_outage_of_hours() -> Result<()> {
    let (mut broker, url, address) = memory().await?;
    let toml = HiveToml::one("letters", "fail-until", "").queue("out", "");
    let mut host = HostProcess::run_at(&url, &toml).await?;

    let (_client, channel) = channel(&url).await?;
    let mut headers = FieldTable::default();
    headers.insert("until".into(), AMQPValue::LongLongInt(UNTIL));
    let properties = BasicProperties::default().with_headers(headers);
    publish(&channel, b"hello", properties).await?;

    let turned = AtomicU32::new(0);
    let look = async || {
        turn(&address, STEP).await?;
        turned.fetch_add(1, Ordering::Relaxed);
        get(&channel, "out").await
    };
    let seen = eventually("an attempt succeeds", look, Option::is_some).await?;
    let expected = format!("attempt {UNTIL} of hello");
    assert_eq!(seen.as_deref(), Some(&*expected));
    let turned = STEP * turned.into_inner();
    // With jitter, four fifths at the least.
    assert!(turned > OUTAGE * 4 / 5, "{turned:?}");
    assert_eq!(get(&channel, "letters.dead").await?, None);
    host.stop().await?;
    broker.stop().await
}

/// A queue that refuses messages by no word of hive.toml, and takes nothing for three days: the copy stays in its delay
/// queue, which must not expire meanwhile.
#[tokio::test]
async fn a_copy_outlives_a_queue_that_is_full_for_days() -> Result<()> {
    let (mut broker, url, address) = memory().await?;
    let (client, first) = channel(&url).await?;
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    first
        .queue_declare("letters".into(), options, arguments)
        .await?;
    let keys = r#"retry = { limit = 2, delays = ["1h"], queues = "shared" }"#;
    let toml = HiveToml::new()
        .component("fail", "")
        .consumer("letters", "fail", keys);
    let mut host = HostProcess::run_at(&url, &toml).await?;
    publish(&first, b"hello", BasicProperties::default()).await?;
    let retried = [("consumer", "letters"), ("outcome", "retried")];
    host.wait_for_event("delivery.settled", &retried).await?;
    host.stop().await?;
    publish(&first, b"in the way", BasicProperties::default()).await?;
    client.close(200, "the clock is turned".into()).await?;
    for _ in 0..72 {
        turn(&address, Duration::from_secs(3600)).await?;
    }

    let (_client, channel) = channel(&url).await?;
    assert_eq!(
        get(&channel, "letters").await?.as_deref(),
        Some("in the way")
    );
    let look = async || {
        turn(&address, STEP).await?;
        get(&channel, "letters").await
    };
    let seen = eventually("the copy is back in its queue", look, Option::is_some).await?;
    assert_eq!(seen.as_deref(), Some("hello"));
    broker.stop().await
}
