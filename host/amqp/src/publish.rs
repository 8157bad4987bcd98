//! Confirmed, mandatory publications: [`Publisher`], one task and one channel for each consumer that publishes.
//!
//! The task publishes everything that is ready as one batch, waits until the broker has confirmed all of it,
//! and only then looks at the returned messages. lapin hands a returned message to whichever confirmation
//! completes next, and mixes confirmations up when two tasks publish on one channel; behind such a barrier
//! neither can hide a loss, and it is faster than any other safe way.
//!
//! Every publication is mandatory and carries an id of ours, so that a returned message is recognised whatever
//! it is attached to. Publications that are not confirmed when a channel or a connection breaks are published
//! again with the same ids.

mod batch;
mod doubts;
mod line;
mod round;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, PublisherTelemetry};
use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::batch::{Batch, Item, Submission, Verdict};
use self::doubts::Doubts;
use self::line::Line;
use self::round::{Broken, publish_round};
use crate::link::{Link, LinkState};
use crate::message::outgoing::Outgoing;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, GOODBYE_TIMEOUT, ask};
use crate::session::seats::Seat;

/// Submissions that may wait for the publisher before submitting waits too.
const QUEUED: usize = 256;

/// How long the broker gets to confirm a batch.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a batch is tried, through lost connections; time blocked by an alarm does not count.
const TRIED_FOR: Duration = Duration::from_secs(30);

/// Between tries on a connection that is open and yet does not work.
const PAUSE: Duration = Duration::from_millis(100);

/// Why what was to be published was not, or is not known to be. `index` counts within one call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishFault {
    /// No queue took it.
    #[error("publication {index} was returned: {text}")]
    Unroutable {
        /// Its index in the call.
        index: usize,
        /// The broker's words.
        text: String,
    },
    /// The broker closes the channel over it: the exchange is missing, or not ours to publish to.
    #[error("publication {index} was refused: {text}")]
    Refused {
        /// Its index in the call.
        index: usize,
        /// The broker's words.
        text: String,
    },
    /// A queue is full, or the broker failed to store it. Waiting may help.
    #[error("the broker did not take a publication; a queue may be full")]
    Nacked,
    /// The broker did not confirm it in time.
    #[error("the broker did not confirm a publication in time")]
    TimedOut,
    /// There was no connection for too long, or the host stops.
    #[error("there is no connection to publish over")]
    Disconnected,
}

impl PublishFault {
    /// Whether the fault is the publication's own, so that trying the same again is useless.
    pub fn is_its_own(&self) -> bool {
        matches!(self, Self::Unroutable { .. } | Self::Refused { .. })
    }
}

/// The publications of one call, if not all of them are known to be stored.
#[derive(Debug)]
pub struct Unconfirmed {
    /// The fault; of several the most specific one.
    pub fault: PublishFault,
    /// The publications that are not stored, or not known to be, each with its index in the call: they can be
    /// published again. `None` if the publisher is gone, and they with it.
    pub rest: Option<Vec<(usize, Outgoing)>>,
}

/// Publishes for one consumer. Clones share the task, which starts with the first publication, and the
/// order.
#[derive(Debug, Clone)]
pub struct Publisher {
    consumer: Arc<str>,
    link: Link,
    tasks: Tasks,
    telemetry: PublisherTelemetry,
    submissions: Arc<OnceLock<Line<Submission>>>,
}

/// Resolves when the broker has confirmed everything that one call published.
#[derive(Debug)]
#[must_use = "nothing is known to be published before this resolves"]
pub struct Confirmation {
    answer: oneshot::Receiver<Result<(), Unconfirmed>>,
}

impl Confirmation {
    /// The same, with what is to be published again where it was not confirmed.
    pub async fn or_the_rest(self) -> Result<(), Unconfirmed> {
        // A publisher that is gone without an answer was stopped.
        self.answer.await.unwrap_or(Err(Unconfirmed {
            fault: PublishFault::Disconnected,
            rest: None,
        }))
    }
}

impl Future for Confirmation {
    type Output = Result<(), PublishFault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(cx)
            .map(|answer| match answer {
                Ok(answer) => answer.map_err(|unconfirmed| unconfirmed.fault),
                Err(_) => Err(PublishFault::Disconnected),
            })
    }
}

