//! The certificate authorities that this machine trusts, for every TLS connection that does not name its own.

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// The machine's authorities, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Reading them takes some
/// milliseconds. If there are none, no certificate is trusted.
pub fn of_this_machine() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates());
    store
}

/// The certificates of the same authorities, one by one.
pub fn certificates() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}
