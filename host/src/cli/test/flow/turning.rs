//! When the clock of a case is turned, and how far. Pure.
//!
//! The clock runs with the machine's while the host has a message in flight, because the timers of the host do. With no
//! message in flight, the next thing to happen is due at the broker: the clock is turned to that moment.

use std::time::Duration;

use hive_broker::QueueStatus;

/// The least turn: the broker counts no smaller time.
const LEAST: Duration = Duration::from_millis(1);

/// Whether the host has no message of this queue, and gets none unless time passes.
pub(super) fn is_still(queue: &QueueStatus) -> bool {
    let is_consumed = match queue.kind {
        // Messages stay in a stream. Its consumer has got all of them where none is unacknowledged.
        "stream" => queue.consumers > 0,
        _ => queue.ready == 0,
    };
    is_consumed && queue.unacked == 0
}

/// How far to turn the clock, if no message is in flight: to what is `due` next, and not past the boundary.
pub(super) fn step(due: Option<Duration>, boundary: Duration) -> Duration {
    due.map_or(boundary, |due| due.min(boundary)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(kind: &'static str, ready: usize, unacked: usize, consumers: usize) -> QueueStatus {
        QueueStatus {
            vhost: "/".into(),
            name: "q".into(),
            kind,
            ready,
            unacked,
            stuck: 0,
            consumers,
            frozen: false,
        }
    }

    #[test]
    fn a_queue_is_still_when_the_host_has_none_of_its_messages() {
        assert!(is_still(&queue("quorum", 0, 0, 1)));
        assert!(!is_still(&queue("quorum", 0, 1, 1)));
        // Between two subscriptions the messages wait for the host.
        assert!(!is_still(&queue("classic", 1, 0, 0)));
        assert!(is_still(&queue("stream", 5, 0, 1)));
        assert!(!is_still(&queue("stream", 5, 1, 1)));
        assert!(!is_still(&queue("stream", 5, 0, 0)));
    }

    #[test]
    fn the_clock_is_turned_to_what_is_due_and_no_further() {
        let seconds = Duration::from_secs;
        assert_eq!(step(Some(seconds(3)), seconds(10)), seconds(3));
        assert_eq!(step(Some(seconds(30)), seconds(10)), seconds(10));
        assert_eq!(step(None, seconds(10)), seconds(10));
        assert_eq!(step(Some(Duration::ZERO), seconds(10)), LEAST);
    }
}
