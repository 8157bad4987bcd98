//! How a message in a dead-letter queue got there: what the host wrote on it, or else what the broker
//! did.

use hive_core::dead::Death;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::bookkeeping::{ATTEMPTS, CONSUMER, ERROR, EXCHANGE, QUEUE, REASON, ROUTING_KEY, TIME};
use super::broker_headers::{DEATHS, FIRST_DEATH, LAST_DEATH, RECORDED, is_death};
use super::encode::Entries;
use super::headers::{integer, nested_text};
use crate::message::delay::is_delay_queue;
use crate::message::octet_text::standing_for;

/// Reads the record of a message's end off one that was found in the queue `found_in`.
pub(crate) fn read_death(properties: &BasicProperties, found_in: &str) -> Death {
    let Some(headers) = properties.headers() else {
        return Death::default();
    };
    let by_host = Death {
        class: text(headers, REASON),
        error: text(headers, ERROR),
        attempts: number(headers, ATTEMPTS),
        time: number(headers, TIME),
        consumer: text(headers, CONSUMER),
        queue: text(headers, QUEUE),
        exchange: text(headers, EXCHANGE),
        routing_key: text(headers, ROUTING_KEY),
        broker_reason: None,
        history: headers.inner().get(DEATHS).map(nested_text),
    };
    let Some(entry) = latest(headers, found_in) else {
        return by_host;
    };
    let first_key = match entry.inner().get("routing-keys") {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().and_then(as_text),
        _ => None,
    };
    // A host says more than the broker, and a retry copy that the broker dead-lettered still has the
    // exchange and the key that it was first published with.
    Death {
        broker_reason: text(entry, "reason"),
        time: by_host.time.or_else(|| number(entry, "time")),
        queue: by_host.queue.or_else(|| text(entry, "queue")),
        exchange: by_host.exchange.or_else(|| text(entry, "exchange")),
        routing_key: by_host.routing_key.or(first_key),
        ..by_host
    }
}

/// The latest entry of the broker's record, but for those of the dead-letter queue itself: a message
/// that expired there and came back still belongs where it was before.
fn latest<'a>(headers: &'a FieldTable, found_in: &str) -> Option<&'a FieldTable> {
    let Some(AMQPValue::FieldArray(history)) = headers.inner().get(DEATHS) else {
        return None;
    };
    let mut entries = history.as_slice().iter().filter_map(|entry| match entry {
        AMQPValue::FieldTable(entry) => Some(entry),
        _ => None,
    });
    entries.find(|entry| text(entry, "queue").is_some_and(|queue| queue != found_in))
}

