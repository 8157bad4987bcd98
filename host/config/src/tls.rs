//! Faults of TLS, in words that say what to correct.
//!
//! A library says `UnknownIssuer` or `received fatal alert: CertificateRequired`. Behind each is something to
//! correct, at the other side or in hive.toml, and this module names it.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use hive_core::codes::Code;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::plan::TlsPlan;

/// Names of a certificate that are listed; further ones are only counted.
const NAMES_TOLD: usize = 5;

/// Something that waiting does not heal.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The code of the fault.
    pub code: Code,
    /// The fault.
    pub reason: String,
    /// Who can do what about it.
    pub remedy: String,
}

/// The other side of a connection, and where it is written down.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// The kind of server, such as "broker".
    pub kind: &'static str,
    /// The section of hive.toml that names it.
    pub section: &'a str,
    /// The schemes of its URL, with TLS and without.
    pub schemes: [&'static str; 2],
    /// Which of its own settings names the authorities that it trusts.
    pub trusts_by: &'static str,
    /// The TLS settings of the section.
    pub tls: Option<&'a TlsPlan>,
}

/// The library's error inside of one of the socket's.
pub fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The TLS fault behind `error`, if it is one. `None` for an error of another kind, or one that may pass.
pub fn trouble(error: &io::Error, peer: Peer<'_>) -> Option<Trouble> {
    let Peer { kind, section, .. } = peer;
    let [with, without] = peer.schemes;
    let (code, reason, remedy) = match cause(error)? {
        Error::InvalidCertificate(fault) => of_the_server(fault, peer),
        Error::AlertReceived(alert) => of_the_client(*alert, peer)?,
        Error::InvalidMessage(_) => (
            Code::PortWithoutTls,
            format!("what answers there does not speak TLS, and the url is {with}"),
            format!("write the {kind}'s port for TLS in the url of {section}, or {without}"),
        ),
        Error::PeerIncompatible(_) => no_common_ground(peer),
        _ => return None,
    };
    Some(Trouble {
        code,
        reason,
        remedy,
    })
}

/// The code, the fault and the remedy.
type Told = (Code, String, String);

/// The certificate that the peer showed.
fn of_the_server(fault: &CertificateError, peer: Peer<'_>) -> Told {
    let Peer { kind, section, .. } = peer;
    let renew = || {
        format!("renew it at the {kind} that the url of {section} names, or set this clock right")
    };
    match fault {
        CertificateError::ExpiredContext { not_after, .. } => (
            Code::CertificateExpired,
            format!("the {kind}'s certificate expired on {}", date(*not_after)),
            renew(),
        ),
        CertificateError::Expired => (
            Code::CertificateExpired,
            format!("the {kind}'s certificate has expired"),
            renew(),
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            Code::CertificateExpired,
            format!(
                "the {kind}'s certificate is not valid before {}",
                date(*not_before)
            ),
            renew(),
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = name_of(expected);
            let remedy = format!(
                "write a host in the url of {section} that the certificate is for, \
                 or have it made out for {expected:?} too"
            );
            (
                Code::CertificateName,
                format!(
                    "the {kind}'s certificate is for {}, not for {expected:?}",
                    names(presented)
                ),
                remedy,
            )
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            Code::UnknownAuthority,
            format!("the {kind}'s certificate is signed by an authority that is not trusted"),
            match peer.tls.is_some_and(|tls| tls.names_authorities) {
                true => {
                    format!("`tls.ca` of {section} names other authorities than the one it needs")
                }
                false => format!(
                    "set `tls.ca` of {section} to that authority's certificate; without it the \
                     system's authorities are trusted"
                ),
            },
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            Code::CertificateUnusable,
            format!("the {kind}'s certificate is not one for servers"),
            format!(
                "have one made with the extended key usage serverAuth for the {kind} that the url \
                 of {section} names"
            ),
        ),
        other => (
            Code::CertificateUnusable,
            format!("the {kind}'s certificate cannot be taken: {other}"),
            format!("renew it at the {kind} that the url of {section} names"),
        ),
    }
}

