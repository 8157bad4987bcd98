//! The loop behind a link: connect, declare, report, wait for the loss, back off, again.
//!
//! Faults that pass by themselves are retried soon; faults that need an operator are retried slowly. A queue
//! that cannot be declared holds up its own consumers only.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hive_config::plan::{ConnectionPlan, Endpoint};
use hive_core::codes::{Code, Reason};
use hive_lifecycle::Tasks;
use hive_telemetry::{LinkTelemetry, Role};
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::consumers::Consumers;
use super::outage::{Outage, TELL_EVERY};
use super::{LinkState, Snapshot, Wish};
use crate::session::fault::ConnectFault;
use crate::session::runtime::LapinRuntime;
use crate::session::{Happening, Happenings, Session, SharedSession};
use crate::topology::{DeclareFault, HANG_UPS, Topology, Withheld};

/// A session that lasted this long was a success: the next loss backs off from the start.
const STEADY_AFTER: Duration = Duration::from_secs(2);

/// The first pause before a fault that needs an operator is retried; it doubles up to the plan's longest.
const SLOW_FIRST: Duration = Duration::from_secs(1);

/// The longest pause if the broker is known to be well, since it had accepted us, and if no broker listens:
/// trying costs no broker anything then, and the operator should see the change soon.
const SOON: Duration = Duration::from_secs(1);

/// The pause before a connection is opened again that the broker ended over a declaration.
const AFTER_A_HANG_UP: Duration = Duration::from_millis(200);

/// How long declarations on a separate connection may take.
const ASIDE_TIMEOUT: Duration = Duration::from_secs(10);

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
}

