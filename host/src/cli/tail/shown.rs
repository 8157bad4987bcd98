//! A delivery as `tail` prints it: a line, and below it the rest of its error, what the component printed, and the message.

use std::time::Duration;

use hive_core::escape;
use serde_json::Value;

use crate::cli::colour::Colour;
use crate::cli::delivered::{dead, paragraph, retry};

/// The longest text of a message that is shown; `--json` has the rest.
const LONGEST_BODY: usize = 1_000;

/// A delivery, as the host sends it, as lines of text.
pub(super) fn delivery(said: &Value, coloured: bool) -> String {
    let (colour, action) = action(said);
    let details = format!(" ({})", details(said).join(", "));
    let line = paragraph(&name(said), &action, &details);
    let mut text = match coloured {
        true => colour.of(&line),
        false => line,
    };
    let mut add = |line: &str| {
        text.push_str("\n    ");
        match coloured {
            true => text.push_str(&Colour::Aside.of(line)),
            false => text.push_str(line),
        }
    };
    for line in list(&said["log"]) {
        let (stream, line) = (words(&line["stream"]), escape::line(words(&line["line"])));
        add(&format!("{stream} | {line}"));
    }
    if let Some(count) = said["log_left_out"].as_u64() {
        add(&format!("… {count} lines left out"));
    }
    for line in message(&said["message"]) {
        add(&line);
    }
    text
}

/// When, of which consumer, from which queue, and which one.
fn name(said: &Value) -> String {
    let consumer = escape::line(words(&said["consumer"]));
    let queue = escape::line(words(&said["queue"]));
    let from = match queue == consumer {
        true => String::new(),
        false => format!(" from {queue}"),
    };
    let delivery = escape::line(words(&said["delivery"]));
    // The day is known to who watches.
    let at = words(&said["at"]);
    let at = at.split_once('T').map_or(at, |(_, time)| time);
    format!("{} {consumer}{from} {delivery}: ", escape::line(at))
}

/// What became of it.
fn action(said: &Value) -> (Colour, String) {
    let (class, error) = (words(&said["class"]), words(&said["error"]));
    match words(&said["outcome"]) {
        "acked" => (Colour::Good, acked(said)),
        "retried" => {
            let delay = said["delay_ms"].as_f64().unwrap_or_default() / 1e3;
            let delay = Duration::try_from_secs_f64(delay).unwrap_or_default();
            let kept = match said["kept"] == Value::Bool(true) {
                true => ", its key waits",
                false => "",
            };
            (Colour::Later, retry(class, error, delay, kept))
        }
        "dead_lettered" => (Colour::Bad, dead(class, error)),
        outcome @ ("skipped" | "stopped") => {
            (Colour::Bad, format!("failed ({class}), {outcome}: {error}"))
        }
        "requeued" => {
            let reason = words(&said["reason"]);
            let reason = match reason.is_empty() {
                true => "the host or the consumer stops",
                false => reason,
            };
            (Colour::Later, format!("back in its queue: {reason}"))
        }
        "duplicate" => (Colour::Later, "handled before, acknowledged".to_owned()),
        "lost" => {
            let error = match error.is_empty() {
                true => String::new(),
                false => format!(" ({class}: {error})"),
            };
            let lost = "its channel is gone, the broker delivers it again";
            (Colour::Later, format!("{lost}{error}"))
        }
        other => (Colour::Later, other.to_owned()),
    }
}

fn acked(said: &Value) -> String {
    let count = said["publications"].as_u64().unwrap_or_default();
    if count == 0 {
        return "ack".to_owned();
    }
    let targets = list(&said["published_to"]).map(|target| {
        let (exchange, key) = (words(&target["exchange"]), words(&target["routing_key"]));
        match exchange.is_empty() {
            true => key.to_owned(),
            false => format!("{exchange}:{key}"),
        }
    });
    let targets: Vec<_> = targets.collect();
    match targets.is_empty() {
        true => format!("publish {count}"),
        false => {
            let more = count > targets.len() as u64;
            let targets = targets.join(", ");
            format!(
                "publish {count} to {targets}{}",
                if more { ", …" } else { "" }
            )
        }
    }
}

/// How long the call took, the attempt from the second on, the version that handled it, and its batch.
fn details(said: &Value) -> Vec<String> {
    let millis = |value: &Value| value.as_f64().map(|value| format!("{value:.1} ms"));
    let call = millis(&said["call_ms"]);
    let took = match call {
        Some(call) => Some(call),
        None => millis(&said["took_ms"]).map(|took| format!("{took} in the host")),
    };
    let attempt = said["attempt"].as_u64().filter(|attempt| *attempt > 1);
    let generation = said["generation"].as_u64();
    let batch = said["batch"].as_u64();
    let details = [
        took,
        attempt.map(|number| format!("attempt {number}")),
        generation.map(|number| format!("generation {number}")),
        batch.map(|size| format!("batch of {size}")),
    ];
    details.into_iter().flatten().collect()
}

