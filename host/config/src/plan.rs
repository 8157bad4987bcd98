//! hive.toml as meant: validated types with every default filled in.
//!
//! Nothing past `config` sees the file as written, so nothing past `config` asks whether a key was
//! set, parses a duration or looks up a name. A `Plan` that exists is one that can be run.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::{ClientConfig, ServerConfig};

use crate::diff::differing::Bytes;
use crate::keys::words;

mod allow;
mod consumer;
mod defaults;
mod discovery;
mod flow;
mod handler;
mod http;
mod management;
mod pattern;
mod placement;
mod retry;
mod schedule;
mod store;
mod stream;

pub use crate::keys::allow::{AllowPlan, DirGrant};
pub use crate::keys::component::ComponentPlan;
pub use crate::keys::connection::{ConnectionPlan, ReconnectPlan};
pub use crate::keys::consumer::ConsumerPlan;
pub use crate::keys::consuming::{BatchPlan, DedupPlan, PauseOnPlan, StreamPlan};
pub use crate::keys::host::HostPlan;
pub use crate::keys::http::{HttpDedupPlan, HttpPlan, HttpRoutePlan};
pub use crate::keys::schedule::{SchedulePlan, SchedulePublishPlan};
pub use crate::keys::telemetry::TelemetryPlan;
pub use crate::keys::topology::{BindingPlan, ExchangePlan, QueuePlan};
pub use allow::{ContainerGrant, HttpGrant, HttpHost, ObjectPlace, ObjectService, PublishGrant};
pub use discovery::{Discovered, LeftOut, QueueSeen, QueuesSeen, Seen};
pub use flow::{OrderedRetry, OrderingPlan};
pub use handler::Handler;
pub(crate) use handler::Otherwise;
pub use hive_core::rate::RatePlan;
pub use hive_core::scaling::ScalePlan;
pub use hive_schedules::{Missed, Times};
pub(crate) use http::method_and_path;
pub use http::{BodyKind, HttpMethod, Segment};
pub use management::ManagementPlan;
pub use pattern::PatternPlan;
pub use placement::Placement;
pub use retry::DelayQueues;
pub(crate) use schedule::LONGEST_SCHEDULE;
pub(crate) use store::StoreKind;
pub use store::{RedisPlan, StorePlan};
pub use stream::StreamOffset;

/// The whole of a hive.toml.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `[host]`.
    pub host: HostPlan,
    /// `[connections.NAME]`, by name.
    pub connections: BTreeMap<Arc<str>, ConnectionPlan>,
    /// `[components.NAME]`, by name.
    pub components: BTreeMap<Arc<str>, ComponentPlan>,
    /// `[consumers.NAME]` with a `queue`, by name. While the host runs, those of queues that were discovered are among
    /// them.
    pub consumers: BTreeMap<Arc<str>, ConsumerPlan>,
    /// `[consumers.NAME]` with `queues`, by name.
    pub patterns: BTreeMap<Arc<str>, PatternPlan>,
    /// `[http]`, if there is one.
    pub http: Option<HttpPlan>,
    /// `[schedules.NAME]`, by name.
    pub schedules: BTreeMap<Arc<str>, SchedulePlan>,
    /// `[store]`.
    pub store: StorePlan,
    /// `[telemetry]`.
    pub telemetry: TelemetryPlan,
}

/// The connection that is meant where none is named.
pub(crate) const MAIN: &str = "main";

impl Plan {
    /// The connection `main`, which is meant where none is named.
    pub fn main_connection(&self) -> Option<&ConnectionPlan> {
        self.connections.get(MAIN)
    }

    /// Whether anything in it keeps something in the store.
    pub fn uses_the_store(&self) -> bool {
        let mut components = self.components.values();
        let mut consumers = self.consumers.values().chain(self.templates());
        let mut routes = self.http.iter().flat_map(|http| http.routes.values());
        components.any(|component| !component.allow.keyvalue.is_empty())
            || routes.any(|route| route.publish_dedup.is_some())
            || consumers.any(|consumer| {
                consumer.dedup.is_some()
                    || consumer.publish_dedup.is_some()
                    || consumer.stream.is_some()
            })
    }

    /// The consumers whose deliveries this component handles. Of a pattern, one stands for all.
    pub fn consumers_of(&self, component: &str) -> Vec<&ConsumerPlan> {
        let consumers = self.consumers.values().chain(self.templates());
        consumers
            .filter(|consumer| {
                consumer
                    .handler
                    .component()
                    .is_some_and(|name| **name == *component)
            })
            .collect()
    }
}

/// `host.admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminPlan {
    /// The address to listen on; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether the file names it. If it does not and the port is in use, the host takes another.
    pub is_named: bool,
}

