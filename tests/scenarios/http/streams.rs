//! Requests in HTTP/2 that are refused: others on the same connection, and on other ones, are unharmed.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{serving, tracks};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection without TLS, and what drives it.
pub(crate) async fn connected<B>(
    port: u16,
) -> Result<(SendRequest<B>, impl Future<Output = hyper::Result<()>>)>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    Ok(shaken)
}

type Sender = SendRequest<Full<Bytes>>;

/// Status and body of the answer to a POST of `body`, with a header of this length beside.
async fn sent(
    mut sender: Sender,
    path: &str,
    kind: &str,
    header: usize,
    body: &'static str,
) -> Result<(u16, String)> {
    let request = Request::post(format!("http://localhost{path}"))
        .header("content-type", kind)
        .header("x-long", "x".repeat(header))
        .body(Full::new(Bytes::from_static(body.as_bytes())))?;
    let answer: Response<Incoming> = timeout(PATIENCE, sender.send_request(request))
        .await
        .context("no answer in time")??;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test]
async fn what_is_refused_on_a_stream_harms_no_other_stream() -> Result<()> {
    let keys = "accept = [\"json\", \"form\"]\nmax_body = \"1kB\"";
    let (vhost, mut host, port) = serving("http-streams", &tracks(keys)).await?;
    let (sender, connection) = connected(port).await?;
    let asked = async {
        let (json, form) = ("application/json", "application/x-www-form-urlencoded");
        let large: &'static str = Box::leak("x=1&".repeat(100_000).into_boxed_str());
        for (path, kind, header, body, expected) in [
            ("/t", json, 20_000, "1", 431),
            ("/other", json, 1, "1", 404),
            ("/a%2Fb", json, 1, "1", 400),
            ("/t%00", json, 1, "1", 400),
            ("/t", json, 1, "{", 400),
            ("/t", "text/csv", 1, "1", 415),
            ("/t", form, 1, large, 413),
        ] {
            let (status, answer) = sent(sender.clone(), path, kind, header, body).await?;
            assert_eq!(status, expected, "{path} {kind}: {answer}");
            let beside = sent(sender.clone(), "/t", json, 1, "\"beside\"").await?;
            assert_eq!(beside.0, 202, "after {path} {kind}: {beside:?}");
            assert_eq!(vhost.take_one("tracks").await?.text(), "\"beside\"");
        }
        anyhow::Ok(())
    };
    tokio::select! {
        asked = asked => asked?,
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_header_of_a_megabyte_costs_its_connection_at_most() -> Result<()> {
    let (vhost, mut host, port) = serving("http-long", &tracks("")).await?;
    let (sender, connection) = connected(port).await?;
    let json = "application/json";
    let answered = tokio::select! {
        answered = sent(sender, "/t", json, 1 << 20, "1") => answered.ok(),
        _ended = connection => None,
    };
    if let Some((status, answer)) = answered {
        assert_eq!(status, 431, "{answer}");
    }
    let (sender, connection) = connected(port).await?;
    let beside = tokio::select! {
        beside = sent(sender, "/t", json, 1, "\"beside\"") => beside?,
        ended = connection => panic!("the connection ended: {ended:?}"),
    };
    assert_eq!(beside.0, 202, "{beside:?}");
    host.stop().await?;
    let stored = vhost.drain("tracks").await?;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].text(), "\"beside\"");
    Ok(())
}
