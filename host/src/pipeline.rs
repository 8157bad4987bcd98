//! One delivery from top to bottom: the file to read first.
//!
//! A consumer has as many workers as its `concurrency`, or as its `scale` asks for at the moment. Each
//! takes the delivery that `admission` lets in next (or a `batch` of them), lends it to its `handler` (an
//! instance of the component, or routes), lets the policy decide what the outcome means, and hands it to `settle`, which carries
//! that out in the order that loses nothing.

mod admission;
mod batch;
mod bounds;
mod breaker;
mod by_key;
mod claim;
mod crew;
mod flow;
mod handler;
mod held;
mod keeping;
mod leading;
mod order;
mod progress;
mod quarantine;
mod recall;
mod requesting;
mod scaler;
mod services;
mod settle;
mod shadowing;
mod traced;
mod watched;

use std::future::Future;
use std::pin::{Pin, pin};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use hive_amqp::{Connection, Subscription};
use hive_config::plan::ConsumerPlan;
use hive_core::policy::{AfterOverrun, Disposition, Outcome, Performance};
use hive_lifecycle::Tasks;
use hive_lifecycle::failpoint;
use hive_otlp::{Handling, Otlp};
use hive_sandbox::{Call, Observed, Requester};
use hive_telemetry::{ConsumerTelemetry, DeliveryAbandoned, DeliveryOverran};

use crate::ledger::{Ledger, Ledgers};
use crate::tail::Tail;
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, MissedTickBehavior};

use self::admission::Admission;
use self::batch::Batches;
pub use self::bounds::ScaleBounds;
pub use self::by_key::ByKey;
pub use self::crew::Roster;
use self::crew::{Crew, Seat};
pub use self::flow::Flow;
use self::handler::Dealt;
pub use self::handler::Handler;
use self::held::Held;
pub use self::keeping::Keeping;
use self::keeping::{NotKept, Trouble};
use self::leading::Leading;
use self::order::Order;
use self::progress::Progress;
use self::quarantine::Quarantine;
pub use self::quarantine::Quarantines;
use self::recall::{Memory, Recall};
pub use self::requesting::Requesting;
use self::services::Common;
pub use self::services::Services;
use self::settle::Settler;
pub use self::shadowing::{copy_request, repeat, tell_shadow};

/// One consumer of the plan, at work.
pub struct Pipeline {
    plan: Arc<ConsumerPlan>,
    handler: Handler,
    connection: Arc<Connection>,
    /// Lent to those who wait for its deliveries, and to those who change its demand.
    subscription: Arc<Subscription>,
    flow: Arc<Flow>,
    admission: Admission,
    ledger: Option<Arc<Ledger>>,
    settler: Arc<Settler>,
    keeping: Arc<Keeping>,
    recall: Arc<Recall>,
    /// Where it reads a stream.
    progress: Option<Arc<Progress>>,
    /// None: the component is handed single deliveries.
    batches: Option<Batches>,
    quarantine: Quarantine,
    /// None without `scale`.
    bounds: Option<Arc<ScaleBounds>>,
    /// Sends the requests of its component.
    requester: Arc<dyn Requester>,
    telemetry: Arc<ConsumerTelemetry>,
    /// None where no spans are sent.
    otlp: Option<Otlp>,
    tail: Tail,
    tasks: Tasks,
}

impl Pipeline {
    /// Joins a queue and what decides over its deliveries.
    pub fn new(plan: &Arc<ConsumerPlan>, services: Services) -> Arc<Self> {
        let Services {
            connection,
            store,
            tasks,
            telemetry: whole,
            ..
        } = &services;
        let telemetry = Arc::new(whole.consumer(&plan.name, &plan.table, plan.handler.name()));
        let subscription = Arc::new(connection.subscribe(plan, tasks));
        let common = Common {
            plan,
            services: &services,
            subscription: &subscription,
            telemetry: &telemetry,
        };
        let ledgers = Ledgers::of(plan, connection.vhost(), store, tasks, |of| {
            whole.ledger(&plan.table, of)
        });
        let order = plan.ordering.as_ref();
        let order = order.map(|ordering| Order::new(ordering, &telemetry));
        let by_key = ByKey::of(plan.limits(), &telemetry);
        let flow = Flow::new(&common, order.as_ref(), by_key.as_ref());
        let keeping = Keeping::new(&common);
        let recall = Arc::new(Recall::new(plan.ack_timeout));
        let settler = Settler::new(&common, ledgers.publications, &keeping, &recall);
        Arc::new(Self {
            plan: Arc::clone(plan),
            progress: Progress::of(&common),
            admission: Admission::new(&common, &flow, order, by_key),
            flow,
            ledger: ledgers.deliveries,
            settler: Arc::new(settler),
            keeping,
            recall,
            batches: Batches::of(plan, whole),
            quarantine: Quarantine::of(&common),
            bounds: ScaleBounds::of(plan),
            requester: Requesting::of(&plan.name, &plan.table, connection, tasks),
            handler: services.handler,
            connection: services.connection,
            subscription,
            telemetry,
            otlp: services.otlp,
            tail: services.tail,
            tasks: services.tasks,
        })
    }

