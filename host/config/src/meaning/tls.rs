//! `tls = { … }` of a connection, of the store, or of `[http]`: the files behind it, checked here and made ready for use
//! once.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use crate::files;
use crate::keys::{ServerTlsKeys, TlsKeys};
use crate::plan::{AuthMechanism, ServerTlsPlan, TlsPlan};
use crate::url::BrokerUrl;
use crate::written::Node;
use hive_core::codes::Code;

use super::Context;

const WRONG_KIND: &str = "does not hold what it should, in PEM";
const KINDS: &str =
    "`ca`, `client_ca` and `cert` hold certificates, `key` the private key of `cert`";

/// What is spoken over TLS, in the order of choice.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

type Chain = Vec<CertificateDer<'static>>;

/// Whether the URL beside `tls` has TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scheme {
    /// The URL schemes of the server: with TLS, and without.
    pub(super) schemes: [&'static str; 2],
    /// Whether it asks for TLS, or another URL does that `tls` is for too; `None` if it has a fault.
    pub(super) is_tls: Option<bool>,
}

/// The plan of a section's `tls`; `None` if it has a fault. The files are read even if the URL has a fault, so
/// that theirs are reported in the same run.
pub(super) fn plan(context: &mut Context<'_>, node: Option<&Node>, url: Scheme) -> Option<TlsPlan> {
    let provider = Arc::new(ring::default_provider());
    let (authorities, identity) = match node {
        None => (Some(None), Some(None)),
        Some(node) => {
            goes_with(context, node, url);
            let (cert, key) = (node.get(TlsKeys::cert), node.get(TlsKeys::key));
            (
                authorities(context, node.get(TlsKeys::ca)),
                identity(context, cert, key, &provider),
            )
        }
    };
    let (authorities, identity) = (authorities?, identity?);
    let (names_authorities, has_identity) = (authorities.is_some(), identity.is_some());
    let authorities = match authorities {
        Some(named) => named,
        // The machine's are many, and no matter where there is no TLS.
        None if url.is_tls == Some(true) => crate::authorities::of_this_machine(),
        None => RootCertStore::empty(),
    };
    let digest = digest(&authorities, identity.as_ref());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows every version of TLS that is safe")
        .with_root_certificates(authorities);
    let client = match identity {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
    };
    Some(TlsPlan {
        client: Arc::new(client),
        names_authorities,
        has_identity,
        digest,
    })
}

/// The plan of `tls` of `[http]`; `None` if it has a fault.
pub(super) fn server(context: &mut Context<'_>, node: &Node) -> Option<ServerTlsPlan> {
    let provider = Arc::new(ring::default_provider());
    let authorities = authorities(context, node.get(ServerTlsKeys::client_ca));
    let (cert, key) = (node.get(ServerTlsKeys::cert), node.get(ServerTlsKeys::key));
    let identity = identity(context, cert, key, &provider);
    // One that is missing was reported when the table was read.
    let (authorities, identity) = (authorities?, identity??);
    let asks_clients = authorities.is_some();
    let digest = digest(
        authorities.as_ref().unwrap_or(&RootCertStore::empty()),
        Some(&identity),
    );
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring knows every version of TLS that is safe");
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build()
                    .expect("there is one authority at least, and no list of revoked certificates");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Some(ServerTlsPlan {
        server: Arc::new(server),
        asks_clients,
        digest,
    })
}

/// Whom we trust, and who we are. The key needs no part in it: it is the one of the certificate.
fn digest(authorities: &RootCertStore, identity: Option<&CertifiedKey>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // With its length, so that no two rows of parts read alike.
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    for anchor in &authorities.roots {
        part(&anchor.subject);
        part(&anchor.subject_public_key_info);
        part(anchor.name_constraints.as_deref().unwrap_or_default());
    }
    part(b"identity");
    for certificate in identity.map_or(&[][..], |identity| &identity.cert) {
        part(certificate);
    }
    hash.finalize().into()
}

/// `auth_mechanism=external` logs in with a certificate; reports why it cannot.
pub(super) fn external(
    url: &BrokerUrl,
    tls: Option<&Node>,
) -> Option<(&'static str, &'static str)> {
    match (url.mechanism, url.tls) {
        (AuthMechanism::Plain, _) => None,
        (AuthMechanism::External, false) => Some((
            "asks for auth_mechanism=external without TLS, and it logs in with a TLS certificate",
            "write amqps:// in the URL, and name the certificate in `tls`",
        )),
        (AuthMechanism::External, true) => {
            let named = tls.is_some_and(|tls| tls.get(TlsKeys::cert).is_some() || tls.is_faulty());
            (!named).then_some((
                "asks for auth_mechanism=external, and names no certificate to log in with",
                "add `tls = { cert = \"…\", key = \"…\" }` to this connection",
            ))
        }
    }
}

