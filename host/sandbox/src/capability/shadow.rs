//! What a shadow is refused: whatever it could change outside. Its delivery is not compared then.

use std::pin::Pin;
use std::sync::Arc;

use hive_core::message::{Message, Publication};
use hive_store::Noting;
use hive_telemetry::RequestEnd;
use tokio::time::Instant;

use super::requests::{Requester, Unanswered};
use super::surroundings::{HttpOutcome, HttpRequest, Network};

/// The text of a refusal, for an instance of a shadow; `None` for any other one.
pub(crate) fn refused(noting: &Noting, what: &str) -> Option<String> {
    let notes = noting.now()?;
    if !notes.is_second() {
        return None;
    }
    notes.spoil(format!("it {what}, which a shadow is refused"));
    Some(format!("a shadow is refused what it asks for: it {what}"))
}

/// Refuses every request over HTTP.
pub(crate) struct NoNetwork(pub(crate) Arc<Noting>);

impl Network for NoNetwork {
    fn answer(&self, _: HttpRequest) -> HttpOutcome {
        refused(&self.0, "makes a request over HTTP");
        HttpOutcome::Denied
    }
}

/// Refuses every request over the broker.
pub(crate) struct NoBroker(pub(crate) Arc<Noting>);

impl Requester for NoBroker {
    fn request(
        &self,
        _: Publication,
        _: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Message, Unanswered>> + Send + '_>> {
        let refused = refused(&self.0, "makes a request over the broker");
        Box::pin(std::future::ready(Err(Unanswered {
            end: RequestEnd::NotAllowed,
            text: refused.unwrap_or_default(),
        })))
    }
}
