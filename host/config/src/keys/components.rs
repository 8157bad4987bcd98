//! The keys of components, and of what they may reach.

use super::{Key, SOME_TIME, Shape, key};

/// One page of WebAssembly memory.
const PAGE: u64 = 64 * 1024;

/// Less would not take the words of an error.
const SMALLEST_ANSWER: u64 = 1024;

pub(super) const COMPONENT: &[Key] = &[
    key(
        "path",
        Shape::Text,
        "The component: .wasm, .wat, or a precompiled .cwasm; relative to this file.",
    )
    .required(),
    key(
        "build",
        Shape::Text,
        "The command line that builds it; `hive-host dev` runs it, `run` does not. Default: no command.",
    ),
    key(
        "watch",
        Shape::Boolean,
        "Swap the component when its file changes. Default: false.",
    ),
    key(
        "instances",
        Shape::Choice(&["reuse", "fresh"]),
        "\"reuse\": state lives between deliveries; \"fresh\": a new instance for each. Default: \"reuse\".",
    ),
    key(
        "recycle_after",
        Shape::Integer(1, i64::MAX),
        "Deliveries after which an instance is replaced. Default: never.",
    ),
    key(
        "recycle_above",
        Shape::Size(PAGE),
        "An instance with more memory than this after a delivery is replaced. Default: never.",
    ),
    key(
        "recycle_idle",
        SOME_TIME,
        "An instance that was not used for this long is removed. Default: \"5m\".",
    ),
    key(
        "max_instances",
        Shape::Integer(1, u16::MAX as i64),
        "Instances that handle deliveries at once, over all its consumers. Default: as many as they need.",
    ),
    key(
        "memory",
        Shape::Size(PAGE),
        "Memory of one instance. Default: \"64MiB\".",
    ),
    key("timeout", SOME_TIME, "Time for one call. Default: \"5s\"."),
    key(
        "max_publications",
        Shape::Integer(0, u32::MAX as i64),
        "Publications of one answer. Default: 1000.",
    ),
    key(
        "max_answer",
        Shape::Size(SMALLEST_ANSWER),
        "The most data that the component may pass to the host at once. Default: \"16MiB\".",
    ),
    key(
        "log_lines",
        Shape::Integer(0, u32::MAX as i64),
        "Lines a second that all its instances together may print; further lines are counted and left out. Default: 100.",
    ),
    key(
        "config",
        Shape::Texts,
        "The values that the component reads through wasi:config/store. Default: empty.",
    ),
    key(
        "sha256",
        Shape::Text,
        "The SHA-256 of the file, 64 hexadecimal digits; another file is not loaded. Default: any file.",
    ),
    key(
        "allow",
        Shape::Table(ALLOW),
        "What the component may reach outside of itself: only what is listed. Publishing is allowed by default.",
    ),
];

const ALLOW: &[Key] = &[
    key(
        "env",
        Shape::List(&Shape::Text),
        "Environment variables that the component sees. Default: none.",
    ),
    key(
        "http",
        Shape::List(&Shape::Text),
        "The hosts that the component may reach by HTTP, as in \"api.example.com:443\" or \"*.example.com\". Default: nowhere.",
    ),
    key(
        "dirs",
        Shape::List(&Shape::Table(DIR)),
        "Directories that the component sees. Default: none.",
    ),
    key(
        "keyvalue",
        Shape::List(&Shape::Name),
        "Buckets of the store that the component may open. Default: none.",
    ),
    key(
        "publish",
        Shape::List(&Shape::Text),
        "Where the component may publish: EXCHANGE:ROUTING-KEY with * and ?; an empty array is nowhere. Default: anywhere.",
    ),
];

const DIR: &[Key] = &[
    key("host", Shape::Text, "The directory; relative to this file.").required(),
    key(
        "guest",
        Shape::Text,
        "The absolute path of the directory inside the component.",
    )
    .required(),
    key(
        "write",
        Shape::Boolean,
        "Whether the component may change it. Default: false.",
    ),
];
