//! Why a connection or a declaration failed, and whether waiting helps.

use std::fmt;
use std::io;
use std::sync::Arc;

use hive_config::plan::ConnectionPlan;
use hive_config::tls::Trouble;
use hive_core::codes::Code;
use lapin::ErrorKind;
use lapin::protocol::AMQPError;

use crate::wire::frame::BrokerVersion;
use crate::wire::tls;

/// The least `frame_max` that RabbitMQ 4.1 and later negotiate.
const LEAST_FRAME_MAX: u32 = 8192;

/// Why a connection is not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectFault {
    /// No broker answers, or the connection broke. Waiting helps.
    #[error(
        "connection {connection:?}: cannot reach {address}: {reason}{}",
        what_to_check(*code, connection)
    )]
    Unreachable {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Host and port, or all of them.
        address: String,
        /// The cause.
        reason: String,
        /// The code of the cause.
        code: Code,
        /// No program listens at the port, or the one that does hangs up without speaking AMQP, as a load
        /// balancer without a broker behind it: trying again soon costs no broker anything.
        nobody_there: bool,
    },
    /// The broker is there and does not let us in.
    #[error(
        "connection {connection:?}: {address} refuses {user} on vhost {vhost:?}: \
         the broker says {answer:?}; check the url of [connections.{connection}]"
    )]
    Refused {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Host and port.
        address: String,
        /// Whom we said we are, in words.
        user: String,
        /// Where we wanted to go.
        vhost: String,
        /// The broker's words.
        answer: String,
        /// The code of what is refused.
        code: Code,
    },
    /// The two sides do not agree on TLS, or on a certificate.
    #[error("connection {connection:?}: no TLS with {address}: {reason}; {remedy}")]
    Tls {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Host and port.
        address: String,
        /// The fault, and whose certificate has it.
        reason: String,
        /// Who can do what about it.
        remedy: String,
        /// The code of the fault.
        code: Code,
    },
    /// The broker's exchanges and queues are not what the plan says, or not ours to declare.
    #[error("connection {connection:?}: {}", Lines(.mismatches))]
    Topology {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Every entity that is not as planned.
        mismatches: Vec<Mismatch>,
    },
}

/// Behind a reason that does not say itself what to do.
fn what_to_check(code: Code, connection: &str) -> String {
    match code {
        Code::FrameMaxTooSmall => String::new(),
        _ => format!(
            "; check that the broker runs and that the url of [connections.{connection}] leads to it"
        ),
    }
}

impl ConnectFault {
    /// Its code; of several mismatches, that of the first.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable { code, .. }
            | Self::Refused { code, .. }
            | Self::Tls { code, .. } => *code,
            Self::Topology { mismatches, .. } => mismatches
                .first()
                .map_or(Code::DeclarationRefused, |mismatch| mismatch.code),
        }
    }

    /// Whether trying again soon is useless, because an operator has to change something first.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Unreachable { .. })
    }

    /// Whether no broker listens at the address, as during its restart.
    pub(crate) fn nobody_there(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                nobody_there: true,
                ..
            }
        )
    }

    /// The same fault, when the other side had not said a word of AMQP.
    pub(crate) fn before_a_word(mut self) -> Self {
        if let Self::Unreachable { nobody_there, .. } = &mut self {
            *nobody_there = true;
        }
        self
    }

    /// The same fault at a broker of this version, which may have hung up over the `frame_max` that the URL
    /// asks for: it says why in its own log alone.
    pub(crate) fn over_frame_max(mut self, plan: &ConnectionPlan, broker: BrokerVersion) -> Self {
        let too_small = plan
            .frame_max
            .filter(|asked| (1..LEAST_FRAME_MAX).contains(asked))
            .filter(|_| broker >= BrokerVersion::LARGER_FRAMES);
        if let (Self::Unreachable { reason, code, .. }, Some(asked)) = (&mut self, too_small) {
            *code = Code::FrameMaxTooSmall;
            *reason = format!(
                "{reason}; RabbitMQ {broker} takes no frame_max below {LEAST_FRAME_MAX}, \
                 and the url asks for {asked}"
            );
        }
        self
    }

    /// The fault of a TCP connection to `address` that did not open.
    pub(crate) fn dialling(plan: &ConnectionPlan, address: String, error: &io::Error) -> Self {
        let connection = plan.name.clone();
        match tls::trouble(error, plan) {
            Some(Trouble {
                code,
                reason,
                remedy,
            }) => Self::Tls {
                connection,
                address,
                reason,
                remedy,
                code,
            },
            None => Self::Unreachable {
                connection,
                address,
                reason: error.to_string(),
                code: Code::BrokerUnreachable,
                nobody_there: error.kind() == io::ErrorKind::ConnectionRefused,
            },
        }
    }

    /// The fault that lapin reports after the socket was connected.
    pub(crate) fn opening(plan: &ConnectionPlan, address: String, error: &lapin::Error) -> Self {
        let connection = plan.name.clone();
        match error.kind() {
            ErrorKind::ProtocolError(answer) if is_refusal(answer) => Self::Refused {
                connection,
                address,
                user: match plan.user() {
                    Some(name) => format!("user {name:?}"),
                    None => "the user of the certificate in `tls.cert`".into(),
                },
                vhost: plan.vhost.clone(),
                answer: words(answer),
                code: code_of_refusal(answer),
            },
            ErrorKind::IOError(error) => Self::dialling(plan, address, error),
            _ => Self::Unreachable {
                connection,
                address,
                reason: describe(error),
                code: Code::BrokerUnreachable,
                nobody_there: false,
            },
        }
    }
}

