//! A connection that is opened again after each loss. The other modules see the latest [`Snapshot`] in a watch
//! channel; `supervisor` is the loop behind it.

pub(crate) mod backoff;
mod consumers;
mod further;
mod outage;
mod supervisor;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hive_config::plan::ConnectionPlan;
use hive_core::codes::Reason;
use hive_lifecycle::Tasks;
use hive_telemetry::{Role, Telemetry};
use tokio::sync::{mpsc, oneshot, watch};

use self::consumers::Consumers;
pub(crate) use self::consumers::Consuming;
use self::further::Further;
pub(crate) use self::outage::Outage;
use self::supervisor::{Ends, Supervisor};
use crate::session::SharedSession;
use crate::session::fault::{ConnectFault, Mismatch};
use crate::session::runtime::LapinRuntime;
use crate::session::seats::Seat;
use crate::topology::{Fatal, Topology, Withheld};
use crate::wire::in_flight::InFlight;

/// How long a declaration is waited for before a queue is consumed again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a link is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting to a broker; after a failure, with its reason.
    Connecting(Option<Reason>),
    /// Usable.
    Open,
    /// Open, but the broker takes no publications, for this reason.
    Blocked(Reason),
    /// Not open, for this reason; it will be tried again.
    Closed(Reason),
    /// Ended, because the host stops or gave up.
    Ended,
}

/// The latest about a link.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) state: LinkState,
    /// The session, while there is one.
    pub(crate) session: Option<SharedSession>,
    /// Entities that cannot be declared, and the consumers that wait for them.
    pub(crate) withheld: Arc<Withheld>,
    /// Why it is not tried any more.
    pub(crate) gave_up: Option<ConnectFault>,
}

impl Snapshot {
    fn takes_publications(&self) -> Option<SharedSession> {
        match self.state {
            LinkState::Open => self.session.clone(),
            _ => None,
        }
    }

    /// `None` if the session is over, which is reported here soon.
    fn delivers_from(&self, queue: &str) -> Option<SharedSession> {
        match self.withheld.reason(queue) {
            None => self.session.clone().filter(lives),
            Some(_) => None,
        }
    }
}

fn lives(session: &SharedSession) -> bool {
    !session.over().is_cancelled()
}

/// A link as its users see it; its supervisor keeps it connected.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    latest: watch::Receiver<Snapshot>,
    fatal: Arc<Fatal>,
    consumers: Arc<Consumers>,
    further: Arc<Further>,
    wishes: mpsc::UnboundedSender<Wish>,
    in_flight: Arc<InFlight>,
}

/// Queues that must be declared on the current session.
#[derive(Debug)]
struct Wish {
    queues: BTreeSet<Arc<str>>,
    /// They were not declared before, so the broker may end the connection over them.
    is_new: bool,
    /// Told when it has been tried.
    tried: Option<oneshot::Sender<()>>,
}

/// What both links of a connection are made from.
pub(crate) struct LinkParts<'a> {
    pub(crate) host_name: &'a str,
    pub(crate) plan: &'a Arc<ConnectionPlan>,
    pub(crate) lapin: &'a Arc<LapinRuntime>,
    pub(crate) outage: &'a Arc<Outage>,
    pub(crate) tasks: &'a Tasks,
    pub(crate) telemetry: &'a Telemetry,
}

/// The name of a connection at the broker and in the log; `purpose` distinguishes those of one plan.
fn connection_name(host_name: &str, plan: &ConnectionPlan, purpose: &str) -> String {
    format!("{host_name}: {} ({purpose})", plan.name)
}