impl Publisher {
    pub(crate) fn new(
        consumer: &str,
        link: Link,
        tasks: &Tasks,
        telemetry: PublisherTelemetry,
    ) -> Self {
        Self {
            consumer: consumer.into(),
            link,
            tasks: tasks.clone(),
            telemetry,
            submissions: Arc::default(),
        }
    }

    fn start(&self) -> Line<Submission> {
        let (submissions, queue) = Line::new(QUEUED);
        let task = Task {
            consumer: Arc::clone(&self.consumer),
            queue,
            link: self.link.clone(),
            tasks: self.tasks.clone(),
            telemetry: self.telemetry.clone(),
            open: None,
            doubts: Doubts::default(),
            next_id: 0,
        };
        self.tasks.spawn_service(task.run());
        submissions
    }

    /// Hands `outgoing` to the publisher, in the order of the calls. This waits only for room; the
    /// confirmation that it gives waits for the broker.
    pub async fn publish(&self, outgoing: Vec<Outgoing>) -> Confirmation {
        self.submit(outgoing, false).await
    }

    /// The same for one that is sent once: what is lost with its channel may have been taken, and is not published
    /// again. What is not sent yet when its confirmation is not awaited any more is not sent at all.
    pub(crate) async fn publish_once(&self, outgoing: Outgoing) -> Confirmation {
        self.submit(vec![outgoing], true).await
    }

    async fn submit(&self, outgoing: Vec<Outgoing>, once: bool) -> Confirmation {
        let (answer, confirmation) = oneshot::channel();
        let submission = Submission {
            outgoing,
            answer,
            once,
        };
        // A publisher that is gone drops the answer, and that is the answer.
        let submissions = self.submissions.get_or_init(|| self.start());
        if !submissions.stand(submission).await {
            tracing::debug!("published after the publisher had stopped");
        }
        Confirmation {
            answer: confirmation,
        }
    }
}

/// The channel of a publisher, while it has one.
struct Open {
    channel: Channel,
    seat: Seat,
    _settling_up: TaskTrackerToken,
}

struct Task {
    consumer: Arc<str>,
    queue: mpsc::Receiver<Submission>,
    link: Link,
    tasks: Tasks,
    telemetry: PublisherTelemetry,
    open: Option<Open>,
    doubts: Doubts,
    next_id: i64,
}

impl Task {
    async fn run(mut self) {
        let close = self.tasks.close().clone();
        loop {
            let submission = tokio::select! {
                () = close.cancelled() => break,
                submission = self.queue.recv() => submission,
            };
            let Some(submission) = submission else {
                break;
            };
            let mut batch = Batch::gather(submission, &mut self.queue, &mut self.next_id);
            let since = Instant::now();
            let abandon = self.tasks.abandon().clone();
            let settled = AssertUnwindSafe(self.settle(&mut batch)).catch_unwind();
            let panicked = tokio::select! {
                biased;
                settled = settled => settled.is_err(),
                // Publications without a verdict by then are answered as disconnected.
                () = abandon.cancelled() => false,
            };
            if panicked {
                // A consumer without a publisher would publish nothing any more. What has no verdict is
                // published again, on another channel.
                Fact::PublisherPanicked {
                    consumer: &self.consumer,
                }
                .emit();
                self.open = None;
            }
            self.telemetry.confirmed_after(since.elapsed());
            batch.answer(&self.telemetry);
        }
        self.leave_channel().await;
    }

    /// Sees to it that every item gets its verdict.
    async fn settle(&mut self, batch: &mut Batch) {
        let mut deadline = Instant::now() + TRIED_FOR;
        let mut singly = false;
        let mut last: Option<SharedSession> = None;
        while batch.is_unsettled() {
            if Instant::now() >= deadline {
                // The node may have lost the others, and neither say so nor close the connection (RabbitMQ 4.3).
                // One queue that stands still costs no connection over which others publish.
                for session in last.into_iter().chain(self.link.current()) {
                    session.discard_if_silent_for(TRIED_FOR);
                }
                return batch.settle_rest(Verdict::TimedOut);
            }
            let Some((channel, session)) = self.channel(&mut deadline).await else {
                return batch.settle_rest(Verdict::Disconnected);
            };
            last = Some(Arc::clone(&session));
            batch.refuse_too_large(session.frame_max());
            batch.leave_out_what_is_not_awaited();
            if !batch.is_unsettled() {
                break;
            }
            let mut items = batch.next_round(singly, &self.doubts);
            let ended = self
                .round(&channel, &session, &mut items, &mut deadline)
                .await;
            for item in items.iter().filter(|item| item.was_taken()) {
                self.doubts.taken(&item.outgoing);
            }
            let Some(broken) = ended else {
                // A full quorum queue may refuse everything over a channel that it has refused once, long after
                // it has room again (seen on RabbitMQ 3.10.8).
                if batch.has_nacks() {
                    self.leave_channel().await;
                }
                continue;
            };
            tracing::debug!(consumer = %self.consumer, ?broken, "a batch of publications ended before its confirmations");
            let culprit = broken.culprit();
            match (culprit, items.as_mut_slice()) {
                (Some(words), [item]) => {
                    self.doubts.refused(&item.outgoing);
                    item.blame(&broken, words);
                }
                (Some(_), _) => singly = true,
                (None, _) => {}
            }
            items.iter_mut().for_each(|item| item.lose());
            self.leave_channel().await;
        }
    }

