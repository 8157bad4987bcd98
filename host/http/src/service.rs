//! One request, from its head to its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hive_amqp::{Confirmation, LARGEST_BODY, Outgoing, PublishFault};
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, HttpRouteTelemetry};
use http::request::Parts;
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Refusal, handled, stored};
use crate::claim::{Report, claimed};
use crate::component::{Asked, Done};
use crate::memory::{Memory, Share};
use crate::routing::Path;
use crate::table::{Found, Route, Table};
use crate::{body, component, cors, publication, token};

/// Room that a body gets before any of it is there.
const FIRST_ROOM: usize = 64 * 1024;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Service {
    /// None before the host has read its routes for the first time.
    pub(crate) table: ArcSwapOption<Table>,
    pub(crate) memory: Memory,
    pub(crate) timeout: Duration,
    pub(crate) tasks: Tasks,
    /// Counts the requests that no route takes.
    pub(crate) unrouted: HttpRouteTelemetry,
}

/// A message on its way to the broker.
struct Handed {
    outgoing: Outgoing,
    /// The idempotency key.
    key: Option<String>,
    share: Share,
}

/// Why a message is not stored, or not known to be.
pub(crate) enum Unstored {
    /// Whether its key was seen.
    KeysUnknown,
    /// The broker does not have it, or a component has decided so.
    Refused(Refusal),
}

/// A request whose route is known.
struct Routed<'p> {
    route: Arc<Route>,
    captured: Vec<&'p str>,
    parts: Parts,
    deadline: Instant,
}

impl Service {
    /// Answers a request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let since = Instant::now();
        let (parts, body) = request.into_parts();
        let Some(table) = self.table.load_full() else {
            let answer = refused("", &Refusal::starting());
            self.unrouted
                .answered(answer.status().as_str(), since.elapsed());
            return Ok(answer);
        };
        let path = Path::read(parts.uri.path());
        let found = path.as_ref().map(|path| table.find(method(&parts), path));
        let (answer, telemetry) = match found {
            Ok(Found::Route(route, _)) if is_preflight(&parts) => {
                let plan = &route.plan;
                let method = plan.method.as_str();
                let mut answer = cors::preflight(&parts.headers, &plan.cors, method);
                cors::open(&mut answer, &parts.headers, &plan.cors);
                (answer, route.telemetry.clone())
            }
            Ok(Found::Route(route, captured)) => {
                let (telemetry, headers) = (route.telemetry.clone(), parts.headers.clone());
                let routed = Routed {
                    route: Arc::clone(&route),
                    captured,
                    parts,
                    deadline: since + self.timeout,
                };
                let mut answer = match self.done(routed, body).await {
                    Ok((Done::Stored, message_id)) => stored(route.plan.status, &message_id),
                    Ok((Done::Handled, _)) => handled(),
                    Err(refusal) => refused(&route.plan.name, &refusal),
                };
                cors::open(&mut answer, &headers, &route.plan.cors);
                (answer, telemetry)
            }
            Ok(Found::OtherMethods(allow)) => {
                let refusal = Refusal::wrong_method(&allow);
                (refused("", &refusal), self.unrouted.clone())
            }
            Ok(Found::Nothing) => (refused("", &Refusal::no_route()), self.unrouted.clone()),
            Err(refusal) => (refused("", refusal), self.unrouted.clone()),
        };
        telemetry.answered(answer.status().as_str(), since.elapsed());
        Ok(answer)
    }

    /// What has been done for a request, and the id of its message: once the broker has it, or a component has decided and
    /// the broker has what it publishes.
    async fn done(&self, routed: Routed<'_>, body: Incoming) -> Result<(Done, String), Refusal> {
        let Routed {
            route,
            captured,
            parts,
            deadline,
        } = routed;
        let plan = &route.plan;
        let headers = &parts.headers;
        if self.tasks.drain().is_cancelled() {
            return Err(Refusal::stopping());
        }
        if let Some(token) = &plan.token
            && !token::sends(headers, token)
        {
            return Err(Refusal::token());
        }
        let kind = body::kind(headers, &plan.accept)?;
        let key = publication::idempotency_key(headers)?;
        if let Some(refusal) = Refusal::of_link(&route.link.now()) {
            return Err(refusal);
        }
        if route.component.is_some() && !route.connection.has_declared() {
            return Err(Refusal::not_declared());
        }
        route.take_token(Instant::now())?;
        let (body, share) = self.read(body, plan.max_body, deadline).await?;
        let content = body::content(kind, headers, body)?;
        let mut publication = publication::publication(plan, &captured, headers, content)?;
        let message_id = match &key {
            Some(key) => key.clone(),
            None => format!("{:032x}", rand::random::<u128>()),
        };
        let (answer, answered) = oneshot::channel();
        // As work, which a stop waits for, whether or not the client does.
        if let Some(component) = route.component.clone() {
            let asked = Asked {
                request: component::delivery(&route, publication, &message_id),
                message_id: message_id.clone(),
                key,
                share,
            };
            let tasks = self.tasks.clone();
            let work = component::decide(Arc::clone(&route), component, asked, tasks, answer);
            drop(self.tasks.spawn_calls(work));
        } else {
            let limits = route.connection.publish_limits();
            let outgoing = Outgoing::publication(&mut publication, &message_id, &limits);
            let outgoing = outgoing.map_err(|error| Refusal::malformed(error.to_string()))?;
            let message = Handed {
                outgoing,
                key,
                share,
            };
            let work = publish(Arc::clone(&route), message, answer);
            drop(self.tasks.spawn_work(work));
        }
        let done = answered_by(&route, answered, deadline).await?;
        Ok((done, message_id))
    }

    /// The whole body, and the share of memory that it takes.
    async fn read<B>(
        &self,
        mut body: B,
        most: u64,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Share), Refusal>
    where
        B: Body<Data = bytes::Bytes> + Unpin,
    {
        let too_large = || Refusal::too_large(format!("the body is larger than {most} bytes"));
        let most_here = usize::try_from(most).unwrap_or(LARGEST_BODY);
        let announced = body.size_hint().lower();
        if announced > most {
            return Err(too_large());
        }
        let mut share = self.memory.share().ok_or_else(Refusal::out_of_memory)?;
        let mut gathered = Vec::with_capacity(FIRST_ROOM.min(announced as usize));
        loop {
            let frame = tokio::select! {
                biased;
                frame = timeout_at(deadline, body.frame()) => frame,
                () = self.tasks.drain().cancelled() => return Err(Refusal::stopping()),
            };
            let Ok(frame) = frame else {
                return Err(Refusal::slow(&format!("{:?}", self.timeout)));
            };
            let Some(frame) = frame else {
                return Ok((gathered, share));
            };
            let Ok(frame) = frame else {
                return Err(Refusal::bad_body("the body ended before its length"));
            };
            let Ok(data) = frame.into_data() else {
                // Trailers say nothing of the body.
                continue;
            };
            if gathered.len() + data.len() > most_here {
                return Err(too_large());
            }
            if !share.grow(data.len() as u64) {
                return Err(Refusal::out_of_memory());
            }
            gathered.extend_from_slice(&data);
        }
    }
}

