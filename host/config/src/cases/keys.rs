//! Every key of a test file: the one place that knows them. The reader walks the file along this table, and
//! its JSON Schema is written from it.

mod objects;

use self::objects::{EXPECTED_OBJECT, OBJECT};
use crate::keys::{Key, LONGEST, Name, Shape, key};

/// A string, or a table that says how the text must be.
const TEXT: Shape = Shape::Short("is", TEXT_MATCH);
const TIME: Shape = Shape::Duration(0, LONGEST);
const WAIT: Shape = Shape::Duration(1, LONGEST);
const TEXTS: Shape = Shape::Each(&Shape::Verbatim);

/// The keys of the file as a whole.
pub(crate) const ROOT: &[Key] = &[
    key(
        "component",
        Shape::List(&Shape::Table(COMPONENT)),
        "Cases that call a component, without a broker.",
    ),
    key(
        "flow",
        Shape::List(&Shape::Table(FLOW)),
        "Cases that run the whole hive.toml on a broker in the process, with its clock turned.",
    ),
];

const COMPONENT: &[Key] = &[
    key(
        "name",
        Shape::Verbatim,
        "What the case shows; no two of a file are alike.",
    )
    .required(),
    key(
        "consumer",
        Shape::Verbatim,
        "The consumer of hive.toml whose component is called. Default: the only one.",
    ),
    key(
        "component",
        Shape::Verbatim,
        "The component of hive.toml that is called, in place of a consumer.",
    ),
    key(
        "config",
        TEXTS,
        "Values of the component's `config`, in place of those of hive.toml.",
    ),
    key(
        "keyvalue",
        Shape::Each(&TEXTS),
        "What is in the buckets before the first call: [component.keyvalue.BUCKET]. They are empty otherwise.",
    ),
    key(
        "objects",
        Shape::Each(&Shape::Each(&Shape::Short("body", OBJECT))),
        "The objects that are in the containers of `allow.blobstore` before the first call: [component.objects.CONTAINER], by their names. They are empty otherwise.",
    ),
    key(
        "clock",
        Shape::Verbatim,
        "The time of day that the component reads, as in \"2026-11-28T12:00:00Z\". Default: the machine's.",
    ),
    key("http", Shape::List(&Shape::Table(HTTP)), HTTP_MEANING),
    key(
        "requests",
        Shape::List(&Shape::Table(REQUESTED)),
        "Replies to the component's requests over the broker. There is no broker; a request without a reply fails the case.",
    ),
    key("message", Shape::Table(MESSAGE), "The delivery."),
    key("batch", Shape::List(&Shape::Table(BATCHED)), BATCH_MEANING),
    key("expect", Shape::Table(EXPECT), EXPECT_MEANING),
    key(
        "steps",
        Shape::List(&Shape::Table(CALL)),
        "Several calls, one after the other, in place of one: what the component keeps is there for the next.",
    ),
];

const HTTP_MEANING: &str = "Answers to the component's HTTP requests. No request reaches the network; one without an answer fails the case.";
const BATCH_MEANING: &str = "Deliveries that are handed over in one call, in place of `message`.";
const EXPECT_MEANING: &str = "What must come of the call. Default: anything but a failure.";

const CALL: &[Key] = &[
    key("message", Shape::Table(MESSAGE), "The delivery."),
    key("batch", Shape::List(&Shape::Table(BATCHED)), BATCH_MEANING),
    key("expect", Shape::Table(EXPECT), EXPECT_MEANING),
];

const BATCHED: &[Key] = &[
    key("message", Shape::Table(MESSAGE), "The delivery.").required(),
    key(
        "expect",
        Shape::Table(ANSWER),
        "What must come of this delivery.",
    ),
];