/// The message, if it is shown.
fn message(said: &Value) -> Vec<String> {
    let delivery = &said["delivery"];
    let headers = delivery["headers"].as_object();
    let mut lines: Vec<_> = headers
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            format!("header {}: {}", escape::line(name), escape::line(&value))
        })
        .collect();
    let bytes = said["bytes"].as_u64().unwrap_or_default();
    if said.is_null() {
        return lines;
    }
    lines.push(match delivery["body"].as_str() {
        Some(body) => {
            let shown = &body[..body.floor_char_boundary(LONGEST_BODY)];
            let more = match shown.len() < body.len() || said["cut"] == Value::Bool(true) {
                true => format!(" … ({bytes} bytes)"),
                false => String::new(),
            };
            format!("body {}{more}", escape::line(shown))
        }
        None => format!("body of {bytes} bytes"),
    });
    lines
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(more: &Value) -> String {
        let mut said = json!({
            "at": "2026-11-30T08:15:02.017Z", "consumer": "orders", "queue": "orders.created",
            "delivery": "o-17", "attempt": 1, "generation": 3, "outcome": "acked", "publications": 0,
            "call_ms": 1.46, "took_ms": 3.0, "log": [],
        });
        let more = more.as_object().into_iter().flatten();
        for (key, value) in more {
            said[key] = value.clone();
        }
        delivery(&said, false)
    }

    #[test]
    fn a_delivery_is_shown_by_its_action() {
        let begin = "08:15:02.017Z orders from orders.created o-17: ";
        let shown = |more: &Value| {
            let text = said(more);
            let rest = text.strip_prefix(begin);
            rest.map(str::to_owned).unwrap_or(text)
        };
        assert_eq!(shown(&json!({})), "ack (1.5 ms, generation 3)");
        let published = json!({
            "publications": 3, "attempt": 2, "batch": 7,
            "published_to": [
                { "exchange": "orders", "routing_key": "order.priced" },
                { "exchange": "", "routing_key": "audit" },
            ],
        });
        assert_eq!(
            shown(&published),
            "publish 3 to orders:order.priced, audit, … (1.5 ms, attempt 2, generation 3, batch of 7)"
        );
        let retried = json!({
            "outcome": "retried", "class": "error", "error": "refused\nat main", "delay_ms": 5000.0,
        });
        assert_eq!(
            shown(&retried),
            "failed (error), retry in 5s: refused (1.5 ms, generation 3)\n    at main"
        );
        let kept = json!({
            "outcome": "retried", "class": "retry", "error": "later", "delay_ms": 250.0, "kept": true,
        });
        assert_eq!(
            shown(&kept),
            "retry in 250ms, its key waits: later (1.5 ms, generation 3)"
        );
        let rejected = json!({ "outcome": "dead_lettered", "class": "rejected", "error": "no" });
        assert_eq!(shown(&rejected), "reject: no (1.5 ms, generation 3)");
        let lost = json!({ "outcome": "lost", "call_ms": null, "generation": null });
        assert_eq!(
            shown(&lost),
            "its channel is gone, the broker delivers it again (3.0 ms in the host)"
        );
        let same = said(&json!({ "queue": "orders" }));
        assert_eq!(
            same,
            "08:15:02.017Z orders o-17: ack (1.5 ms, generation 3)"
        );
    }

    #[test]
    fn what_others_wrote_is_escaped() {
        let shown = said(&json!({
            "delivery": "o-17\u{1b}[2J", "consumer": "orders", "queue": "orders\n",
            "log": [{ "stream": "stdout", "line": "a\u{1b}[31mb" }], "log_left_out": 4,
            "message": {
                "delivery": { "body": "{\"a\":\"\u{202e}\"}\n", "headers": { "tenant\n": "\u{7}", "n": 7 } },
                "bytes": 20, "cut": false,
            },
        }));
        let expected = "\
08:15:02.017Z orders from orders\\n o-17\\u{1b}[2J: ack (1.5 ms, generation 3)
    stdout | a\\u{1b}[31mb
    … 4 lines left out
    header n: 7
    header tenant\\n: \\u{7}
    body {\"a\":\"\\u{202e}\"}\\n";
        assert_eq!(shown, expected);
    }
}
