//! The loop behind a link: connect, declare, report, wait for the loss, back off, again.
//!
//! Faults that pass by themselves are retried soon; faults that need an operator are retried slowly. A queue
//! that cannot be declared holds up its own consumers only.

mod aside;
mod failing;
mod opening;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hive_config::plan::{ConnectionPlan, Endpoint};
use hive_core::codes::{Code, Reason};
use hive_lifecycle::Tasks;
use hive_telemetry::{LinkTelemetry, Role};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::failing::Failing;
use super::backoff::Backoff;
use super::consumers::Consumers;
use super::outage::Outage;
use super::{LinkParts, LinkState, Snapshot, Wish, connection_name};
use crate::session::fault::ConnectFault;
use crate::session::runtime::LapinRuntime;
use crate::session::{Happening, Happenings, SharedSession};
use crate::topology::{DeclareFault, Topology, Withheld};

/// A session that lasted this long was a success: the next loss backs off from the start.
pub(super) const STEADY_AFTER: Duration = Duration::from_secs(2);

/// The first pause before a fault that needs an operator is retried; it doubles up to the plan's longest.
const SLOW_FIRST: Duration = Duration::from_secs(1);

/// The longest pause if the broker is known to be well, since it had accepted us, and if no broker listens:
/// trying costs no broker anything then, and the operator should see the change soon.
const SOON: Duration = Duration::from_secs(1);

/// How often everything is declared again while a session lasts, plus or minus a tenth, so that entities that
/// were deleted by hand return.
const RESTATE_EVERY: Duration = Duration::from_secs(55);

/// The inside of a link.
pub(super) struct Supervisor {
    name: String,
    plan: Arc<ConnectionPlan>,
    topology: Option<Arc<ArcSwap<Topology>>>,
    lapin: Arc<LapinRuntime>,
    consumers: Arc<Consumers>,
    tasks: Tasks,
    telemetry: LinkTelemetry,
    role: Role,
    outage: Arc<Outage>,
    tell: watch::Sender<Snapshot>,
    wished: mpsc::UnboundedReceiver<Wish>,
    /// For what heals by waiting.
    backoff: Backoff,
    /// For faults that pass by themselves: a separate count, or many short pauses would be followed by a long
    /// one.
    soon: Backoff,
    /// For faults that need an operator.
    slow: Backoff,
    /// Whether it has been open before.
    opened: bool,
    /// Since it was last well.
    failing: Option<Failing>,
    /// The endpoint whose broker fell silent, which is tried last.
    silent: Option<Endpoint>,
}

/// What a supervisor shares with its link.
pub(super) struct Ends {
    pub(super) tell: watch::Sender<Snapshot>,
    pub(super) wished: mpsc::UnboundedReceiver<Wish>,
    pub(super) consumers: Arc<Consumers>,
}

/// How serving a session ended.
enum Served {
    /// It is to be opened again after a pause.
    Lost(Duration),
    /// The host stops, or the link is given up.
    Ended,
}

impl Supervisor {
    /// A link that has not been tried yet. It publishes its latest state, and receives the queues to declare.
    pub(super) fn new(
        role: Role,
        topology: Option<Arc<ArcSwap<Topology>>>,
        parts: &LinkParts<'_>,
        ends: Ends,
    ) -> Self {
        let plan = Arc::clone(parts.plan);
        let name = connection_name(parts.host_name, &plan, role.as_str());
        let reconnect = &plan.reconnect;
        Self {
            backoff: Backoff::from(reconnect),
            soon: Backoff::new(
                reconnect.first,
                SOON.max(reconnect.first).min(reconnect.max),
            ),
            slow: Backoff::new(SLOW_FIRST.min(reconnect.max), reconnect.max),
            telemetry: parts.telemetry.link(&plan.name, role, &name),
            role,
            outage: Arc::clone(parts.outage),
            name,
            plan,
            topology,
            lapin: Arc::clone(parts.lapin),
            consumers: ends.consumers,
            tasks: parts.tasks.clone(),
            tell: ends.tell,
            wished: ends.wished,
            opened: false,
            failing: None,
            silent: None,
        }
    }

