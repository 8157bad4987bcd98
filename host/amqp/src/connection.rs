//! A connection of the plan: two links to one broker, and what is done over them.

mod depth;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hive_config::plan::{ConnectionPlan, ConsumerPlan, DelayQueues, Endpoint};
use hive_core::codes::Reason;
use hive_core::message::{Message, Publication};
use hive_lifecycle::Tasks;
use hive_telemetry::{Role, Telemetry};
use tokio::sync::{mpsc, watch};

use crate::browse::{BrowseFault, Browsing, HandedOut};
use crate::consume::consumer::Subscription;
use crate::consume::giving_back::{WayBack, way_back};
use crate::link::{Link, LinkParts, LinkState, Snapshot};
use crate::meeting::{Invitation, Meeting};
use crate::message::delay::DelayQueue;
use crate::message::outgoing::{DelayingExchange, PublishLimits};
use crate::publish::Publisher;
use crate::queue_news::{self, QueueNews};
use crate::requests::{NoReply, Replies, Request};
use crate::session::SharedSession;
use crate::session::fault::{ConnectFault, Mismatch};
use crate::session::limits::DEFAULT_FRAME_MAX;
use crate::session::runtime::LapinRuntime;
use crate::tokens::Tokens;
use crate::topology::{
    Comparison, DeclareFault, EnsureFault, HANG_UPS, LookCost, Misfit, Topology,
};

/// How long a change of the topology is waited for before what depends on it is tried all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// One `[connections.NAME]`, kept up until the host stops.
///
/// Deliveries and publications have a link each: a broker that is short of memory or disk stops reading from
/// publishing connections, and acks must still get through.
#[derive(Debug)]
pub struct Connection {
    plan: Arc<ConnectionPlan>,
    host_name: Arc<str>,
    topology: Arc<ArcSwap<Topology>>,
    consuming: Link,
    publishing: Link,
    replies: Replies,
    telemetry: Telemetry,
}

/// Watches how one link of a connection is doing.
#[derive(Debug, Clone)]
pub struct StateWatch {
    latest: watch::Receiver<Snapshot>,
}

impl StateWatch {
    /// How it is doing now.
    pub fn now(&self) -> LinkState {
        self.latest.borrow().state.clone()
    }

    /// The entities that could not be declared over it.
    pub fn misfits(&self) -> Vec<Misfit> {
        self.latest.borrow().withheld.misfits()
    }

    /// Resolves when the broker takes no publications over it, although it is open.
    pub async fn blocked(&self) {
        let mut latest = self.latest.clone();
        let is_blocked = |snapshot: &Snapshot| matches!(snapshot.state, LinkState::Blocked(_));
        if latest.wait_for(is_blocked).await.is_err() {
            // The host stops, and it will never be.
            std::future::pending().await
        }
    }
}

