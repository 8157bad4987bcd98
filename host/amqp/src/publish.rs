//! Confirmed, mandatory publications: [`Publisher`], one task and one channel for each consumer that publishes.
//!
//! The task publishes what is ready, many before the first is confirmed, and each has its verdict as soon as the broker
//! confirms it ([`window`]). Every publication is mandatory. What is not confirmed when a channel or a connection breaks is
//! published again.
//!
//! None of that goes through lapin, which hands a returned message to whichever confirmation completes next, and mixes
//! confirmations up when two tasks publish on one channel. Here the frames are written beside lapin's (`wire/posts`), and the
//! confirms and the returned messages are taken in the order of the wire (`wire/screen/taking`): a confirm names its
//! publication by its tag, and a message comes back before it is confirmed.

mod broken;
mod calls;
mod clock;
mod doubts;
mod line;
mod open;
mod verdict;
mod window;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use hive_lifecycle::Tasks;
use hive_telemetry::{Fact, PublisherTelemetry};
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use self::broken::Broken;
use self::calls::Submission;
use self::clock::Clock;
use self::line::Line;
use self::open::{News, Open};
use self::verdict::Verdict;
use self::window::{Expired, TRIED_FOR, Window};
use crate::link::{Link, LinkState};
use crate::message::answered::Answered;
use crate::message::outgoing::Outgoing;
use crate::session::SharedSession;
use crate::session::limits::AskFault;
use crate::session::seats::Seat;

/// Submissions that may wait for the publisher before submitting waits too.
const QUEUED: usize = 256;

/// How often it is looked whether the broker has confirmed what it got.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let task = Task {
            consumer: Arc::clone(&self.consumer),
            queue,
            link: self.link.clone(),
            tasks: self.tasks.clone(),
            telemetry: self.telemetry.clone(),
            open: None,
            window: Window::default(),
            answers: VecDeque::new(),
            clock: Clock::new(),
            looks,
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

struct Task {
    consumer: Arc<str>,
    queue: mpsc::Receiver<Submission>,
    link: Link,
    tasks: Tasks,
    telemetry: PublisherTelemetry,
    open: Option<Open>,
    window: Window,
    /// Kept for its memory.
    answers: VecDeque<Answered>,
    clock: Clock,
    looks: Interval,
}

/// What a publisher goes on with.
enum Event {
    Submitted(Option<Submission>),
    Of(News),
    Look,
}

impl Task {
    async fn run(mut self) {
        let abandon = self.tasks.abandon().clone();
        loop {
            let serving = AssertUnwindSafe(self.serve()).catch_unwind();
            let panicked = tokio::select! {
                biased;
                served = serving => served.is_err(),
                // Publications without a verdict by then are answered as disconnected.
                () = abandon.cancelled() => false,
            };
            if !panicked {
                break;
            }
            // A consumer without a publisher would publish nothing any more. What has no verdict is told so, and those who
            // asked for it publish it again. A call of which something was lost here is left unanswered.
            Fact::PublisherPanicked {
                consumer: &self.consumer,
            }
            .emit();
            self.open = None;
            self.settle_rest(Verdict::Disconnected);
            self.window = Window::default();
        }
        self.settle_rest(Verdict::Disconnected);
        self.leave_channel().await;
    }

    /// Publishes what is submitted, until the publisher is to close and everything has its verdict.
    async fn serve(&mut self) {
        let close = self.tasks.close().clone();
        loop {
            // Nothing here may be ready for ever: others have this thread too.
            consume_budget().await;
            self.tell();
            if self.window.is_empty() {
                let submission = tokio::select! {
                    () = close.cancelled() => return,
                    submission = self.queue.recv() => submission,
                };
                let Some(submission) = submission else {
                    return;
                };
                self.take_in(submission);
            }
            if self.open.as_ref().is_some_and(Open::is_over) {
                self.hear(News::Over).await;
            } else if self.window.wants_another_channel() {
                self.leave_channel().await;
            }
            self.tell();
            if self.open.is_none() && self.window.has_waiting() && !self.open_channel().await {
                continue;
            }
            self.publish();
            self.tell();
            let Some(open) = self.open.as_ref().filter(|_| !self.window.is_empty()) else {
                continue;
            };
            let is_open = !close.is_cancelled() && !self.queue.is_closed();
            let event = tokio::select! {
                biased;
                _ = self.looks.tick() => Event::Look,
                news = open.news(&mut self.answers) => Event::Of(news),
                submission = self.queue.recv(), if is_open && self.window.has_room() => {
                    Event::Submitted(submission)
                }
            };
            match event {
                Event::Submitted(Some(submission)) => self.take_in(submission),
                // All who might have submitted are gone; their publications are not.
                Event::Submitted(None) => self.queue.close(),
                Event::Of(news) => self.hear(news).await,
                Event::Look => self.look().await,
            }
        }
    }

