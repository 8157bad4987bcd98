//! `tls = { … }` of a connection: the files behind it.

use crate::config::plan::TlsPlan;
use crate::config::url::BrokerUrl;
use crate::config::written::Node;

use super::Context;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The files are read even where the URL is at fault, so that theirs are told in the same run.
pub(super) fn plan(
    context: &mut Context<'_>,
    connection: Option<&Node>,
    url: Option<&BrokerUrl>,
) -> TlsPlan {
    let Some(node) = connection.and_then(|node| node.get("tls")) else {
        return TlsPlan {
            ca: None,
            identity: None,
        };
    };
    if url.is_some_and(|url| !url.tls) {
        let remedy = "write amqps:// in the URL, or remove `tls`";
        context
            .faults
            .error(node, "is set, and the URL is amqp://, without TLS", remedy);
    }
    for (one, other) in [("cert", "key"), ("key", "cert")] {
        if let (Some(_), None) = (node.get(one), node.get(other)) {
            let remedy = format!("`{one}` needs it: add `{other} = \"…\"`, or remove `{one}`");
            context.faults.missing(node, other, remedy);
        }
    }
    let ca = node
        .get("ca")
        .and_then(|node| pem(context, node, is_certificate));
    let certificate = node
        .get("cert")
        .and_then(|node| pem(context, node, is_certificate));
    let key = node.get("key").and_then(|node| pem(context, node, is_key));
    TlsPlan {
        ca: ca.map(String::into_bytes),
        identity: certificate
            .zip(key)
            .map(|(certificate, key)| (certificate.into_bytes(), key.into())),
    }
}

fn is_certificate(text: &str) -> bool {
    text.contains(CERTIFICATE)
}

fn is_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// The text of a PEM file, or the value itself where it is PEM already: `file:` has been read, and
/// a variable may hold the text of a key.
fn pem(context: &mut Context<'_>, node: &Node, fits: fn(&str) -> bool) -> Option<String> {
    let value = node.as_text()?;
    let text = match value.contains("-----BEGIN") {
        true => Ok(value.to_owned()),
        false => std::fs::read_to_string(context.base.join(value)),
    };
    match text {
        Ok(text) if fits(&text) => Some(text),
        Ok(_) => {
            let message = "does not hold what it should, in PEM";
            let remedy = "`ca` and `cert` hold certificates, `key` the private key of `cert`";
            context.faults.error(node, message, remedy);
            None
        }
        Err(error) => {
            let message = format!("cannot read the file that it names: {error}");
            let remedy = "name a readable PEM file, relative to this one";
            context.faults.error(node, message, remedy);
            None
        }
    }
}
