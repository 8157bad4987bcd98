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

use crate::answer::{Answer, Refusal, stored};
use crate::keys::Claim;
use crate::memory::{Memory, Share};
use crate::routing::Path;
use crate::table::{Found, Route, Table};
use crate::{body, cors, publication, token};

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
enum Unstored {
    Publication(PublishFault),
    /// Whether its key was seen.
    KeysUnknown,
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
                let mut answer = match self.published(routed, body).await {
                    Ok(message_id) => stored(route.plan.status, &message_id),
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

    /// The id of the message, once the broker has it.
    async fn published(&self, routed: Routed<'_>, body: Incoming) -> Result<String, Refusal> {
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
        route.take_token(Instant::now())?;
        let (body, share) = self.read(body, plan.max_body, deadline).await?;
        let content = body::content(kind, headers, body)?;
        let mut publication = publication::publication(plan, &captured, headers, content)?;
        let message_id = match &key {
            Some(key) => key.clone(),
            None => format!("{:032x}", rand::random::<u128>()),
        };
        let limits = route.connection.publish_limits();
        let outgoing = Outgoing::publication(&mut publication, &message_id, &limits);
        let outgoing = outgoing.map_err(|error| Refusal::malformed(error.to_string()))?;
        let message = Handed {
            outgoing,
            key,
            share,
        };
        self.confirmed(&route, message, deadline).await?;
        Ok(message_id)
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

    /// Resolves once the broker has the message, or it is known that it has not, or is not known in time.
    async fn confirmed(
        &self,
        route: &Arc<Route>,
        message: Handed,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        // As work, which a stop waits for, whether or not the client does.
        let work = publish(Arc::clone(route), message, answer);
        drop(self.tasks.spawn_work(work));
        let ended = tokio::select! {
            biased;
            ended = timeout_at(deadline, answered) => ended,
            // A message that meets an alarm waits until it is over, which may be hours.
            () = route.link.blocked() => return Err(Refusal::unconfirmed()),
        };
        match ended {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(Unstored::Publication(fault)))) => {
                report(&route.plan.name, &fault);
                Err(Refusal::of_publication(&fault))
            }
            Ok(Ok(Err(Unstored::KeysUnknown))) => Err(Refusal::keys_unknown()),
            // The task was dropped, or the time is over.
            Ok(Err(_)) | Err(_) => Err(Refusal::unconfirmed()),
        }
    }
}

/// Publishes, unless the client is gone before there is room for it, or the message of its key is stored already.
async fn publish(
    route: Arc<Route>,
    message: Handed,
    mut answer: oneshot::Sender<Result<(), Unstored>>,
) {
    let Handed {
        outgoing,
        key,
        share,
    } = message;
    let mut lease = None;
    if let (Some(keys), Some(key)) = (&route.keys, &key) {
        let claimed = tokio::select! {
            biased;
            claimed = keys.claim(key) => claimed,
            () = answer.closed() => return,
        };
        match claimed {
            Ok(Claim::Fresh(fresh)) => lease = Some(fresh),
            Ok(Claim::Done) => {
                let _nobody_waits = answer.send(Ok(()));
                return;
            }
            Err(reason) => {
                tracing::debug!(reason, "an idempotency key cannot be looked up");
                let _nobody_waits = answer.send(Err(Unstored::KeysUnknown));
                return;
            }
        }
    }
    let confirmation: Confirmation = tokio::select! {
        biased;
        confirmation = route.publisher.publish(vec![outgoing]) => confirmation,
        () = answer.closed() => return,
    };
    let ended = confirmation.await.map_err(Unstored::Publication);
    drop(share);
    if let (Ok(()), Some(lease)) = (&ended, lease) {
        lease.commit().await;
    }
    let _nobody_waits = answer.send(ended);
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

/// Reports what an operator has to put right.
fn report(route: &str, fault: &PublishFault) {
    let code = Refusal::of_publication(fault).code.as_str();
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
}