/// An exchange, a queue or a binding that the broker does not have as the plan does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The entity, and its declaration in the plan.
    pub entity: String,
    /// The broker's words.
    pub answer: String,
    /// The remedy.
    pub remedy: String,
    /// The code of what is wrong.
    pub code: Code,
}

impl Mismatch {
    /// What the broker answered about an entity.
    pub(crate) fn new(entity: String, answer: &AMQPError, remedy: String) -> Self {
        Self {
            entity,
            answer: words(answer),
            remedy,
            code: code_of(answer),
        }
    }

    /// Whether the broker gives the same answer until somebody changes rights (403) or an entity (406).
    pub fn is_for_good(&self) -> bool {
        self.answer.starts_with("403") || self.answer.starts_with("406")
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entity,
            answer,
            remedy,
            code: _,
        } = self;
        write!(f, "{entity}: the broker says {answer:?}; {remedy}")
    }
}

struct Lines<'a>(&'a [Mismatch]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mismatch) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mismatch.fmt(f)?;
        }
        Ok(())
    }
}

/// The error that the broker itself sent, if it is one.
pub(crate) fn broker_error(error: &lapin::Error) -> Option<&AMQPError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}

/// 320 and 541 come from a broker that stops, restarts or is told to drop us: not our fault.
pub(crate) fn is_brokers_own(error: &AMQPError) -> bool {
    matches!(error.get_id(), 200 | 320 | 541)
}

/// 541 alone: the broker failed over something, and may over the same again.
pub(crate) fn is_internal(error: &AMQPError) -> bool {
    error.get_id() == 541
}

/// The words of a broker's error, after its number, which they do not have.
pub(crate) fn words(error: &AMQPError) -> String {
    format!("{} {}", error.get_id(), error.get_message())
}

/// Any error of lapin's, in words that fit in a line.
pub(crate) fn describe(error: &lapin::Error) -> String {
    match broker_error(error) {
        Some(answer) => words(answer),
        None => error.to_string(),
    }
}

/// The code of an error that ended a connection; none where the broker or an operator closed it.
pub(crate) fn code_of_a_loss(error: &lapin::Error) -> Option<Code> {
    match broker_error(error) {
        Some(answer) => is_internal(answer).then_some(Code::BrokerBrokeOff),
        None => Some(Code::BrokerUnreachable),
    }
}

/// The code of a refused login: see [`is_refusal`].
fn code_of_refusal(answer: &AMQPError) -> Code {
    match answer.get_id() {
        530 => Code::VhostRefused,
        503 => Code::MechanismRefused,
        _ => Code::LoginRefused,
    }
}

/// The code of a refused declaration, or of another question about a queue.
pub(crate) fn code_of(answer: &AMQPError) -> Code {
    match answer.get_id() {
        403 => Code::NoRight,
        404 => Code::EntityMissing,
        405 => Code::EntityLocked,
        406 => Code::ArgumentsDiffer,
        541 => Code::BrokerBrokeOff,
        _ => Code::DeclarationRefused,
    }
}

