//! The keys of the broker's side: connections, exchanges, queues.

use super::{COUNT, Key, LONGEST_TTL, SOME_TIME, Shape, key};

/// The heartbeat travels as 16 bits of seconds.
const LONGEST_HEARTBEAT: u64 = u16::MAX as u64 * 1_000;

pub(super) const CONNECTION: &[Key] = &[
    key(
        "url",
        Shape::Secret,
        "The address of the broker: amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST; amqps:// for TLS; file:PATH to read it from a file. Default: RABBITMQ_URL, otherwise amqp://guest:guest@localhost:5672/%2f.",
    ),
    key(
        "heartbeat",
        Shape::Duration(0, LONGEST_HEARTBEAT),
        "The interval that the host proposes, in whole seconds; \"0s\" turns heartbeats off. Default: \"10s\".",
    ),
    key(
        "connect_timeout",
        SOME_TIME,
        "The time limit of each of: TCP connection, TLS handshake, AMQP handshake. Default: \"10s\".",
    ),
    key(
        "reconnect",
        Shape::Table(RECONNECT),
        "The pauses between attempts to connect.",
    ),
    key("tls", Shape::Table(TLS), "Certificates, for amqps://."),
];

const RECONNECT: &[Key] = &[
    key(
        "first",
        SOME_TIME,
        "The pause after the first failure; it doubles with each further failure. Default: \"100ms\".",
    ),
    key("max", SOME_TIME, "The longest pause. Default: \"30s\"."),
    key(
        "attempts",
        Shape::Integer(1, u32::MAX as i64),
        "Give up after this many failures in a row. Default: no limit.",
    ),
];

pub(super) const TLS: &[Key] = &[
    key(
        "ca",
        Shape::Text,
        "Certificates of the certificate authorities to trust: a path, or PEM text. Default: the system's authorities.",
    ),
    key(
        "cert",
        Shape::Text,
        "The client's certificate chain: a path, or PEM text. Needs `key`. Default: no certificate.",
    ),
    key(
        "key",
        Shape::Secret,
        "The client's private key: a path, file:PATH, or PEM text. Needs `cert`. Default: no key.",
    ),
];

const ARGUMENTS: &str = "Further arguments, sent in the order of the file. Default: none.";
const DECLARED_OVER: &str = "The connection on which it is declared. Default: \"main\".";
const PASSIVE: &str = "Only check that it exists. Default: false.";
const DURABLE: &str = "Survives a restart of the broker. Default: true.";

pub(super) const EXCHANGE: &[Key] = &[
    key("connection", Shape::Text, DECLARED_OVER),
    key(
        "type",
        Shape::Name,
        "How it routes: direct, fanout, topic, headers, or the type of a plugin, which begins with x-. Default: \"direct\".",
    ),
    key("passive", Shape::Boolean, PASSIVE),
    key("durable", Shape::Boolean, DURABLE),
    key(
        "auto_delete",
        Shape::Boolean,
        "The broker deletes it when its last binding is removed. Default: false.",
    ),
    key(
        "internal",
        Shape::Boolean,
        "Clients cannot publish to it. Default: false.",
    ),
    key("arguments", Shape::Arguments, ARGUMENTS),
    key(
        "bindings",
        BINDINGS,
        "Bindings from other exchanges to this one. Default: none.",
    ),
];

pub(super) const QUEUE: &[Key] = &[
    key("connection", Shape::Text, DECLARED_OVER),
    key(
        "type",
        Shape::Choice(&["quorum", "classic", "stream"]),
        "Default: \"quorum\" for a durable, shared queue, else \"classic\".",
    ),
    key("passive", Shape::Boolean, PASSIVE),
    key("durable", Shape::Boolean, DURABLE),
    key(
        "exclusive",
        Shape::Boolean,
        "Only this connection may use it. Default: false.",
    ),
    key(
        "auto_delete",
        Shape::Boolean,
        "The broker deletes it when its last consumer is gone. Default: false.",
    ),
    key(
        "dead_letter_exchange",
        Shape::Text,
        "The exchange to which the broker dead-letters messages. Default: not set.",
    ),
    key(
        "dead_letter_routing_key",
        Shape::Text,
        "The routing key of dead-lettered messages; needs `dead_letter_exchange`. Default: the message's own.",
    ),
    key(
        "max_length",
        COUNT,
        "The most messages in it. Default: no limit.",
    ),
    key(
        "expires",
        Shape::Duration(1, LONGEST_TTL),
        "The broker deletes the queue after this time without use. Default: never.",
    ),
    key(
        "message_ttl",
        Shape::Duration(0, LONGEST_TTL),
        "How long a message may wait. Default: for ever.",
    ),
    key(
        "delivery_limit",
        Shape::Integer(-1, i64::MAX),
        "How often a quorum queue hands a message out again; -1 is no limit. Default: the broker's.",
    ),
    key("arguments", Shape::Arguments, ARGUMENTS),
    key(
        "bindings",
        BINDINGS,
        "Bindings from exchanges to this queue. Default: none.",
    ),
];

const BINDINGS: Shape = Shape::List(&Shape::Table(&[
    key("exchange", Shape::Name, "The source exchange.").required(),
    key(
        "routing_key",
        Shape::Text,
        "The routing key of the binding; its meaning depends on the exchange's `type`. Default: empty.",
    ),
    key(
        "arguments",
        Shape::Arguments,
        "The arguments by which a headers exchange matches. Default: none.",
    ),
]));
