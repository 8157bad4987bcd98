//! What the page shows as it happens: deliveries in flight, failures, and the host as server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{Broker, HiveToml, HostProcess, Message, eventually};
use serde_json::{Value, json};

async fn deliveries(host: &HostProcess, consumer: &str) -> Result<Value> {
    let path = format!("/v1/consumers/{consumer}/deliveries");
    Ok(serde_json::from_str(&host.admin(&path).await?.body)?)
}

#[tokio::test]
async fn what_is_in_flight_has_an_age_and_what_failed_its_error() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-live").await?;
    let retry = "retry = { delays = [\"1h\"] }";
    let toml = HiveToml::new()
        .queue("slow", "")
        .queue("letters", "")
        .component("stuck", "timeout = \"1h\"")
        .component("fail", "")
        .consumer("slow", "stuck", "")
        .consumer("letters", "fail", retry);
    let host = HostProcess::run(&vhost, &toml).await?;
    let named = |body: &str, id: &str| {
        Message::new(body).with(|properties| properties.with_message_id(id.into()))
    };
    vhost.publish("", "slow", named("x", "s-1")).await?;
    vhost.publish("", "letters", named("no tea", "o-1")).await?;
    let look = async || deliveries(&host, "slow").await;
    let slow = eventually("one is in flight", look, |slow| slow["in_flight"] == 1).await?;
    assert_eq!(slow["listed"][0]["delivery"], "s-1", "{slow}");
    assert_eq!(slow["listed"][0]["attempt"], 1);
    let age = slow["listed"][0]["age_ms"]
        .as_u64()
        .context("it has an age")?;
    let look = async || deliveries(&host, "slow").await;
    let is_older = |slow: &Value| {
        slow["listed"][0]["age_ms"]
            .as_u64()
            .is_some_and(|now| now > age)
    };
    eventually("it gets older", look, is_older).await?;
    let look = async || deliveries(&host, "letters").await;
    let failed = |letters: &Value| letters["failures"][0]["outcome"] == "retried";
    let letters = eventually("one has failed", look, failed).await?;
    let failure = &letters["failures"][0];
    assert_eq!(
        (&failure["delivery"], &failure["attempt"]),
        (&json!("o-1"), &json!(1))
    );
    let error = failure["error"].as_str().unwrap_or_default();
    assert!(error.contains("cannot take no tea"), "{failure}");
    assert!(
        failure["due"].as_str() > failure["at"].as_str(),
        "{failure}"
    );
    let unknown = host.admin("/v1/consumers/lettres/deliveries").await?;
    assert_eq!(unknown.status, 404);
    assert!(
        unknown.body.contains("did you mean `letters`"),
        "{unknown:?}"
    );
    Ok(())
}

/// The events of the host, on a connection of their own.
fn events(port: u16) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    Ok(BufReader::new(stream))
}

/// The data of the next event.
fn next(events: &mut BufReader<TcpStream>) -> Result<Value> {
    let mut line = String::new();
    loop {
        line.clear();
        anyhow::ensure!(events.read_line(&mut line)? > 0, "the events ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return Ok(serde_json::from_str(data.trim_end())?);
        }
    }
}

#[tokio::test]
async fn every_page_sees_a_pause_as_it_happens() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("page-events").await?;
    let host = HostProcess::run(&vhost, &HiveToml::one("letters", "ack", "")).await?;
    let port = host.admin_port().await?;
    let mut pages = (0..50).map(|_| events(port)).collect::<Result<Vec<_>>>()?;
    for page in &mut pages {
        let overview = next(page)?;
        assert_eq!(overview["consumers"][0]["state"], "consuming", "{overview}");
        assert!(overview["host"].get("file").is_none(), "{overview}");
        assert_eq!(overview["components"][0]["component"], "ack");
    }
    let paused = host
        .command("/v1/consumers/letters/pause", super::JSON)
        .await?;
    assert_eq!(paused.status, 200);
    for page in &mut pages {
        while next(page)?["consumers"][0]["state"] != "paused" {}
    }
    Ok(())
}
