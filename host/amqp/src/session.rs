//! One generation of a connection: opened, used, and thrown away whole at the first fatal error.
//!
//! lapin's own recovery stays off. It does not recover a channel that the broker closed, it lets
//! one entity that cannot be declared take the connection down in silence, and an ack with an old
//! tag can acknowledge a message of the new incarnation. A session is never mended: it is cut, and
//! the next one starts from nothing.

pub(crate) mod depth;
pub(crate) mod fault;
pub(crate) mod limits;
pub(crate) mod looks;
pub(crate) mod runtime;
pub(crate) mod seats;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use hive_config::plan::{AuthMechanism, ConnectionPlan, Endpoint};
use hive_core::codes::{Code, Reason};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::fault::{ConnectFault, code_of_a_loss, describe};
use self::limits::{AskFault, GOODBYE_TIMEOUT, ask, leave};
use self::runtime::LapinRuntime;
use self::seats::{Seats, SharedSeats};
use crate::wire::endings::{End, Endings};
use crate::wire::frame::BrokerVersion;
use crate::wire::screen::BrokerSlot;
use crate::wire::socket::{Cut, dial};

/// How often a session is looked at, beside listening to what lapin says of it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long those who owe the broker something get to settle it before a session closes.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// How many consumers of a connection subscribe at once. The broker would not answer thousands of them in time, and a
/// quorum queue without a leader leaves its question unanswered, so one at a time would not do.
const SUBSCRIBE_AT_ONCE: usize = 256;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    cut: Cut,
    endpoint: Endpoint,
    broker: Option<BrokerVersion>,
    endings: Endings,
    over: CancellationToken,
    users: TaskTracker,
    /// When the broker last answered a publication, or opened the session.
    answered: Mutex<Instant>,
    /// It was thrown away since the broker answered no publication.
    was_silent: AtomicBool,
    seats: SharedSeats,
    subscribing: Semaphore,
}

/// An event of a session.
#[derive(Debug)]
pub(crate) enum Happening {
    /// The broker takes no publications for now.
    Blocked(String),
    /// It takes them again.
    Unblocked,
    /// The session is over.
    Lost(Reason),
}

impl Session {
    /// Opens a connection to one endpoint.
    pub(crate) async fn open(
        plan: &ConnectionPlan,
        endpoint: &Endpoint,
        name: &str,
        lapin: &LapinRuntime,
    ) -> Result<(Self, Happenings), ConnectFault> {
        let address = format!("{}:{}", endpoint.host, endpoint.port);
        let broker = BrokerSlot::default();
        let endings = Endings::within(lapin.in_flight());
        let dialled = dial(
            plan,
            endpoint,
            lapin.dialling(),
            broker.clone(),
            endings.clone(),
        );
        let (socket, cut) = dialled
            .await
            .map_err(|error| ConnectFault::dialling(plan, address.clone(), &error))?;
        let socket = std::sync::Mutex::new(Some(socket));
        let hand_over = async move |_, _| {
            let mut socket = socket.lock().unwrap_or_else(|error| error.into_inner());
            match socket.take() {
                Some(socket) => Ok(lapin::AsyncTcpStream::Plain(socket)),
                // Only a handshake that broke off asks twice.
                None => {
                    Err(ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed).into())
                }
            }
        };
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let handshake =
            Connection::connector(uri(plan, endpoint), lapin.kit(), hand_over, properties);
        let connection = match tokio::time::timeout(plan.connect_timeout, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                let fault = ConnectFault::opening(plan, address, &error);
                return Err(match broker.get() {
                    None => fault.before_a_word(),
                    Some(version) => fault.over_frame_max(plan, *version),
                });
            }
            Err(_) => {
                let limit = plan.connect_timeout;
                let reason =
                    format!("the AMQP handshake took longer than connect_timeout = {limit:?}");
                return Err(ConnectFault::Unreachable {
                    connection: plan.name.clone(),
                    address,
                    reason,
                    code: Code::BrokerUnreachable,
                    nobody_there: false,
                });
            }
        };
        let events = Box::pin(connection.events_listener());
        let seats = Seats::within(connection.configuration().channel_max());
        let session = Self {
            connection,
            cut,
            endpoint: endpoint.clone(),
            broker: broker.get().copied(),
            endings,
            over: CancellationToken::new(),
            users: TaskTracker::new(),
            answered: Mutex::new(Instant::now()),
            was_silent: AtomicBool::new(false),
            seats: SharedSeats::new(seats),
            subscribing: Semaphore::new(SUBSCRIBE_AT_ONCE),
        };
        Ok((session, Happenings { events }))
    }

    /// Opens a channel. lapin keeps the error with which the broker closed one, gives it to the next channel of that
    /// number, and counts that one as open for as long as the connection lives; the broker itself answers channel.open with
    /// an error of the connection at most. So the next number is tried, until each has been, and there is a seat less.
    pub(crate) async fn channel(&self) -> Result<Channel, AskFault> {
        let mut untried = self.connection.configuration().channel_max();
        loop {
            untried = untried.saturating_sub(1);
            match ask(self.connection.create_channel()).await {
                Ok(channel) => return Ok(channel),
                Err(AskFault::Failed(error)) if error.is_amqp_soft_error() && untried > 0 => {
                    self.seats.lose();
                }
                Err(fault) => {
                    let connection = self.endings.of_the_connection();
                    return Err(fault.in_the_brokers_words(&[connection]));
                }
            }
        }
    }

    /// The broker's own answer to a question on a channel, where lapin only says that the channel, or the connection, is
    /// closed.
    pub(crate) fn in_the_brokers_words(&self, fault: AskFault, channel: &End) -> AskFault {
        fault.in_the_brokers_words(&[channel, self.endings.of_the_connection()])
    }

    /// What was set up on a channel, with the channel. Where that failed the channel is left, and the fault is in the
    /// broker's words.
    pub(crate) async fn or_leave<T>(
        &self,
        channel: Channel,
        end: &End,
        set_up: Result<T, AskFault>,
        why: &str,
    ) -> Result<(Channel, T), AskFault> {
        match set_up {
            Ok(there) => Ok((channel, there)),
            Err(fault) => {
                leave(&channel, why).await;
                Err(self.in_the_brokers_words(fault, end))
            }
        }
    }

    /// Waits for the right to subscribe, which a bounded number of consumers has at once. `None` once the session is
    /// over.
    pub(crate) async fn turn_to_subscribe(&self) -> Option<SemaphorePermit<'_>> {
        tokio::select! {
            biased;
            () = self.over.cancelled() => None,
            turn = self.subscribing.acquire() => turn.ok(),
        }
    }

    /// The host and port that it is connected to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The broker's version, if it announced one.
    pub(crate) fn broker(&self) -> Option<BrokerVersion> {
        self.broker
    }

    /// Reports how the deliveries of its channels end.
    pub(crate) fn endings(&self) -> &Endings {
        &self.endings
    }

    /// The largest frame that both sides agreed on.
    pub(crate) fn frame_max(&self) -> u32 {
        self.connection.configuration().frame_max()
    }

    /// Cancelled when this session is over.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Held by each task that still owes the broker something; [`Session::close`] waits for all of them.
    pub(crate) fn user(&self) -> TaskTrackerToken {
        self.users.token()
    }

    /// Throws the session away: nothing more comes or goes over it.
    pub(crate) fn discard(&self) {
        self.over.cancel();
        self.cut.now();
    }

    /// The broker has answered a publication: it stored, returned or refused it.
    pub(crate) fn has_answered(&self) {
        *self.answered() = Instant::now();
    }

    /// Throws the session away if the broker has answered no publication for so long.
    pub(crate) fn discard_if_silent_for(&self, time: Duration) {
        let is_silent = self.answered().elapsed() >= time;
        if is_silent {
            self.was_silent.store(true, Ordering::Relaxed);
            self.discard();
        }
    }

    /// Whether that has happened.
    pub(crate) fn was_silent(&self) -> bool {
        self.was_silent.load(Ordering::Relaxed)
    }

    fn answered(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection, once every user of the session has settled its deliveries.
    pub(crate) async fn close(&self) {
        self.users.close();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.users.wait())
            .await
            .is_err()
        {
            tracing::debug!("closing a connection whose channels are still busy");
        }
        let goodbye = self.connection.close(200, "closed by the host".into());
        match tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = describe(&error), "the goodbye failed"),
            Err(_) => tracing::debug!("the broker did not answer the goodbye"),
        }
        self.discard();
    }

    fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }
}