/// 403 access refused, 530 not allowed: a wrong user or vhost. But a vhost that is full or down has the same
/// codes, and waiting helps there. 503 is a login mechanism that the broker does not know.
fn is_refusal(error: &AMQPError) -> bool {
    let text = error.get_message().as_str();
    let passes = text.contains(" limit (") || text.contains("is down");
    match error.get_id() {
        403 | 530 => !passes,
        503 => text.contains("authentication mechanism"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hive_config::plan::{AuthMechanism, Endpoint, ReconnectPlan, TopologyPlan};
    use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
    use tokio_rustls::rustls::{CertificateError, Error};

    use super::*;

    fn plan() -> ConnectionPlan {
        ConnectionPlan {
            name: "main".into(),
            endpoints: vec![Endpoint {
                host: "rabbit".into(),
                port: 5672,
            }],
            username: "shop".into(),
            password: "hunter2".to_owned().into(),
            mechanism: AuthMechanism::Plain,
            vhost: "/orders".into(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            management: None,
            discover_every: Duration::from_secs(5),
            reconnect: ReconnectPlan {
                first: Duration::from_millis(100),
                max: Duration::from_secs(30),
                attempts: None,
            },
            tls: None,
            frame_max: None,
            channel_max: None,
            topology: TopologyPlan::default(),
        }
    }

    fn fault(kind: AMQPErrorKind, text: &str) -> ConnectFault {
        let answer = AMQPError::new(kind, text.into());
        let error = lapin::Error::from(ErrorKind::ProtocolError(answer));
        ConnectFault::opening(&plan(), "rabbit:5672".into(), &error)
    }

    #[test]
    fn a_refusal_names_both_sides_and_no_secret() {
        let refused = fault(
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED),
            "ACCESS_REFUSED - Login was refused",
        );
        assert!(refused.is_permanent());
        assert_eq!(refused.code(), Code::LoginRefused);
        let text = refused.to_string();
        for part in ["rabbit:5672", "shop", "/orders", "Login was refused"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_refused_certificate_and_an_unknown_mechanism_are_not_blamed_on_a_user() {
        let external = ConnectionPlan {
            mechanism: AuthMechanism::External,
            ..plan()
        };
        let told = |kind: AMQPErrorKind, text: &str| {
            let error = ErrorKind::ProtocolError(AMQPError::new(kind, text.into())).into();
            ConnectFault::opening(&external, "rabbit:5671".into(), &error)
        };
        let refused = told(
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED),
            "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL",
        );
        let text = refused.to_string();
        assert!(text.contains("the certificate in `tls.cert`"), "{text}");
        assert!(!text.contains("shop"), "{text}");
        let unknown = told(
            AMQPErrorKind::Hard(AMQPHardError::COMMANDINVALID),
            "COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'",
        );
        assert!(unknown.is_permanent(), "{unknown}");
        assert_eq!(unknown.code(), Code::MechanismRefused);
    }

    #[test]
    fn a_reset_stays_unreachable_and_a_certificate_does_not() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let fault = ConnectFault::dialling(&plan(), "rabbit:5671".into(), &reset);
        assert!(!fault.is_permanent(), "{fault}");
        assert_eq!(fault.code(), Code::BrokerUnreachable);
        let text = fault.to_string();
        assert!(text.contains("[connections.main]"), "{text}");
        let expired = Error::InvalidCertificate(CertificateError::Expired);
        let expired = io::Error::new(io::ErrorKind::InvalidData, expired);
        let fault = ConnectFault::opening(&plan(), "rabbit:5671".into(), &expired.into());
        assert!(fault.is_permanent(), "{fault}");
        assert_eq!(fault.code(), Code::CertificateExpired);
    }

    #[test]
    fn what_waiting_heals_is_not_permanent() {
        let not_allowed = AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED);
        let nowhere = fault(not_allowed.clone(), "vhost nope not found");
        assert!(nowhere.is_permanent());
        assert_eq!(nowhere.code(), Code::VhostRefused);
        let full = "access to vhost '/' refused for user 'shop': connection limit (5) is reached";
        assert!(!fault(not_allowed, full).is_permanent());
        let forced = AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED);
        assert!(!fault(forced, "broker forced connection closure").is_permanent());
    }
}