/// The peer's complaint about our certificate.
fn of_the_client(alert: AlertDescription, peer: Peer<'_>) -> Option<Told> {
    use AlertDescription as Alert;

    let Peer { kind, section, .. } = peer;
    let shown = peer.tls.is_some_and(|tls| tls.has_identity);
    let another = || {
        format!("name one in `tls.cert` of {section} that the {kind} takes, and restart the host")
    };
    Some(match alert {
        Alert::CertificateRequired | Alert::NoCertificate if !shown => (
            Code::ClientCertificateMissing,
            format!("the {kind} asks for a client's certificate, and there is none"),
            format!("set `tls.cert` and `tls.key` of {section}"),
        ),
        // TLS 1.2 sends this where 1.3 sends CertificateRequired, and in many other cases.
        Alert::HandshakeFailure if !shown => (
            Code::ClientCertificateMissing,
            format!(
                "the {kind} breaks off the handshake, as it does without a client's certificate"
            ),
            format!(
                "set `tls.cert` and `tls.key` of {section}, or see the {kind}'s log for why it did"
            ),
        ),
        Alert::UnknownCA => (
            Code::ClientCertificateRefused,
            format!("the {kind} does not trust the authority that signed the client's certificate"),
            format!(
                "name one in `tls.cert` of {section} that an authority of the {kind}'s signed, or \
                 add that authority to the {kind}'s {}",
                peer.trusts_by
            ),
        ),
        Alert::CertificateExpired => (
            Code::ClientCertificateRefused,
            format!("the {kind} says that the client's certificate has expired"),
            format!("renew the one in `tls.cert` of {section}, and restart the host"),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::AccessDenied => (
            Code::ClientCertificateRefused,
            format!("the {kind} does not take the client's certificate ({alert:?})"),
            another(),
        ),
        Alert::HandshakeFailure => (
            Code::ClientCertificateRefused,
            format!("the {kind} breaks off the handshake"),
            format!("see the {kind}'s log for why; `tls` of {section} is what it was shown"),
        ),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => no_common_ground(peer),
        Alert::UnrecognisedName => (
            Code::CertificateName,
            format!("the {kind} has no certificate for the name that the url has"),
            format!("write the {kind}'s own name in the url of {section}"),
        ),
        _ => return None,
    })
}

fn no_common_ground(Peer { kind, section, .. }: Peer<'_>) -> Told {
    (
        Code::NoCommonTls,
        format!("the {kind} and the host have no version or cipher of TLS in common"),
        format!("allow TLS 1.2 or 1.3 at the {kind} that the url of {section} names"),
    )
}

fn name_of(server: &ServerName<'_>) -> String {
    server.to_str().into_owned()
}

/// The names that a certificate is for, each as `DnsName("…")` or `IpAddress(…)`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no host at all".into();
    }
    let inner = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        format!("{:?}", inner.unwrap_or(name).trim_matches('"'))
    };
    let mut told: Vec<String> = presented.iter().take(NAMES_TOLD).map(inner).collect();
    if let Some(more @ 1..) = presented.len().checked_sub(NAMES_TOLD) {
        told.push(format!("{more} more"));
    }
    told.join(", ")
}

/// A certificate's date. Its years have four digits, which is all that can be written.
fn date(time: UnixTime) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.replacen('T', " at ", 1).replacen('Z', " UTC", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_for_people() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_577_836_800));
        assert_eq!(date(time), "2020-01-01 at 00:00:00 UTC");
    }

    #[test]
    fn the_names_of_a_certificate_are_few_and_quoted() {
        let own =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let two = own(&[r#"DnsName("a.example")"#, "IpAddress(10.0.0.1)"]);
        assert_eq!(names(&two), r#""a.example", "10.0.0.1""#);
        assert_eq!(names(&own(&["x"; 7])), r#""x", "x", "x", "x", "x", 2 more"#);
        assert_eq!(names(&own(&["x"; 5])), r#""x", "x", "x", "x", "x""#);
        assert_eq!(names(&[]), "no host at all");
        assert_eq!(names(&own(&["DnsName(\"a\nb\")"])), r#""a\nb""#);
    }
}
