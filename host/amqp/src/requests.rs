//! Requests: a message is published, and the reply to it comes back over a queue of the host's own, one for each
//! connection.
//!
//! The queue is consumed over the link for deliveries, on a channel of its own, and each session has a new one. A request
//! is published once, by the publisher of its consumer; whether one that was not confirmed is handled is not known, so it
//! is never repeated.
//!
//! Direct reply-to (RabbitMQ documentation, "Direct Reply-to") was the road not taken. Its replies come on the channel
//! that the requests are published on, and the broker closes a channel over a request to a missing exchange: one component
//! would end the calls of all others. It has no prefetch either, and nothing of it is shown by the broker.

mod pending;
mod reply_queue;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use hive_core::codes::Reason;
use hive_core::message::{Message, Publication};
use hive_core::pauses::Pauses;
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, RepliesTelemetry};
use lapin::options::BasicAckOptions;
use tokio::sync::watch;
use tokio::time::Instant;

use self::pending::Awaited;
use self::reply_queue::ReplyQueue;
use crate::link::Link;
use crate::message::original::receive;
use crate::message::outgoing::{Outgoing, PublishLimits};
use crate::publish::{PublishFault, Publisher};
use crate::session::SharedSession;
use crate::session::limits::leave;

/// The pauses between two attempts to have a queue: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A message whose reply is awaited.
#[derive(Debug)]
pub struct Request {
    /// The message, without a reply-to and a correlation-id.
    pub publication: Publication,
    /// How long its reply is waited for.
    pub until: Instant,
}

/// Why a request has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    /// It cannot be published, or the broker did not take it.
    #[error("{0}")]
    Refused(String),
    /// No queue took it.
    #[error("no queue takes it ({0})")]
    Unroutable(String),
    /// There was none in time.
    #[error("no reply came in time")]
    TimedOut,
    /// There is no connection, or it was lost.
    #[error("{0}")]
    Disconnected(String),
}

/// The replies that come over one connection, from the first request on.
#[derive(Debug)]
pub(crate) struct Replies {
    link: Link,
    tasks: Tasks,
    telemetry: RepliesTelemetry,
    standing: OnceLock<watch::Receiver<Standing>>,
}

/// Whether replies can come.
#[derive(Debug, Clone)]
enum Standing {
    Away(Reason),
    Open(Arc<ReplyQueue>),
}

impl Replies {
    pub(crate) fn new(link: &Link, tasks: &Tasks, telemetry: RepliesTelemetry) -> Self {
        Self {
            link: link.clone(),
            tasks: tasks.clone(),
            telemetry,
            standing: OnceLock::new(),
        }
    }

    /// Publishes a request, and waits for its reply.
    pub(crate) async fn ask(
        &self,
        request: Request,
        publisher: &Publisher,
        limits: &PublishLimits,
    ) -> Result<Message, NoReply> {
        let Request { publication, until } = request;
        let queue = self.queue(until).await?;
        let awaited = queue.pending.wait();
        let outgoing = addressed(publication, &queue, &awaited, until, limits)?;
        let published = async {
            let confirmation = publisher.publish_once(outgoing).await;
            match confirmation.await {
                // It is the reply that counts from here on.
                Ok(()) => std::future::pending().await,
                Err(fault) => not_published(fault),
            }
        };
        tokio::select! {
            biased;
            reply = awaited.reply() => reply.ok_or_else(|| {
                NoReply::Disconnected("the connection to the broker was lost while the reply was awaited".into())
            }),
            no_reply = published => Err(no_reply),
            () = tokio::time::sleep_until(until) => Err(NoReply::TimedOut),
        }
    }

    /// The queue that replies come over now. It is waited for until then.
    async fn queue(&self, until: Instant) -> Result<Arc<ReplyQueue>, NoReply> {
        let mut standing = self.standing.get_or_init(|| self.begin()).clone();
        let away = |reason: &Reason| {
            NoReply::Disconnected(format!("there is no queue for its reply: {reason}"))
        };
        loop {
            match &*standing.borrow_and_update() {
                Standing::Open(queue) => return Ok(Arc::clone(queue)),
                // A right that is missing is not there a moment later.
                Standing::Away(reason) if reason.code.is_some() => return Err(away(reason)),
                Standing::Away(_) => {}
            }
            match tokio::time::timeout_at(until, standing.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(away(&"the host stops".into())),
                Err(_) => {
                    let Standing::Away(reason) = &*standing.borrow() else {
                        continue;
                    };
                    return Err(away(reason));
                }
            }
        }
    }

