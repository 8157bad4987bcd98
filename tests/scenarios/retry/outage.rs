//! What a component needs is away for hours: with the default, its messages outlive that. The broker is the one in
//! memory, whose clock the test turns.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use hive_tests::{HiveToml, HostProcess, eventually};
use lapin::options::{BasicGetOptions, BasicPublishOptions};
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

async fn get(channel: &Channel, queue: &str) -> Result<Option<String>> {
    let options = BasicGetOptions { no_ack: true };
    let got = channel.basic_get(queue.into(), options).await?;
    Ok(got.map(|got| String::from_utf8_lossy(&got.delivery.data).into_owned()))
}

#[tokio::test]
async fn by_default_a_message_outlives_an_outage_of_hours() -> Result<()> {
    let mut broker = HostProcess::launch_command(&["broker", "--port", "0", "--control", "0"])?;
    let url = broker.wait_for_output("amqp://").await?;
    let control = broker.wait_for_output("http://").await?;
    let address = control.trim().trim_start_matches("http://").to_owned();
    let toml = HiveToml::one("letters", "fail-until", "").queue("out", "");
    let mut host = HostProcess::run_at(url.trim(), &toml).await?;

    let client = Connection::connect(url.trim(), ConnectionProperties::default()).await?;
    let channel = client.create_channel().await?;
    let mut headers = FieldTable::default();
    headers.insert("until".into(), AMQPValue::LongLongInt(UNTIL));
    let published = channel.basic_publish(
        "".into(),
        "letters".into(),
        BasicPublishOptions::default(),
        b"hello",
        BasicProperties::default().with_headers(headers),
    );
    published.await?;

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
