//! `hive-host tail`: deliveries of a running host, as they are settled.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Vhost, scratch};
use serde_json::Value;

use crate::{acknowledged, assert_says, consuming};

fn named(body: &str, id: &str) -> Message {
    Message::new(body).with(|properties| properties.with_message_id(id.into()))
}

/// A host with a consumer that prints, one that fails and one that publishes; and its file.
async fn host(label: &str, keys: &str) -> Result<(Vhost, HostProcess, PathBuf)> {
    let vhost = Broker::shared().await?.vhost(label).await?;
    let toml = HiveToml::new()
        .host(keys)
        .queue("letters", "")
        .queue("orders", "")
        .queue("parcels", "")
        .queue("out", "")
        .component("stdout", "")
        .component("fail", "")
        .component("publish", "")
        .consumer("letters", "stdout", "")
        .consumer("orders", "fail", "retry = { limit = 1, delays = [\"1h\"] }")
        .consumer("parcels", "publish", "");
    let file = HiveToml::write(&scratch("tail"), &toml.text(&vhost))?;
    let host = HostProcess::run_file(&vhost, &toml, &file).await?;
    Ok((vhost, host, file))
}

/// Begins to watch.
async fn tail(host: &HostProcess, file: &Path, arguments: &[&str]) -> Result<HostProcess> {
    let address = format!("127.0.0.1:{}", host.admin_port().await?);
    let file = file.to_string_lossy();
    let arguments = [&["tail", &*file, "--admin", &address], arguments].concat();
    let tail = HostProcess::launch_command(&arguments)?;
    tail.wait_for_output("watching deliveries").await?;
    Ok(tail)
}

