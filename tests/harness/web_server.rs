//! An HTTP server for components to ask: a real one, on a port of its own.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use futures_util::{StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::certificates::Identity;

/// Serves until it is dropped:
///
/// - `/hello` answers `hello`;
/// - `/to?URL` redirects there;
/// - `/trace` answers the `traceparent` of the request;
/// - `/silence` never answers;
/// - `/half` says the first half of its answer, and never the second.
#[derive(Debug)]
pub struct WebServer {
    port: u16,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl WebServer {
    /// Serves on every address of this machine.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self::serve(port, listener))
    }

    /// Starts the server with TLS.
    pub async fn start_tls(identity: &Identity) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        let port = listener.local_addr()?.port();
        let acceptor = acceptor(&identity.certificate, &identity.key)?;
        Ok(Self::serve(port, TlsListener { listener, acceptor }))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the ban is for the host, whose tasks a stop has to know"
    )]
    fn serve<L: Listener>(port: u16, listener: L) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let requests = Arc::<AtomicUsize>::default();
        let pages = pages(Arc::clone(&requests));
        let serving = tokio::spawn(async move {
            axum::serve(listener, pages)
                .await
                .expect("a server without an end of its own does not end");
        });
        Self {
            port,
            requests,
            serving,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn pages(requests: Arc<AtomicUsize>) -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/to", get(redirect))
        .route("/trace", get(trace))
        .route("/silence", get(std::future::pending::<String>))
        .route("/half", get(half))
        .layer(middleware::from_fn_with_state(requests, count))
}

async fn count(State(requests): State<Arc<AtomicUsize>>, request: Request, next: Next) -> Response {
    requests.fetch_add(1, Ordering::SeqCst);
    next.run(request).await
}

async fn redirect(request: Request) -> Response {
    let url = request.uri().query().unwrap_or_default().to_owned();
    (StatusCode::FOUND, [(LOCATION, url)]).into_response()
}

async fn trace(request: Request) -> Response {
    let value = request.headers().get("traceparent");
    let value = value.map_or(&b"none"[..], |value| value.as_bytes());
    value.to_vec().into_response()
}

async fn half() -> Response {
    let first = stream::once(async { Ok::<_, Infallible>("hel") });
    Response::new(Body::from_stream(first.chain(stream::pending())))
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // A client that does not trust the certificate hangs up; the server waits for the next one.
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)?.collect();
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)
        .context("the certificate and the key belong together")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
