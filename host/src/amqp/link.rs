//! A connection that comes back: a supervised loop of sessions.
//!
//! Connect, make ready, tell, wait for the loss, back off, again. What the rest of the room sees
//! is the latest [`Snapshot`] in a watch channel.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::fault::ConnectFault;
use super::runtime::LapinRuntime;
use super::session::{Happening, Happenings, Session, SharedSession};
use super::topology::Topology;
use crate::config::plan::ConnectionPlan;
use crate::lifecycle::Tasks;

/// A session that lasted this long was a success: the next loss backs off from the start.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// How often a fault that waiting does not heal is tried before the link has ever been open. More
/// than once, since a broker that starts up says odd things.
const PERMANENT_TRIES: u32 = 3;

/// The pauses between those tries.
const PERMANENT_PAUSE: Duration = Duration::from_secs(2);

/// What a link is for. Acks must not stop when a full broker stops publications, so each kind of
/// work has a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Deliveries come over it and acks go.
    Consume,
    /// Publications go over it.
    Publish,
}

impl Role {
    /// The word in connection names and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Publish => "publish",
        }
    }
}

/// How a link is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// On the way to a broker.
    Connecting,
    /// Usable.
    Open,
    /// Open, but the broker takes no publications, for this reason.
    Blocked(Arc<str>),
    /// Not open, for this reason; it will be tried again.
    Failed(Arc<str>),
    /// Ended, because the host stops or gave up.
    Closed,
}

/// The latest about a link.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) state: LinkState,
    /// The session, while there is one.
    pub(super) session: Option<SharedSession>,
    /// Whether it has been open at least once.
    pub(super) opened: bool,
    /// Why it is not tried any more.
    pub(super) gave_up: Option<ConnectFault>,
}

impl Snapshot {
    fn takes_publications(&self) -> Option<SharedSession> {
        match self.state {
            LinkState::Open => self.session.clone(),
            _ => None,
        }
    }
}

/// The outside of a link.
#[derive(Debug, Clone)]
pub(super) struct Link {
    latest: watch::Receiver<Snapshot>,
}

impl Link {
    /// Starts the loop. A consuming link has its `topology` declared before it is told open.
    pub(super) fn start(
        role: Role,
        name: String,
        plan: Arc<ConnectionPlan>,
        topology: Option<Arc<Topology>>,
        lapin: Arc<LapinRuntime>,
        tasks: &Tasks,
    ) -> Self {
        let (tell, latest) = watch::channel(Snapshot {
            state: LinkState::Connecting,
            session: None,
            opened: false,
            gave_up: None,
        });
        let supervisor = Supervisor {
            backoff: Backoff::from(&plan.reconnect),
            role,
            name,
            plan,
            topology,
            lapin,
            tasks: tasks.clone(),
            tell,
            permanent_faults: 0,
        };
        tasks.spawn_service(supervisor.run());
        Self { latest }
    }

    /// Watches the latest.
    pub(super) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.latest.clone()
    }

    /// Waits for a session; none once the link has ended.
    pub(super) async fn session(&self) -> Option<SharedSession> {
        self.wait(|snapshot| snapshot.session.clone()).await
    }

    /// Waits for a session that takes publications; none once the link has ended.
    pub(super) async fn publishing_session(&self) -> Option<SharedSession> {
        self.wait(Snapshot::takes_publications).await
    }

    /// The session there is now.
    pub(super) fn current(&self) -> Option<SharedSession> {
        self.latest.borrow().session.clone()
    }

    /// Waits until the link has been open for the first time, or is given up.
    pub(super) async fn opened(&self) -> Result<(), ConnectFault> {
        let told = self
            .wait(|snapshot| match &snapshot.gave_up {
                Some(fault) => Some(Err(fault.clone())),
                None => snapshot.opened.then_some(Ok(())),
            })
            .await;
        // None: the host stops before the link opened, and nobody waits for the answer.
        told.unwrap_or(Ok(()))
    }

    /// Waits until the link is given up, which may be never.
    pub(super) async fn gave_up(&self) -> ConnectFault {
        match self.wait(|snapshot| snapshot.gave_up.clone()).await {
            Some(fault) => fault,
            None => std::future::pending().await,
        }
    }

    async fn wait<T>(&self, find: impl Fn(&Snapshot) -> Option<T>) -> Option<T> {
        let mut latest = self.latest.clone();
        loop {
            if let Some(found) = find(&latest.borrow_and_update()) {
                return Some(found);
            }
            // An error says that the loop has ended.
            latest.changed().await.ok()?;
        }
    }
}

/// The inside of a link.
struct Supervisor {
    role: Role,
    name: String,
    plan: Arc<ConnectionPlan>,
    topology: Option<Arc<Topology>>,
    lapin: Arc<LapinRuntime>,
    tasks: Tasks,
    tell: watch::Sender<Snapshot>,
    backoff: Backoff,
    permanent_faults: u32,
}