    /// Pauses it, and reports whether it consumes.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// The deliveries that it keeps.
    pub fn keeping(&self) -> &Arc<Keeping> {
        &self.keeping
    }

    /// The limits of each key, and the deliveries that wait for them; `None` if it has no such limits.
    pub fn by_key(&self) -> Option<&Arc<ByKey>> {
        self.admission.by_key()
    }

    /// The bounds of its `scale`; `None` without.
    pub fn bounds(&self) -> Option<&Arc<ScaleBounds>> {
        self.bounds.as_ref()
    }

    /// The telemetry of its deliveries.
    pub fn telemetry(&self) -> &Arc<ConsumerTelemetry> {
        &self.telemetry
    }

    /// Starts the workers and their scaler; returns how many there are.
    pub fn start(self: &Arc<Self>) -> watch::Receiver<Roster> {
        if let Some(progress) = &self.progress {
            progress.start(self.handler.slot());
        }
        if self.plan.pause_on.is_some() {
            let keeping_time = Arc::clone(self.flow()).keep_time(self.tasks.clone());
            self.tasks.spawn_service(keeping_time);
        }
        if let Some(by_key) = self.admission.by_key() {
            let looking = Arc::clone(self).look_after(Arc::clone(by_key));
            self.tasks.spawn_service(looking);
        }
        if self.batches.as_ref().is_some_and(Batches::are_by_key) {
            let leaving = Arc::clone(self).give_back_what_is_left();
            self.tasks.spawn_service(leaving);
        }
        let pipeline = Arc::clone(self);
        let crew = Crew::new(
            move |seat| Box::pin(Arc::clone(&pipeline).work(seat)),
            self.handler.slot(),
            &self.telemetry,
            &self.tasks,
        );
        let (Some(plan), Some(bounds)) = (self.plan.scale.clone(), &self.bounds) else {
            crew.resize(self.plan.concurrency);
            return crew.roster();
        };
        let bounds = bounds.watch();
        crew.resize(plan.min);
        let roster = crew.roster();
        let drain = self.tasks.drain().clone();
        let scaling = scaler::scale(plan, bounds, Arc::clone(self), crew);
        self.tasks.spawn_service(async move {
            tokio::select! {
                () = drain.cancelled() => {}
                () = scaling => {}
            }
        });
        roster
    }

