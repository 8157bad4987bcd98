//! Where a subscription has its deliveries from: the channel that lives, the next one on its way, and what happens
//! when either is lost.

use std::sync::{Arc, Weak};
use std::time::Duration;

use hive_config::plan::ConsumerPlan;
use hive_core::codes::{Code, Reason};
use hive_telemetry::Fact;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::live::Live;
use super::prefetch::{Bounds, Prefetch};
use super::resizing::Resized;
use super::standing::Standing;
use super::{Intake, Subscription};
use crate::consume::acks::sink::AckSink;
use crate::link::backoff::Backoff;
use crate::session::Session;
use crate::session::limits::AskFault;
use crate::topology::{cannot_be_consumed, consuming_from};

/// The pauses between tries to subscribe on a connection that is open.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// See [`FIRST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause after there was no room in memory for a body: each time, the broker counts what goes back.
const LONGEST_WITHOUT_ROOM: Duration = Duration::from_secs(60);

/// The current source of deliveries.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) live: Option<Live>,
    /// On its way to be the live one.
    pub(super) attempt: Option<Attempt>,
    /// The live one, on its way to another prefetch.
    pub(super) resizing: Option<JoinHandle<Result<Resized, AskFault>>>,
    /// How much it asks for.
    pub(super) prefetch: Prefetch,
    pub(super) wanted: watch::Receiver<Intake>,
    pub(super) held_back: watch::Receiver<bool>,
    /// The latest single delivery that was handed out.
    pub(super) served: Option<u64>,
    /// Cancelled once the channel before this one is closed, and the broker has back what was not
    /// settled on it.
    pub(super) before: Option<CancellationToken>,
    /// Where it was tried to subscribe the last time.
    pub(super) tried_on: Weak<Session>,
    pub(super) backoff: Backoff,
    pub(super) failed: Option<Failed>,
    /// Where its queue, which was discovered, was found to be gone.
    pub(super) gone_on: Weak<Session>,
    pub(super) told: bool,
    /// The length of a body for which there was no room in memory.
    pub(super) wants_room: Option<u64>,
    pub(super) without_room: Backoff,
    /// When that was so the last time.
    pub(super) had_no_room: Option<Instant>,
}

/// Outlives the worker that began it: the next worker waits for it too.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) on: Weak<Session>,
    pub(super) outcome: JoinHandle<Result<Live, AskFault>>,
}

/// A session that did not work is tried again after a pause. On another one it may work at once:
/// the link has had its pause then.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) on: Weak<Session>,
    pub(super) not_before: Instant,
}

impl Feed {
    pub(super) fn new(
        plan: &ConsumerPlan,
        wanted: watch::Receiver<Intake>,
        held_back: watch::Receiver<bool>,
    ) -> Self {
        Self {
            live: None,
            attempt: None,
            resizing: None,
            prefetch: Prefetch::new(Bounds::of(plan)),
            wanted,
            held_back,
            served: None,
            before: None,
            tried_on: Weak::new(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            failed: None,
            gone_on: Weak::new(),
            told: false,
            wants_room: None,
            had_no_room: None,
            without_room: Backoff::new(FIRST_PAUSE, LONGEST_WITHOUT_ROOM),
        }
    }
}

impl Subscription {
    pub(super) fn consumes(&self, sink: &Arc<AckSink>, on: &Weak<Session>) {
        self.standing.send_replace(Standing::Consuming {
            sink: Arc::downgrade(sink),
            on: on.clone(),
        });
    }

    /// Stops consuming on request.
    pub(super) fn rest(&self, feed: &mut Feed) {
        if let Some(live) = feed.live.take() {
            feed.before = Some(live.sink.ended().clone());
            live.leave();
        }
        let reason = "it was paused; it subscribes again when a worker is free";
        self.standing.send_replace(Standing::Waiting(reason.into()));
    }

    /// There was no room in memory for a body. It goes back to its queue with all that came behind it, and comes again
    /// when there is room, in a smaller company.
    pub(super) fn without_room(&self, feed: &mut Feed, bytes: u64) {
        if let Some(live) = feed.live.take() {
            feed.before = Some(live.sink.ended().clone());
            live.leave();
        }
        feed.wants_room = Some(bytes);
        let before = feed.had_no_room.replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() > 2 * LONGEST_WITHOUT_ROOM) {
            feed.without_room.reset();
        }
        let plan = &self.subscribing.plan;
        Fact::ConsumerWithoutRoom {
            consumer: &plan.name,
            queue: &plan.queue,
            bytes,
            prefetch: feed.prefetch.lower(bytes, self.link.in_flight().most()),
        }
        .emit();
        self.waits(&format!(
            "a body of {bytes} bytes has no room in memory: see `host.memory_in_flight` and `max_bytes_in_flight`"
        ));
    }

    /// Waits until there is room for the body that had none. The queue is not consumed meanwhile, so that the broker
    /// gives it to others.
    async fn room(&self, feed: &mut Feed) {
        let Some(bytes) = feed.wants_room else {
            return;
        };
        self.subscribing.share.room_for(bytes).await;
        let pause = feed.without_room.fail();
        feed.wants_room = None;
        tokio::time::sleep(pause).await;
    }

