//! Clients that are slow, or do nothing: what they cost the host, and that others are served meanwhile.

use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{HostProcess, eventually};
use tokio::time::{sleep, timeout};

use super::client::{Client, JSON, post, serving, with_limits};

/// Connections that send nothing; scripts/nightly makes 10,000 of them.
const FEW: u32 = 2_000;

/// The most memory of the host for each, in KiB.
const MOST_KIB: u64 = 32;

/// What an allocator keeps, in KiB.
const SLACK_KIB: u64 = 8 * 1024;

async fn connections(host: &HostProcess, expected: u32) -> Result<()> {
    let look = async || host.metric("hive_http_connections").await;
    let what = format!("{expected} connections");
    let is_so = |count: &f64| (*count - f64::from(expected)).abs() < 0.5;
    eventually(&what, look, is_so).await?;
    Ok(())
}

#[tokio::test]
async fn thousands_of_idle_connections_take_little_memory_and_harm_nobody() -> Result<()> {
    let count = match std::env::var("HIVE_IDLE") {
        Ok(count) => count.parse().context("HIVE_IDLE is a number")?,
        Err(_) => FEW,
    };
    let limits = format!("max_connections = {}\ntimeout = \"5m\"", count + 100);
    let (vhost, mut host, port) = serving("http-idle", &with_limits(&limits, "")).await?;
    assert_eq!(post(port, JSON, "\"before\"").await?.status, 202);
    connections(&host, 0).await?;
    let before = host.usage()?.resident_kib;
    let mut idle = Vec::new();
    for number in 0..count {
        let mut client = Client::connect(port).await?;
        // Half of them have sent a request before, and may send the next one.
        if number % 2 == 0 {
            let answer = client.send("POST /t", JSON, "\"idle\"").await?;
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        idle.push(client);
    }
    connections(&host, count).await?;
    let with_them = host.usage()?.resident_kib;
    let most = before + SLACK_KIB + u64::from(count) * MOST_KIB;
    assert!(
        with_them <= most,
        "{before} KiB before, {with_them} KiB with {count} idle connections"
    );
    assert_eq!(post(port, JSON, "\"beside\"").await?.status, 202);
    drop(idle);
    connections(&host, 0).await?;
    assert_eq!(post(port, JSON, "\"after\"").await?.status, 202);
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, count / 2 + 3);
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_a_byte_now_and_then_is_refused_in_time() -> Result<()> {
    let limits = "timeout = \"3s\"";
    let (vhost, mut host, port) = serving("http-drip", &with_limits(limits, "")).await?;
    let head = "POST /t HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    // Of a body, and of a head.
    let mut of_body = Client::connect(port).await?;
    let announced = format!("{head}content-length: 100000\r\n\r\n\"");
    of_body.write(announced.as_bytes()).await?;
    let mut of_head = Client::connect(port).await?;
    of_head.write(format!("{head}x: ").as_bytes()).await?;
    let dripping = async {
        // Until both are refused: a write to a connection that is closed fails.
        let (mut body, mut head) = (true, true);
        while body || head {
            body &= of_body.write(b"x").await.is_ok();
            head &= of_head.write(b"x").await.is_ok();
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), dripping)
        .await
        .context("a client that drips is served for ever")?;
    assert_eq!(post(port, JSON, "\"beside\"").await?.status, 202);
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_let_go() -> Result<()> {
    const MOST_KIB: u64 = 16 * 1024;
    let limits = "timeout = \"3s\"";
    let (vhost, mut host, port) = serving("http-unread", &with_limits(limits, "")).await?;
    assert_eq!(post(port, JSON, "\"before\"").await?.status, 202);
    let before = host.usage()?.resident_kib;
    let mut deaf = Client::connect(port).await?;
    let requests = "GET /t HTTP/1.1\r\nhost: t\r\n\r\n".repeat(1000);
    // The host stops reading when its answers are not read, and closes the connection later.
    let writing = async { while deaf.write(requests.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_secs(60), writing)
        .await
        .context("requests of a client that reads nothing are taken for ever")?;
    let with_it = host.usage()?.resident_kib;
    assert!(
        with_it <= before + MOST_KIB,
        "{before} KiB before, {with_it} KiB after"
    );
    assert_eq!(post(port, JSON, "\"beside\"").await?.status, 202);
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 2);
    Ok(())
}
