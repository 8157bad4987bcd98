//! `hive-host tail`: the deliveries of a running host as they are settled.

mod shown;

use std::io::{BufRead, BufReader, Read};
use std::thread;
use std::time::Duration;

use clap::Args;
use hive_core::codes::Code;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Exit;
use super::colour;
use super::dead::of_where;
use super::remote::{Where, encoded};
use super::say::{self, fault, out};
use super::until;
use crate::tail::{Condition, FIELDS};

/// The longest line that the host sends, far above any delivery.
const LONGEST_LINE: u64 = 4 << 20;

/// A host that is there says so at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "Examples:\n  hive-host tail hive.toml\n  hive-host tail hive.toml orders --failed\n  \
                        hive-host tail hive.toml --where slower=1s --where header:tenant=acme\n  \
                        hive-host tail hive.toml --json | jq -c '[.delivery, .outcome]'";

#[derive(Debug, Args)]
pub(super) struct Tail {
    #[command(flatten)]
    host: Where,
    /// Only deliveries of this consumer: [consumers.NAME]
    #[arg(value_name = "CONSUMER")]
    consumer: Option<String>,
    /// Only deliveries that failed: retried, dead-lettered, or skipped on a stream
    #[arg(long)]
    failed: bool,
    /// Only deliveries for which FIELD=VALUE, FIELD!=VALUE or FIELD~VALUE (contains) holds; if given
    /// several times, all must hold
    #[arg(long = "where", value_name = "CONDITION", value_parser = condition)]
    conditions: Vec<String>,
    /// Also shows the message: its headers, and the beginning of its body
    #[arg(long)]
    messages: bool,
    /// Prints a JSON object for each delivery
    #[arg(long)]
    json: bool,
}

/// The examples, and the fields of `--where`.
pub(super) fn help() -> String {
    format!("{}\n{EXAMPLES}", of_where(FIELDS))
}

/// A condition that the host will take: what is wrong with it is said here, with exit code 2.
fn condition(text: &str) -> Result<String, String> {
    Condition::parse(text).map(|_| text.to_owned())
}

/// What the host sends.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// The data of a delivery.
    Delivery(String),
    /// The data of a number of deliveries that were left out.
    LeftOut(String),
    /// It is there.
    Nothing,
}

pub(super) fn run(arguments: &Tail) -> Exit {
    let host = match arguments.host.find() {
        Ok(host) => host,
        Err(exit) => return exit,
    };
    let stream = match host.stream(&arguments.path()) {
        Ok(stream) => stream,
        Err(exit) => return exit,
    };
    say::note("watching deliveries; ctrl-c ends it");
    let show = |event: &Event| arguments.show(event);
    super::block_on(async {
        tokio::select! {
            biased;
            () = until::ended() => Exit::Done,
            ended = follow(stream, show) => {
                fault!([Code::NoAnswer] "the host at {} {ended}", host.address());
                Exit::Failed
            }
        }
    })
}

/// Shows what the host sends until it ends; returns how.
async fn follow(stream: impl Read + Send + 'static, show: impl Fn(&Event)) -> &'static str {
    let (to, mut events) = mpsc::channel(64);
    // A read that waits can only be left behind.
    thread::spawn(move || read(stream, &to));
    loop {
        match timeout(SILENCE, events.recv()).await {
            Ok(Some(event)) => show(&event),
            Ok(None) => return "has ended, or the connection to it has",
            Err(_) => return "is silent",
        }
    }
}

/// Reads events until the stream or their reader ends (HTML Standard, "Server-sent events").
fn read(stream: impl Read, to: &mpsc::Sender<Event>) {
    let mut stream = BufReader::new(stream);
    let (mut kind, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        let read = stream.by_ref().take(LONGEST_LINE).read_line(&mut line);
        if !read.is_ok_and(|count| count > 0) {
            return;
        }
        if let Some(event) = event(line.trim_end_matches(['\r', '\n']), &mut kind)
            && to.blocking_send(event).is_err()
        {
            return;
        }
    }
}

/// The event that a line completes; `kind` is what the lines before it say of it.
fn event(line: &str, kind: &mut String) -> Option<Event> {
    if let Some(named) = line.strip_prefix("event: ") {
        named.clone_into(kind);
    }
    if line.starts_with(':') {
        return Some(Event::Nothing);
    }
    let data = line.strip_prefix("data: ")?.to_owned();
    match kind.as_str() {
        "delivery" => Some(Event::Delivery(data)),
        "left-out" => Some(Event::LeftOut(data)),
        _ => None,
    }
}

impl Tail {
    fn path(&self) -> String {
        let consumer = self.consumer.iter();
        let consumer = consumer.map(|name| format!("consumer={}", encoded(name)));
        let conditions = self.conditions.iter();
        let conditions = conditions.map(|text| format!("where={}", encoded(text)));
        let failed = self.failed.then(|| "failed=true".to_owned());
        let messages = self.messages.then(|| "messages=true".to_owned());
        let query: Vec<_> = consumer
            .chain(conditions)
            .chain(failed)
            .chain(messages)
            .collect();
        match query.is_empty() {
            true => "/v1/deliveries".to_owned(),
            false => format!("/v1/deliveries?{}", query.join("&")),
        }
    }

    fn show(&self, event: &Event) {
        let parsed = |data: &str| serde_json::from_str::<Value>(data).unwrap_or_default();
        match event {
            Event::Delivery(data) | Event::LeftOut(data) if self.json => {
                say::json(&parsed(data));
            }
            Event::Delivery(data) => {
                let text = shown::delivery(&parsed(data), colour::is_wanted());
                say::result(&format!("{text}\n"));
            }
            Event::LeftOut(data) => {
                let count = parsed(data)["deliveries"].as_u64().unwrap_or_default();
                let noun = if count == 1 { "delivery" } else { "deliveries" };
                out!("… {count} {noun} left out");
            }
            Event::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        let (to, mut events) = mpsc::channel(64);
        read(text.as_bytes(), &to);
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    }

    #[test]
    fn events_are_read_as_the_host_writes_them() {
        let text = ": watching\n\nevent: delivery\ndata: {\"a\":1}\n\nevent: left-out\ndata: {}\n\n\
                    event: news\ndata: x\n\n: nothing\n\nevent: delivery\r\ndata: {}\r\n\r\n";
        let expected = [
            Event::Nothing,
            Event::Delivery("{\"a\":1}".to_owned()),
            Event::LeftOut("{}".to_owned()),
            Event::Nothing,
            Event::Delivery("{}".to_owned()),
        ];
        assert_eq!(events(text), expected);
        // One that is cut off is none.
        assert_eq!(events("event: delivery\n"), []);
    }
}