#[tokio::test]
async fn deliveries_are_shown_with_action_time_and_log_lines() -> Result<()> {
    let (vhost, host, file) = host("tail", "").await?;
    let mut all = tail(&host, &file, &[]).await?;
    let one = tail(&host, &file, &["parcels", "--messages"]).await?;
    vhost
        .publish("", "letters", named("tea\u{1b}[2J", "o-1"))
        .await?;
    let line = all.wait_for_output("letters o-1: ack (").await?;
    ensure!(line.ends_with(" ms, generation 1)"), "{line}");
    let printed = all.wait_for_output("stdout | ").await?;
    assert_eq!(printed, "    stdout | out says tea\\u{1b}[2J");
    all.wait_for_output("    stderr | err says tea").await?;
    vhost.publish("", "orders", named("tea", "o-2")).await?;
    let failed = "orders o-2: failed (error), retry in 3600s: cannot take tea (";
    all.wait_for_output(failed).await?;
    let parcel = named("tea", "o-3").text_header("tenant", "acme");
    vhost.publish("", "parcels", parcel).await?;
    all.wait_for_output("parcels o-3: publish 1 to out (")
        .await?;
    one.wait_for_output("    header tenant: acme").await?;
    one.wait_for_output("    body tea").await?;
    ensure!(
        !one.mentions("o-1") && !one.mentions("o-2"),
        "it was asked for parcels"
    );
    ensure!(!all.mentions("acme"), "messages were not asked for");
    all.sigint();
    assert_eq!(all.wait().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn conditions_choose_and_json_has_all_of_it() -> Result<()> {
    let (vhost, host, file) = host("tail-where", "").await?;
    let failed = tail(&host, &file, &["--failed", "--json"]).await?;
    let conditions = ["--where", "log~says sugar", "--where", "action=ack"];
    let sweet = tail(&host, &file, &conditions).await?;
    for (queue, body, id) in [
        ("letters", "tea", "o-1"),
        ("orders", "salt", "o-2"),
        ("letters", "sugar", "o-3"),
    ] {
        vhost.publish("", queue, named(body, id)).await?;
    }
    sweet.wait_for_output("letters o-3: ack").await?;
    let line = failed.wait_for_output("o-2").await?;
    let seen: Value = serde_json::from_str(&line)?;
    for (key, expected) in [
        ("consumer", "orders"),
        ("queue", "orders"),
        ("message_id", "o-2"),
        ("component", "fail"),
        ("outcome", "retried"),
        ("action", "failed"),
        ("class", "error"),
        ("error", "cannot take salt"),
    ] {
        assert_eq!(seen[key], expected, "{seen}");
    }
    assert_eq!(seen["delay_ms"], 3_600_000.0, "{seen}");
    assert_eq!(
        (seen["attempt"].as_u64(), seen["generation"].as_u64()),
        (Some(1), Some(1))
    );
    ensure!(
        seen["call_ms"].as_f64() <= seen["took_ms"].as_f64(),
        "{seen}"
    );
    ensure!(seen.get("message").is_none(), "{seen}");
    ensure!(
        !failed.mentions("o-1") && !failed.mentions("o-3"),
        "they did not fail"
    );
    ensure!(
        !sweet.mentions("o-1") && !sweet.mentions("o-2"),
        "they have no sugar"
    );
    Ok(())
}

#[tokio::test]
async fn it_ends_with_its_host() -> Result<()> {
    let (_vhost, mut host, file) = host("tail-ends", "").await?;
    let mut tail = tail(&host, &file, &[]).await?;
    host.stop().await?;
    assert_eq!(tail.wait().await?.code(), Some(1));
    tail.wait_for_output("has ended, or the connection to it has")
        .await?;
    tail.wait_for_output("`hive-host explain HIVE-0502`")
        .await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_watched_is_said() -> Result<()> {
    let (_vhost, host, file) = host("tail-refused", "admin_bodies = false").await?;
    let unknown = host.told("tail", &file, &["lettres"]).await?;
    assert_says(
        &unknown,
        1,
        &["no consumer \"lettres\"", "did you mean `letters`"],
    );
    for asks_content in [&["--messages"][..], &["--where", "header:tenant=acme"]] {
        let hidden = host.told("tail", &file, asks_content).await?;
        assert_says(&hidden, 1, &["`host.admin_bodies` is false"]);
    }
    let wrong = host.told("tail", &file, &["--where", "clas=error"]).await?;
    assert_says(&wrong, 2, &["did you mean `class`"]);
    Ok(())
}

/// The events of a client that reads late.
struct Late(BufReader<TcpStream>);

impl Late {
    fn begin(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let path = "/v1/deliveries?consumer=letters&messages=true";
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut late = Self(BufReader::new(stream));
        while !late.line()?.starts_with(": watching") {}
        Ok(late)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the events ended");
        Ok(line)
    }

    /// How many were delivered and how many were left out, by the time that there are this many.
    fn count(&mut self, all: u64) -> Result<(u64, u64)> {
        let (mut delivered, mut left_out) = (0, 0);
        while delivered + left_out < all {
            let line = self.line()?;
            delivered += u64::from(line.starts_with("event: delivery"));
            if let Some(data) = line.strip_prefix("data: {\"deliveries\":") {
                let count = data
                    .trim_end()
                    .strip_suffix('}')
                    .context("it is an object")?;
                left_out += count.parse::<u64>()?;
            }
        }
        Ok((delivered, left_out))
    }
}

#[tokio::test]
async fn what_comes_too_fast_is_left_out_and_counted_and_no_delivery_waits() -> Result<()> {
    // More than the buffers between the two hold.
    const MANY: usize = 1_500;
    let (vhost, host) = consuming("tail-flood", HiveToml::one("letters", "ack", "")).await?;
    let mut late = Late::begin(host.admin_port().await?)?;
    let body = "x".repeat(16 << 10);
    let letters = vec![Message::new(body); MANY];
    vhost.publish_all("", "letters", letters).await?;
    // Nobody reads the events, and all are handled.
    acknowledged(&host, MANY as f64).await?;
    let (delivered, left_out) = late.count(MANY as u64)?;
    ensure!(left_out > 0, "{delivered} of {MANY} were delivered");
    vhost
        .publish("", "letters", Message::new("one more"))
        .await?;
    assert_eq!(late.count(1)?, (1, 0));
    Ok(())
}

#[tokio::test]
async fn no_more_watch_than_may() -> Result<()> {
    let (_vhost, host) = consuming("tail-many", HiveToml::one("letters", "ack", "")).await?;
    let port = host.admin_port().await?;
    let mut watching = (0..32)
        .map(|_| Late::begin(port))
        .collect::<Result<Vec<_>>>()?;
    let refused = host.admin("/v1/deliveries").await?;
    assert_eq!(refused.status, 503, "{refused:?}");
    watching.pop();
    // The host sees that the client is gone when it writes to it next.
    let mut last = None;
    for _ in 0..200 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(b"GET /v1/deliveries HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        last = Some(String::from_utf8_lossy(&head).into_owned());
        if last.as_deref() == Some("HTTP/1.1 200") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("nobody may watch in the place of one that is gone: {last:?}")
}
