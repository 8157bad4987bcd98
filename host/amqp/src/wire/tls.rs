//! Faults of TLS with a broker: see [`hive_config::tls`].

use std::io;

use hive_config::plan::ConnectionPlan;
use hive_config::tls::{self, Peer, Trouble};
use hive_core::codes::Code;

/// The bytes that came over a connection without TLS are TLS.
#[derive(Debug, thiserror::Error)]
#[error("the port speaks TLS")]
pub(crate) struct SpeaksTls;

/// Whether these first bytes of an answer are a record of TLS: an alert or a handshake of any
/// version. No frame of AMQP begins so.
pub(crate) fn is_record(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 0x03, ..])
}

/// The TLS fault between `plan` and its broker, if `error` is one. `None` for an error of another kind, or one
/// that may pass.
pub(crate) fn trouble(error: &io::Error, plan: &ConnectionPlan) -> Option<Trouble> {
    let section = format!("[connections.{}]", plan.name);
    if error.get_ref().is_some_and(|inner| inner.is::<SpeaksTls>()) {
        return Some(Trouble {
            code: Code::PortWithTls,
            reason: "the port speaks TLS, and the url is amqp://".into(),
            remedy: format!("write amqps:// in the url of {section}, or the port without TLS"),
        });
    }
    let broker = Peer {
        kind: "broker",
        section: &section,
        schemes: ["amqps://", "amqp://"],
        trusts_by: "ssl_options.cacertfile",
        tls: plan.tls.as_ref(),
    };
    tls::trouble(error, broker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_amqp_are_no_records_of_tls() {
        assert!(is_record(&[0x15, 0x03, 0x03, 0, 2]));
        for answer in [&b"AMQP\x00\x00\x09\x01"[..], &[1, 0, 0], &[0x15], &[]] {
            assert!(!is_record(answer), "{answer:?}");
        }
    }
}
