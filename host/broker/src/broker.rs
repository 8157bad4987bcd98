//! The broker as a program or a test holds it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::protocol::basic::AMQPProperties;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::{Clock, Pace};
use crate::control;
use crate::definitions::Definitions;
use crate::faults::Fault;
use crate::inside::{self, Waiting};
use crate::server::{Shared, listen, serve};
use crate::state::{Limits, Password, State, User, Vhost};
use crate::time::Time;

/// How a broker is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 is any that is free.
    pub address: SocketAddr,
    /// Who may log in, instead of `guest` with the password `guest`.
    pub login: Option<Login>,
    /// How its clock moves.
    pub pace: Pace,
    /// The seconds between heartbeats that it proposes. They are the machine's seconds, whatever its own
    /// clock says.
    pub heartbeat: u16,
    /// How long an acknowledgement is not safe yet: [`Fault::Crash`] undoes those that are younger.
    pub acks_written_after: Duration,
}

/// A user with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Default for Settings {
    /// On this machine alone, on any free port, with a clock that runs.
    fn default() -> Self {
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            login: None,
            pace: Pace::Running,
            heartbeat: Limits::default().heartbeat,
            acks_written_after: Duration::ZERO,
        }
    }
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Others than this machine could connect as `guest`.
    #[error("{0} can be reached from other machines, so a user and a password are needed")]
    Unguarded(SocketAddr),
}

/// A broker that runs until it is dropped.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    login: Login,
    /// Aborted when the broker is dropped.
    tasks: JoinSet<()>,
}

/// A queue, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// The vhost of the queue.
    pub vhost: String,
    /// The name of the queue.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub kind: &'static str,
    /// Messages that no consumer has.
    pub ready: usize,
    /// Messages that a consumer has and has not settled.
    pub unacked: usize,
    /// Dead letters that no queue took, and that are tried again.
    pub stuck: usize,
    /// How many consumers it has.
    pub consumers: usize,
    /// Whether it is frozen ([`Fault::Freeze`]).
    pub frozen: bool,
}

/// A connection, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// The name that the client gave itself.
    pub name: Option<String>,
    /// The address of the client.
    pub peer: String,
    /// The user that the client logged in as.
    pub user: String,
    /// The vhost that the client opened.
    pub vhost: String,
    /// How many channels are open.
    pub channels: usize,
}