    /// The submission, and whatever else is ready.
    fn take_in(&mut self, first: Submission) {
        let now = self.now();
        self.window.add(first, now);
        while self.window.has_room()
            && let Ok(submission) = self.queue.try_recv()
        {
            self.window.add(submission, now);
        }
    }

    fn now(&mut self) -> Duration {
        let open = self.open.as_ref();
        self.clock
            .look(open.is_some_and(|open| open.session().endings().posts().is_blocked()))
    }

    fn publish(&mut self) {
        let now = self.now();
        let Some(open) = &self.open else {
            return;
        };
        let poster = open.poster();
        let mut any = false;
        self.window
            .publish(now, open.session().frame_max(), |outgoing| {
                any = true;
                poster.post(outgoing)
            });
        if any {
            poster.wake();
        }
    }

    async fn hear(&mut self, news: News) {
        let Some(open) = &self.open else {
            return;
        };
        if news == News::Over {
            open.last_answers(&mut self.answers);
        }
        if !self.answers.is_empty() {
            open.session().has_answered();
        }
        for answered in self.answers.drain(..) {
            self.window.answered(answered);
        }
        if news == News::Over {
            let broken = open.why_over();
            self.breaks(&broken).await;
        }
    }

    /// Looks whether something has waited for too long.
    async fn look(&mut self) {
        let now = self.now();
        let Some(open) = &self.open else {
            return;
        };
        let written = open.poster().written();
        self.window.are_written(written, now);
        let expired = self.window.expire(now, written);
        if expired != Expired::Nothing {
            // The node may have lost the others, and neither say so nor close the connection (RabbitMQ 4.3).
            // One queue that stands still costs no connection over which others publish.
            let sessions = [Some(Arc::clone(open.session())), self.link.current()];
            for session in sessions.into_iter().flatten() {
                session.discard_if_silent_for(TRIED_FOR);
            }
        }
        if expired == Expired::Unwritten || self.window.is_silent(now) {
            self.breaks(&Broken::Silent).await;
        }
    }

    async fn breaks(&mut self, broken: &Broken) {
        tracing::debug!(consumer = %self.consumer, ?broken, "a channel ended before its confirmations");
        let written = self.open.as_ref().map_or(0, |open| open.poster().written());
        self.window.broke(broken, written);
        self.leave_channel().await;
    }

    fn settle_rest(&mut self, verdict: Verdict) {
        self.window.settle_rest(&verdict);
        self.tell();
    }

    /// Tells those who wait what has its verdict.
    fn tell(&mut self) {
        self.window.calls().tell(&self.telemetry);
    }

    /// Whether there is a channel to publish on. If not, what was tried for too long has its verdict, or everything has where
    /// there will be no connection any more.
    async fn open_channel(&mut self) -> bool {
        let now = self.now();
        let since = self.window.waiting_since().unwrap_or(now);
        let patience = TRIED_FOR.saturating_sub(now.saturating_sub(since));
        let mut deadline = Instant::now() + patience;
        let before = deadline;
        self.try_to_open(&mut deadline).await;
        self.clock.leave_out(deadline - before);
        if self.open.is_some() {
            self.window.has_channel();
            return true;
        }
        let now = self.now();
        let latest = self.link.watch();
        let is_over = latest.has_changed().is_err() || latest.borrow().state == LinkState::Ended;
        if is_over {
            self.settle_rest(Verdict::Disconnected);
        } else {
            self.window.give_up(now, &Verdict::Disconnected);
        }
        false
    }

    async fn try_to_open(&mut self, deadline: &mut Instant) {
        loop {
            let Some(first) = self.session(deadline).await else {
                return;
            };
            match self.link.seat(&first).await {
                Ok(seat) => self.open_on(seat).await,
                Err(reason) => {
                    tracing::debug!(reason = %reason.text, "cannot open a further connection to publish over");
                }
            }
            if self.open.is_some() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            if Instant::now() >= *deadline {
                return;
            }
        }
    }

    async fn open_on(&mut self, seat: Seat) {
        let session = Arc::clone(seat.session());
        self.open = match Open::on(seat).await {
            Ok(open) => Some(open),
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
        if let Some(open) = self.open.take() {
            open.leave().await;
        }
    }
}

/// A publication to this queue.
#[cfg(test)]
pub(crate) fn published(queue: &str, body: Vec<u8>) -> Outgoing {
    window::tests::to_queue(queue, "m", body)
}
