//! Requests that are refused: with the right status, and with no harm to others.

use std::time::Duration;

use anyhow::{Context, Result};
use hive_tests::{HostProcess, Vhost};
use tokio::time::sleep;

use super::client::{Answer, Client, JSON, post, request, serving, tracks, with_limits};

/// The host still stores what is right, and has stored nothing else.
async fn assert_unharmed(vhost: &Vhost, host: &mut HostProcess, port: u16) -> Result<()> {
    let answer = post(port, JSON, "\"the last\"").await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    host.stop().await?;
    let stored = vhost.drain("tracks").await?;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert_eq!(stored[0].text(), "\"the last\"");
    Ok(())
}

#[tokio::test]
async fn what_a_route_does_not_take_is_refused_with_its_status() -> Result<()> {
    let keys = "accept = [\"json\", \"form\"]\nmax_body = \"1kB\"";
    let (vhost, mut host, port) = serving("http-refused", &tracks(keys)).await?;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let large = format!("\"{}\"", "x".repeat(1000));
    let many_fields = "a=&".repeat(100_000);
    let long_key = format!("{JSON}idempotency-key: {}\r\n", "k".repeat(256));
    for (line, headers, body, status, code) in [
        ("POST /other", JSON, "1", 404, "HIVE-0605"),
        ("POST /t/", JSON, "1", 404, "HIVE-0605"),
        ("GET /t", JSON, "", 405, "HIVE-0605"),
        ("POST /a%2Fb", JSON, "1", 400, "HIVE-0602"),
        ("POST /t%00", JSON, "1", 400, "HIVE-0602"),
        ("POST /t", "", "1", 415, "HIVE-0608"),
        (
            "POST /t",
            "content-type: text/csv\r\n",
            "1",
            415,
            "HIVE-0608",
        ),
        ("POST /t", JSON, "{\"a\": }", 400, "HIVE-0603"),
        ("POST /t", JSON, &large, 413, "HIVE-0607"),
        ("POST /t", form, "a=%ff", 400, "HIVE-0603"),
        ("POST /t", form, &many_fields, 413, "HIVE-0607"),
        ("POST /t", &long_key, "1", 400, "HIVE-0602"),
    ] {
        let answer = request(port, line, headers, body).await?;
        assert_eq!(answer.status, status, "{line} {headers}: {answer:?}");
        assert_eq!(answer.code(), code, "{line} {headers}: {answer:?}");
    }
    let other = request(port, "GET /t", "", "").await?;
    assert_eq!(other.header("allow"), Some("POST"), "{other:?}");
    let broken = post(port, JSON, "{\n\"a\": }").await?;
    assert!(broken.body.contains("line 2 column 6"), "{broken:?}");
    assert_unharmed(&vhost, &mut host, port).await
}

