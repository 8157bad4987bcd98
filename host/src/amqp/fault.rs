//! Why a connection or a declaration failed, told apart by whether waiting helps.

use std::fmt;
use std::sync::Arc;

use lapin::ErrorKind;
use lapin::protocol::AMQPError;

use crate::config::plan::ConnectionPlan;

/// Why a connection is not open.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectFault {
    /// Nobody answers, or the connection broke. Waiting helps.
    #[error("connection {connection:?}: cannot reach {address}: {reason}")]
    Unreachable {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Host and port, or all of them.
        address: String,
        /// What went wrong.
        reason: String,
        /// Nobody listens at the port: looking again soon costs nobody anything.
        nobody_listens: bool,
    },
    /// The broker is there and does not let us in.
    #[error(
        "connection {connection:?}: {address} refuses user {username:?} on vhost {vhost:?}: \
         the broker says {answer:?}; check the url of [connections.{connection}]"
    )]
    Refused {
        /// The connection's name in the plan.
        connection: Arc<str>,
        /// Host and port.
        address: String,
        /// Whom we said we are.
        username: String,
        /// Where we wanted to go.
        vhost: String,
        /// The broker's words.
        answer: String,
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

impl ConnectFault {
    /// Whether trying again soon is no use, because somebody has to change something first.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Unreachable { .. })
    }

    /// Whether nobody listens where the broker is to be, as while it restarts.
    pub(super) fn nobody_listens(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                nobody_listens: true,
                ..
            }
        )
    }

    /// What lapin says of a connection to `address` that did not open.
    pub(super) fn opening(plan: &ConnectionPlan, address: String, error: &lapin::Error) -> Self {
        let connection = plan.name.clone();
        match broker_error(error) {
            Some(answer) if is_refusal(answer) => Self::Refused {
                connection,
                address,
                username: plan.username.clone(),
                vhost: plan.vhost.clone(),
                answer: words(answer),
            },
            _ => Self::Unreachable {
                connection,
                address,
                reason: describe(error),
                nobody_listens: false,
            },
        }
    }
}

/// An exchange, a queue or a binding that the broker does not have as the plan does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What it is and what the plan says of it.
    pub entity: String,
    /// The broker's words.
    pub answer: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            entity,
            answer,
            remedy,
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
pub(super) fn broker_error(error: &lapin::Error) -> Option<&AMQPError> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}

/// 320 and 541 come from a broker that stops, restarts or is told to drop us: none of our doing.
pub(super) fn is_brokers_own(error: &AMQPError) -> bool {
    matches!(error.get_id(), 200 | 320 | 541)
}

/// The words of a broker's error, after its number, which they do not have.
pub(super) fn words(error: &AMQPError) -> String {
    format!("{} {}", error.get_id(), error.get_message())
}

/// Any error of lapin's, in words that fit in a line.
pub(super) fn describe(error: &lapin::Error) -> String {
    match broker_error(error) {
        Some(answer) => words(answer),
        None => error.to_string(),
    }
}

/// 403 access refused, 530 not allowed: who we are or where we go. But a vhost that is full or
/// down is told by the same numbers, and waiting heals that.
fn is_refusal(error: &AMQPError) -> bool {
    let text = error.get_message().as_str();
    let passes = text.contains(" limit (") || text.contains("is down");
    matches!(error.get_id(), 403 | 530) && !passes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

    use super::*;
    use crate::config::plan::{AuthMechanism, Endpoint, ReconnectPlan, TopologyPlan};

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
        let text = refused.to_string();
        for part in ["rabbit:5672", "shop", "/orders", "Login was refused"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn what_waiting_heals_is_not_permanent() {
        let not_allowed = AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED);
        assert!(fault(not_allowed.clone(), "vhost nope not found").is_permanent());
        let full = "access to vhost '/' refused for user 'shop': connection limit (5) is reached";
        assert!(!fault(not_allowed, full).is_permanent());
        let forced = AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED);
        assert!(!fault(forced, "broker forced connection closure").is_permanent());
    }
}