    /// Looks after the deliveries that wait because their key is at its limit, whether a worker is free or not, until
    /// the host drains.
    async fn look_after(self: Arc<Self>, by_key: Arc<ByKey>) {
        let mut looks = tokio::time::interval(by_key::LOOKED_AT);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.tasks.drain().cancelled() => break,
                _ = looks.tick() => {}
            }
            by_key.watch_the_prefetch();
            for one in by_key.take_too_old() {
                let held = self.admission.hold(one, None);
                let reason = "its key was at its limit for too long";
                let settler = Arc::clone(&self.settler);
                self.tasks.spawn_work(async move {
                    settler.kept_no_longer(held, NotKept::TooLong, reason).await;
                });
            }
        }
        by_key.leave();
    }

    /// Handles one delivery, or one batch, after the other, until the host drains or this worker is too
    /// many.
    async fn work(self: Arc<Self>, seat: &mut Seat) {
        if let Some(progress) = &self.progress
            && !progress.resume(&self.subscription).await
        {
            return;
        }
        if let Some(batches) = &self.batches {
            return Box::pin(self.work_in_batches(batches, seat)).await;
        }
        let mut leading = Leading::default();
        loop {
            let next = self.admission.next(&self.subscription, leading.lead());
            let Some(held) = seat.next(pin!(next)).await else {
                return;
            };
            let _toiling = seat.toil(1);
            let handling = async {
                if let Some(held) = self.taken(held).await {
                    self.call(held).await;
                }
            };
            let hand_over = self.subscription.hand_over();
            leading.during(hand_over, pin!(handling)).await;
        }
    }

    /// The steps between the arrival of a delivery and the call, the same for a single one and for one of a
    /// batch; `None` if it must not be handled now.
    async fn taken(self: &Arc<Self>, held: Held) -> Option<Held> {
        failpoint::reached("delivery.received");
        let mut held = self.recalled(held)?;
        self.traced(&mut held);
        self.watched(&mut held);
        if let Some(progress) = &self.progress {
            if let Err(fault) = progress.begun().await {
                let reason = format!("the stream's offset cannot be kept: {fault}");
                self.later(held, Trouble::Store(reason));
                return None;
            }
            held.patience.over();
        }
        self.claimed(held).await
    }

    /// The delivery to handle; `None` if it was here before, and must not be handled again.
    fn recalled(self: &Arc<Self>, mut held: Held) -> Option<Held> {
        self.recall.restore_mark(&mut held.delivery);
        let disposition = match self.recall.take(&held.delivery) {
            None => return Some(held),
            Some(Memory::SetAside(reason)) => {
                self.set_aside(held, reason);
                return None;
            }
            Some(Memory::Overran(attempt)) => {
                let attempt = attempt.max(held.delivery.envelope.attempt);
                held.delivery.envelope.attempt = attempt;
                match self.plan.policy().decide_overrun(attempt) {
                    AfterOverrun::Try(next) => {
                        held.delivery.envelope.attempt = next;
                        return Some(held);
                    }
                    AfterOverrun::Settle(disposition) => disposition,
                }
            }
        };
        self.settle(held, disposition);
        None
    }

    /// Has a delivery handled that is not a repeat. A suspect is handled later, and alone.
    async fn call(self: &Arc<Self>, held: Held) {
        if let Some(held) = self.unsuspected(held).await {
            let acks = held.delivery.settlement.acks();
            let call = self.call_now(held);
            self.quarantine.among_others(acks, call).await;
        }
    }

    /// Has a delivery handled, and settles it. If the component takes batches, this delivery is a
    /// batch by itself.
    async fn call_now(self: &Arc<Self>, mut held: Held) {
        if let Some(batches) = &self.batches {
            return self.call_with_batch(batches, vec![held]).await;
        }
        let dealt = self.handler.deal();
        let observed = self.handler.observe(&dealt);
        let label = held.label();
        let call = Call {
            consumer: &self.plan.name,
            delivery: &label,
            trace: held.trace.as_deref().map(Handling::carried),
            requester: Some(&self.requester),
            heard: held.heard(),
            notes: observed.as_ref().and_then(Observed::notes),
        };
        let answer = dealt.handle(self.plan.schema.as_deref(), &call, &held.delivery.envelope);
        let began = Instant::now();
        let in_hand = slice::from_ref(&held);
        let ended = self.unless_cut(in_hand, pin!(answer)).await;
        held.called(began, &dealt, None);
        match ended {
            Ended::Done(outcome) => {
                self.telemetry.answered(&held.in_hand);
                if let Some(observed) = observed {
                    let (held, outcomes) = (slice::from_ref(&held), slice::from_ref(&outcome));
                    shadowing::copy(observed, &self.plan, held, outcomes, began.elapsed());
                }
                self.conclude(held, outcome, &dealt);
            }
            Ended::Abandoned => {}
            Ended::PassedOn => self.settler.comes_again(held),
            Ended::Overran(timeout) => self.overran([held], began.elapsed(), timeout),
        }
    }

    /// Continues a delivery when the failed step may work again; meanwhile the worker continues with others.
    fn later(self: &Arc<Self>, held: Held, trouble: Trouble) {
        let pipeline = Arc::clone(self);
        let was_taken = matches!(trouble, Trouble::Away(_));
        self.tasks.spawn_calls(async move {
            let Some(held) = pipeline.kept(held, trouble).await else {
                return;
            };
            let taken = match was_taken {
                true => Some(held),
                false => Box::pin(pipeline.taken(held)).await,
            };
            if let Some(held) = taken {
                pipeline.call(held).await;
            }
        });
    }

    /// Keeps a delivery until the failed step is retried; `None` if it is not kept any more, and is settled.
    async fn kept(self: &Arc<Self>, mut held: Held, trouble: Trouble) -> Option<Held> {
        let reason = trouble.reason().to_owned();
        match self.keeping.wait(&mut held, trouble).await {
            Ok(()) => Some(held),
            Err(not_kept) => {
                self.settler.kept_no_longer(held, not_kept, &reason).await;
                None
            }
        }
    }

    /// Keeps a message aside that can leave the host in no other way than back to its queue.
    fn set_aside(self: &Arc<Self>, mut held: Held, reason: String) {
        held.place = None;
        let settler = Arc::clone(&self.settler);
        self.tasks
            .spawn_work(async move { settler.set_aside(held, reason).await });
    }

    /// The broker took deliveries back while they were handled, because that took too long. It redelivers them;
    /// each has spent an attempt if it was this call that took so long.
    fn overran(&self, batch: impl IntoIterator<Item = Held>, ran: Duration, timeout: Duration) {
        let is_the_reason = self.recall.is_the_reason(ran, timeout);
        for mut held in batch {
            if is_the_reason {
                let attempt = held.delivery.envelope.attempt;
                DeliveryOverran {
                    delivery: &held.label(),
                    attempt: attempt.get(),
                    ran,
                }
                .emit(&self.telemetry);
                self.recall.note(&held.delivery, Memory::Overran(attempt));
                if let Some(watched) = held.watched.take() {
                    watched.tell(Performance::Failed);
                }
            }
            self.settler.comes_again(held);
        }
    }

    /// The consequence of the answer to one delivery.
    fn conclude(self: &Arc<Self>, mut held: Held, outcome: Outcome, dealt: &Dealt) {
        failpoint::reached("delivery.handled");
        if let Some(handled) = outcome.is_handled() {
            held.patience.over();
            self.handler.saw(dealt, handled);
        }
        let attempt = held.delivery.envelope.attempt;
        let disposition = self.plan.policy().decide(outcome, attempt);
        if let Disposition::Keep { reason } = disposition {
            return self.later(held, Trouble::Away(reason));
        }
        held.place = None;
        held.publishes(&disposition);
        match disposition {
            Disposition::Ack if held.lease.is_none() => self.settler.acknowledge(held),
            disposition => self.settle(held, disposition),
        }
    }

    /// Settles a delivery aside if the broker has to confirm something first, while the worker continues.
    fn settle(self: &Arc<Self>, held: Held, disposition: Disposition) {
        let settler = Arc::clone(&self.settler);
        let mut settling = Box::pin(settler.settle(held, disposition));
        // Polled once here, so that what it publishes is in line behind what this worker published
        // before: confirmations overlap, the order stays. Whatever the worker has done in its turn: one
        // that had to let others work first would not be in line yet.
        if unconstrained(settling.as_mut()).now_or_never().is_none() {
            // The channel closes with the subscription, so the subscription stays until then.
            let pipeline = Arc::clone(self);
            self.tasks.spawn_work(async move {
                settling.await;
                drop(pipeline);
            });
        }
    }

    /// The result of `work`, unless the deliveries in flight must be dropped, or the broker took them back
    /// because they were in flight for too long, or because another host handles them now.
    async fn unless_cut<T>(
        &self,
        in_hand: &[Held],
        work: Pin<&mut impl Future<Output = T>>,
    ) -> Ended<T> {
        let timed_out = async {
            match in_hand.first() {
                Some(held) if !held.delivery.settlement.is_of_a_stream() => {
                    held.delivery.settlement.timed_out().await
                }
                _ => std::future::pending().await,
            }
        };
        let passed_on = async {
            match in_hand.first() {
                Some(held) => held.delivery.settlement.passed_on().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = self.unless_abandoned(in_hand, work) => match done {
                Some(done) => Ended::Done(done),
                None => Ended::Abandoned,
            },
            timeout = timed_out => Ended::Overran(timeout),
            () = passed_on => Ended::PassedOn,
        }
    }

    /// None once the host wants its deliveries dropped where they stand: the broker hands them out
    /// again.
    async fn unless_abandoned<'a, T>(
        &self,
        in_hand: impl IntoIterator<Item = &'a Held>,
        work: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let done = self.tasks.unless_abandoned(work).await;
        if done.is_none() {
            for held in in_hand {
                DeliveryAbandoned {
                    delivery: &held.label().to_string(),
                    after: held.in_hand.elapsed(),
                }
                .emit(&self.telemetry);
            }
        }
        done
    }
}

/// How a call ended.
enum Ended<T> {
    /// It was answered.
    Done(T),
    /// The host stops.
    Abandoned,
    /// The channel is gone, and another host consumes the queue now.
    PassedOn,
    /// The broker has taken its deliveries back; its consumer timeout is at most this.
    Overran(Duration),
}
