//! hive.toml as meant: validated types with every default filled in.
//!
//! Nothing past `config` sees the file as written, so nothing past `config` asks whether a key was
//! set, parses a duration or looks up a name. A `Plan` that exists is one that can be run.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hive_core::policy::RetryPolicy;
use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::ClientConfig;

mod allow;
mod batch;
mod dedup;
mod defaults;
mod flow;
mod glob;
mod store;
mod stream;

pub use allow::{AllowPlan, DirGrant, HttpGrant, HttpHost, PublishGrant};
pub use batch::BatchPlan;
pub use dedup::DedupPlan;
pub(crate) use defaults::RECYCLE_IDLE;
pub use flow::{OrderedRetry, OrderingPlan, PauseOnPlan, RatePlan};
pub use glob::Glob;
pub use hive_core::scaling::ScalePlan;
pub use store::{RedisPlan, StorePlan};
pub use stream::{StreamOffset, StreamPlan};

/// The whole of a hive.toml.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `[host]`.
    pub host: HostPlan,
    /// `[connections.NAME]`, by name.
    pub connections: BTreeMap<Arc<str>, ConnectionPlan>,
    /// `[components.NAME]`, by name.
    pub components: BTreeMap<Arc<str>, ComponentPlan>,
    /// `[consumers.NAME]`, by name; at least one.
    pub consumers: BTreeMap<Arc<str>, ConsumerPlan>,
    /// `[store]`.
    pub store: StorePlan,
}

impl Plan {
    /// Whether anything in it keeps something in the store.
    pub fn uses_the_store(&self) -> bool {
        let mut components = self.components.values();
        let mut consumers = self.consumers.values();
        components.any(|component| !component.allow.keyvalue.is_empty())
            || consumers.any(|consumer| {
                consumer.dedup.is_some()
                    || consumer.publish_dedup.is_some()
                    || consumer.stream.is_some()
            })
    }

    /// The consumers whose deliveries this component handles.
    pub fn consumers_of(&self, component: &str) -> Vec<&ConsumerPlan> {
        let consumers = self.consumers.values();
        consumers
            .filter(|consumer| &*consumer.component == component)
            .collect()
    }
}

/// `[host]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HostPlan {
    /// Consumer tags and connection names start with it.
    pub name: Arc<str>,
    /// The address of health and metrics; `None` if they are off.
    pub admin: Option<AdminPlan>,
    /// Who knows it may swap and reload over the admin server. Never printed.
    pub admin_token: Option<Password>,
    /// Instances that exist at once, over all components; none leaves it to the host.
    pub max_instances: Option<u32>,
    /// How long in-flight deliveries get before they go back to the broker.
    pub shutdown_timeout: Duration,
    /// Whether a message that may have ended the host is tried alone, and dead-lettered in the end.
    pub quarantine: bool,
    /// The filter of log lines, in RUST_LOG's syntax.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// `host.admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminPlan {
    /// The address to listen on; port 0 takes any that is free.
    pub address: SocketAddr,
    /// Whether the file names it. If it does not and the port is in use, the host takes another.
    pub is_named: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// `[connections.NAME]`, and the topology that is declared over it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionPlan {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Where it leads: at least one endpoint, tried in random order.
    pub endpoints: Vec<Endpoint>,
    /// The user.
    pub username: String,
    /// Never printed.
    pub password: Password,
    /// How the broker is to know who asks.
    pub mechanism: AuthMechanism,
    /// The virtual host.
    pub vhost: String,
    /// The interval asked for; a connection is dead after two without a byte. Zero turns it off.
    pub heartbeat: Duration,
    /// For the TCP connection and the AMQP handshake, each.
    pub connect_timeout: Duration,
    /// The back-off between tries.
    pub reconnect: ReconnectPlan,
    /// For `amqps://`.
    pub tls: Option<TlsPlan>,
    /// Limits named in the URL's query, if any (`frame_max`, `channel_max`).
    pub frame_max: Option<u32>,
    /// See `frame_max`.
    pub channel_max: Option<u16>,
    /// Exchanges, then queues, then bindings are declared at every (re)connection.
    pub topology: TopologyPlan,
}