    /// One try at `items`; `None` when each has its verdict.
    async fn round(
        &self,
        channel: &Channel,
        session: &SharedSession,
        items: &mut [&mut Item],
        deadline: &mut Instant,
    ) -> Option<Broken> {
        let work = publish_round(channel, session, items);
        tokio::pin!(work);
        let mut patience = CONFIRM_TIMEOUT;
        loop {
            let since = Instant::now();
            tokio::select! {
                biased;
                ended = &mut work => return ended,
                () = session.over().cancelled() => {
                    // The cause of the end reaches the publishing task as well, a little later.
                    let last_words = tokio::time::timeout(PAUSE, &mut work).await;
                    return last_words.unwrap_or(Some(Broken::Connection(None)));
                }
                () = tokio::time::sleep(patience) => {
                    if !session.is_blocked() {
                        return Some(Broken::Silent);
                    }
                    // An alarm holds it up: neither fault nor progress.
                    *deadline += since.elapsed();
                    patience = CONFIRM_TIMEOUT;
                }
            }
        }
    }

    /// A channel that publishes; `None` if there is no connection until the deadline.
    async fn channel(&mut self, deadline: &mut Instant) -> Option<(Channel, SharedSession)> {
        loop {
            let first = self.session(deadline).await?;
            if let Some(open) = &self.open
                && open.channel.status().connected()
                && !open.seat.session().over().is_cancelled()
            {
                return Some((open.channel.clone(), Arc::clone(open.seat.session())));
            }
            match self.link.seat(&first).await {
                Ok(seat) => self.open_channel(seat).await,
                Err(reason) => {
                    tracing::debug!(reason = %reason.text, "cannot open a further connection to publish over");
                }
            }
            if self.open.is_none() {
                tokio::time::sleep(PAUSE).await;
                if Instant::now() >= *deadline {
                    return None;
                }
            }
        }
    }

    async fn open_channel(&mut self, seat: Seat) {
        let session = seat.session();
        self.open = match open_channel(session).await {
            Ok(channel) => Some(Open {
                channel,
                _settling_up: session.user(),
                seat,
            }),
            Err(fault) => {
                tracing::debug!(%fault, "cannot open a channel to publish on");
                if matches!(fault, AskFault::Silent) {
                    session.discard();
                }
                None
            }
        };
    }

    /// A session that takes publications. Waiting for an alarm to end moves the deadline.
    async fn session(&self, deadline: &mut Instant) -> Option<SharedSession> {
        loop {
            let mut latest = self.link.watch();
            let state = latest.borrow_and_update().state.clone();
            match state {
                LinkState::Open => return self.link.publishing_session().await,
                LinkState::Ended => return None,
                LinkState::Blocked(_) => {
                    let since = Instant::now();
                    latest.changed().await.ok()?;
                    *deadline += since.elapsed();
                }
                LinkState::Connecting(_) | LinkState::Closed(_) => {
                    let changed = tokio::time::timeout_at(*deadline, latest.changed());
                    changed.await.ok()?.ok()?;
                }
            }
        }
    }

    async fn leave_channel(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        if !open.channel.status().connected() {
            return;
        }
        let goodbye = open.channel.close(200, "publisher ended".into());
        if tokio::time::timeout(GOODBYE_TIMEOUT, goodbye)
            .await
            .is_err()
        {
            tracing::debug!("the broker did not confirm that a channel is closed");
        }
    }
}

async fn open_channel(session: &SharedSession) -> Result<Channel, AskFault> {
    let channel = session.channel().await?;
    ask(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}