    pub(super) async fn run(mut self) {
        let close = self.tasks.close().clone();
        let mut last = None;
        loop {
            self.tell(LinkState::Connecting(last.take()), None);
            let opened = tokio::select! {
                () = close.cancelled() => break,
                opened = self.open() => opened,
            };
            let served = match opened {
                Ok((session, happenings, withheld)) => {
                    self.serve(session, happenings, withheld).await
                }
                Err(fault) => self.failed(fault),
            };
            let Served::Lost(pause) = served else {
                break;
            };
            if let LinkState::Closed(reason) = &self.tell.borrow().state {
                last = Some(reason.clone());
            }
            tokio::select! {
                () = close.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.tell(LinkState::Ended, None);
    }

    /// Serves a session to its end.
    async fn serve(
        &mut self,
        session: SharedSession,
        mut happenings: Happenings,
        withheld: Withheld,
    ) -> Served {
        let close = self.tasks.close().clone();
        let since = Instant::now();
        self.outage.is_over();
        self.telemetry.connected(self.opened);
        self.opened = true;
        self.backoff.reset();
        // Before anybody has the session: who is kept waiting must not consume meanwhile.
        let mut look_again = match self.withhold(withheld) {
            Ok(look_again) => look_again,
            Err(fault) => return self.leave(&session, fault),
        };
        self.tell(LinkState::Open, Some(session.clone()));
        let mut missing = BTreeSet::new();
        let mut new = BTreeSet::new();
        let mut has_new = false;
        let mut waiting = Vec::new();
        let mut restate = Some(next_restatement());
        let mut restating: Option<JoinHandle<()>> = None;
        let reason = loop {
            let happening = tokio::select! {
                biased;
                () = close.cancelled() => {
                    session.close().await;
                    return Served::Ended;
                }
                happening = happenings.next(&session) => happening,
                Some(Wish { queues, is_new, tried }) = self.wished.recv() => {
                    if is_new {
                        has_new = true;
                        new.extend(queues.iter().cloned());
                    }
                    missing.extend(queues);
                    waiting.extend(tried);
                    look_again = Some(Instant::now());
                    continue;
                }
                () = sleep_until(restate) => {
                    // With ten thousand queues it takes longer than this.
                    if restating.as_ref().is_none_or(JoinHandle::is_finished) {
                        restating = self.restate(&session);
                    }
                    restate = Some(next_restatement());
                    continue;
                }
                () = sleep_until(look_again) => {
                    let new = std::mem::take(&mut new);
                    if std::mem::take(&mut has_new) {
                        self.rehearse(&new).await;
                    }
                    self.try_left_out().await;
                    match self.look_again(&session, std::mem::take(&mut missing)).await {
                        Ok(withheld) => match self.withhold(withheld) {
                            Ok(next) => look_again = next,
                            Err(fault) => return self.leave(&session, fault),
                        },
                        Err(fault) => break Reason::new(fault.code(), fault),
                    }
                    for tried in waiting.drain(..) {
                        // The caller may have stopped waiting.
                        let _nobody_waits = tried.send(());
                    }
                    continue;
                }
            };
            match happening {
                Happening::Blocked(reason) => {
                    let state = LinkState::Blocked(reason.as_str().into());
                    self.tell(state, Some(session.clone()));
                    self.telemetry.blocked(&reason);
                }
                Happening::Unblocked => {
                    self.tell(LinkState::Open, Some(session.clone()));
                    self.telemetry.unblocked();
                }
                Happening::Lost(reason) => break reason,
            }
        };
        session.discard();
        self.silent = session.was_silent().then(|| session.endpoint().clone());
        if since.elapsed() >= STEADY_AFTER {
            self.soon.reset();
        }
        let pause = self.soon.fail();
        // Before the log says so: whoever reads it there finds the link as it says.
        self.tell(LinkState::Closed(reason.clone()), None);
        let code = reason.code.map(Code::as_str);
        self.telemetry.lost(code, &reason.text, pause);
        Served::Lost(pause)
    }

    /// Declares missing entities, and those that could not be declared before.
    async fn look_again(
        &self,
        session: &SharedSession,
        missing: BTreeSet<Arc<str>>,
    ) -> Result<Withheld, DeclareFault> {
        let before = self.tell.borrow().withheld.clone();
        match &self.topology {
            None => Ok(Withheld::default()),
            Some(topology) => {
                let topology = topology.load_full();
                topology.declare_again(session, &before, missing).await
            }
        }
    }

    /// Declares everything again beside the deliveries, and looks for consumers that the broker has forgotten.
    /// A session that does not answer is left to its heartbeat: a broker that stalls for a moment must not cost
    /// any deliveries.
    fn restate(&self, session: &SharedSession) -> Option<JoinHandle<()>> {
        let topology = self.topology.as_ref()?;
        let topology = topology.load_full();
        let session = Arc::clone(session);
        let consumers = Arc::clone(&self.consumers);
        let withheld = self.tell.borrow().withheld.clone();
        let close = self.tasks.close().clone();
        let over = session.over().clone();
        let restating = async move {
            if let Err(fault) = topology.restate(&session, &withheld).await {
                tracing::debug!(%fault, "not everything was declared again");
            }
            consumers.end_forgotten(&session).await;
        };
        Some(self.tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = over.cancelled() => {}
                () = restating => {}
            }
        }))
    }

    fn leave(&mut self, session: &SharedSession, fault: ConnectFault) -> Served {
        session.discard();
        self.give_up(fault)
    }

    fn give_up(&mut self, fault: ConnectFault) -> Served {
        self.tell.send_modify(|snapshot| {
            snapshot.session = None;
            snapshot.gave_up = Some(fault);
        });
        Served::Ended
    }

    fn tell(&self, state: LinkState, session: Option<SharedSession>) {
        self.tell.send_modify(|snapshot| {
            snapshot.session = session;
            snapshot.state = state;
        });
    }
}

/// Hosts that were started together do not all declare together.
fn next_restatement() -> Instant {
    Instant::now() + RESTATE_EVERY.mul_f64(rand::random_range(0.9..1.1))
}

/// Never resolves if there is nothing to wait for.
async fn sleep_until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}