#[tokio::test]
async fn a_form_with_a_hundred_thousand_fields_is_refused() -> Result<()> {
    let (vhost, mut host, port) =
        serving("http-fields", &tracks(r#"accept = ["json", "form"]"#)).await?;
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let answer = post(port, form, &"a=1&".repeat(100_000)).await?;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(answer.body.contains("1000 fields"), "{answer:?}");
    assert_unharmed(&vhost, &mut host, port).await
}

#[tokio::test]
async fn a_token_is_needed_where_there_is_one() -> Result<()> {
    let keys = "token = \"0123456789abcdef\"";
    let (vhost, mut host, port) = serving("http-token", &tracks(keys)).await?;
    for sent in ["", "authorization: Bearer 0123456789abcdeg\r\n"] {
        let answer = post(port, &format!("{JSON}{sent}"), "1").await?;
        assert_eq!(answer.status, 401, "{sent}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let with = format!("{JSON}authorization: Bearer 0123456789abcdef\r\n");
    assert_eq!(post(port, &with, "1").await?.status, 202);
    assert!(!host.mentions("0123456789abcde"), "a token is in the log");
    host.stop().await?;
    assert_eq!(vhost.drain("tracks").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn web_pages_of_listed_origins_alone_may_send() -> Result<()> {
    let keys = "cors = [\"https://shop.example\"]";
    let (_vhost, mut host, port) = serving("http-cors", &tracks(keys)).await?;
    let ask =
        "access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n";
    for (origin, allowed) in [
        ("https://shop.example", true),
        ("https://evil.example", false),
    ] {
        let headers = format!("origin: {origin}\r\n{ask}");
        let preflight = request(port, "OPTIONS /t", &headers, "").await?;
        assert_eq!(preflight.status, 204, "{preflight:?}");
        let expected = allowed.then_some(origin);
        assert_eq!(preflight.header("access-control-allow-origin"), expected);
        let methods = preflight.header("access-control-allow-methods");
        assert_eq!(methods, allowed.then_some("POST"));
        let headers = format!("{JSON}origin: {origin}\r\n");
        // An error can be read by the page too.
        for body in ["1", "{"] {
            let answer = post(port, &headers, body).await?;
            assert_eq!(answer.header("access-control-allow-origin"), expected);
        }
    }
    host.stop().await
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_again() -> Result<()> {
    let keys = r#"rate = { limit = "2/h", burst = 2 }"#;
    let (vhost, mut host, port) = serving("http-rate", &tracks(keys)).await?;
    for _ in 0..2 {
        assert_eq!(post(port, JSON, "1").await?.status, 202);
    }
    let refused = post(port, JSON, "1").await?;
    assert_eq!(refused.status, 429, "{refused:?}");
    let seconds: u64 = refused.header("retry-after").unwrap_or_default().parse()?;
    assert!((1700..=1801).contains(&seconds), "{refused:?}");
    host.stop().await?;
    assert_eq!(vhost.drain("tracks").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn slow_and_silent_clients_lose_their_connection_and_harm_nobody() -> Result<()> {
    const IDLE: usize = 1000;
    let (vhost, mut host, port) =
        serving("http-slow", &with_limits("timeout = \"10s\"", "")).await?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(Client::connect(port).await?);
    }
    let head = "POST /t HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    let mut half_head = Client::connect(port).await?;
    half_head.write(head.as_bytes()).await?;
    let mut half_body = Client::connect(port).await?;
    half_body
        .write(format!("{head}content-length: 10\r\n\r\n{{").as_bytes())
        .await?;
    let mut half_preface = Client::connect(port).await?;
    half_preface.write(b"PRI * HTTP/2.0\r\n").await?;
    // Others are served meanwhile.
    let answer = post(port, JSON, "\"beside\"").await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(vhost.take_one("tracks").await?.text(), "\"beside\"");
    let slow = half_body.answer().await?;
    assert_eq!(slow.status, 408, "{slow:?}");
    assert_eq!(slow.code(), "HIVE-0606");
    assert!(
        half_head.is_closed().await?,
        "half a head is waited for in vain"
    );
    assert!(
        half_preface.is_closed().await?,
        "half a preface is waited for in vain"
    );
    for one in &mut idle {
        assert!(one.is_closed().await?, "an idle connection is closed");
    }
    assert_unharmed(&vhost, &mut host, port).await
}

#[tokio::test]
async fn a_body_that_ends_early_and_a_head_of_a_megabyte_are_refused() -> Result<()> {
    let (vhost, mut host, port) = serving("http-broken", &tracks("")).await?;
    let mut cut_off = Client::connect(port).await?;
    let head = "POST /t HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    cut_off
        .write(format!("{head}content-length: 10\r\n\r\n1").as_bytes())
        .await?;
    drop(cut_off);
    let mut large = Client::connect(port).await?;
    let header = format!(
        "{head}x: {}\r\ncontent-length: 1\r\n\r\n1",
        "x".repeat(1 << 20)
    );
    // The host closes before all of it is written.
    let _answered_early = large.write(header.as_bytes()).await;
    match large.answer().await {
        Ok(answer) => assert_eq!(answer.status, 431, "{answer:?}"),
        // The rest of the head met a closed connection, which takes the answer with it.
        Err(error) => assert!(
            error.to_string().contains("reset") || error.to_string().contains("ended"),
            "{error}"
        ),
    }
    for broken in [
        &b"POST /t\0 HTTP/1.1\r\nhost: t\r\n\r\n"[..],
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut client = Client::connect(port).await?;
        client.write(broken).await?;
        assert_eq!(client.answer().await?.status, 400);
    }
    // A length that the host takes for too much is refused before any of the body comes.
    let mut announced = Client::connect(port).await?;
    announced
        .write(format!("{head}content-length: 100000000000\r\n\r\n").as_bytes())
        .await?;
    assert_eq!(announced.answer().await?.status, 413);
    assert_unharmed(&vhost, &mut host, port).await
}

/// Of how many that fill the memory one is not refused itself.
const ATTEMPTS: usize = 50;

/// What `other` gives while the body of a request is not whole; `None` if the request was refused.
async fn beside(
    filling: &mut Client,
    most: &str,
    other: impl AsyncFn() -> Result<Answer>,
) -> Result<Option<Answer>> {
    // A host that refuses closes before all is written.
    if filling.write(most.as_bytes()).await.is_err() {
        return Ok(None);
    }
    let other = tokio::select! {
        other = other() => other?,
        refused = filling.answer() => {
            if let Ok(refused) = refused {
                assert_eq!(refused.code(), "HIVE-0614", "{refused:?}");
            }
            return Ok(None);
        }
    };
    let written = filling.write(b"\"").await;
    match filling.answer().await {
        Ok(answer) if answer.status == 202 => Ok(Some(other)),
        Ok(answer) => {
            assert_eq!(answer.code(), "HIVE-0614", "{answer:?}");
            Ok(None)
        }
        // Closed with octets on their way, a connection loses its answer.
        Err(_) if written.is_err() => Ok(None),
        Err(error) => Err(error),
    }
}

#[tokio::test]
async fn bodies_beyond_the_memory_are_refused_until_there_is_room() -> Result<()> {
    let limits = "memory_in_flight = \"1MiB\"\ntimeout = \"30s\"";
    let (vhost, mut host, port) =
        serving("http-memory", &with_limits(limits, "max_body = \"1MiB\"")).await?;
    let head = "POST /t HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    let most = format!("\"{}", "x".repeat(1_000_000));
    let length = most.len() + 1;
    let large = format!("\"{}\"", "x".repeat(500_000));
    let most = format!("{head}content-length: {length}\r\n\r\n{most}");
    let mut refused = None;
    // Read side by side with the other, it may be the one for which there is no room, or both are.
    for _ in 0..ATTEMPTS {
        let mut filling = Client::connect(port).await?;
        let other = beside(&mut filling, &most, async || {
            loop {
                let answer = post(port, JSON, &large).await?;
                if answer.status == 503 {
                    return Ok(answer);
                }
                // What fills the memory has not been read yet.
                assert_eq!(answer.status, 202, "{answer:?}");
                vhost.take_one("tracks").await?;
                sleep(Duration::from_millis(20)).await;
            }
        });
        if let Some(other) = other.await? {
            refused = Some(other);
            break;
        }
    }
    let answer = refused.context("one of two was refused, and the other was not")?;
    assert_eq!(answer.code(), "HIVE-0614");
    assert!(answer.header("retry-after").is_some());
    let last = post(port, JSON, "\"the last\"").await?;
    assert_eq!(last.status, 202, "{last:?}");
    host.stop().await?;
    // Beside those of the attempts.
    let stored = vhost.drain("tracks").await?;
    let last = stored.iter().filter(|one| one.text() == "\"the last\"");
    assert_eq!(last.count(), 1);
    Ok(())
}