/// A message that a case hands over or publishes, as docs/message-format.md has it.
macro_rules! given_keys {
    ($($more:expr,)*) => {
        &[
            key(
                "from",
                Shape::Verbatim,
                "A file with one message as JSON (docs/message-format.md), such as a recorded delivery. The other keys replace its own.",
            ),
            key("body", Shape::Verbatim, "The body as text. Default: empty."),
            key("body-base64", Shape::Verbatim, "The body as base64."),
            key("body-json", Shape::Json, "The body as a value that becomes JSON."),
            key("body-file", Shape::Verbatim, "A file that is the body, relative to the test file."),
            key("content-type", Shape::Verbatim, "The MIME type of the body."),
            key("content-encoding", Shape::Verbatim, "The MIME encoding of the body."),
            key("correlation-id", Shape::Verbatim, "Correlates a reply with its request."),
            key("reply-to", Shape::Verbatim, "The queue for a reply."),
            key("message-id", Shape::Verbatim, "The id of the message."),
            key("type", Shape::Verbatim, "The kind of the message."),
            key("user-id", Shape::Verbatim, "The user who publishes it."),
            key("app-id", Shape::Verbatim, "The application that publishes it."),
            key("persistent", Shape::Boolean, "Whether it survives a broker restart. Default: true."),
            key("priority", Shape::Integer(0, 255), "The priority."),
            key("expiration-ms", Shape::Integer(0, i64::MAX), "The time to live in milliseconds."),
            key("timestamp", Shape::Integer(0, i64::MAX), "Seconds since 1970."),
            key("headers", Shape::Json, "The headers."),
            key("exchange", Shape::Verbatim, "The exchange that it is published to. Default: \"\", the default exchange."),
            key(
                "routing-key",
                Shape::Verbatim,
                "The routing key; for the default exchange the name of a queue. Default: \"\".",
            ),
            $($more,)*
        ]
    };
}

const MESSAGE: &[Key] = given_keys![
    key(
        "queue",
        Shape::Verbatim,
        "The queue that it comes from. Default: that of the consumer.",
    ),
    key(
        "redelivered",
        Shape::Boolean,
        "Whether the broker delivered it before. Default: false.",
    ),
    key(
        "attempt",
        Shape::Integer(1, u32::MAX as i64),
        "Which attempt it is. Default: 1.",
    ),
    key(
        "stream-offset",
        Shape::Integer(0, i64::MAX),
        "The offset in a stream.",
    ),
];

const PUBLISH: &[Key] = given_keys![key(
    "times",
    Shape::Integer(1, 100_000),
    "How often it is published. Default: once.",
),];

/// What of an expectation is about one delivery; `EXPECT` has the same and what is about the call.
macro_rules! answer_keys {
    ($($more:expr,)*) => {
        &[
            key(
                "action",
                Shape::Choice(&["ack", "publish", "retry", "reject"]),
                "What the component answers.",
            ),
            key(
                "failure",
                Shape::Choice(&["error", "trap", "timeout", "limit", "publish", "schema"]),
                "That the call fails, and with which class.",
            ),
            key("reason", TEXT, "The reason of a retry or a rejection."),
            key("error", TEXT, "The error of a failure."),
            key("delay", TIME, "The delay that a retry asks for."),
            key(
                "publications",
                Shape::List(&Shape::Table(PUBLICATION)),
                "Every publication of the answer, in its order.",
            ),
            $($more,)*
        ]
    };
}

const ANSWER: &[Key] = answer_keys![];

const EXPECT: &[Key] = answer_keys![
    key(
        "log",
        Shape::List(&TEXT),
        "Lines that the component prints, each of them somewhere in its output."
    ),
    key(
        "no-log",
        Shape::List(&TEXT),
        "Lines that it must not print."
    ),
    key("time", WAIT, "The longest time that the call may take."),
    key(
        "memory",
        Shape::Size(1024),
        "The most memory that the instance may have after the call."
    ),
    key(
        "keyvalue",
        Shape::Each(&TEXTS),
        "What must be in buckets after the call, among other entries."
    ),
    key(
        "objects",
        Shape::List(&Shape::Table(EXPECTED_OBJECT)),
        "The objects that must be in containers after the call, among others."
    ),
    key(
        "snapshot",
        Shape::Boolean,
        "Whether the whole answer must be as it was when `hive-host test --update` ran. Default: false.",
    ),
];

