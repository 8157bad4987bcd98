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
    /// A number above 0 and up to 1.
    Ratio,
    /// From the first to the second, in milliseconds.
    Duration(u64, u64),
    /// At least so many bytes.
    Size(u64),
    /// As [`Shape::Duration`], or this word.
    DurationOr(&'static str, u64, u64),
    List(&'static Shape),
    /// One string, or an array of strings.
    TextOrTexts,
    Table(&'static [Key]),
    /// A table, or a string that stands for one with this key alone.
    Short(&'static str, &'static [Key]),
    /// Tables under names of the user's choice.
    Named(&'static [Key]),
    /// An AMQP field table.
    Arguments,
    /// Strings under names of the user's choice.
    Texts,
    /// A place in a stream: a number from 0, or any string.
    Offset,
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
/// A delivery that waits is unacknowledged. RabbitMQ closes the channel over one after half an hour
/// (`consumer_timeout`), of which this leaves half for the call.
const LONGEST_BATCH_WAIT: u64 = 15 * 60_000;
/// One page of WebAssembly memory.
const PAGE: u64 = 64 * 1024;

/// Less would not take the words of an error.
const SMALLEST_ANSWER: u64 = 1024;

/// Each is given its share of the address space, which has room for about so many.
const MOST_INSTANCES: i64 = 10_000;

/// Each look at a queue is a question to the broker.
const SHORTEST_LOOK: u64 = 100;

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
    key("ordered_by", Shape::Text),
    key("ordered_retry", Shape::Choice(&["hold", "pass"])),
    key("rate", Shape::Short("limit", RATE)),
    key("pause_on", Shape::Table(PAUSE_ON)),
    key("dedup", Shape::Table(DEDUP)),
    key("publish_dedup", Shape::Table(DEDUP)),
    key("scale", Shape::Table(SCALE)),
    key("batch", Shape::Table(BATCH)),
    key("stream", Shape::Table(STREAM)),
    key("reply_on_failure", Shape::Boolean),
];

const STREAM: &[Key] = &[
    key("offset", Shape::Offset),
    key("on_error", Shape::Choice(&["stop", "skip", "dead-letter"])),
    key("group", Shape::Name),
];

const BATCH: &[Key] = &[
    key("size", Shape::Integer(1, u16::MAX as i64)).required(),
    key("wait", Shape::Duration(1, LONGEST_BATCH_WAIT)).required(),
];

const RATE: &[Key] = &[
    key("limit", Shape::Text).required(),
    key("burst", Shape::Integer(1, u32::MAX as i64)),
];

const PAUSE_ON: &[Key] = &[
    key("failure_ratio", Shape::Ratio).required(),
    key("of_last", Shape::Integer(1, u16::MAX as i64)),
    key("for", SOME_TIME),
];

const RETRY: &[Key] = &[
    key("limit", Shape::Integer(0, u32::MAX as i64)),
    key("delays", Shape::List(&Shape::Duration(1, LONGEST_TTL))),
    key("dead_letter", Shape::Name),
];

const DEDUP: &[Key] = &[
    key("key", Shape::TextOrTexts).required(),
    key("period", Shape::DurationOr("forever", 1, LONGEST)),
    key("max_keys", Shape::Integer(1, i64::MAX)),
];

const SCALE: &[Key] = &[
    key("min", Shape::Integer(1, u16::MAX as i64)),
    key("max", Shape::Integer(1, u16::MAX as i64)).required(),
    key("messages_per_instance", Shape::Integer(1, u32::MAX as i64)),
    key("target_wait", SOME_TIME),
    key("every", Shape::Duration(SHORTEST_LOOK, LONGEST)),
];

const STORE: &[Key] = &[
    key("kind", Shape::Choice(&["embedded", "memory", "redis"])),
    key("path", Shape::Text),
    key("url", Shape::Secret),
    key("prefix", Shape::Name),
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
