//! The consumers as rows: what was counted, and how fast that goes.

use hive_core::escape;
use serde_json::Value;

use crate::look::Look;

/// One consumer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Row {
    /// The name, as the host has it.
    pub(crate) key: String,
    /// The name, as it is shown.
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) state: String,
    pub(crate) workers: Option<u64>,
    pub(crate) workers_wanted: Option<u64>,
    pub(crate) in_flight: Option<u64>,
    /// In its queue.
    pub(crate) waiting: Option<u64>,
    pub(crate) acked: Count,
    pub(crate) retried: Count,
    pub(crate) dead: Count,
    /// With its code in front, if it has one.
    pub(crate) reason: String,
}

/// A count, and how much was added a second since the look before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Count {
    pub(crate) total: Option<u64>,
    pub(crate) rate: Option<f64>,
}

/// The rows of all consumers, in the order of hive.toml.
pub(crate) fn rows(before: Option<&Look>, now: &Look) -> Vec<Row> {
    let consumers = list(&now.status["consumers"]);
    consumers
        .map(|consumer| {
            let then = before.and_then(|before| {
                let mut consumers = list(&before.status["consumers"]);
                let then = consumers.find(|then| then["consumer"] == consumer["consumer"])?;
                Some((then, now.at.saturating_sub(before.at).as_secs_f64()))
            });
            row(consumer, then)
        })
        .collect()
}

fn row(consumer: &Value, then: Option<(&Value, f64)>) -> Row {
    let count = |name: &str| {
        let total = |consumer: &Value| consumer["deliveries"][name].as_u64();
        let now = total(consumer);
        let rate = then.and_then(|(then, seconds)| {
            let added = now?.saturating_sub(total(then)?);
            (seconds > 0.0).then(|| added as f64 / seconds)
        });
        Count { total: now, rate }
    };
    let number = |name: &str| consumer[name].as_u64();
    Row {
        key: consumer["consumer"].as_str().unwrap_or_default().to_owned(),
        name: text(&consumer["consumer"]),
        queue: text(&consumer["queue"]),
        state: text(&consumer["state"]),
        workers: number("workers"),
        workers_wanted: number("workers_wanted"),
        in_flight: number("in_flight"),
        waiting: number("waiting").or_else(|| depth(consumer)),
        acked: count("acked"),
        retried: count("retried"),
        dead: count("dead_lettered"),
        reason: reason(consumer),
    }
}

/// The messages in the queue that it consumes, where the broker says so.
fn depth(consumer: &Value) -> Option<u64> {
    let mut queues = list(&consumer["queues"]);
    let own = queues.find(|queue| queue["purpose"] == "consumed")?;
    own["messages"].as_u64()
}

/// The reason of something, behind its code if it has one.
pub(crate) fn reason(said: &Value) -> String {
    let reason = text(&said["reason"]);
    match said["code"].as_str() {
        Some(code) => format!("{code}: {reason}"),
        None => reason,
    }
}

/// A text of the host, on one line, with nothing in it that a terminal acts on.
pub(crate) fn text(value: &Value) -> String {
    escape::line(value.as_str().unwrap_or_default()).into_owned()
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn look(at: u64, acked: u64) -> Look {
        let status = json!({ "consumers": [{
            "consumer": "orders\u{1b}", "queue": "orders.created", "state": "consuming",
            "workers": 2, "workers_wanted": 5, "in_flight": 2,
            "deliveries": { "acked": acked, "retried": 1, "dead_lettered": 0 },
            "queues": [{ "queue": "orders.created", "purpose": "consumed", "messages": 50 }],
            "code": "HIVE-0204", "reason": "gone",
        }] });
        Look {
            status,
            at: Duration::from_secs(at),
            ..Look::default()
        }
    }

    #[test]
    fn a_row_has_what_was_counted_and_how_fast_that_goes() {
        let (before, now) = (look(10, 100), look(12, 125));
        let rows = rows(Some(&before), &now);
        let [row] = &rows[..] else {
            panic!("there is one consumer: {rows:?}");
        };
        assert_eq!(row.name, "orders\\u{1b}");
        assert_eq!(
            row.acked,
            Count {
                total: Some(125),
                rate: Some(12.5)
            }
        );
        assert_eq!((row.waiting, row.workers_wanted), (Some(50), Some(5)));
        assert_eq!(row.reason, "HIVE-0204: gone");
    }

    #[test]
    fn the_first_look_has_no_rates() {
        let rows = rows(None, &look(0, 100));
        assert_eq!(
            rows[0].acked,
            Count {
                total: Some(100),
                rate: None
            }
        );
    }
}