/// How a message must be; a key that is left out may be anything.
macro_rules! message_keys {
    ($($more:expr,)*) => {
        &[
            key("exchange", TEXT, "The exchange that it is published to."),
            key("routing-key", TEXT, "The routing key."),
            key("content-type", TEXT, "The MIME type of the body."),
            key("content-encoding", TEXT, "The MIME encoding of the body."),
            key("correlation-id", TEXT, "The id of the request."),
            key("reply-to", TEXT, "The queue for a reply."),
            key("message-id", TEXT, "The id of the message."),
            key("type", TEXT, "The kind of the message."),
            key("user-id", TEXT, "The user."),
            key("app-id", TEXT, "The application."),
            key("persistent", Shape::Boolean, "Whether it survives a broker restart."),
            key("priority", Shape::Integer(0, 255), "The priority."),
            key("expiration-ms", Shape::Integer(0, i64::MAX), "The time to live in milliseconds."),
            key("timestamp", Shape::Integer(0, i64::MAX), "Seconds since 1970."),
            key(
                "headers",
                Shape::Json,
                "Headers that it must have, among others: a value, or { regex = \"…\" }, { contains = \"…\" }, { absent = true }.",
            ),
            key("body", Shape::Verbatim, "The body, to the byte."),
            key("body-base64", Shape::Verbatim, "The body, to the byte, as base64."),
            key("body-file", Shape::Verbatim, "A file that the body is equal to, relative to the test file."),
            key("body-json", Shape::Json, "The body is JSON and equal to this, whatever its spaces and the order of its keys."),
            key("body-subset", Shape::Json, "The body is JSON and has at least this in it."),
            key("body-regex", Shape::Verbatim, "A regular expression that matches in the body."),
            key(
                "body-schema",
                Shape::Json,
                "The body is JSON that conforms to this JSON Schema: a table, or the file that holds it.",
            ),
            $($more,)*
        ]
    };
}

const PUBLICATION: &[Key] = message_keys![
    key(
        "mandatory",
        Shape::Boolean,
        "Whether a message that no queue takes is a failure."
    ),
    key("delay", TIME, "How much later it is published."),
];

/// A request over the broker, and its reply.
const REQUESTED: &[Key] = message_keys![
    key(
        "reply",
        Shape::Table(REPLY),
        "The reply. Default: an empty message."
    ),
    key(
        "fail",
        Shape::Choice(&[
            "refused",
            "unroutable",
            "timed-out",
            "disconnected",
            "too-large"
        ]),
        "That there is no reply, and why.",
    ),
    key(
        "times",
        Shape::Integer(0, 1_000_000),
        "How often it must be asked for; behind that it is not answered any more. Default: at least once.",
    ),
];

const REPLY: &[Key] = given_keys![];

/// A message that waits in a queue.
const WAITING: &[Key] = message_keys![];

const TEXT_MATCH: &[Key] = &[
    key("is", Shape::Verbatim, "The whole text."),
    key("contains", Shape::Verbatim, "A part of it."),
    key(
        "regex",
        Shape::Verbatim,
        "A regular expression that matches in it.",
    ),
];

const HTTP: &[Key] = &[
    key("url", TEXT, "The URL that is asked for.").required(),
    key("method", Shape::Verbatim, "The method. Default: any."),
    key(
        "request",
        Shape::Table(REQUEST),
        "What the request must have; one that has not is not answered.",
    ),
    key(
        "status",
        Shape::Integer(100, 599),
        "The status of the answer. Default: 200.",
    ),
    key("headers", TEXTS, "The headers of the answer."),
    key(
        "body",
        Shape::Verbatim,
        "The body of the answer. Default: empty.",
    ),
    key("body-json", Shape::Json, "The body of the answer, as JSON."),
    key(
        "body-file",
        Shape::Verbatim,
        "A file with the body of the answer.",
    ),
    key(
        "fail",
        Shape::Choice(&["refused", "timeout", "closed"]),
        "That there is no answer: the connection is refused, times out, or is closed.",
    ),
    key(
        "times",
        Shape::Integer(0, 1_000_000),
        "How often it must be asked for; behind that it answers no more. Default: at least once.",
    ),
];

