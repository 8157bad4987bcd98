//! From a target to a stream of bytes: the name is looked up once, each address is checked, and the
//! connection goes to the very address that was.

use std::io;
use std::sync::{Arc, OnceLock};

use hive_config::authorities;
use hive_config::plan::HttpGrant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use wasmtime_wasi_http::Error;

use super::target::{Host, Refusal, Target};

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why the connection could not be opened.
pub(super) enum Fault {
    Refused(Refusal),
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Connects to a target that has been named.
pub(super) async fn connect(
    target: &Target,
    grants: &[HttpGrant],
    until: Instant,
) -> Result<Box<dyn Stream>, Fault> {
    let found = match &target.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => timeout_at(until, lookup_host((name.as_str(), target.port)))
            .await
            .map_err(|_| Error::DnsTimeout)?
            .map_err(|error| dns(target, &error))?
            .map(|found| found.ip())
            .collect(),
    };
    let mut addresses = target
        .admitted(grants, found)
        .map_err(Fault::Refused)?
        .into_iter();
    let mut last = Error::DestinationNotFound;
    while let Some(address) = addresses.next() {
        // An address that does not answer must not take the time of those behind it.
        let left = until.saturating_duration_since(Instant::now());
        let tries = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let share = Instant::now() + left / tries.saturating_add(1);
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(speak(target, stream, until).await?),
            Ok(Err(error)) => last = unreachable(target, &error),
            Err(_) => last = Error::ConnectionTimeout,
        }
    }
    Err(last.into())
}

async fn speak(
    target: &Target,
    stream: TcpStream,
    until: Instant,
) -> Result<Box<dyn Stream>, Error> {
    // A request is written at once; waiting for more to send would only delay it.
    stream.set_nodelay(true).map_err(Error::Connect)?;
    if !target.tls {
        return Ok(Box::new(stream));
    }
    let server = match &target.host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => {
            ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?
        }
    };
    let handshake = TlsConnector::from(client()).connect(server, stream);
    match timeout_at(until, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(untrusted(target, &error)),
        Err(_) => Err(Error::ConnectionTimeout),
    }
}

/// Trusts whom this machine trusts. Made once.
pub(super) fn client() -> Arc<ClientConfig> {
    static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows every version of TLS that is safe");
        let client = builder.with_root_certificates(authorities::of_this_machine());
        Arc::new(client.with_no_client_auth())
    });
    Arc::clone(client)
}

fn dns(target: &Target, error: &io::Error) -> Error {
    tracing::debug!(%target, %error, "a name was not found");
    Error::DnsError {
        rcode: Some("the name was not found".to_owned()),
        info_code: None,
    }
}

fn unreachable(target: &Target, error: &io::Error) -> Error {
    tracing::debug!(%target, %error, "a connection failed");
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        _ => Error::DestinationUnavailable,
    }
}

fn untrusted(target: &Target, error: &io::Error) -> Error {
    tracing::debug!(%target, %error, "a TLS handshake failed");
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        _ => Error::TlsProtocolError,
    }
}