impl Link {
    /// Starts the loop. A consuming link declares its `topology` before it is reported open.
    pub(crate) fn start(
        role: Role,
        topology: Option<Arc<ArcSwap<Topology>>>,
        parts: &LinkParts<'_>,
    ) -> Self {
        let (tell, latest) = watch::channel(Snapshot {
            state: LinkState::Connecting(None),
            session: None,
            withheld: Arc::default(),
            gave_up: None,
        });
        let (wishes, wished) = mpsc::unbounded_channel();
        let fatal = topology
            .as_ref()
            .map(|topology| topology.load().fatal().clone());
        let consumers = Arc::<Consumers>::default();
        let ends = Ends {
            tell,
            wished,
            consumers: consumers.clone(),
        };
        let supervisor = Supervisor::new(role, topology, parts, ends);
        parts.tasks.spawn_service(supervisor.run());
        Self {
            latest,
            fatal: fatal.unwrap_or_default(),
            consumers,
            further: Arc::new(Further::new(role, parts)),
            wishes,
            in_flight: Arc::clone(parts.lapin.in_flight()),
        }
    }

    /// Watches the latest.
    pub(crate) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.latest.clone()
    }

    /// Waits for a session that is not over; none once the link has ended.
    pub(crate) async fn session(&self) -> Option<SharedSession> {
        self.wait(|snapshot| snapshot.session.clone().filter(lives))
            .await
    }

    /// Waits for a session on which `queue` can be consumed; none once the link has ended.
    pub(crate) async fn session_for(&self, queue: &str) -> Option<SharedSession> {
        self.wait(|snapshot| snapshot.delivers_from(queue)).await
    }

    /// A seat for a consumer or a publisher that may use `first`: there, or on a further connection to the same broker,
    /// which is opened if every seat is taken. An error says why none can be opened now.
    pub(crate) async fn seat(&self, first: &SharedSession) -> Result<Seat, Reason> {
        self.further.seat(first).await
    }

    /// Waits for a session that takes publications; none once the link has ended.
    pub(crate) async fn publishing_session(&self) -> Option<SharedSession> {
        self.wait(Snapshot::takes_publications).await
    }

    /// The session there is now.
    pub(crate) fn current(&self) -> Option<SharedSession> {
        self.latest.borrow().session.clone()
    }

    /// Whether there is a session.
    pub(crate) fn is_open(&self) -> bool {
        self.latest.borrow().session.is_some()
    }

    /// `queue` was deleted: it is declared again if the plan declares it, and waited for otherwise.
    pub(crate) fn is_missing(&self, queue: &Arc<str>) {
        self.wish(Wish {
            queues: [queue.clone()].into(),
            is_new: false,
            tried: None,
        });
    }

    /// A subscription to `queue` consumes from now on.
    pub(crate) fn consumes(&self, queue: &Arc<str>, one: Weak<dyn Consuming>) {
        self.consumers.add(queue, one);
    }

    /// The entities that could not be declared.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        self.latest.borrow().withheld.mismatches()
    }

    /// The memory for the bodies of deliveries, over all connections.
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Over what the broker ends the connection.
    pub(crate) fn fatal(&self) -> &Arc<Fatal> {
        &self.fatal
    }

    /// Declares `queue` again, with its bindings, before it is consumed again on the current session: it may
    /// have been deleted and made again. The wait is short.
    pub(crate) async fn declare_again(&self, queue: &Arc<str>) {
        let (tried, was_tried) = oneshot::channel();
        self.wish(Wish {
            queues: [queue.clone()].into(),
            is_new: false,
            tried: Some(tried),
        });
        if tokio::time::timeout(PATIENCE, was_tried).await.is_err() {
            tracing::debug!(%queue, "it is consumed again before it is declared again");
        }
    }

    /// Declares `queues`, which are new in the topology. Resolves after the attempt, which may be never if
    /// there is no session.
    pub(crate) async fn declare(&self, queues: BTreeSet<Arc<str>>) {
        let (tried, was_tried) = oneshot::channel();
        self.wish(Wish {
            queues,
            is_new: true,
            tried: Some(tried),
        });
        if was_tried.await.is_err() {
            tracing::trace!("the link has ended before it declared what is new");
        }
    }

    fn wish(&self, wish: Wish) {
        if self.wishes.send(wish).is_err() {
            tracing::trace!("a queue is to be declared after its link has ended");
        }
    }

    /// Waits until the link is given up, which may be never.
    pub(crate) async fn gave_up(&self) -> ConnectFault {
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
