//! Requests over TLS, and in HTTP/2.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hive_tests::{Authority, Broker, HostProcess, Identity, eventually, scratch};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::{Client, JSON, post, ready, serving, tracks, with_limits};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The key of `[http]` for this certificate.
fn tls(server: &Identity, more: &str) -> String {
    let (cert, key) = (&server.certificate, &server.key);
    format!("tls = {{ cert = {cert:?}, key = {key:?}{more} }}")
}

/// A connection whose handshake is over.
async fn shaken(
    port: u16,
    authority: &Authority,
    client: Option<&Identity>,
    protocol: &str,
) -> Result<TlsStream<TcpStream>> {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(authority.certificate())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted);
    let mut config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let chain = vec![CertificateDer::from_pem_file(&client.certificate)?];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&client.key)?)?
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let name = ServerName::try_from("localhost")?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = timeout(PATIENCE, connecting).await??;
    let agreed = stream.get_ref().1.alpn_protocol().unwrap_or_default();
    assert_eq!(agreed, protocol.as_bytes());
    Ok(stream)
}

/// The answer, for which the connection has to be driven.
async fn beside(
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> Result<Response<Incoming>> {
    tokio::select! {
        answer = answer => Ok(answer?),
        ended = timeout(PATIENCE, connection) => {
            ended??;
            bail!("the connection ended without an answer")
        }
    }
}

/// The answer to a POST of `"a"` to the route of the tests.
async fn answered<S>(stream: S, version: Version) -> Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = Request::post("https://localhost/t")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(b"\"a\"")))?;
    let stream = TokioIo::new(stream);
    let answer = if version == Version::HTTP_2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        beside(sender.send_request(request), connection).await?
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        beside(sender.send_request(request), connection).await?
    };
    assert_eq!(answer.version(), version);
    Ok(answer.status().as_u16())
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_too() -> Result<()> {
    let (vhost, mut host, port) = serving("http-2", &tracks("")).await?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    assert_eq!(answered(stream, Version::HTTP_2).await?, 202);
    assert_eq!(vhost.take_one("tracks").await?.text(), "\"a\"");
    host.stop().await
}

#[tokio::test]
async fn requests_are_taken_over_tls_and_not_without() -> Result<()> {
    let authority = Authority::new("of servers")?;
    let server = authority.server("http", &["localhost"])?;
    let toml = with_limits(&tls(&server, ""), "");
    let (vhost, mut host, port) = serving("http-tls", &toml).await?;
    for (protocol, version) in [("h2", Version::HTTP_2), ("http/1.1", Version::HTTP_11)] {
        let stream = shaken(port, &authority, None, protocol).await?;
        assert_eq!(answered(stream, version).await?, 202);
        assert_eq!(vhost.take_one("tracks").await?.text(), "\"a\"");
    }
    let plain = post(port, JSON, "1").await;
    assert!(plain.is_err(), "{plain:?}");
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_client_needs_a_certificate_where_its_authority_is_named() -> Result<()> {
    let authority = Authority::new("of servers")?;
    let server = authority.server("http", &["localhost"])?;
    let (of_clients, others) = (Authority::new("of clients")?, Authority::new("of others")?);
    let more = format!(", client_ca = {:?}", of_clients.certificate());
    let toml = with_limits(&tls(&server, &more), "");
    let (vhost, mut host, port) = serving("http-clients", &toml).await?;
    let asked = async |client: Option<&Identity>| {
        // In TLS 1.3 a client learns that it is refused when it reads.
        let stream = shaken(port, &authority, client, "http/1.1").await?;
        answered(stream, Version::HTTP_11).await
    };
    let (known, unknown) = (of_clients.client("shop")?, others.client("shop")?);
    for refused in [None, Some(&unknown)] {
        let answer = asked(refused).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(asked(Some(&known)).await?, 202);
    host.stop().await?;
    assert_eq!(vhost.ready("tracks").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_reload_brings_a_renewed_certificate() -> Result<()> {
    let authority = Authority::new("of servers")?;
    let server = authority.server("http", &["localhost"])?;
    let vhost = Broker::shared().await?.vhost("http-renewed").await?;
    let file = scratch("http-renewed").join("hive.toml");
    std::fs::write(&file, with_limits(&tls(&server, ""), "").text(&vhost))?;
    let mut host = HostProcess::launch_file(&file, &[])?;
    let port = ready(&host).await?;
    let old = shaken(port, &authority, None, "http/1.1").await?;
    assert_eq!(shown(&old)?, of_file(&server.certificate)?);

    let renewed = authority.server("http", &["localhost"])?;
    assert_ne!(shown(&old)?, of_file(&renewed.certificate)?);
    let told = host.told("reload", &file, &[]).await?;
    assert_eq!(told.code, Some(0), "{told:?}");
    let look = async || {
        let new = shaken(port, &authority, None, "http/1.1").await?;
        shown(&new)
    };
    let renewed = of_file(&renewed.certificate)?;
    eventually("it is shown", look, |shown| *shown == renewed).await?;
    // A connection from before is served on.
    assert_eq!(answered(old, Version::HTTP_11).await?, 202);
    host.stop().await
}

#[tokio::test]
async fn a_client_that_shakes_no_hands_is_let_go() -> Result<()> {
    let authority = Authority::new("of servers")?;
    let server = authority.server("http", &["localhost"])?;
    let limits = format!(
        "timeout = \"2s\"\nmax_connections = 1\n{}",
        tls(&server, "")
    );
    let (_vhost, mut host, port) = serving("http-hands", &with_limits(&limits, "")).await?;
    let mut silent = Client::connect(port).await?;
    assert!(silent.is_closed().await?);
    // The one place is free again.
    let stream = shaken(port, &authority, None, "http/1.1").await?;
    assert_eq!(answered(stream, Version::HTTP_11).await?, 202);
    host.stop().await
}

/// The certificate that the host showed.
fn shown(stream: &TlsStream<TcpStream>) -> Result<Vec<u8>> {
    let chain = stream.get_ref().1.peer_certificates();
    let first = chain.and_then(|chain| chain.first());
    Ok(first.context("it has shown one")?.to_vec())
}

fn of_file(path: &Path) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_file(path)?.to_vec())
}