impl ConnectionPlan {
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
    /// For the code that logs in with it.
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

/// `reconnect = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconnectPlan {
    /// The pause after the first failure; doubles with each further one, with jitter.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// Give up after this many failures in a row; none tries for ever.
    pub attempts: Option<u32>,
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

impl fmt::Debug for TlsPlan {
    /// Without the certificates, which are long, and the key, which is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPlan")
            .field("names_authorities", &self.names_authorities)
            .field("has_identity", &self.has_identity)
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

/// `[exchanges.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangePlan {
    /// Its name at the broker.
    pub name: String,
    /// direct, fanout, topic, headers, or a plugin's type.
    pub kind: String,
    /// Only check that it is there.
    pub passive: bool,
    /// Survives a broker restart.
    pub durable: bool,
    /// Deleted when the last binding goes.
    pub auto_delete: bool,
    /// Clients cannot publish to it.
    pub internal: bool,
    /// Optional arguments.
    pub arguments: Arguments,
    /// Bindings from other exchanges to this one.
    pub bindings: Vec<BindingPlan>,
}

/// `[queues.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuePlan {
    /// Its name at the broker.
    pub name: Arc<str>,
    /// Which kind of queue.
    pub kind: QueueKind,
    /// Only check that it is there.
    pub passive: bool,
    /// Survives a broker restart.
    pub durable: bool,
    /// For this connection alone.
    pub exclusive: bool,
    /// Deleted when the last consumer goes.
    pub auto_delete: bool,
    /// Every argument but `x-queue-type`: those with keys of their own, and `arguments`.
    pub arguments: Arguments,
    /// Bindings from exchanges to this queue.
    pub bindings: Vec<BindingPlan>,
}

/// The `x-queue-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueKind {
    /// Replicated; the default for a durable, shared queue.
    Quorum,
    /// One node's.
    Classic,
    /// An append-only log.
    Stream,
}

/// A binding to the exchange or queue that contains it.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingPlan {
    /// The exchange bound from.
    pub exchange: String,
    /// Empty where the exchange does not look at it.
    pub routing_key: String,
    /// The arguments that a headers exchange matches.
    pub arguments: Arguments,
}

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

/// `[components.NAME]`.
#[derive(Clone, PartialEq)]
pub struct ComponentPlan {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The .wasm, .wat or .cwasm file; absolute, or relative to the working directory.
    pub path: PathBuf,
    /// The command line that makes that file; `hive-host dev` runs it, `run` does not.
    pub build: Option<String>,
    /// Whether it is swapped when its file changes.
    pub watch: bool,
    /// Instances that handle deliveries at once; none is as many as its consumers ask for.
    pub max_instances: Option<u16>,
    /// Whether state lives between deliveries.
    pub instances: Instances,
    /// Memory of one instance over all its linear memories, in bytes.
    pub memory: u64,
    /// Time for one call.
    pub timeout: Duration,
    /// Publications of one answer.
    pub max_publications: u32,
    /// Bytes that may cross from the component to the host in one call.
    pub max_answer: u64,
    /// Lines a second that its instances together may print; the rest is counted and not kept.
    pub log_lines: u32,
    /// The values of `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// The SHA-256 that its file must have, in lower-case hexadecimal; none is any.
    pub sha256: Option<String>,
    /// Its grants.
    pub allow: AllowPlan,
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

/// `[consumers.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerPlan {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The queue consumed from.
    pub queue: Arc<str>,
    /// The name of its component; it is in the plan.
    pub component: Arc<str>,
    /// The name of its connection; it is in the plan.
    pub connection: Arc<str>,
    /// The prefetch: at least `concurrency`, or the deliveries of that many full batches.
    pub prefetch: u16,
    /// The prefetch that it begins with, and returns to while bodies are large; `prefetch` if that is fixed.
    pub least_prefetch: u16,
    /// Whether its queue stays without a consumer: hive.toml declares it, and not as `auto_delete`.
    pub queue_stays: bool,
    /// Deliveries, or batches, handled at once, at most; at least 1.
    pub concurrency: u16,
    /// Batches; `None` for single deliveries.
    pub batch: Option<BatchPlan>,
    /// The number of workers by queue depth; `None` for `concurrency` at all times.
    pub scale: Option<ScalePlan>,
    /// The order in which deliveries are handled; `None` for any.
    pub ordering: Option<OrderingPlan>,
    /// The rate; `None` for no limit.
    pub rate: Option<RatePlan>,
    /// When it pauses by itself; `None` for never.
    pub pause_on: Option<PauseOnPlan>,
    /// When and how often a failed delivery comes again.
    pub retry: RetryPolicy,
    /// The dead-letter queue.
    pub dead_letter: Arc<str>,
    /// `dedup`: which deliveries are not handled, since they were before.
    pub dedup: Option<DedupPlan>,
    /// `publish_dedup`: which publications are not published, since they were before.
    pub publish_dedup: Option<DedupPlan>,
    /// How its stream is read; `None` if the queue is not a stream.
    pub stream: Option<StreamPlan>,
    /// Whether a message with a reply-to is answered when it is dead-lettered.
    pub reply_on_failure: bool,
}