const REQUEST: &[Key] = &[
    key("headers", TEXTS, "Headers of the request, among others."),
    key("body", Shape::Verbatim, "Its body, to the byte."),
    key(
        "body-base64",
        Shape::Verbatim,
        "Its body, to the byte, as base64.",
    ),
    key(
        "body-file",
        Shape::Verbatim,
        "A file that its body is equal to.",
    ),
    key("body-json", Shape::Json, "Its body, as JSON."),
    key(
        "body-subset",
        Shape::Json,
        "What its body, which is JSON, has at least.",
    ),
    key(
        "body-regex",
        Shape::Verbatim,
        "A regular expression that matches in its body.",
    ),
    key(
        "body-schema",
        Shape::Json,
        "A JSON Schema that its body conforms to.",
    ),
];

const FLOW: &[Key] = &[
    key(
        "name",
        Shape::Verbatim,
        "What the case shows; no two of a file are alike.",
    )
    .required(),
    key("http", Shape::List(&Shape::Table(HTTP)), HTTP_MEANING),
    key(
        "steps",
        Shape::List(&Shape::Table(STEP)),
        "The steps, in this order; each has one key.",
    )
    .required(),
];

const STEP: &[Key] = &[
    key("publish", Shape::Table(PUBLISH), "Publishes a message."),
    key(
        "expect",
        Shape::Table(QUEUE),
        "Waits until a queue has the expected messages.",
    ),
    key("turn", WAIT, "Turns the clock forward by this duration."),
];

const QUEUE: &[Key] = &[
    key("queue", Shape::Verbatim, "The queue.").required(),
    key(
        "count",
        Shape::Integer(0, 1_000_000),
        "How many messages wait in it. Default: as many as `messages` has.",
    ),
    key(
        "messages",
        Shape::List(&Shape::Table(WAITING)),
        "Every message that waits in it, in its order.",
    ),
    key(
        "any-order",
        Shape::Boolean,
        "Whether `messages` may be in any order. Default: false.",
    ),
    key(
        "within",
        TIME,
        "The longest time to wait for them, on the turned clock. Default: \"1m\".",
    ),
    key(
        "not-before",
        TIME,
        "How long they must not be there, on the turned clock. Default: \"0s\".",
    ),
];

/// Every table of a test file.
const TABLES: [&[Key]; 20] = [
    ROOT,
    COMPONENT,
    CALL,
    BATCHED,
    MESSAGE,
    PUBLISH,
    ANSWER,
    EXPECT,
    PUBLICATION,
    REQUESTED,
    REPLY,
    WAITING,
    OBJECT,
    EXPECTED_OBJECT,
    TEXT_MATCH,
    HTTP,
    REQUEST,
    FLOW,
    STEP,
    QUEUE,
];

/// The name of a key, for `named!`.
pub(crate) const fn known(name: &'static str) -> Name<()> {
    let mut table = 0;
    while table < TABLES.len() {
        let mut row = 0;
        while row < TABLES[table].len() {
            if same(TABLES[table][row].name.as_bytes(), name.as_bytes()) {
                return Name::new(name, ());
            }
            row += 1;
        }
        table += 1;
    }
    panic!("no table of a test file has this key");
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// A key of a test file. One that no table has does not compile.
macro_rules! named {
    ($name:literal) => {{
        const KEY: $crate::keys::Name<()> = $crate::cases::keys::known($name);
        KEY
    }};
}
pub(super) use named;
