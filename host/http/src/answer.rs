//! What a request is answered with. Pure.

use std::time::Duration;

use bytes::Bytes;
use hive_amqp::{LinkState, PublishFault};
use hive_core::codes::Code;
use hive_core::message::{Publication, Retry};
use hive_core::policy::Outcome;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

/// The answer, as the server sends it.
pub(crate) type Answer = Response<Full<Bytes>>;

/// When a request that found no broker may be tried again, in seconds.
const BROKER_AWAY: u64 = 5;

/// The longest reason of a component that a client gets, in bytes.
const LONGEST_REASON: usize = 4096;

/// When one that found the host busy may.
const BUSY: u64 = 1;

/// Why the message of a request is not stored, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// For the client: nothing of hive.toml is in it, and nothing of another request.
    pub(crate) error: String,
    /// After so many seconds the same request may be accepted.
    retry_after: Option<u64>,
    /// The methods that the path takes.
    allow: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: Code, error: impl Into<String>) -> Self {
        Self {
            status,
            code,
            error: error.into(),
            retry_after: None,
            allow: None,
        }
    }

    fn later(code: Code, error: impl Into<String>, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error)
        }
    }

    pub(crate) fn malformed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::HttpRequest, error)
    }

    pub(crate) fn bad_body(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::HttpBody, error)
    }

    pub(crate) fn token() -> Self {
        let error = "this route needs its token, as `Authorization: Bearer TOKEN`";
        Self::new(StatusCode::UNAUTHORIZED, Code::HttpToken, error)
    }

    pub(crate) fn no_route() -> Self {
        let error = "there is no route with this path";
        Self::new(StatusCode::NOT_FOUND, Code::HttpNoRoute, error)
    }

    pub(crate) fn wrong_method(allow: &[&str]) -> Self {
        let allow = allow.join(", ");
        let error = format!("this path takes {allow}");
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::HttpNoRoute, error)
        }
    }

    pub(crate) fn slow(timeout: &str) -> Self {
        let error = format!("the body did not arrive within {timeout}");
        Self::new(StatusCode::REQUEST_TIMEOUT, Code::HttpSlow, error)
    }

    pub(crate) fn too_large(error: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::HttpTooLarge, error)
    }

    pub(crate) fn media_type(error: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, Code::HttpMediaType, error)
    }

    pub(crate) fn rate(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                Code::HttpRate,
                "too many requests",
            )
        }
    }

    pub(crate) fn starting() -> Self {
        Self::later(Code::HttpBusy, "the host is starting", BUSY)
    }

    pub(crate) fn stopping() -> Self {
        Self::later(Code::HttpBusy, "the host is stopping", BUSY)
    }

    pub(crate) fn out_of_memory() -> Self {
        let error = "the host has as many requests as fit into its memory";
        Self::later(Code::HttpBusy, error, BUSY)
    }

    /// The message was handed to the broker, which said nothing in time.
    pub(crate) fn unconfirmed() -> Self {
        let error = "the broker did not confirm the message in time; it may be stored";
        Self::later(Code::HttpUnconfirmed, error, BROKER_AWAY)
    }

    /// It is not known whether the message of this idempotency key is stored.
    pub(crate) fn keys_unknown() -> Self {
        let error = "the host cannot look the idempotency key up at the moment";
        Self::later(Code::HttpBusy, error, BROKER_AWAY)
    }

    /// The component's own words, which are meant for the client.
    fn rejected(reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::HttpRejected, cut(reason))
    }

    /// The same for a request that the component may take later.
    fn not_now(retry: &Retry) -> Self {
        let wait = retry.delay.unwrap_or(Duration::from_secs(BROKER_AWAY));
        // Never earlier than the component asks for.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::later(Code::HttpNotNow, cut(&retry.reason), seconds.max(1))
    }

    pub(crate) fn component_failed() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, Code::HttpFailed, "the request could not be handled")
    }

    fn component_timed_out() -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        let error = "the request could not be handled in time";
        Self::new(status, Code::HttpFailed, error)
    }

    /// The host could not call the component now.
    fn not_called() -> Self {
        let error = "the host cannot handle the request at the moment";
        Self::later(Code::HttpBusy, error, BROKER_AWAY)
    }

    /// The broker has no queue for the delay of a publication now.
    pub(crate) fn not_delayed() -> Self {
        let error = "the broker cannot delay a message at the moment";
        Self::later(Code::HttpBrokerAway, error, BROKER_AWAY)
    }

    /// The queues and exchanges of hive.toml are not all there yet, so that nothing is known of a message that no queue took.
    pub(crate) fn not_declared() -> Self {
        let error = "the host has not declared its queues and exchanges yet";
        Self::later(Code::HttpBrokerAway, error, BROKER_AWAY)
    }

    /// Why nothing is published over a link in this state; `None` if something may be.
    pub(crate) fn of_link(state: &LinkState) -> Option<Self> {
        let error = match state {
            LinkState::Open => return None,
            LinkState::Blocked(_) => "the broker takes no messages at the moment",
            LinkState::Connecting(_) | LinkState::Closed(_) | LinkState::Ended => {
                "there is no connection to the broker at the moment"
            }
        };
        Some(Self::later(Code::HttpBrokerAway, error, BROKER_AWAY))
    }

    pub(crate) fn of_publication(fault: &PublishFault) -> Self {
        match fault {
            PublishFault::Unroutable { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::HttpUnroutable,
                "no queue takes the message",
            ),
            PublishFault::Refused { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::HttpRefused,
                "the broker refuses the message",
            ),
            PublishFault::Nacked => {
                let error = "the broker did not store the message; a queue may be full";
                Self::later(Code::HttpUnconfirmed, error, BROKER_AWAY)
            }
            PublishFault::TimedOut | PublishFault::Disconnected => Self::unconfirmed(),
        }
    }

    /// As it is sent.
    pub(crate) fn answer(&self) -> Answer {
        let body = json!({ "error": self.error, "code": self.code.as_str() });
        let mut answer = with_json(self.status, &body);
        let headers = answer.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|allow| allow.parse().ok()) {
            headers.insert(header::ALLOW, allow);
        }
        answer
    }
}

