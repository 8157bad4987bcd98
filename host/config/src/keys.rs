//! Every key of hive.toml, the shape of its value and what it means in a line or two: the one place that
//! knows them.
//!
//! The reader walks the file along this table, so a key that is not here is refused, and one that
//! is here has been checked for its type and its range before anything asks what it means. The JSON
//! Schema is written from it, for editors.

mod broker;
mod components;
mod consumers;

use broker::{CONNECTION, EXCHANGE, QUEUE, TLS};
use components::COMPONENT;
use consumers::CONSUMER;

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether its table requires it.
    pub(crate) required: bool,
    /// Its meaning and its default, for the author of a file.
    pub(crate) meaning: &'static str,
}

/// The shape of a value.
pub(crate) enum Shape {
    Boolean,
    /// From the first to the second.
    Integer(i64, i64),
    /// Any string.
    Text,
    /// A name at the broker: 1 to 255 bytes.
    Name,
    /// As [`Shape::Text`], never shown, or `file:PATH` to read it from there.
    Secret,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A number above 0 and up to 1.
    Ratio,
    /// From the first to the second, in milliseconds.
    Duration(u64, u64),
    /// At least this many bytes.
    Size(u64),
    /// As [`Shape::Duration`], or this word.
    DurationOr(&'static str, u64, u64),
    List(&'static Shape),
    /// One string, or an array of strings.
    TextOrTexts,
    Table(&'static [Key]),
    /// A table, or a string that means a table with this key only.
    Short(&'static str, &'static [Key]),
    /// Tables under names of the user's choice.
    Named(&'static [Key]),
    /// An AMQP field table.
    Arguments,
    /// Strings under names of the user's choice.
    Texts,
    /// A place in a stream: a number from 0, or any string.
    Offset,
    /// A string as it stands: variables in it are not filled in.
    Verbatim,
    /// Any value, as JSON.
    Json,
    /// Values of one shape under names of the user's choice.
    Each(&'static Shape),
    /// Whatever it is, it belongs in the file that includes this one.
    MainFile,
}

/// The longest duration where nothing else sets a limit: a year, so that adding it to a clock
/// cannot overflow.
pub(crate) const LONGEST: u64 = 365 * 24 * 3_600_000;
/// The broker holds a time to live in 32 bits.
const LONGEST_TTL: u64 = u32::MAX as u64;

/// Each gets its share of the address space, which has room for about this many.
const MOST_INSTANCES: i64 = 10_000;

const SOME_TIME: Shape = Shape::Duration(1, LONGEST);
const COUNT: Shape = Shape::Integer(0, i64::MAX);

/// The keys of the file as a whole.
pub(crate) const ROOT: &[Key] = &[
    key(
        "include",
        Shape::List(&Shape::Text),
        "Files and globs; their connections, exchanges, queues, components and consumers count as part of this file.",
    ),
    key("host", Shape::Table(HOST), "The host as a whole."),
    key("connections", Shape::Named(CONNECTION), CONNECTIONS),
    key("exchanges", Shape::Named(EXCHANGE), EXCHANGES),
    key("queues", Shape::Named(QUEUE), QUEUES),
    key("components", Shape::Named(COMPONENT), COMPONENTS),
    key("consumers", Shape::Named(CONSUMER), CONSUMERS),
    key(
        "store",
        Shape::Table(STORE),
        "What the host remembers: keys of dedup, offsets of streams, buckets of components.",
    ),
];

/// The keys of an included file: what there are many of.
pub(crate) const INCLUDED: &[Key] = &[
    key("include", Shape::MainFile, ELSEWHERE),
    key("host", Shape::MainFile, ELSEWHERE),
    key("connections", Shape::Named(CONNECTION), CONNECTIONS),
    key("exchanges", Shape::Named(EXCHANGE), EXCHANGES),
    key("queues", Shape::Named(QUEUE), QUEUES),
    key("components", Shape::Named(COMPONENT), COMPONENTS),
    key("consumers", Shape::Named(CONSUMER), CONSUMERS),
    key("store", Shape::MainFile, ELSEWHERE),
];

const CONNECTIONS: &str =
    "Connections by name. \"main\" is the default, and exists even if the file has no connections.";
const EXCHANGES: &str = "Exchanges by name, declared at every connection.";
const QUEUES: &str = "Queues by name, declared at every connection.";
const COMPONENTS: &str = "WebAssembly components by name.";
const CONSUMERS: &str = "Consumers by name. At least one is required.";
const ELSEWHERE: &str = "Belongs in the file that includes this one.";

const HOST: &[Key] = &[
    key(
        "name",
        Shape::Name,
        "Consumer tags and connection names start with it. Default: the machine's hostname.",
    ),
    key(
        "admin",
        Shape::Text,
        "The address of the admin server, with a port, or \"off\". Default: \"127.0.0.1:9191\", or a free port if that one is in use.",
    ),
    key(
        "admin_token",
        Shape::Secret,
        "Clients that send it may give commands to the admin server; at least 16 letters, digits and signs. Default: no token; commands are accepted only on a loopback address.",
    ),
    key(
        "max_instances",
        Shape::Integer(1, MOST_INSTANCES),
        "Instances in memory at once, over all components. Default: 2 times the total concurrency plus 4 per component, but at least 64.",
    ),
    key(
        "shutdown_timeout",
        Shape::Duration(0, LONGEST),
        "How long a stop waits for deliveries in flight before they go back to the broker. Default: \"30s\".",
    ),
    key(
        "quarantine",
        Shape::Boolean,
        "Whether a message that was in flight when the host died twice is tried alone, and dead-lettered after three more deaths. Default: true.",
    ),
    key(
        "log",
        Shape::Text,
        "Which log lines the host writes, in the syntax of RUST_LOG, which takes precedence. Default: \"info\".",
    ),
    key(
        "log_format",
        Shape::Choice(&["text", "json"]),
        "The format of the log lines. Default: \"text\".",
    ),
];

const STORE: &[Key] = &[
    key(
        "kind",
        Shape::Choice(&["embedded", "memory", "redis"]),
        "\"embedded\": a file of this host alone; \"memory\": until the host ends; \"redis\": shared with other hosts. Default: \"embedded\".",
    ),
    key(
        "path",
        Shape::Text,
        "The file of \"embedded\". Default: \"hive.db\".",
    ),
    key(
        "url",
        Shape::Secret,
        "The server of \"redis\", which needs it: redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// with TLS.",
    ),
    key("tls", Shape::Table(TLS), "Certificates, for rediss://."),
    key(
        "prefix",
        Shape::Name,
        "The beginning of every key in Redis; hosts with the same prefix share what they remember. Default: \"hive:\".",
    ),
];

pub(crate) const fn key(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key {
        name,
        shape,
        required: false,
        meaning,
    }
}

impl Key {
    pub(crate) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}
