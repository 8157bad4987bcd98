//! What stands in the way of TLS, in the words of whoever has to put it right.
//!
//! A library says `UnknownIssuer` or `received fatal alert: CertificateRequired`. Behind each is
//! something that somebody has to change, at the broker or in hive.toml, and here it is named.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::config::plan::ConnectionPlan;

/// Names of a certificate that are told before the rest is only counted.
const NAMES_TOLD: usize = 5;

/// Something that waiting does not heal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What is wrong.
    pub(super) reason: String,
    /// Who can do what about it.
    pub(super) remedy: String,
}

/// The bytes that came over a connection without TLS are TLS.
#[derive(Debug, thiserror::Error)]
#[error("the port speaks TLS")]
pub(super) struct SpeaksTls;

/// Whether these first bytes of an answer are a record of TLS: an alert or a handshake of any
/// version. No frame of AMQP begins so.
pub(super) fn is_record(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 0x03, ..])
}

/// The library's error inside of one of the socket's.
pub(super) fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What is wrong with TLS between `plan` and its broker, if that is what `error` says. None is an
/// error of another kind, or one that may pass.
pub(super) fn trouble(error: &io::Error, plan: &ConnectionPlan) -> Option<Trouble> {
    let section = format!("[connections.{}]", plan.name);
    if error.get_ref().is_some_and(|inner| inner.is::<SpeaksTls>()) {
        return Some(Trouble {
            reason: "the port speaks TLS, and the url is amqp://".into(),
            remedy: format!("write amqps:// in the url of {section}, or the port without TLS"),
        });
    }
    let (reason, remedy) = match cause(error)? {
        Error::InvalidCertificate(fault) => of_the_broker(fault, plan, &section),
        Error::AlertReceived(alert) => of_the_client(*alert, plan, &section)?,
        Error::InvalidMessage(_) => (
            "what answers there does not speak TLS, and the url is amqps://".into(),
            format!("write the broker's port for TLS in the url of {section}, or amqp://"),
        ),
        Error::PeerIncompatible(_) => no_common_ground(&section),
        _ => return None,
    };
    Some(Trouble { reason, remedy })
}

/// The certificate that the broker showed.
fn of_the_broker(
    fault: &CertificateError,
    plan: &ConnectionPlan,
    section: &str,
) -> (String, String) {
    let renew = || {
        format!("renew it at the broker that the url of {section} names, or set this clock right")
    };
    match fault {
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("the broker's certificate expired on {}", date(*not_after)),
            renew(),
        ),
        CertificateError::Expired => ("the broker's certificate has expired".into(), renew()),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!(
                "the broker's certificate is not valid before {}",
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
                format!(
                    "the broker's certificate is for {}, not for {expected:?}",
                    names(presented)
                ),
                remedy,
            )
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the broker's certificate is signed by an authority that is not trusted".into(),
            match plan.tls.as_ref().is_some_and(|tls| tls.names_authorities) {
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
            "the broker's certificate is not one for servers".into(),
            format!(
                "have one made with the extended key usage serverAuth for the broker that the url \
                 of {section} names"
            ),
        ),
        other => (
            format!("the broker's certificate cannot be taken: {other}"),
            format!("renew it at the broker that the url of {section} names"),
        ),
    }
}

/// What the broker says of us.
fn of_the_client(
    alert: AlertDescription,
    plan: &ConnectionPlan,
    section: &str,
) -> Option<(String, String)> {
    use AlertDescription as Alert;

    let shown = plan.tls.as_ref().is_some_and(|tls| tls.has_identity);
    let another = || {
        format!("name one in `tls.cert` of {section} that the broker takes, and restart the host")
    };
    Some(match alert {
        Alert::CertificateRequired | Alert::NoCertificate if !shown => (
            "the broker asks for a client's certificate, and there is none".into(),
            format!("set `tls.cert` and `tls.key` of {section}"),
        ),
        // What TLS 1.2 says where 1.3 says CertificateRequired, and of much else.
        Alert::HandshakeFailure if !shown => (
            "the broker breaks off the handshake, as it does without a client's certificate".into(),
            format!(
                "set `tls.cert` and `tls.key` of {section}, or see the broker's log for why it did"
            ),
        ),
        Alert::UnknownCA => (
            "the broker does not trust the authority that signed the client's certificate".into(),
            format!(
                "name one in `tls.cert` of {section} that an authority of the broker's signed, or \
                 add that authority to the broker's ssl_options.cacertfile"
            ),
        ),
        Alert::CertificateExpired => (
            "the broker says that the client's certificate has expired".into(),
            format!("renew the one in `tls.cert` of {section}, and restart the host"),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::AccessDenied => (
            format!("the broker does not take the client's certificate ({alert:?})"),
            another(),
        ),
        Alert::HandshakeFailure => (
            "the broker breaks off the handshake".into(),
            format!("see the broker's log for why; `tls` of {section} is what it was shown"),
        ),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => no_common_ground(section),
        Alert::UnrecognisedName => (
            "the broker has no certificate for the name that the url has".into(),
            format!("write the broker's own name in the url of {section}"),
        ),
        _ => return None,
    })
}

fn no_common_ground(section: &str) -> (String, String) {
    (
        "the broker and the host have no version or cipher of TLS in common".into(),
        format!("allow TLS 1.2 or 1.3 at the broker that the url of {section} names"),
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

    #[test]
    fn frames_of_amqp_are_no_records_of_tls() {
        assert!(is_record(&[0x15, 0x03, 0x03, 0, 2]));
        for answer in [&b"AMQP\x00\x00\x09\x01"[..], &[1, 0, 0], &[0x15], &[]] {
            assert!(!is_record(answer), "{answer:?}");
        }
    }
}
