//! The HTTP client of the exporters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hive_config::authorities;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The longest answer of a collector that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Sends one request at a time, on the thread that asks for it: a thread of an exporter, which does nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Client(ureq::Agent);

impl Client {
    /// One whose requests take so long at most.
    pub(crate) fn new(patience: Duration) -> Self {
        let certificates = authorities::certificates();
        let certificates = certificates
            .iter()
            .map(|one| Certificate::from_der(one).to_owned());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(certificates.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(patience))
            .build();
        Self(config.into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut answer = self.0.run(Request::from_parts(parts, &body[..]))?;
        let limited = answer.body_mut().with_config().limit(LONGEST_ANSWER);
        let body = limited.read_to_vec()?;
        let (parts, _) = answer.into_parts();
        Ok(Response::from_parts(parts, body.into()))
    }
}