/// Whether the keys of `tls` go with the URL and with each other.
fn goes_with(context: &mut Context<'_>, node: &Node, url: Scheme) {
    if url.is_tls == Some(false) {
        let [with, without] = url.schemes;
        let message = format!("is set, and the URL is {without}, without TLS");
        let remedy = format!("write {with} in the URL, or remove `tls`");
        context
            .faults
            .error(Code::TlsWithoutTls, node, message, remedy);
    }
    let (cert, key) = (TlsKeys::cert.untyped(), TlsKeys::key.untyped());
    for (one, other) in [(cert, key), (key, cert)] {
        if let (Some(_), None) = (node.get(one), node.get(other)) {
            let (one, other) = (one.name(), other.name());
            let remedy = format!("`{one}` needs it: add `{other} = \"…\"`, or remove `{one}`");
            context.faults.missing(node, other, remedy);
        }
    }
}

/// The named authorities; they replace the system's, because a file that names one means that one. The outer
/// `None` is a fault.
fn authorities(context: &mut Context<'_>, node: Option<&Node>) -> Option<Option<RootCertStore>> {
    let Some(node) = node else {
        return Some(None);
    };
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates(context, node)?.into_iter().enumerate() {
        if store.add(certificate).is_err() {
            broken_certificate(context, node, index);
            return None;
        }
    }
    Some(Some(store))
}

/// Our certificate with its key: `Some(None)` if there is none, `None` after a fault.
fn identity(
    context: &mut Context<'_>,
    cert: Option<&Node>,
    key: Option<&Node>,
    provider: &CryptoProvider,
) -> Option<Option<CertifiedKey>> {
    // Both are looked at, whatever is wrong with one of them.
    let chain = cert.map(|node| certificates(context, node));
    let secret = key.map(|node| private_key(context, node));
    let (Some(cert), Some(key)) = (cert, key) else {
        return Some(None);
    };
    match CertifiedKey::from_der(chain??, secret??, provider) {
        Ok(identity) => Some(Some(identity)),
        Err(Error::InvalidCertificate(_)) => {
            broken_certificate(context, cert, 0);
            None
        }
        Err(Error::InconsistentKeys(_)) => {
            let message = "is not the private key of the certificate in `cert`";
            let remedy = "name the key that the first certificate of `cert` was made for";
            context.faults.error(Code::BadKeyFile, key, message, remedy);
            None
        }
        // The rest of the error may quote the key.
        Err(_) => {
            let message = "holds a private key of a kind that is not supported";
            let remedy = "use an ECDSA (P-256, P-384), Ed25519 or RSA key (2048 to 8192 bits)";
            context.faults.error(Code::BadKeyFile, key, message, remedy);
            None
        }
    }
}

fn certificates(context: &mut Context<'_>, node: &Node) -> Option<Chain> {
    let text = text(context, node)?;
    // The error of a PEM reader about a broken file quotes it.
    match CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Chain, _>>() {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            context
                .faults
                .error(Code::BadKeyFile, node, WRONG_KIND, KINDS);
            None
        }
        Err(_) => {
            broken_pem(context, node);
            None
        }
    }
}

fn private_key(context: &mut Context<'_>, node: &Node) -> Option<PrivateKeyDer<'static>> {
    let text = text(context, node)?;
    match PrivateKeyDer::pem_slice_iter(text.as_bytes()).next() {
        Some(Ok(key)) => return Some(key),
        _ if text.contains("ENCRYPTED") => {
            let message = "holds a private key that is encrypted with a passphrase";
            let remedy =
                "name one without: `openssl pkey -in encrypted.key -out plain.key` makes it";
            context
                .faults
                .error(Code::BadKeyFile, node, message, remedy);
        }
        Some(Err(_)) => broken_pem(context, node),
        None => context
            .faults
            .error(Code::BadKeyFile, node, WRONG_KIND, KINDS),
    }
    None
}

fn broken_pem(context: &mut Context<'_>, node: &Node) {
    let message = "holds PEM that is cut off or broken";
    let remedy = "name a whole file: from -----BEGIN to -----END, with base64 between them";
    context
        .faults
        .error(Code::BadKeyFile, node, message, remedy);
}

fn broken_certificate(context: &mut Context<'_>, node: &Node, index: usize) {
    let message = format!("holds no X.509 certificate in its PEM block {}", index + 1);
    let remedy = "`openssl x509 -in FILE -noout -text` shows what a certificate says";
    context
        .faults
        .error(Code::BadKeyFile, node, message, remedy);
}

/// The text of a PEM file, or the value itself where it is PEM already: `file:` has been read, and
/// a variable may hold the text of a key.
fn text(context: &mut Context<'_>, node: &Node) -> Option<String> {
    let value = node.as_text()?;
    if value.contains("-----BEGIN") {
        return Some(value.to_owned());
    }
    match files::read_text(&context.base(node).join(value)) {
        Ok(text) => Some(files::without_mark(&text).to_owned()),
        Err(error) => {
            let message = format!("cannot read the file that it names: {error}");
            let remedy = "name a readable PEM file, relative to this one";
            context
                .faults
                .error(Code::FileUnreadable, node, message, remedy);
            None
        }
    }
}