impl Connection {
    pub(crate) fn start<'a>(
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
        host_name: Arc<str>,
        lapin: &Arc<LapinRuntime>,
        tasks: &Tasks,
        telemetry: &Telemetry,
    ) -> Result<Arc<Self>, ConnectFault> {
        let plan = Arc::new(plan.clone());
        let topology = Arc::new(ArcSwap::from_pointee(Topology::new(&plan, consumers)?));
        let parts = LinkParts {
            host_name: &host_name,
            plan: &plan,
            lapin,
            outage: &Arc::default(),
            tasks,
            telemetry,
        };
        let consuming = Link::start(Role::Consume, Some(topology.clone()), &parts);
        let publishing = Link::start(Role::Publish, None, &parts);
        Ok(Arc::new(Self {
            replies: Replies::new(&consuming, tasks, telemetry.replies(&plan.name)),
            consuming,
            publishing,
            plan,
            host_name,
            topology,
            telemetry: telemetry.clone(),
        }))
    }

    /// Resolves if the connection is given up, with the reason: the host cannot continue.
    pub async fn gave_up(&self) -> ConnectFault {
        tokio::select! {
            fault = self.consuming.gave_up() => fault,
            fault = self.publishing.gave_up() => fault,
        }
    }

    /// Where its queues are.
    pub fn vhost(&self) -> &str {
        &self.plan.vhost
    }

    /// The host of the broker that deliveries come from now.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let session = self.consuming.current()?;
        Some(session.endpoint().clone())
    }

    /// Whether its queues and exchanges are declared on the broker that it is connected to.
    pub fn has_declared(&self) -> bool {
        self.consuming.is_open()
    }

    /// How a link is doing, for readiness and metrics.
    pub fn state(&self, role: Role) -> StateWatch {
        let link = match role {
            Role::Consume => &self.consuming,
            Role::Publish => &self.publishing,
        };
        StateWatch {
            latest: link.watch(),
        }
    }

    /// Sets the topology: the declarations of `plan`, and those that `consumers` imply. New ones are declared
    /// at once. Resolves after the attempt; at once if there is no session, since all of it is declared on the
    /// next one.
    ///
    /// Entities that were declared before and are not wanted any more stay at the broker: they may hold
    /// messages.
    ///
    /// Returns the entities that could not be declared; they are tried again.
    pub async fn declare<'a>(
        &self,
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    ) -> Result<Vec<Mismatch>, ConnectFault> {
        let topology = Topology::new(plan, consumers)?;
        let topology = Arc::new(topology.following(&self.topology.load()));
        let before = self.topology.swap(topology.clone());
        if self.consuming.current().is_none() {
            return Ok(Vec::new());
        }
        let declared = self.consuming.declare(topology.new_since(&before));
        if tokio::time::timeout(PATIENCE, declared).await.is_err() {
            tracing::debug!(connection = %plan.name, "what is new is declared when the broker is there");
        }
        Ok(self.consuming.mismatches())
    }

    /// Whether `plan` can be carried out at all.
    pub fn check<'a>(
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    ) -> Result<(), ConnectFault> {
        Topology::new(plan, consumers).map(drop)
    }

    /// Compares what `plan` and `consumers` would have declared with what the broker has, and declares
    /// nothing.
    ///
    /// # Errors
    ///
    /// The connection is given up, or `plan` cannot be carried out at all.
    pub async fn compare<'a>(
        &self,
        plan: &ConnectionPlan,
        consumers: impl IntoIterator<Item = &'a ConsumerPlan>,
    ) -> Result<Comparison, ConnectFault> {
        let topology = Topology::new(plan, consumers)?;
        // The broker may end the connection over an entity: it is asked again, and in the end without that.
        let mut in_a_row = 0;
        loop {
            let session = self.unless_given_up(self.consuming.session()).await?;
            match topology.compare(&session).await {
                Ok(found) => return Ok(found),
                Err(DeclareFault::Connect(fault)) => return Err(fault),
                Err(DeclareFault::HungUp {
                    reason,
                    is_left_out,
                    ..
                }) => {
                    session.discard();
                    in_a_row = if is_left_out { 0 } else { in_a_row + 1 };
                    if in_a_row > HANG_UPS {
                        return Err(topology.lost_while_declaring(&reason));
                    }
                }
            }
        }
    }

    /// The deliveries of a consumer, until its `tasks` drain. Subscribes when it is first asked for one.
    pub fn subscribe(&self, consumer: &Arc<ConsumerPlan>, tasks: &Tasks) -> Subscription {
        Subscription::new(
            consumer,
            self.topology.load().kind_of(&consumer.queue),
            &self.host_name,
            self.consuming.clone(),
            tasks.clone(),
        )
    }

    /// A publisher for one consumer of a table, so that its publications do not wait for another's.
    pub fn publisher(&self, consumer: &str, table: &str, tasks: &Tasks) -> Publisher {
        let telemetry = self.telemetry.publisher(table);
        Publisher::new(consumer, self.publishing.clone(), tasks, telemetry)
    }

    /// Publishes a request over `publisher`, and waits for its reply.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn request(
        &self,
        request: Request,
        publisher: &Publisher,
    ) -> Result<Message, NoReply> {
        let limits = self.publish_limits();
        self.replies.ask(request, publisher, &limits).await
    }

    /// A place in a group of hosts, until `tasks` close, and the messages that come for it.
    pub fn meet(
        &self,
        invitation: Invitation<'_>,
        tasks: &Tasks,
    ) -> (Meeting, mpsc::Receiver<Vec<u8>>) {
        Meeting::begin(invitation, &self.consuming, &self.publishing, tasks)
    }

    /// Tells of queues of the virtual host that come and go, as far as the broker does, until there will be no connection
    /// any more.
    pub async fn listen_for_queues(&self, told: impl FnMut(QueueNews<'_>)) {
        queue_news::listen(&self.consuming, &self.plan.vhost, told).await;
    }

    /// Stands in the line for the tokens of `queue`, which is declared; `None` when there will be no connection any
    /// more.
    ///
    /// # Errors
    ///
    /// The queue cannot be declared or consumed.
    pub async fn tokens(&self, queue: &str) -> Option<Result<Tokens, Reason>> {
        Tokens::stand(queue, &self.host_name, &self.consuming).await
    }

    /// Reads the messages in `queue`. Messages that were read go back when `tasks` stop, unless they were
    /// acknowledged.
    ///
    /// # Errors
    ///
    /// There is no such queue, it cannot be consumed from, or the connection is given up.
    pub async fn browse(
        &self,
        queue: &str,
        handed_out: HandedOut,
        tasks: &Tasks,
    ) -> Result<Browsing, BrowseFault> {
        let session = self.unless_given_up(self.consuming.session_for(queue));
        let session = session.await.map_err(|fault| BrowseFault::Lost {
            queue: queue.to_owned(),
            reason: fault.to_string(),
        })?;
        Browsing::begin(session, queue, handed_out, &self.host_name, tasks).await
    }

    /// How one delivery from `queue` goes back to it without being counted.
    pub fn way_back(&self, queue: &str) -> WayBack {
        let session = self.consuming.current();
        let broker = session.and_then(|session| session.broker());
        way_back(broker, self.topology.load().kind_of(queue))
    }

    /// The cost of looking at the messages of `queue` and putting them back.
    ///
    /// # Errors
    ///
    /// The broker does not answer, or the connection is given up.
    pub async fn cost_of_looking(&self, queue: &str) -> Result<LookCost, BrowseFault> {
        let lost = |reason: String| BrowseFault::Lost {
            queue: queue.to_owned(),
            reason,
        };
        let session = self.unless_given_up(self.consuming.session()).await;
        let session = session.map_err(|fault| lost(fault.to_string()))?;
        let topology = self.topology.load_full();
        let cost = topology.cost_of_looking(&session, queue).await;
        cost.map_err(|fault| lost(fault.to_string()))
    }

    /// The current limits for publications over this connection.
    pub fn publish_limits(&self) -> PublishLimits {
        let negotiated = self.publishing.current().map(|session| session.frame_max());
        PublishLimits {
            frame_max: negotiated
                .or(self.plan.frame_max)
                .unwrap_or(DEFAULT_FRAME_MAX),
            user: self.plan.user().map(Into::into),
        }
    }

    /// The queue in which a message from `queue` waits for `delay`, one of its own or a shared one; made if need be.
    ///
    /// A delay that the consumer's policy names has an own queue already. Any other own one, and every shared one, is
    /// made on demand and expires when it is unused for long; a delay that no policy names is rounded up to the next
    /// step of a ladder ([`crate::rung`]).
    pub async fn delay_queue(
        &self,
        queue: &str,
        delay: Duration,
        among: DelayQueues,
    ) -> Result<DelayQueue, EnsureFault> {
        let session = self.session(queue)?;
        self.topology
            .load_full()
            .delay_queue(&session, queue, delay, among)
            .await
    }

    /// The same after a copy was returned, because the delay queue was deleted.
    pub async fn ensure_delay_queue(
        &self,
        queue: &str,
        delay: Duration,
        among: DelayQueues,
    ) -> Result<DelayQueue, EnsureFault> {
        let session = self.session(queue)?;
        self.topology
            .load_full()
            .ensure_delay_queue(&session, queue, delay, among)
            .await
    }

    /// Whether this host has made a queue on demand today.
    pub fn has_made(&self, queue: &str) -> bool {
        self.topology.load().is_made(queue)
    }

    /// An exchange that holds what is published to it for about `delay`, and then hands it on to that of
    /// `publication` with its routing key; for [`crate::Outgoing::by_way_of`].
    ///
    /// The broker confirms a delayed publication when it is stored for its delay. Where it is to go is
    /// there now; whether it still is afterwards, and whether a queue takes it then, is not known. What
    /// none takes is held.
    pub async fn delaying_exchange(
        &self,
        publication: &Publication,
        delay: Duration,
    ) -> Result<DelayingExchange, EnsureFault> {
        let session = self.session(&publication.exchange)?;
        let topology = self.topology.load_full();
        let made = topology.delaying_exchange(&session, publication, delay);
        made.await.map(DelayingExchange)
    }

    /// The same after a publication was returned or refused, because its exchange or queue was deleted.
    pub async fn ensure_delaying_exchange(
        &self,
        publication: &Publication,
        delay: Duration,
    ) -> Result<DelayingExchange, EnsureFault> {
        let session = self.session(&publication.exchange)?;
        let topology = self.topology.load_full();
        let made = topology.ensure_delaying_exchange(&session, publication, delay);
        made.await.map(DelayingExchange)
    }

    /// Declares a dead-letter queue again, after a copy was returned because the queue was deleted.
    pub async fn ensure_dead_letter_queue(&self, name: &str) -> Result<(), EnsureFault> {
        let session = self.session(name)?;
        let topology = self.topology.load_full();
        topology.ensure_dead_letter_queue(&session, name).await
    }

    /// The result of a wait on the consuming link, or why the link was given up. A link that has ended reports
    /// nothing itself.
    async fn unless_given_up<T>(
        &self,
        wanted: impl Future<Output = Option<T>>,
    ) -> Result<T, ConnectFault> {
        tokio::select! {
            Some(found) = wanted => Ok(found),
            fault = self.consuming.gave_up() => Err(fault),
        }
    }

    /// Without waiting for a reconnection: the delivery that needs it can be given back instead.
    fn session(&self, queue: &str) -> Result<SharedSession, EnsureFault> {
        self.consuming
            .current()
            .ok_or_else(|| EnsureFault::Unreachable {
                queue: queue.to_owned(),
                reason: "the connection is down".into(),
            })
    }
}
