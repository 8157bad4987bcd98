//! Every key of hive.toml and the shape of its value: the one place that knows them.
//!
//! The reader walks the file along this table, so a key that is not here is refused, and one that
//! is here has been checked for its type and its range before anything asks what it means.

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether the table it stands in needs it.
    pub(crate) required: bool,
}

/// What a value may be.
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
    /// From the first to the second, in milliseconds.
    Duration(u64, u64),
    /// At least so many bytes.
    Size(u64),
    List(&'static Shape),
    Table(&'static [Key]),
    /// Tables under names of the user's choice.
    Named(&'static [Key]),
    /// An AMQP field table.
    Arguments,
    /// Strings under names of the user's choice.
    Texts,
    /// Whatever it is, it is not built yet.
    Unbuilt,
    /// Whatever it is, it belongs in the file that includes this one.
    MainFile,
}

/// The longest duration where nothing else sets a limit: a year, so that adding it to a clock
/// cannot overflow.
const LONGEST: u64 = 365 * 24 * 3_600_000;
/// The broker holds a time to live in 32 bits.
const LONGEST_TTL: u64 = u32::MAX as u64;
/// The heartbeat travels as 16 bits of seconds.
const LONGEST_HEARTBEAT: u64 = u16::MAX as u64 * 1_000;
/// One page of WebAssembly memory.
const PAGE: u64 = 64 * 1024;

/// Less would not take the words of an error.
const SMALLEST_ANSWER: u64 = 1024;

/// Each is given its share of the address space, which has room for about so many.
const MOST_INSTANCES: i64 = 10_000;

const SOME_TIME: Shape = Shape::Duration(1, LONGEST);
const COUNT: Shape = Shape::Integer(0, i64::MAX);

/// The keys of the file as a whole.
pub(crate) const ROOT: &[Key] = &[
    key("include", Shape::List(&Shape::Text)),
    key("host", Shape::Table(HOST)),
    key("connections", Shape::Named(CONNECTION)),
    key("exchanges", Shape::Named(EXCHANGE)),
    key("queues", Shape::Named(QUEUE)),
    key("components", Shape::Named(COMPONENT)),
    key("consumers", Shape::Named(CONSUMER)),
    key("store", Shape::Table(STORE)),
];

/// The keys of an included file: what there are many of.
pub(crate) const INCLUDED: &[Key] = &[
    key("include", Shape::MainFile),
    key("host", Shape::MainFile),
    key("connections", Shape::Named(CONNECTION)),
    key("exchanges", Shape::Named(EXCHANGE)),
    key("queues", Shape::Named(QUEUE)),
    key("components", Shape::Named(COMPONENT)),
    key("consumers", Shape::Named(CONSUMER)),
    key("store", Shape::MainFile),
];

const HOST: &[Key] = &[
    key("name", Shape::Name),
    key("admin", Shape::Text),
    key("admin_token", Shape::Secret),
    key("max_instances", Shape::Integer(1, MOST_INSTANCES)),
    key("shutdown_timeout", Shape::Duration(0, LONGEST)),
    key("log", Shape::Text),
    key("log_format", Shape::Choice(&["text", "json"])),
];

const CONNECTION: &[Key] = &[
    key("url", Shape::Secret),
    key("heartbeat", Shape::Duration(0, LONGEST_HEARTBEAT)),
    key("connect_timeout", SOME_TIME),
    key("reconnect", Shape::Table(RECONNECT)),
    key("tls", Shape::Table(TLS)),
];

const RECONNECT: &[Key] = &[
    key("first", SOME_TIME),
    key("max", SOME_TIME),
    key("attempts", Shape::Integer(1, u32::MAX as i64)),
];

const TLS: &[Key] = &[
    key("ca", Shape::Text),
    key("cert", Shape::Text),
    key("key", Shape::Secret),
];

const EXCHANGE: &[Key] = &[
    key("connection", Shape::Text),
    key("type", Shape::Name),
    key("passive", Shape::Boolean),
    key("durable", Shape::Boolean),
    key("auto_delete", Shape::Boolean),
    key("internal", Shape::Boolean),
    key("arguments", Shape::Arguments),
    key("bindings", BINDINGS),
];

const QUEUE: &[Key] = &[
    key("connection", Shape::Text),
    key("type", Shape::Choice(&["quorum", "classic", "stream"])),
    key("passive", Shape::Boolean),
    key("durable", Shape::Boolean),
    key("exclusive", Shape::Boolean),
    key("auto_delete", Shape::Boolean),
    key("dead_letter_exchange", Shape::Text),
    key("dead_letter_routing_key", Shape::Text),
    key("max_length", COUNT),
    key("expires", Shape::Duration(1, LONGEST_TTL)),
    key("message_ttl", Shape::Duration(0, LONGEST_TTL)),
    key("delivery_limit", Shape::Integer(-1, i64::MAX)),
    key("arguments", Shape::Arguments),
    key("bindings", BINDINGS),
];

const BINDINGS: Shape = Shape::List(&Shape::Table(&[
    key("exchange", Shape::Name).required(),
    key("routing_key", Shape::Text),
    key("arguments", Shape::Arguments),
]));

const COMPONENT: &[Key] = &[
    key("path", Shape::Text).required(),
    key("build", Shape::Text),
    key("watch", Shape::Boolean),
    key("instances", Shape::Choice(&["reuse", "fresh"])),
    key("recycle_after", Shape::Integer(1, i64::MAX)),
    key("recycle_above", Shape::Size(PAGE)),
    key("recycle_idle", SOME_TIME),
    key("max_instances", Shape::Integer(1, u16::MAX as i64)),
    key("memory", Shape::Size(PAGE)),
    key("timeout", SOME_TIME),
    key("max_publications", Shape::Integer(0, u32::MAX as i64)),
    key("max_answer", Shape::Size(SMALLEST_ANSWER)),
    key("log_lines", Shape::Integer(0, u32::MAX as i64)),
    key("config", Shape::Texts),
    key("sha256", Shape::Text),
    key("allow", Shape::Table(ALLOW)),
];

const ALLOW: &[Key] = &[
    key("env", Shape::List(&Shape::Text)),
    key("http", Shape::List(&Shape::Text)),
    key("dirs", Shape::List(&Shape::Table(DIR))),
    key("keyvalue", Shape::List(&Shape::Name)),
    key("publish", Shape::List(&Shape::Text)),
];

const DIR: &[Key] = &[
    key("host", Shape::Text).required(),
    key("guest", Shape::Text).required(),
    key("write", Shape::Boolean),
];

const CONSUMER: &[Key] = &[
    key("queue", Shape::Name).required(),
    key("component", Shape::Text).required(),
    key("connection", Shape::Text),
    key("prefetch", Shape::Integer(1, u16::MAX as i64)),
    key("concurrency", Shape::Integer(1, u16::MAX as i64)),
    key("retry", Shape::Table(RETRY)),
    key("reply_on_failure", Shape::Boolean),
    key("ordered_by", Shape::Unbuilt),
    key("dedup", Shape::Unbuilt),
    key("scale", Shape::Unbuilt),
    key("batch", Shape::Unbuilt),
    key("stream", Shape::Unbuilt),
];

const RETRY: &[Key] = &[
    key("limit", Shape::Integer(0, u32::MAX as i64)),
    key("delays", Shape::List(&Shape::Duration(1, LONGEST_TTL))),
    key("dead_letter", Shape::Name),
];

const STORE: &[Key] = &[
    key("kind", Shape::Choice(&["embedded", "memory", "redis"])),
    key("path", Shape::Text),
    key("url", Shape::Secret),
];

const fn key(name: &'static str, shape: Shape) -> Key {
    Key {
        name,
        shape,
        required: false,
    }
}

impl Key {
    const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}
