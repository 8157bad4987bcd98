//! How long a message waits, as names of delay queues and as the ladder of those made on demand.

use std::fmt::Write;
use std::time::Duration;

/// The longest delay that a delay queue is made for.
pub const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue in which messages wait before they go back to the one that they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayQueue {
    /// Its name.
    pub name: String,
    /// How long they wait there at most. It is longer than the delay that was asked for, if that has no queue of its
    /// own.
    pub delay: Duration,
    /// Whether the queues of all consumers of the vhost share it. It is reached through the exchange of its name, and
    /// the routing key leads a message back.
    pub is_shared: bool,
}

/// Up to here the ladder has a rung for every second.
const FINE_UP_TO: u64 = 10;

/// The delay that a component gets when it asks for `delay`, where no delay is configured that
/// equals it: the next rung of a ladder, so that components cannot make queues without number.
///
/// Never early, bar delays longer than [`LONGEST_DELAY`], which become that; late by at most a
/// tenth or a second, whichever is more. The ladder has 111 rungs.
pub fn rung(delay: Duration) -> Duration {
    let mut rung = 1;
    while Duration::from_secs(rung) < delay {
        rung = next_rung(rung);
        if rung >= LONGEST_DELAY.as_secs() {
            return LONGEST_DELAY;
        }
    }
    Duration::from_secs(rung)
}

fn next_rung(rung: u64) -> u64 {
    if rung < FINE_UP_TO {
        rung + 1
    } else {
        rung + rung / 10
    }
}

/// A delay as the broker counts it; a part of a millisecond counts as one.
pub(crate) fn whole_milliseconds(delay: Duration) -> u64 {
    let milliseconds = delay.as_nanos().div_ceil(1_000_000);
    u64::try_from(milliseconds).unwrap_or(u64::MAX)
}

/// A delay in short: "10s", "250ms", "1m30s", "24h".
pub(crate) fn compact(delay: Duration) -> String {
    let mut rest = whole_milliseconds(delay);
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            write!(text, "{count}{unit}").expect("a string takes every text");
        }
    }
    if text.is_empty() {
        text.push_str("0ms");
    }
    text
}

/// Stands behind the name of a queue in the names of its delay queues.
const RETRY: &str = ".retry.";

/// Stands behind the name of a queue in the name of its dead-letter queue, where hive.toml names no other.
const DEAD_LETTERS: &str = ".dead";

/// The prefix of the exchanges and queues that delay publications.
const DELAYED: &str = "hive.delay.";

/// The queue in which a message from `queue` waits for `delay`.
pub(crate) fn delay_queue_name(queue: &str, delay: Duration) -> String {
    format!("{queue}{RETRY}{}", compact(delay))
}

/// The exchange, and the queue behind it, in which a publication to `exchange` waits for `delay`; they are
/// used on one day only.
pub(crate) fn delayed_publications_name(exchange: &str, delay: Duration, today: &str) -> String {
    format!("{DELAYED}{}.{exchange}.{today}", compact(delay))
}

/// The exchange that leads what leaves a shared delay queue back to its queue; it and all that belongs to it have
/// names that begin with this. No queue's own delay queue has such a name.
pub(crate) const SHARED: &str = "hive.retries";

/// The queue of the retry copies whose queue was deleted while they waited in a shared delay queue, and the exchange
/// in front of it.
pub const LOST: &str = "hive.retries.lost";

/// The queue that all consumers of a vhost share on one day for retries that wait for `delay`, and the exchange in
/// front of it.
pub fn shared_delay_queue_name(delay: Duration, day: &str) -> String {
    format!("{SHARED}.{}.{day}", compact(delay))
}

/// Whether `name` is that of a queue in which retry copies from any queue wait.
pub fn is_shared(name: &str) -> bool {
    let behind = name.strip_prefix(SHARED);
    behind.is_some_and(|behind| behind.starts_with('.'))
}

/// Whether `name` is that of a queue in which publications wait, or retry copies from `retry_queue`.
pub(crate) fn is_delay_queue(name: &str, retry_queue: Option<&str>) -> bool {
    name.starts_with(DELAYED)
        || is_shared(name)
        || retry_queue.is_some_and(|queue| is_retry_queue(name, queue))
}

/// Whether `name` is that of a queue in which retry copies from `queue` wait.
pub fn is_retry_queue(name: &str, queue: &str) -> bool {
    let behind = name.strip_prefix(queue);
    behind.is_some_and(|behind| behind.starts_with(RETRY))
}

/// Whether `name` is that of a queue which hosts make behind others: one in which messages wait, or one for dead letters
/// that no file names. Consumed from, either would go round.
pub fn is_made_by_hive(name: &str) -> bool {
    let is_of_retries = name.rsplit_once(RETRY).is_some_and(|(_, behind)| {
        let delay = behind.split('.').next().unwrap_or_default();
        is_compact(delay)
    });
    is_of_retries || is_delay_queue(name, None) || name.ends_with(DEAD_LETTERS)
}

/// Whether a text is a delay in short.
fn is_compact(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit());
    begins
        && text.ends_with(['h', 'm', 's'])
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "hms".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_have_short_names() {
        for (milliseconds, name) in [
            (0, "0ms"),
            (250, "250ms"),
            (10_000, "10s"),
            (90_000, "1m30s"),
            (1_500, "1s500ms"),
            (5_400_000, "1h30m"),
            (86_400_000, "24h"),
            (172_800_000, "48h"),
        ] {
            assert_eq!(compact(Duration::from_millis(milliseconds)), name);
        }
    }

    #[test]
    fn queues_made_behind_others_are_known() {
        let delay = Duration::from_millis(90_250);
        for name in [
            "tenant.a.dead".to_owned(),
            delay_queue_name("tenant.a", delay),
            format!("{}.2026-11-29", delay_queue_name("a.retry.b", delay)),
            shared_delay_queue_name(delay, "2026-11-29"),
            LOST.to_owned(),
            delayed_publications_name("orders", delay, "2026-11-29"),
        ] {
            assert!(is_made_by_hive(&name), "{name}");
        }
        for name in [
            "tenant.a",
            "dead",
            "a.dead.b",
            "a.retry.payments",
            "hive.retries",
        ] {
            assert!(!is_made_by_hive(name), "{name}");
        }
    }

    #[test]
    fn the_ladder_is_short() {
        let rungs: std::collections::BTreeSet<_> = (0..=LONGEST_DELAY.as_secs())
            .map(|seconds| rung(Duration::from_secs(seconds)))
            .collect();
        assert_eq!(rungs.len(), 111);
        assert_eq!(rungs.last(), Some(&LONGEST_DELAY));
    }

    proptest! {
        #[test]
        fn a_rung_is_never_early_and_hardly_late(milliseconds in 0..=86_400_000u64) {
            let delay = Duration::from_millis(milliseconds);
            let late = rung(delay).checked_sub(delay).expect("not early");
            prop_assert!(late <= (delay / 10).max(Duration::from_secs(1)), "{late:?} late");
        }

        #[test]
        fn a_rung_stays_itself(milliseconds in 0..200_000_000u64) {
            let once = rung(Duration::from_millis(milliseconds));
            prop_assert_eq!(rung(once), once);
        }
    }
}