    pub(super) fn lost(&self, feed: &mut Feed, on: Weak<Session>, reason: Reason) {
        if let Some(live) = feed.live.take() {
            feed.before = Some(live.sink.ended().clone());
        }
        self.standing
            .send_replace(Standing::Waiting(reason.clone()));
        if self.is_gone(&reason) {
            feed.gone_on = on.clone();
        }
        feed.failed = Some(Failed {
            on,
            not_before: Instant::now() + feed.backoff.fail(),
        });
        // Queues that were discovered come and go.
        if !feed.told && !self.is_gone(&reason) {
            feed.told = true;
            Fact::ConsumerLost {
                consumer: &self.subscribing.plan.name,
                queue: &self.subscribing.plan.queue,
                code: reason.code.map(Code::as_str),
                reason: &reason.text,
            }
            .emit();
        }
    }

    /// Whether its queue was discovered and is not there any more.
    fn is_gone(&self, reason: &Reason) -> bool {
        reason.code == Some(Code::EntityMissing) && self.subscribing.plan.is_discovered()
    }

    /// Begins a try. None once the link has ended.
    pub(super) async fn subscribe(&self, feed: &mut Feed, intake: Intake) -> Option<()> {
        // Who discovers queues ends this consumer, or begins it anew when the queue is there again. A try would cost the
        // connection a channel.
        if let Some(on) = feed.gone_on.upgrade() {
            on.over().cancelled().await;
        }
        self.room(feed).await;
        let first = self.link.session_for(&self.subscribing.plan.queue).await?;
        // The deliveries of the old channel are older than those that the broker would deliver now.
        if let (Some(before), true) = (&feed.before, self.subscribing.plan.ordering.is_some()) {
            before.cancelled().await;
        }
        if *self.intake.borrow() != intake || first.over().is_cancelled() {
            return Some(());
        }
        if let Some(failed) = &feed.failed
            && let Some(on) = failed.on.upgrade()
            && !on.over().is_cancelled()
        {
            tokio::select! {
                () = tokio::time::sleep_until(failed.not_before) => {}
                () = on.over().cancelled() => return Some(()),
            }
        }
        let seat = match self.link.seat(&first).await {
            Ok(seat) => seat,
            Err(reason) => {
                self.lost(feed, Arc::downgrade(&first), reason);
                return Some(());
            }
        };
        let session = Arc::downgrade(seat.session());
        if feed.tried_on.ptr_eq(&session) {
            // The queue may have been deleted and made again, without its bindings.
            feed.tried_on = Weak::new();
            drop(seat);
            self.link.declare_again(&self.subscribing.plan.queue).await;
            // A queue that could not be declared is not consumed.
            return Some(());
        }
        feed.tried_on = session.clone();
        feed.attempt = Some(Attempt {
            on: session,
            outcome: self.subscribing.start(seat, intake, feed.prefetch.now()),
        });
        Some(())
    }

    /// Waits for another prefetch that is under way: the consumer that goes ends meanwhile, which is not the end of this
    /// subscription.
    pub(super) async fn conclude_resizing(&self, feed: &mut Feed) {
        let Some(resizing) = &mut feed.resizing else {
            return;
        };
        let outcome = resizing.await;
        feed.resizing = None;
        let reason = match (outcome, &mut feed.live) {
            (_, None) => return,
            (Ok(Ok(resized)), Some(live)) => {
                live.resize(resized);
                let plan = &self.subscribing.plan;
                let prefetch = feed.prefetch.now();
                Fact::PrefetchChanged {
                    consumer: &plan.name,
                    prefetch,
                }
                .emit();
                return;
            }
            (Ok(Err(fault)), Some(_)) => Reason::new(fault.code(), fault),
            (Err(panicked), Some(_)) => Reason::new(None, panicked),
        };
        // A broker that does not have it once is not asked again and again.
        feed.prefetch.fix();
        let session = feed.live.as_ref().map(|live| live.session.clone());
        self.lost(feed, session.unwrap_or_default(), reason);
    }

    /// Waits for the attempt that is under way.
    pub(super) async fn conclude(&self, feed: &mut Feed) {
        let Some(attempt) = &mut feed.attempt else {
            return;
        };
        let outcome = (&mut attempt.outcome).await;
        let on = attempt.on.clone();
        feed.attempt = None;
        let plan = &self.subscribing.plan;
        match outcome {
            Ok(Ok(live)) => {
                self.consumes(&live.sink, &live.session);
                if self.subscribing.reading.is_none() {
                    self.link
                        .consumes(&plan.queue, Arc::downgrade(&live.sink) as _);
                }
                feed.live = Some(live);
                feed.backoff.reset();
                feed.told = false;
                let fatal = self.link.fatal();
                fatal.answered_lazily(|| consuming_from(&plan.queue));
                Fact::ConsumerSubscribed {
                    consumer: &plan.name,
                    queue: &plan.queue,
                }
                .emit();
            }
            Ok(Err(fault)) => {
                self.lost(feed, on, Reason::new(fault.code(), &fault));
                if let Some(answer) = fault.internal_error() {
                    let fatal = self.link.fatal();
                    fatal.met(cannot_be_consumed(&plan.queue, answer));
                }
                if fault.is_not_found() && !plan.is_discovered() {
                    self.link.is_missing(&plan.queue);
                }
            }
            Err(panicked) => self.lost(feed, on, Reason::new(None, panicked)),
        }
    }
}