/// Failures in a row.
struct Failing {
    since: Instant,
    told: Instant,
    count: u32,
    /// Whether the fault needs an operator.
    permanent: bool,
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
        name: String,
        plan: Arc<ConnectionPlan>,
        topology: Option<Arc<ArcSwap<Topology>>>,
        (lapin, consumers): (Arc<LapinRuntime>, Arc<Consumers>),
        (tasks, telemetry): (&Tasks, LinkTelemetry),
        (role, outage): (Role, Arc<Outage>),
        (tell, wished): (watch::Sender<Snapshot>, mpsc::UnboundedReceiver<Wish>),
    ) -> Self {
        let reconnect = &plan.reconnect;
        Self {
            backoff: Backoff::from(reconnect),
            soon: Backoff::new(
                reconnect.first,
                SOON.max(reconnect.first).min(reconnect.max),
            ),
            slow: Backoff::new(SLOW_FIRST.min(reconnect.max), reconnect.max),
            telemetry,
            role,
            outage,
            name,
            plan,
            topology,
            lapin,
            consumers,
            tasks: tasks.clone(),
            tell,
            wished,
            opened: false,
            failing: None,
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

    /// Tries every endpoint once, in random order: a dead one only costs its time.
    async fn open(&self) -> Result<(SharedSession, Happenings, Withheld), ConnectFault> {
        let mut endpoints = self.plan.endpoints.clone();
        endpoints.shuffle(&mut rand::rng());
        let mut worst: Option<ConnectFault> = None;
        for endpoint in &endpoints {
            match self.open_at(endpoint).await {
                Ok((session, happenings, Ok(withheld))) => {
                    return Ok((session, happenings, withheld));
                }
                Ok((session, _, Err(fault))) => {
                    session.discard();
                    return Err(fault);
                }
                Err(fault) => {
                    // Later rounds would say the same every second.
                    if endpoints.len() > 1 && self.failing.is_none() {
                        self.telemetry.trying_next_host(&fault);
                    }
                    // Of several faults, one that needs an operator matters most.
                    if worst.as_ref().is_none_or(|worst| !worst.is_permanent()) {
                        worst = Some(fault);
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(|| self.no_host()))
    }

    /// Opens a session at one endpoint and declares. Where the broker ends it over an entity, it is opened
    /// again, until the broker takes that or the entity is known and left out.
    async fn open_at(
        &self,
        endpoint: &Endpoint,
    ) -> Result<(SharedSession, Happenings, Result<Withheld, ConnectFault>), ConnectFault> {
        let mut in_a_row = 0;
        loop {
            let opened = Session::open(&self.plan, endpoint, &self.name, &self.lapin);
            let (session, happenings) = opened.await?;
            let session = Arc::new(session);
            let Some(topology) = &self.topology else {
                return Ok((session, happenings, Ok(Withheld::default())));
            };
            let topology = topology.load_full();
            let fault = match topology.declare(&session).await {
                Ok(withheld) => return Ok((session, happenings, Ok(withheld))),
                Err(DeclareFault::Connect(fault)) => fault,
                Err(DeclareFault::HungUp {
                    reason,
                    is_left_out,
                    ..
                }) => {
                    in_a_row = if is_left_out { 0 } else { in_a_row + 1 };
                    if in_a_row <= HANG_UPS {
                        session.discard();
                        tokio::time::sleep(AFTER_A_HANG_UP).await;
                        continue;
                    }
                    topology.lost_while_declaring(&reason)
                }
            };
            return Ok((session, happenings, Err(fault)));
        }
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
                    self.restate(&session);
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
                    self.telemetry.blocked(&reason);
                    self.tell(LinkState::Blocked(reason.into()), Some(session.clone()));
                }
                Happening::Unblocked => {
                    self.telemetry.unblocked();
                    self.tell(LinkState::Open, Some(session.clone()));
                }
                Happening::Lost(reason) => break reason,
            }
        };
        session.discard();
        if since.elapsed() >= STEADY_AFTER {
            self.soon.reset();
        }
        let pause = self.soon.fail();
        let code = reason.code.map(Code::as_str);
        self.telemetry.lost((code, &reason.text), pause);
        self.tell(LinkState::Closed(reason), None);
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
    fn restate(&self, session: &SharedSession) {
        let Some(topology) = &self.topology else {
            return;
        };
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
        self.tasks.spawn_service(async move {
            tokio::select! {
                () = close.cancelled() => {}
                () = over.cancelled() => {}
                () = restating => {}
            }
        });
    }

    /// Declares new entities on a separate connection first: if the broker ends that one over an entity, the
    /// consumers of this one are not affected.
    async fn rehearse(&self, new: &BTreeSet<Arc<str>>) {
        let Some(topology) = self.topology.as_ref().map(|topology| topology.load_full()) else {
            return;
        };
        let rehearsing = async {
            let mut in_a_row = 0;
            while in_a_row <= HANG_UPS {
                let session = self.open_aside().await?;
                let rehearsed = topology.rehearse(&session, new).await;
                session.close().await;
                match rehearsed {
                    Ok(()) => break,
                    Err(DeclareFault::Connect(fault)) => return Err(fault),
                    Err(DeclareFault::HungUp { is_left_out, .. }) => {
                        in_a_row = if is_left_out { 0 } else { in_a_row + 1 };
                        tokio::time::sleep(AFTER_A_HANG_UP).await;
                    }
                }
            }
            Ok(())
        };
        self.aside(rehearsing).await;
    }

    /// Retries the entities that are left out because the broker ends the connection over them, each on a
    /// separate connection.
    async fn try_left_out(&self) {
        let Some(topology) = self.topology.as_ref().map(|topology| topology.load_full()) else {
            return;
        };
        for entity in topology.fatal().all_left_out() {
            let entity = BTreeSet::from([entity]);
            let trying = async {
                let session = self.open_aside().await?;
                let tried = topology.try_left_out(&session, &entity).await;
                session.close().await;
                match tried {
                    Err(DeclareFault::Connect(fault)) => Err(fault),
                    Ok(()) | Err(DeclareFault::HungUp { .. }) => Ok(()),
                }
            };
            self.aside(trying).await;
        }
    }

    /// A connection besides the one in use.
    async fn open_aside(&self) -> Result<Session, ConnectFault> {
        let endpoint = self.plan.endpoints.choose(&mut rand::rng());
        let endpoint = endpoint.ok_or_else(|| self.no_host())?;
        let name = format!("{} (declares)", self.name);
        let opened = Session::open(&self.plan, endpoint, &name, &self.lapin);
        opened.await.map(|(session, _)| session)
    }

    async fn aside(&self, doing: impl Future<Output = Result<(), ConnectFault>>) {
        match tokio::time::timeout(ASIDE_TIMEOUT, doing).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!(%fault, "cannot declare on a connection of its own"),
            Err(_) => tracing::debug!("declaring on a connection of its own takes too long"),
        }
    }

    fn no_host(&self) -> ConnectFault {
        ConnectFault::Unreachable {
            connection: self.plan.name.clone(),
            address: "any host".into(),
            reason: "its url names none".into(),
            code: Code::BrokerUnreachable,
            nobody_there: false,
        }
    }

    /// Keeps the consumers of what could not be declared waiting. When to try again, if anything
    /// is left; an error gives the link up.
    fn withhold(&mut self, withheld: Withheld) -> Result<Option<Instant>, ConnectFault> {
        let before = self.tell.borrow().withheld.clone();
        if *before != withheld {
            withheld.tell(&self.telemetry);
        }
        let left = !withheld.is_empty();
        let mismatches = withheld.mismatches();
        self.tell
            .send_modify(|snapshot| snapshot.withheld = Arc::new(withheld));
        if !left {
            if !before.is_empty() {
                self.telemetry.declared();
            }
            self.failing = None;
            self.slow.reset();
            return Ok(None);
        }
        self.fails(true);
        let fault = ConnectFault::Topology {
            connection: self.plan.name.clone(),
            mismatches,
        };
        match self.is_exhausted() {
            true => Err(fault),
            false => Ok(Some(Instant::now() + self.slow.fail())),
        }
    }

    /// The consequence of a failure to open.
    fn failed(&mut self, fault: ConnectFault) -> Served {
        let tell_again = self.fails(fault.is_permanent());
        if self.is_exhausted() {
            return self.give_up(fault);
        }
        let pause = match (fault.is_permanent(), fault.nobody_there()) {
            (true, _) => self.slow.fail(),
            (false, true) => self.soon.fail(),
            (false, false) => self.backoff.fail(),
        };
        let reason = Reason::new(fault.code(), &fault);
        let why = (fault.code().as_str(), &*reason.text);
        if let Some(since) = tell_again
            && self.outage.is_news(self.role, &reason.text, Instant::now())
        {
            let since = (!since.is_zero()).then_some(since);
            match fault.is_permanent() {
                true => self.telemetry.refused(why, pause, since),
                false => self.telemetry.unreachable(why, pause, since),
            }
        }
        self.tell(LinkState::Closed(reason), None);
        Served::Lost(pause)
    }

    /// Counts a failure. If it should be logged now, returns how long it has lasted; zero for the first of its
    /// kind.
    fn fails(&mut self, permanent: bool) -> Option<Duration> {
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            told: now,
            count: 0,
            permanent,
        });
        failing.count = failing.count.saturating_add(1);
        let is_new = failing.count == 1 || failing.permanent != permanent;
        failing.permanent = permanent;
        if !is_new && now - failing.told < TELL_EVERY {
            return None;
        }
        failing.told = now;
        Some(match is_new {
            true => Duration::ZERO,
            false => now - failing.since,
        })
    }

    /// Whether it failed as often as the plan allows.
    fn is_exhausted(&self) -> bool {
        let failures = self.failing.as_ref().map_or(0, |failing| failing.count);
        self.plan
            .reconnect
            .attempts
            .is_some_and(|attempts| failures >= attempts)
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
