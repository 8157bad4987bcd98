//! Components that decide over requests: what the server asks of the host, and how their answers are carried out.
//!
//! A request is a delivery that is in no queue. So nothing is retried and nothing dead-lettered: the client is told what
//! came of it, and sends it again or does not.

use std::fmt::Debug;
use std::sync::Arc;

use hive_amqp::{EnsureFault, Outgoing};
use hive_core::message::{Attempt, Envelope, Publication};
use hive_core::policy::Outcome;
use hive_lifecycle::Tasks;
use hive_telemetry::Fact;

use crate::answer::{Decision, Refusal, decision};
use crate::claim::{Report, claimed};
use crate::keys::Promised;
use crate::memory::Share;
use crate::service::Unstored;
use crate::table::Route;

/// A component that handles the requests of a route.
pub trait Component: Debug + Send + Sync {
    /// The outcome of a request.
    fn handle(&self, request: Arc<Envelope>) -> Promised<Outcome>;
}

/// A request for a component.
pub(crate) struct Asked {
    pub(crate) request: Envelope,
    pub(crate) message_id: String,
    /// The idempotency key.
    pub(crate) key: Option<String>,
    pub(crate) share: Share,
}

/// What has been done for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Its message, or what a component published for it, is stored.
    Stored,
    /// A component has handled it, and there is nothing to store.
    Handled,
}

/// The delivery that a request is for a component.
pub(crate) fn delivery(route: &Route, publication: Publication, message_id: &str) -> Envelope {
    let Publication {
        exchange,
        routing_key,
        mut message,
        ..
    } = publication;
    message.properties.message_id = Some(message_id.to_owned());
    Envelope {
        message,
        queue: Arc::clone(&route.plan.name),
        exchange,
        routing_key,
        redelivered: false,
        attempt: Attempt::FIRST,
        stream_offset: None,
    }
}

/// Has the component of a route handle a request, unless its client is gone before it is the turn of the request, or the
/// request of its key is handled already.
pub(crate) async fn decide(
    route: Arc<Route>,
    component: Arc<dyn Component>,
    asked: Asked,
    tasks: Tasks,
    report: Report,
) {
    let Asked {
        request,
        message_id,
        key,
        share,
    } = asked;
    let claimed = claimed(&route, key.as_deref(), report).await;
    let Some((lease, mut report)) = claimed else {
        return;
    };
    let turn = tokio::select! {
        biased;
        turn = route.turns.acquire() => turn,
        () = report.closed() => return,
    };
    let outcome = tasks.unless_abandoned(component.handle(Arc::new(request)));
    let outcome = outcome.await;
    drop(turn);
    let ended = match outcome {
        Some(outcome) => carry_out(&route, outcome, &message_id).await,
        None => Err(Refusal::unconfirmed()),
    };
    drop(share);
    if let (Ok(_), Some(lease)) = (&ended, lease) {
        lease.commit().await;
    }
    let _nobody_waits = report.send(ended.map_err(Unstored::Refused));
}

async fn carry_out(route: &Route, outcome: Outcome, message_id: &str) -> Result<Done, Refusal> {
    match decision(outcome) {
        Decision::Nothing => Ok(Done::Handled),
        Decision::Publish(publications) => {
            publish(route, publications, message_id).await?;
            Ok(Done::Stored)
        }
        Decision::Refuse { refusal, reason } => {
            if let Some(reason) = reason {
                failed(route, message_id, refusal.code.as_str(), &reason);
            }
            Err(refusal)
        }
    }
}

/// Publishes what a component asked for, in its order, and waits for every confirmation.
async fn publish(
    route: &Route,
    mut publications: Vec<Publication>,
    message_id: &str,
) -> Result<(), Refusal> {
    let unpublishable = |reason: String| {
        let refusal = Refusal::component_failed();
        failed(route, message_id, refusal.code.as_str(), &reason);
        refusal
    };
    let limits = route.connection.publish_limits();
    let mut outgoing = Vec::with_capacity(publications.len());
    for (index, publication) in publications.iter_mut().enumerate() {
        // Derived from the request's, so that those who get them recognise a repeat.
        let id = format!("{message_id}-{index}");
        let detour = match publication.delay {
            None => None,
            Some(delay) => {
                let made = route.connection.delaying_exchange(publication, delay).await;
                Some(made.map_err(|fault| match fault {
                    EnsureFault::Impossible(reason) => unpublishable(reason),
                    fault => {
                        tracing::debug!(route = &*route.plan.name, %fault, "a publication cannot be delayed");
                        Refusal::not_delayed()
                    }
                })?)
            }
        };
        let one = Outgoing::publication(publication, &id, &limits)
            .map_err(|fault| unpublishable(format!("publication {}: {fault}", index + 1)))?;
        outgoing.push(match detour {
            Some(detour) => one.by_way_of(detour),
            None => one,
        });
    }
    let confirmation = route.publisher.publish(outgoing).await;
    let stored = confirmation.await;
    stored.map_err(|fault| crate::service::refusal(&route.plan.name, &fault))
}

fn failed(route: &Route, message_id: &str, code: &str, reason: &str) {
    let component = route.plan.component.as_deref().unwrap_or_default();
    Fact::HttpComponentFailed {
        route: &route.plan.name,
        component,
        message_id,
        code,
        reason,
    }
    .emit();
}
