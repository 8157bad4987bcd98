//! What runs, and what it may reach.

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
        "The command line that makes it; `hive-host dev` runs it, `run` does not. Default: none.",
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
        "Deliveries that one instance serves. Default: without end.",
    ),
    key(
        "recycle_above",
        Shape::Size(PAGE),
        "An instance with more memory than this after a delivery is replaced. Default: never.",
    ),
    key(
        "recycle_idle",
        SOME_TIME,
        "An instance that was not used for so long is given up. Default: \"5m\".",
    ),
    key(
        "max_instances",
        Shape::Integer(1, u16::MAX as i64),
        "Instances that handle deliveries at once, over all its consumers. Default: as many as they ask for.",
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
        "What may cross from the component to the host in one call. Default: \"16MiB\".",
    ),
    key(
        "log_lines",
        Shape::Integer(0, u32::MAX as i64),
        "Lines a second that all its instances together may print; the rest is counted. Default: 100.",
    ),
    key(
        "config",
        Shape::Texts,
        "What the component reads through wasi:config/store. Default: nothing.",
    ),
    key(
        "sha256",
        Shape::Text,
        "The SHA-256 of the file, 64 hexadecimal digits; another file is not loaded. Default: any file.",
    ),
    key(
        "allow",
        Shape::Table(ALLOW),
        "What the component may reach outside itself. Nothing, unless it is named; but publishing is free.",
    ),
];

const ALLOW: &[Key] = &[
    key(
        "env",
        Shape::List(&Shape::Text),
        "Environment variables that it sees. Default: none.",
    ),
    key(
        "http",
        Shape::List(&Shape::Text),
        "Where outgoing HTTP may go, as in \"api.example.com:443\" or \"*.example.com\". Default: nowhere.",
    ),
    key(
        "dirs",
        Shape::List(&Shape::Table(DIR)),
        "Directories that it sees. Default: none.",
    ),
    key(
        "keyvalue",
        Shape::List(&Shape::Name),
        "Buckets of the store that it may open. Default: none.",
    ),
    key(
        "publish",
        Shape::List(&Shape::Text),
        "Where it may publish: EXCHANGE:ROUTING-KEY with * and ?; an empty array is nowhere. Default: anywhere.",
    ),
];

const DIR: &[Key] = &[
    key("host", Shape::Text, "The directory; relative to this file.").required(),
    key(
        "guest",
        Shape::Text,
        "What the component calls it: an absolute name.",
    )
    .required(),
    key(
        "write",
        Shape::Boolean,
        "Whether it may be changed. Default: false.",
    ),
];