impl Supervisor {
    async fn run(mut self) {
        let close = self.tasks.close().clone();
        loop {
            self.tell(LinkState::Connecting, None);
            let opened = tokio::select! {
                () = close.cancelled() => break,
                opened = self.open() => opened,
            };
            let pause = match opened {
                Ok((session, happenings)) => match self.serve(session, happenings).await {
                    Some(pause) => pause,
                    None => break,
                },
                Err(fault) => match self.failed(fault) {
                    Some(pause) => pause,
                    None => break,
                },
            };
            tokio::select! {
                () = close.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.tell(LinkState::Closed, None);
    }

    /// Tries every endpoint once, in random order: a dead one only costs its time.
    async fn open(&self) -> Result<(SharedSession, Happenings), ConnectFault> {
        let mut endpoints = self.plan.endpoints.clone();
        endpoints.shuffle(&mut rand::rng());
        let mut last = None;
        for endpoint in &endpoints {
            match Session::open(&self.plan, endpoint, &self.name, &self.lapin).await {
                Ok((session, happenings)) => {
                    let session = Arc::new(session);
                    self.make_ready(&session).await?;
                    return Ok((session, happenings));
                }
                Err(fault) if fault.is_permanent() => return Err(fault),
                Err(fault) => {
                    if endpoints.len() > 1 {
                        tracing::info!(link = %self.name, %fault, "trying the next host");
                    }
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| ConnectFault::Unreachable {
            connection: self.plan.name.clone(),
            address: "any host".into(),
            reason: "its url names none".into(),
        }))
    }

    async fn make_ready(&self, session: &SharedSession) -> Result<(), ConnectFault> {
        let Some(topology) = &self.topology else {
            return Ok(());
        };
        let declared = topology.declare(session).await;
        if declared.is_err() {
            session.discard();
        }
        declared
    }

    /// Serves a session to its end. The pause before the next, or none when the host stops.
    async fn serve(
        &mut self,
        session: SharedSession,
        mut happenings: Happenings,
    ) -> Option<Duration> {
        let close = self.tasks.close().clone();
        let since = Instant::now();
        tracing::info!(link = %self.name, "connected");
        self.permanent_faults = 0;
        self.tell(LinkState::Open, Some(session.clone()));
        let reason = loop {
            let happening = tokio::select! {
                () = close.cancelled() => {
                    session.close().await;
                    return None;
                }
                happening = happenings.next(&session) => happening,
            };
            match happening {
                Happening::Blocked(reason) => {
                    tracing::warn!(
                        link = %self.name, reason,
                        "the broker takes no publications for now; they wait"
                    );
                    self.tell(LinkState::Blocked(reason.into()), Some(session.clone()));
                }
                Happening::Unblocked => {
                    tracing::info!(link = %self.name, "the broker takes publications again");
                    self.tell(LinkState::Open, Some(session.clone()));
                }
                Happening::Lost(reason) => break reason,
            }
        };
        session.discard();
        if since.elapsed() >= STEADY_AFTER {
            self.backoff.reset();
        }
        let pause = self.backoff.fail();
        tracing::warn!(link = %self.name, reason, ?pause, "connection lost; connecting again");
        self.tell(LinkState::Failed(reason.into()), None);
        Some(pause)
    }

    /// What follows a failure to open: a pause, or the end.
    fn failed(&mut self, fault: ConnectFault) -> Option<Duration> {
        let has_been_open = self.tell.borrow().opened;
        if fault.is_permanent() {
            self.permanent_faults += 1;
            if !has_been_open && self.permanent_faults >= PERMANENT_TRIES {
                return self.give_up(fault);
            }
        }
        let pause = self.backoff.fail();
        let attempts = self.plan.reconnect.attempts;
        if attempts.is_some_and(|attempts| self.backoff.failures() >= attempts) {
            return self.give_up(fault);
        }
        let pause = match (fault.is_permanent(), has_been_open) {
            (false, _) => pause,
            (true, false) => PERMANENT_PAUSE,
            // Somebody has to change something, and it is worth their while to be told.
            (true, true) => self.plan.reconnect.max,
        };
        self.tell_failure(&fault, pause);
        Some(pause)
    }

    fn give_up(&mut self, fault: ConnectFault) -> Option<Duration> {
        self.tell.send_modify(|snapshot| {
            snapshot.session = None;
            snapshot.gave_up = Some(fault);
        });
        None
    }

    fn tell_failure(&self, fault: &ConnectFault, pause: Duration) {
        let reason: Arc<str> = fault.to_string().into();
        let state = LinkState::Failed(reason.clone());
        let told_before = self.permanent_faults > 1 || self.backoff.failures() > 1;
        match (told_before, fault.is_permanent()) {
            (true, _) => tracing::debug!(link = %self.name, %reason, ?pause, "still not connected"),
            (false, true) => tracing::error!(link = %self.name, %reason, "cannot connect"),
            (false, false) => {
                tracing::warn!(link = %self.name, %reason, "cannot connect; trying until it works");
            }
        }
        self.tell(state, None);
    }

    fn tell(&self, state: LinkState, session: Option<SharedSession>) {
        self.tell.send_modify(|snapshot| {
            snapshot.opened |= session.is_some();
            snapshot.session = session;
            snapshot.state = state;
        });
        tracing::debug!(link = %self.name, role = self.role.as_str(), "state changed");
    }
}