    fn begin(&self) -> watch::Receiver<Standing> {
        let reason = "the connection cannot be used yet".into();
        let (tell, standing) = watch::channel(Standing::Away(reason));
        let keeping = Keeping {
            link: self.link.clone(),
            telemetry: self.telemetry.clone(),
            tell,
            told: None,
        };
        let close = self.tasks.close().clone();
        self.tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = keeping.keep() => {}
            }
        });
        standing
    }
}

/// The request as it is published: with its way back, and gone when it is not waited for any more.
fn addressed(
    mut publication: Publication,
    queue: &ReplyQueue,
    awaited: &Awaited,
    until: Instant,
    limits: &PublishLimits,
) -> Result<Outgoing, NoReply> {
    let properties = &mut publication.message.properties;
    if properties.reply_to.is_some() || properties.correlation_id.is_some() {
        let words = "it has a reply-to or a correlation-id, and the host sets both";
        return Err(NoReply::Refused(words.to_owned()));
    }
    properties.reply_to = Some(queue.name.clone());
    properties.correlation_id = Some(awaited.id().to_owned());
    // At least 1: a message that expires at once is dropped unless a consumer waits for it.
    let left = until
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1));
    let own = properties.expiration.unwrap_or(left);
    properties.expiration = Some(own.min(left));
    publication.mandatory = true;
    let outgoing = Outgoing::publication(&mut publication, awaited.id(), limits);
    outgoing.map_err(|unpublishable| NoReply::Refused(unpublishable.to_string()))
}

fn not_published(fault: PublishFault) -> NoReply {
    match fault {
        PublishFault::Unroutable { text, .. } => NoReply::Unroutable(text),
        PublishFault::Refused { text, .. } => {
            NoReply::Refused(format!("the broker refuses it ({text})"))
        }
        PublishFault::Nacked => {
            NoReply::Refused("the broker did not take it; a queue may be full".to_owned())
        }
        PublishFault::TimedOut | PublishFault::Disconnected => NoReply::Disconnected(
            "the connection to the broker was lost before it had confirmed the request".to_owned(),
        ),
    }
}

/// Keeps a queue for replies.
struct Keeping {
    link: Link,
    telemetry: RepliesTelemetry,
    tell: watch::Sender<Standing>,
    /// The last reason that was logged, so that each is logged once.
    told: Option<Reason>,
}

impl Keeping {
    /// Until there will be no connection any more.
    async fn keep(mut self) {
        let (first, longest) = PAUSES;
        let mut pauses = Pauses::new(first, longest);
        while let Some(session) = self.link.session().await {
            let began = Instant::now();
            let reason = self.keep_one(&session).await;
            if began.elapsed() > longest {
                pauses.reset();
            }
            self.note(&reason);
            self.tell.send_replace(Standing::Away(reason));
            // Another session is waited for anyway.
            if !session.over().is_cancelled() {
                tokio::time::sleep(pauses.take()).await;
            }
        }
    }

    /// Has a queue on one session until it ends; the reason is the result.
    async fn keep_one(&mut self, session: &SharedSession) -> Reason {
        let (channel, mut replies, queue) = match reply_queue::open(session).await {
            Ok(open) => open,
            Err(fault) => return Reason::new(fault.code(), &fault),
        };
        let queue = Arc::new(queue);
        self.told = None;
        self.tell.send_replace(Standing::Open(Arc::clone(&queue)));
        let hearing = async {
            while let Some(Ok(delivery)) = replies.next().await {
                if let Err(error) = delivery.acker.ack(BasicAckOptions::default()).await {
                    tracing::debug!(%error, "a reply could not be acknowledged");
                }
                let (envelope, _) = receive(Arc::clone(&queue.shown), delivery);
                if let Err(unknown) = queue.pending.answer(envelope.message) {
                    self.telemetry.dropped(unknown.as_deref());
                }
            }
        };
        let reason = tokio::select! {
            () = session.over().cancelled() => "the connection was lost",
            () = hearing => "the broker ended the channel of the replies",
        };
        queue.pending.give_up();
        leave(&channel, "replies come over another queue").await;
        reason.into()
    }

    fn note(&mut self, reason: &Reason) {
        // The state of the links is logged already; a denied right is not.
        if reason.code.is_some() && self.told.as_ref() != Some(reason) {
            Fact::RepliesUnavailable {
                connection: self.telemetry.connection(),
                code: reason.code.map(|code| code.as_str()),
                reason: &reason.text,
            }
            .emit();
            self.told = Some(reason.clone());
        }
    }
}