/// What a component's outcome means for a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// It is handled, and nothing comes of it.
    Nothing,
    /// These are published for it.
    Publish(Vec<Publication>),
    /// The client is told that it is not.
    Refuse {
        refusal: Refusal,
        /// What only the log has.
        reason: Option<String>,
    },
}

/// The decision over a request. A failure is not put right by a retry of the host's: the client knows of it, and whether
/// the request may be sent again.
pub(crate) fn decision(outcome: Outcome) -> Decision {
    let refuse = |refusal, reason| Decision::Refuse { refusal, reason };
    match outcome {
        Outcome::Handled(publications) if publications.is_empty() => Decision::Nothing,
        Outcome::Handled(publications) => Decision::Publish(publications),
        Outcome::Rejected(reason) => refuse(Refusal::rejected(&reason), None),
        Outcome::RetryAsked(retry) => refuse(Refusal::not_now(&retry), None),
        Outcome::TimedOut(timeout) => {
            let reason = format!("the call took longer than `timeout` = {timeout:?}");
            refuse(Refusal::component_timed_out(), Some(reason))
        }
        Outcome::HostFault(reason) => refuse(Refusal::not_called(), Some(reason)),
        Outcome::Failed(reason)
        | Outcome::Trapped(reason)
        | Outcome::OverLimit(reason)
        | Outcome::NotAllowed(reason)
        | Outcome::Unmatched(reason) => refuse(Refusal::component_failed(), Some(reason)),
    }
}

/// As much of a component's reason as a client gets.
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(LONGEST_REASON)]
}

/// The answer to a request that a component has handled, of which nothing is to be stored.
pub(crate) fn handled() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// The answer to a request whose message is stored.
pub(crate) fn stored(status: u16, message_id: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
    with_json(status, &json!({ "message_id": message_id }))
}

fn with_json(status: StatusCode, body: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(fault: &PublishFault) -> u16 {
        Refusal::of_publication(fault).status.as_u16()
    }

    #[test]
    fn no_fault_of_a_publication_is_a_success() {
        let text = || "312 NO_ROUTE".to_owned();
        let unroutable = PublishFault::Unroutable {
            index: 0,
            text: text(),
        };
        assert_eq!(status(&unroutable), 422);
        let refused = PublishFault::Refused {
            index: 0,
            text: text(),
        };
        assert_eq!(status(&refused), 500);
        for fault in [
            PublishFault::Nacked,
            PublishFault::TimedOut,
            PublishFault::Disconnected,
        ] {
            assert_eq!(status(&fault), 503, "{fault}");
        }
    }

    #[test]
    fn the_words_of_the_broker_are_not_for_clients() {
        let text = "404 NOT_FOUND - no exchange 'secret' in vhost 'shop'".to_owned();
        let refusal = Refusal::of_publication(&PublishFault::Refused { index: 0, text });
        assert!(!refusal.error.contains("secret"), "{refusal:?}");
    }

    fn refusal(outcome: Outcome) -> (Refusal, Option<String>) {
        match decision(outcome) {
            Decision::Refuse { refusal, reason } => (refusal, reason),
            other => panic!("it is no refusal: {other:?}"),
        }
    }

    #[test]
    fn the_words_of_a_failure_are_for_the_log_alone() {
        let secret = || "no password for db.internal".to_owned();
        for (outcome, status) in [
            (Outcome::Failed(secret()), 500),
            (Outcome::Trapped(secret()), 500),
            (Outcome::OverLimit(secret()), 500),
            (Outcome::NotAllowed(secret()), 500),
            (Outcome::HostFault(secret()), 503),
        ] {
            let (refusal, reason) = refusal(outcome);
            assert_eq!(refusal.status, status);
            assert!(!refusal.error.contains("password"), "{refusal:?}");
            assert_eq!(reason, Some(secret()));
        }
        let (refusal, _) = refusal(Outcome::TimedOut(Duration::from_secs(1)));
        assert_eq!(refusal.status, 504);
    }

    #[test]
    fn an_answer_of_a_component_is_the_clients() {
        assert_eq!(decision(Outcome::Handled(Vec::new())), Decision::Nothing);
        let (rejected, reason) = refusal(Outcome::Rejected("ä".repeat(4096)));
        assert_eq!((rejected.status.as_u16(), reason), (400, None));
        assert_eq!(rejected.error, "ä".repeat(2048));
        for (delay, seconds) in [(None, 5), (Some(1), 1), (Some(1000), 1), (Some(1001), 2)] {
            let delay = delay.map(Duration::from_millis);
            let reason = "busy".to_owned();
            let (later, _) = refusal(Outcome::RetryAsked(Retry { reason, delay }));
            assert_eq!(later.status, 503);
            assert_eq!(later.error, "busy");
            assert_eq!(later.retry_after, Some(seconds), "{delay:?}");
        }
    }

    #[test]
    fn whoever_may_come_again_is_told_when() {
        let later = Refusal::of_link(&LinkState::Closed("refused".into())).expect("it is away");
        assert!(later.answer().headers().contains_key(header::RETRY_AFTER));
        assert!(Refusal::of_link(&LinkState::Blocked("memory".into())).is_some());
        assert_eq!(Refusal::of_link(&LinkState::Open), None);
        let never = Refusal::token().answer();
        assert!(!never.headers().contains_key(header::RETRY_AFTER));
    }
}
