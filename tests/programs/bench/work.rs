//! The work on each message, and the queues that it needs.

use std::fmt;

use clap::ValueEnum;
use hive_tests::Message;
use serde_json::json;

/// Where the messages are.
pub(crate) const QUEUE: &str = "bench";
/// Where publications go.
pub(crate) const OUT: &str = "bench.out";
/// Where a message waits for its second try: the delay queue that a host makes for `QUEUE`.
pub(crate) const DELAY: &str = "bench.retry.100ms";

/// The work on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Each message is acknowledged, and nothing else.
    Ack,
    /// Its JSON is parsed and published with one key more; it is acknowledged when that is confirmed.
    Publish,
    /// A copy of it waits 100 ms; then as above.
    Retry,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Ack, Self::Publish, Self::Retry];

    /// The word on a command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Publish => "publish",
            Self::Retry => "retry",
        }
    }

    /// How many messages keep a fast client busy for some seconds.
    pub(crate) fn messages(self) -> u32 {
        match self {
            Self::Ack => 100_000,
            Self::Publish => 30_000,
            Self::Retry => 10_000,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ack => "ack only",
            Self::Publish => "JSON and publish",
            Self::Retry => "retry, then JSON and publish",
        })
    }
}

/// The message with that number: JSON of this many bytes.
pub(crate) fn message(number: u32, size: usize) -> Message {
    let body = body(number, size);
    Message::new(body).with(|properties| properties.with_content_type("application/json".into()))
}

/// Its body.
pub(crate) fn body(number: u32, size: usize) -> String {
    let bare = json!({"id": number, "pad": ""}).to_string().len();
    let pad = "x".repeat(size.saturating_sub(bare));
    json!({"id": number, "pad": pad}).to_string()
}