/// lapin's events of one connection. There is only one listener: several would compete.
pub(crate) struct Happenings {
    events: std::pin::Pin<Box<dyn futures_util::Stream<Item = Event> + Send>>,
}

impl Happenings {
    /// Waits for the next thing that happens to `session`.
    pub(crate) async fn next(&mut self, session: &Session) -> Happening {
        loop {
            tokio::select! {
                () = session.over.cancelled() => {
                    let reason = match session.was_silent() {
                        true => "given up: the broker confirmed no publication any more",
                        false => "given up after an error",
                    };
                    return Happening::Lost(reason.into());
                }
                event = self.events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        return Happening::Blocked(reason);
                    }
                    Some(Event::ConnectionUnblocked) => return Happening::Unblocked,
                    // Errors of a channel are reported here too; the owner of the channel sees them itself.
                    Some(Event::Error(error)) if error.is_amqp_soft_error() && session.is_alive() => {}
                    Some(Event::Error(error)) => {
                        return Happening::Lost(Reason::new(code_of_a_loss(&error), describe(&error)));
                    }
                    Some(_) => {}
                    None => {
                        let reason = "the connection ended";
                        return Happening::Lost(Reason::new(Code::BrokerUnreachable, reason));
                    }
                },
                // A close with code 200, as from the management page, makes no event.
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if !session.is_alive() {
                        return Happening::Lost("the broker closed the connection".into());
                    }
                }
            }
        }
    }
}

fn uri(plan: &ConnectionPlan, endpoint: &Endpoint) -> AMQPUri {
    AMQPUri {
        // TLS, where the plan has it, is the socket's business.
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: plan.username.clone(),
                password: plan.password.expose_secret().to_owned(),
            },
            host: endpoint.host.clone(),
            port: endpoint.port,
        },
        vhost: plan.vhost.clone(),
        query: AMQPQueryString {
            frame_max: plan.frame_max,
            channel_max: plan.channel_max,
            heartbeat: Some(whole_seconds(plan.heartbeat)),
            auth_mechanism: Some(match plan.mechanism {
                AuthMechanism::Plain => SASLMechanism::Plain,
                AuthMechanism::External => SASLMechanism::External,
            }),
            ..AMQPQueryString::default()
        },
    }
}

/// AMQP counts heartbeats in seconds; a part of one counts as one, lest it turns them off.
fn whole_seconds(heartbeat: Duration) -> u16 {
    let seconds = heartbeat.as_secs() + u64::from(heartbeat.subsec_nanos() > 0);
    u16::try_from(seconds).unwrap_or(u16::MAX)
}

/// A session that several share.
pub(crate) type SharedSession = Arc<Session>;