impl AdminPlan {
    /// The address in the words of hive.toml. Whether the file names it makes no difference once it is taken.
    pub(crate) fn shown(admin: Option<Self>) -> String {
        admin.map_or("\"off\"".to_owned(), |admin| {
            format!("{:?}", admin.address.to_string())
        })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

words!(LogFormat { Text = "text", Json = "json" });

impl ConnectionPlan {
    /// What its URL says, as far as no key of its own does.
    pub(crate) fn of_url(&self) -> impl PartialEq {
        let server = (&self.endpoints, &self.vhost, self.tls.is_some());
        let login = (&self.username, &self.password, self.mechanism);
        (server, login, self.frame_max, self.channel_max)
    }

    /// The user that the broker sees, if the plan names one: with EXTERNAL the broker derives it from the
    /// certificate, by its own rules.
    pub fn user(&self) -> Option<&str> {
        match self.mechanism {
            AuthMechanism::Plain => Some(&self.username),
            AuthMechanism::External => None,
        }
    }
}

/// A password. It can be compared, and cannot be printed.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Gives the text to the code that logs in with it.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The SASL mechanism of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMechanism {
    /// User and password.
    #[default]
    Plain,
    /// The client's TLS certificate.
    External,
}

/// One host of a connection's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// 5672, or 5671 with TLS, unless the URL says otherwise.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    /// As in a URL: an IPv6 address has its brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// `tls = { … }`: its files are read and checked when the plan is made, and not at each connection.
#[derive(Clone)]
pub struct TlsPlan {
    /// Whom to trust, and who we are.
    pub client: Arc<ClientConfig>,
    /// Whether the file names the authorities to trust; they are the system's otherwise.
    pub names_authorities: bool,
    /// Whether there is a client's certificate.
    pub has_identity: bool,
    /// A hash of everything that `client` was made from, since it cannot be compared itself.
    pub(super) digest: [u8; 32],
}

impl PartialEq for TlsPlan {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for TlsPlan {}

#[cfg(test)]
impl TlsPlan {
    /// One that trusts nobody.
    pub(crate) fn of_nobody() -> Self {
        use tokio_rustls::rustls::{RootCertStore, crypto::ring};
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows every version of TLS that is safe");
        let client = builder.with_root_certificates(RootCertStore::empty());
        Self {
            client: Arc::new(client.with_no_client_auth()),
            names_authorities: false,
            has_identity: false,
            digest: [0; 32],
        }
    }
}

impl fmt::Debug for TlsPlan {
    /// Without the certificates, which are long, and the key, which is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPlan")
            .field("names_authorities", &self.names_authorities)
            .field("has_identity", &self.has_identity)
            .finish_non_exhaustive()
    }
}

/// `tls = { … }` of `[http]`: as [`TlsPlan`], for the side that is connected to.
#[derive(Clone)]
pub struct ServerTlsPlan {
    /// Who we are, and which clients are taken.
    pub server: Arc<ServerConfig>,
    /// Whether a client needs a certificate.
    pub asks_clients: bool,
    /// As that of [`TlsPlan`].
    pub(super) digest: [u8; 32],
}

impl PartialEq for ServerTlsPlan {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ServerTlsPlan {}

impl fmt::Debug for ServerTlsPlan {
    /// As that of [`TlsPlan`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsPlan")
            .field("asks_clients", &self.asks_clients)
            .finish_non_exhaustive()
    }
}

/// The topology of one connection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopologyPlan {
    /// `[exchanges.NAME]`.
    pub exchanges: Vec<ExchangePlan>,
    /// `[queues.NAME]`.
    pub queues: Vec<QueuePlan>,
}

/// The `x-queue-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Replicated; the default for a durable, shared queue.
    Quorum,
    /// A classic queue, on one node.
    Classic,
    /// An append-only log.
    Stream,
}

words!(QueueKind { Quorum = "quorum", Classic = "classic", Stream = "stream" });

/// An AMQP field table, in the order of the file.
pub type Arguments = Vec<(String, Argument)>;

/// One value of a table of arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// true or false.
    Boolean(bool),
    /// Any integer; sent as a signed 64-bit one.
    Integer(i64),
    /// A floating point number.
    Double(f64),
    /// A long string.
    Text(String),
    /// An array.
    Array(Vec<Argument>),
    /// A table.
    Table(Arguments),
}

impl fmt::Debug for ComponentPlan {
    /// By its name and file: configuration and environment are where people put secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentPlan")
            .field("name", &self.name)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// `instances = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// One instance serves many deliveries, until it fails or is recycled.
    Reuse {
        /// `recycle_after`: the deliveries that it serves; `None` for no limit.
        after: Option<u64>,
        /// `recycle_above`: bytes of memory above which it is dropped after a delivery; `None` for `memory`.
        above: Option<u64>,
        /// `recycle_idle`: how long it may be idle; `None` for ever.
        idle: Option<Duration>,
    },
    /// A new instance for each delivery.
    Fresh,
}

/// The word of `instances`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Reuse,
    Fresh,
}

words!(Kept { Reuse = "reuse", Fresh = "fresh" });

impl Instances {
    pub(crate) fn kept(self) -> Kept {
        match self {
            Self::Reuse { .. } => Kept::Reuse,
            Self::Fresh => Kept::Fresh,
        }
    }

    pub(crate) fn after(self) -> Option<u64> {
        match self {
            Self::Reuse { after, .. } => after,
            Self::Fresh => None,
        }
    }

    /// A size, for a reload.
    pub(crate) fn above(self) -> Option<Bytes> {
        match self {
            Self::Reuse { above, .. } => above.map(Bytes),
            Self::Fresh => None,
        }
    }

    pub(crate) fn idle(self) -> Option<Duration> {
        match self {
            Self::Reuse { idle, .. } => idle,
            Self::Fresh => None,
        }
    }
}