/// The same properties without what the broker wrote when it dead-lettered the message. A copy that kept
/// it would be dropped as a cycle before RabbitMQ 4.0.1. What the message brought along when it first
/// came to the host is stashed, and stays.
pub(crate) fn without_deaths(properties: BasicProperties) -> BasicProperties {
    let Some(headers) = properties.headers() else {
        return properties;
    };
    if !headers.inner().keys().any(|name| is_death(name.as_str())) {
        return properties;
    }
    let kept: std::collections::BTreeMap<_, _> = headers
        .into_iter()
        .filter(|(name, _)| !is_death(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    properties.with_headers(FieldTable::from(kept))
}

/// Removes from `headers` what the broker wrote when the message left a delay queue of Hive's: the delay was on
/// purpose, and the message did not die. `retry_queue` is the queue whose delay queues a retry copy went
/// through.
pub(crate) fn take_off_delays(headers: &mut Entries, retry_queue: Option<&str>) {
    let Some(AMQPValue::FieldArray(history)) = headers.get(DEATHS) else {
        return;
    };
    let is_delay = |table: &FieldTable| {
        let queue = text(table, "queue");
        queue.is_some_and(|queue| is_delay_queue(&queue, retry_queue))
    };
    let is_kept =
        |entry: &&AMQPValue| !matches!(entry, AMQPValue::FieldTable(table) if is_delay(table));
    let kept: Vec<_> = history.as_slice().iter().filter(is_kept).cloned().collect();
    if kept.len() == history.as_slice().len() {
        return;
    }
    for (prefix, entry) in [(FIRST_DEATH, kept.last()), (LAST_DEATH, kept.first())] {
        record_again(headers, prefix, entry, retry_queue);
    }
    if kept.is_empty() {
        headers.remove(DEATHS);
    } else {
        headers.insert(DEATHS.into(), AMQPValue::FieldArray(kept.into()));
    }
}

/// Writes the first or the last dead-lettering from `entry`, if the recorded one was that of a delay queue.
fn record_again(
    headers: &mut Entries,
    prefix: &str,
    entry: Option<&AMQPValue>,
    retry_queue: Option<&str>,
) {
    let name = |what: &str| format!("{prefix}{what}");
    let recorded = headers.get(name("queue").as_str()).and_then(as_text);
    if !recorded.is_some_and(|queue| is_delay_queue(&queue, retry_queue)) {
        return;
    }
    for what in RECORDED {
        let value = match entry {
            Some(AMQPValue::FieldTable(entry)) => entry.inner().get(what),
            _ => None,
        };
        match value {
            Some(value) => headers.insert(name(what).into(), value.clone()),
            None => headers.remove(name(what).as_str()),
        };
    }
}

pub(super) fn text(table: &FieldTable, name: &str) -> Option<String> {
    table.inner().get(name).and_then(as_text)
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(match standing_for(text.as_bytes()) {
            Some(standing) => standing.text,
            None => text.to_string(),
        }),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A number that cannot be negative, or a time.
pub(super) fn number(table: &FieldTable, name: &str) -> Option<u64> {
    match table.inner().get(name)? {
        AMQPValue::Timestamp(seconds) => Some(*seconds),
        other => integer(other).and_then(|number| u64::try_from(number).ok()),
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;
    use proptest::prelude::*;

    use super::*;
    use crate::message::strategies::any_value;

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn entry(queue: &str, reason: &str) -> AMQPValue {
        let mut keys = FieldArray::default();
        keys.push(long("order.created"));
        AMQPValue::FieldTable(table(&[
            ("queue", long(queue)),
            ("reason", long(reason)),
            ("exchange", long("shop")),
            ("time", AMQPValue::Timestamp(1_700_000_000)),
            ("routing-keys", AMQPValue::FieldArray(keys)),
        ]))
    }

    fn read(entries: &[(&str, AMQPValue)]) -> Death {
        let properties = BasicProperties::default().with_headers(table(entries));
        read_death(&properties, "graveyard")
    }

    #[test]
    fn the_broker_tells_by_its_latest_entry_of_another_queue() {
        let mut history = FieldArray::default();
        history.push(entry("graveyard", "expired"));
        history.push(entry("orders", "rejected"));
        history.push(entry("orders.wait", "expired"));
        let death = read(&[(DEATHS, AMQPValue::FieldArray(history))]);
        assert_eq!(death.reason(), Some("rejected"));
        assert_eq!(death.queue.as_deref(), Some("orders"));
        assert_eq!(death.exchange.as_deref(), Some("shop"));
        assert_eq!(death.routing_key.as_deref(), Some("order.created"));
        assert_eq!(death.time, Some(1_700_000_000));
        assert!(death.class.is_none());
    }

    #[test]
    fn a_host_says_more_than_the_broker() {
        let mut history = FieldArray::default();
        history.push(entry("elsewhere", "maxlen"));
        let death = read(&[
            (DEATHS, AMQPValue::FieldArray(history)),
            (REASON, long("trap")),
            (QUEUE, long("orders")),
            (ATTEMPTS, AMQPValue::LongLongInt(3)),
        ]);
        assert_eq!(death.reason(), Some("trap"));
        assert_eq!(death.queue.as_deref(), Some("orders"));
        assert_eq!(death.attempts, Some(3));
        assert_eq!(death.broker_reason.as_deref(), Some("maxlen"));
    }

    #[test]
    fn only_the_brokers_record_is_taken_off() {
        let headers = table(&[
            (DEATHS, long("x")),
            ("x-first-death-queue", long("orders")),
            ("x-hive-original-x-death", long("y")),
            ("CC", long("z")),
        ]);
        let kept = without_deaths(BasicProperties::default().with_headers(headers));
        let kept = kept.headers().clone().unwrap_or_default();
        assert_eq!(kept.inner().len(), 2);
        assert!(kept.contains_key("x-hive-original-x-death") && kept.contains_key("CC"));
    }

    /// The names and queues that remain of these headers.
    fn without_delays(entries: &[(&str, AMQPValue)]) -> Vec<(String, Option<String>)> {
        let mut headers = table(entries).inner().clone();
        take_off_delays(&mut headers, Some("orders"));
        let kept = headers.iter();
        kept.map(|(name, value)| (name.to_string(), as_text(value)))
            .collect()
    }

    #[test]
    fn a_delay_is_no_death() {
        let delayed = entry("hive.delay.10s.shop.2026-11-28", "expired");
        let retried = entry("orders.retry.10s", "expired");
        let of = |entries: Vec<AMQPValue>| AMQPValue::FieldArray(entries.into());
        let first = (
            "x-first-death-queue",
            long("hive.delay.10s.shop.2026-11-28"),
        );
        let left = without_delays(&[
            (DEATHS, of(vec![retried.clone(), delayed.clone()])),
            first.clone(),
            ("x-first-death-reason", long("expired")),
            ("x-last-death-queue", long("orders.retry.10s")),
            ("kept", long("1")),
        ]);
        assert_eq!(left, [("kept".to_owned(), Some("1".to_owned()))]);

        let died = entry("others", "rejected");
        let left = without_delays(&[
            (DEATHS, of(vec![died, delayed])),
            first,
            ("x-first-death-reason", long("expired")),
            ("x-last-death-queue", long("others")),
        ]);
        let told = |name: &str, text: &str| (name.to_owned(), Some(text.to_owned()));
        assert_eq!(
            left,
            [
                (DEATHS.to_owned(), None),
                // The values of the first remaining entry, and its exchange.
                told("x-first-death-exchange", "shop"),
                told("x-first-death-queue", "others"),
                told("x-first-death-reason", "rejected"),
                told("x-last-death-queue", "others"),
            ]
        );
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_without_a_panic(
            values in proptest::collection::vec(any_value(), 9),
        ) {
            let names = [DEATHS, REASON, ERROR, ATTEMPTS, TIME, CONSUMER, QUEUE, EXCHANGE, ROUTING_KEY];
            let entries: Vec<_> = names.into_iter().zip(values).collect();
            let death = read(&entries);
            prop_assert_eq!(death.history.is_some(), true);
        }
    }
}