impl Broker {
    /// Starts a broker that listens on a port.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let address = settings.address;
        if settings.login.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(StartError::Unguarded(address));
        }
        let listening = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listening)?;
        let bound = listener.local_addr().map_err(listening)?;
        let limits = Limits {
            heartbeat: settings.heartbeat,
            acks_written_after: settings.acks_written_after,
            ..Limits::default()
        };
        let clock = Clock::new(settings.pace);
        let mut state = State::new(limits, clock.now());
        let login = settings.login.unwrap_or_else(|| Login {
            user: "guest".to_owned(),
            password: "guest".to_owned(),
        });
        if login.user != "guest" {
            state.users.remove("guest");
        }
        let user = User {
            password: Password::Plain(login.password.clone()),
            permissions: None,
            // A password that is known to everybody opens the door to this machine alone.
            loopback_only: login.password == "guest",
        };
        state.users.set(&login.user, user);
        state.users.external.clone_from(&login.user);
        let shared = Arc::new(Shared::new(state, clock));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, shared.clone()));
        if settings.pace == Pace::Running {
            tasks.spawn(shared.clone().keep_time());
        }
        Ok(Self {
            shared,
            address: bound,
            login,
            tasks,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for clients of the vhost `/`.
    pub fn url(&self) -> String {
        self.url_of("/")
    }

    /// The URL for clients of a vhost.
    pub fn url_of(&self, vhost: &str) -> String {
        let Login { user, password } = &self.login;
        format!(
            "amqp://{}:{}@{}/{}",
            escaped(user),
            escaped(password),
            self.address,
            escaped(vhost)
        )
    }

    /// Serves a client over something else than a socket, such as [`tokio::io::duplex`], until it ends.
    pub async fn serve<S: AsyncRead + AsyncWrite>(&self, link: S) {
        serve(&self.shared, link, "in the process".to_owned(), true).await;
    }

    /// The current time of the broker's clock.
    pub fn now(&self) -> Time {
        self.shared.with(|state| state.now)
    }

    /// Turns the clock forward. What falls due on the way happens at its own time and in its own order,
    /// and has happened when this returns.
    pub fn turn(&self, by: Duration) {
        self.shared.turn(by);
    }

    /// How long until something falls due by the broker's clock; `None` if nothing will.
    pub fn due(&self) -> Option<Duration> {
        self.shared.with(|state| {
            let due = state.deadline()?.millis();
            Some(Duration::from_millis(
                due.saturating_sub(state.now.millis()),
            ))
        })
    }

    /// Publishes a message without a connection; the number of queues that took it. `to` is an exchange and a routing
    /// key. `Err` describes an invalid request.
    pub fn publish(
        &self,
        vhost: &str,
        to: (&str, &str),
        properties: &AMQPProperties,
        body: Vec<u8>,
    ) -> Result<usize, String> {
        inside::publish(&self.shared, vhost, to, properties, body)
    }

    /// Deletes a queue with its messages, as an operator would; false where there is none of that name.
    pub fn delete(&self, vhost: &str, queue: &str) -> bool {
        self.shared
            .with(|state| state.delete_from_inside(vhost, queue))
    }

    /// The messages that wait in a queue and that no consumer has, the next one first; none where there is no queue
    /// of that name.
    pub fn waiting(&self, vhost: &str, queue: &str) -> Vec<Waiting> {
        inside::waiting(&self.shared, vhost, queue)
    }

    /// Carries out a fault, or prepares it. `Err` describes an invalid request.
    pub fn inject(&self, fault: Fault) -> Result<(), String> {
        self.shared.with(|state| state.inject(fault))
    }

    /// Adds a vhost, if it is not there.
    pub fn add_vhost(&self, name: &str) {
        self.shared.with(|state| {
            let vhosts = &mut state.vhosts;
            vhosts
                .entry(name.to_owned())
                .or_insert_with(|| Vhost::new(name));
        });
    }

    /// Sets users, vhosts, policies, exchanges, queues and bindings up from a definitions file of RabbitMQ.
    pub fn load(&self, definitions: Definitions) {
        load(&self.shared, definitions);
    }

    /// Serves the control port, which `docs/broker.md` describes: on this machine alone, and without a
    /// password. Port 0 is any that is free.
    pub async fn serve_control(&mut self, port: u16) -> Result<SocketAddr, StartError> {
        let bound = control::bind(port).await;
        let (listener, address) = bound.map_err(|source| StartError::Listen {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            source,
        })?;
        self.tasks
            .spawn(control::serve(listener, self.shared.clone()));
        Ok(address)
    }

    /// All queues, by vhost and name.
    pub fn queues(&self) -> Vec<QueueStatus> {
        queues(&self.shared)
    }

    /// A queue, if it is there.
    pub fn queue(&self, vhost: &str, name: &str) -> Option<QueueStatus> {
        let mut queues = self.queues().into_iter();
        queues.find(|queue| queue.vhost == vhost && queue.name == name)
    }

    /// All connections, the oldest first.
    pub fn connections(&self) -> Vec<ConnectionStatus> {
        connections(&self.shared)
    }
}

pub(crate) fn load(shared: &Shared, definitions: Definitions) {
    shared.with(|state| definitions.load(state));
}

pub(crate) fn queues(shared: &Shared) -> Vec<QueueStatus> {
    let mut queues: Vec<QueueStatus> = shared.with(|state| {
        let queues = state.queues.values();
        queues
            .map(|queue| QueueStatus {
                vhost: queue.vhost.to_string(),
                name: queue.name.to_string(),
                kind: queue.arguments.kind.word(),
                ready: queue.ready_count(),
                unacked: queue.unacked_count(),
                stuck: queue.stuck_count(),
                consumers: queue.consumer_count(),
                frozen: queue.frozen,
            })
            .collect()
    });
    queues.sort_by(|one, other| (&one.vhost, &one.name).cmp(&(&other.vhost, &other.name)));
    queues
}

pub(crate) fn connections(shared: &Shared) -> Vec<ConnectionStatus> {
    shared.with(|state| {
        let connections = state.connections.values();
        connections
            .map(|connection| ConnectionStatus {
                name: connection.name.clone(),
                peer: connection.peer.clone(),
                user: connection.user.clone(),
                vhost: connection.vhost.to_string(),
                channels: connection.channels.len(),
            })
            .collect()
    })
}

/// Escapes what a URL would take for something else.
fn escaped(text: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~".contains(octet);
    let mut escaped = String::new();
    for octet in text.bytes() {
        if plain(&octet) {
            escaped.push(char::from(octet));
        } else {
            escaped.push_str(&format!("%{octet:02x}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_broker_for_others_needs_a_login() {
        let settings = Settings {
            address: ([0, 0, 0, 0], 0).into(),
            ..Settings::default()
        };
        let refused = Broker::start(settings.clone()).await;
        assert!(matches!(refused, Err(StartError::Unguarded(_))));
        let login = Some(Login {
            user: "a b".to_owned(),
            password: "p/w".to_owned(),
        });
        let broker = Broker::start(Settings { login, ..settings }).await;
        let url = broker.unwrap().url();
        assert!(url.starts_with("amqp://a%20b:p%2fw@0.0.0.0:"), "{url}");
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let broker = Broker::start(Settings::default()).await.unwrap();
        let again = Settings {
            address: broker.address(),
            ..Settings::default()
        };
        let error = Broker::start(again).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {}", broker.address())),
            "{error}"
        );
    }
}