/// Resolves once the request is done, or it is known that it is not, or is not known in time.
async fn answered_by(
    route: &Route,
    answered: oneshot::Receiver<Result<Done, Unstored>>,
    deadline: Instant,
) -> Result<Done, Refusal> {
    let ended = tokio::select! {
        biased;
        ended = timeout_at(deadline, answered) => ended,
        // A message that meets an alarm waits until it is over, which may be hours.
        () = route.link.blocked() => return Err(Refusal::unconfirmed()),
    };
    match ended {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(Unstored::KeysUnknown))) => Err(Refusal::keys_unknown()),
        Ok(Ok(Err(Unstored::Refused(refusal)))) => Err(refusal),
        // The task was dropped, or the time is over.
        Ok(Err(_)) | Err(_) => Err(Refusal::unconfirmed()),
    }
}

/// Publishes, unless the client is gone before there is room for it, or the message of its key is stored already.
async fn publish(route: Arc<Route>, message: Handed, report: Report) {
    let Handed {
        outgoing,
        key,
        share,
    } = message;
    let claimed = claimed(&route, key.as_deref(), report).await;
    let Some((lease, mut report)) = claimed else {
        return;
    };
    // Before it is sent: the broker judges by what is there as it comes.
    let declared = route.connection.has_declared();
    let confirmation: Confirmation = tokio::select! {
        biased;
        confirmation = route.publisher.publish(vec![outgoing]) => confirmation,
        () = report.closed() => return,
    };
    let ended = confirmation.await.map_err(|fault| match declared {
        false if fault.is_its_own() => Refusal::not_declared(),
        _ => refusal(&route.plan.name, &fault),
    });
    drop(share);
    if let (Ok(()), Some(lease)) = (&ended, lease) {
        lease.commit().await;
    }
    let ended = ended.map(|()| Done::Stored);
    let _nobody_waits = report.send(ended.map_err(Unstored::Refused));
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && cors::wanted(&parts.headers).is_some()
}

/// The method of the request; of a preflight, the one that it asks about.
fn method(parts: &Parts) -> &str {
    match cors::wanted(&parts.headers) {
        Some(wanted) if parts.method == Method::OPTIONS => wanted,
        _ => parts.method.as_str(),
    }
}

fn refused(route: &str, refusal: &Refusal) -> Answer {
    Fact::HttpNotStored {
        route,
        status: refusal.status.as_u16(),
        code: refusal.code.as_str(),
        error: &refusal.error,
    }
    .emit();
    refusal.answer()
}

/// Why a message is not stored. What an operator has to put right is reported.
pub(crate) fn refusal(route: &str, fault: &PublishFault) -> Refusal {
    let refusal = Refusal::of_publication(fault);
    let code = refusal.code.as_str();
    match fault {
        PublishFault::Unroutable { text, .. } => Fact::HttpUnroutable {
            route,
            code,
            reason: text,
        }
        .emit(),
        PublishFault::Refused { text, .. } => Fact::HttpRefusedByBroker {
            route,
            code,
            reason: text,
        }
        .emit(),
        PublishFault::Nacked | PublishFault::TimedOut | PublishFault::Disconnected => {}
    }
    refusal
}
