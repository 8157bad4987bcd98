//! Deliveries and lines as they happen, for people to follow.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use hive_core::escape;
use hive_telemetry::{Fact, Observer, observe};
use tokio::sync::watch;
use tracing::Level;

use crate::cli::colour::{self, Colour};
use crate::cli::delivered::{dead, paragraph, retry};
use crate::cli::{progress, say};

/// The stream of events. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Stream {
    coloured: bool,
    consuming: watch::Sender<usize>,
    /// What is no delivery is shown from this level on.
    level: Level,
}

impl Stream {
    /// Shows deliveries and other facts from here on.
    pub(in crate::cli) fn start() -> Self {
        Self::start_from(Level::INFO)
    }

    /// Shows deliveries, and faults of the host, from here on.
    #[cfg(feature = "broker")]
    pub(in crate::cli) fn start_brief() -> Self {
        Self::start_from(Level::WARN)
    }

    /// Shows deliveries, and what the host reports at this level or above.
    fn start_from(level: Level) -> Self {
        let stream = Self {
            coloured: colour::is_wanted(),
            consuming: watch::Sender::new(0),
            level,
        };
        observe(Arc::new(stream.clone()));
        stream
    }

    /// Resolves when this many consumers have begun to consume.
    pub(super) async fn consuming(&self, consumers: usize) {
        let mut begun = self.consuming.subscribe();
        // The sender lives as long as this.
        let _begun = begun.wait_for(|begun| *begun >= consumers).await;
    }
}

impl Observer for Stream {
    fn observe(&self, fact: &Fact<'_>) {
        if let Some((colour, line)) = line(fact, self.level) {
            match self.coloured {
                true => say::result(&format!("{}\n", colour.of(&line))),
                false => say::result(&format!("{line}\n")),
            }
        }
        if let Fact::ConsumerSubscribed { .. } = fact {
            self.consuming.send_modify(|begun| *begun += 1);
        }
    }
}

/// A fact as a line, if it is one for people who develop.
fn line(fact: &Fact<'_>, level: Level) -> Option<(Colour, String)> {
    match *fact {
        Fact::PrintedOut {
            consumer,
            delivery,
            line,
            ..
        } => Some((Colour::Aside, printed(consumer, delivery, line))),
        Fact::PrintedErr {
            consumer,
            delivery,
            line,
            ..
        } => Some((Colour::Later, printed(consumer, delivery, line))),
        _ => delivered(fact).or_else(|| said_by_the_host(fact).filter(|_| fact.level() <= level)),
    }
}

fn printed(consumer: &str, delivery: &str, line: &str) -> String {
    format!("{consumer} {delivery} | {}", escape::line(line))
}

/// What became of a delivery, in the words of actions.
fn delivered(fact: &Fact<'_>) -> Option<(Colour, String)> {
    match *fact {
        Fact::DeliveryAcked {
            consumer,
            delivery,
            attempt,
            publications,
            took_ms,
            ..
        } => {
            let action = match publications {
                0 => "ack".to_owned(),
                count => format!("publish {count}"),
            };
            let shown = shown((consumer, delivery), &action, Some(took_ms), attempt);
            Some((Colour::Good, shown))
        }
        Fact::DeliveryRetried {
            consumer,
            delivery,
            attempt,
            class,
            error,
            delay,
            took_ms,
            ..
        } => {
            let action = retry(class, error, delay, "");
            let shown = shown((consumer, delivery), &action, Some(took_ms), attempt);
            Some((Colour::Later, shown))
        }
        Fact::RetryKept {
            consumer,
            delivery,
            attempt,
            class,
            error,
            delay,
            ..
        } => {
            let action = retry(class, error, delay, ", its key waits");
            let shown = shown((consumer, delivery), &action, None, attempt);
            Some((Colour::Later, shown))
        }
        Fact::DeliveryDeadLettered {
            consumer,
            delivery,
            attempt,
            class,
            error,
            took_ms,
            ..
        } => {
            let action = dead(class, error);
            let shown = shown((consumer, delivery), &action, Some(took_ms), attempt);
            Some((Colour::Bad, shown))
        }
        Fact::DeliverySkipped {
            consumer,
            delivery,
            error,
            took_ms,
            ..
        }
        | Fact::DeliveryStopped {
            consumer,
            delivery,
            error,
            took_ms,
            ..
        } => {
            let action = format!("{fact}: {error}");
            let shown = shown((consumer, delivery), &action, Some(took_ms), 1);
            Some((Colour::Bad, shown))
        }
        Fact::DeliveryRequeued {
            consumer,
            delivery,
            attempt,
            reason,
            took_ms,
            ..
        }
        | Fact::DeliveryDetoured {
            consumer,
            delivery,
            attempt,
            reason,
            took_ms,
            ..
        } => {
            let action = format!("{fact} {reason}");
            let shown = shown((consumer, delivery), &action, Some(took_ms), attempt);
            Some((Colour::Later, shown))
        }
        Fact::DeliveryDuplicate {
            consumer,
            delivery,
            attempt,
            took_ms,
            ..
        }
        | Fact::DeliveryLost {
            consumer,
            delivery,
            attempt,
            took_ms,
            ..
        } => {
            let action = fact.to_string();
            let shown = shown((consumer, delivery), &action, Some(took_ms), attempt);
            Some((Colour::Later, shown))
        }
        _ => None,
    }
}

/// One delivery: who handled it, what became of it, and how long that took.
fn shown(
    (consumer, delivery): (&str, &dyn Display),
    action: &str,
    took_ms: Option<f64>,
    attempt: u32,
) -> String {
    let took = took_ms.map(|took| format!("{took:.1} ms"));
    let attempt = (attempt > 1).then(|| format!("attempt {attempt}"));
    let details: Vec<_> = took.into_iter().chain(attempt).collect();
    let details = match details.is_empty() {
        true => String::new(),
        false => format!(" ({})", details.join(", ")),
    };
    paragraph(&format!("{consumer} {delivery}: "), action, &details)
}

/// Whatever else the host reports, unless it concerns those alone who debug the host.
fn said_by_the_host(fact: &Fact<'_>) -> Option<(Colour, String)> {
    if let Some(words) = progress::words(fact) {
        // At a terminal it is shown already.
        let is_wanted = !progress::is_shown() && fact.level() <= Level::INFO;
        return is_wanted.then(|| (Colour::Aside, format!("hive: {words}")));
    }
    let colour = match fact.level() {
        Level::ERROR => Colour::Bad,
        Level::WARN => Colour::Later,
        Level::INFO => Colour::Aside,
        _ => return None,
    };
    let mut rest = String::new();
    fact.fields(&mut |name, value| {
        if name != "sha256" {
            write!(rest, " {name}={value}").expect("a String takes all");
        }
    });
    let sentence = fact.to_string();
    let line = format!("hive: {}{}", escape::line(&sentence), escape::line(&rest));
    Some((colour, line))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(fact: Fact<'_>) -> String {
        line(&fact, Level::INFO).unwrap().1
    }

    fn acked(attempt: u32, publications: usize) -> String {
        text(Fact::DeliveryAcked {
            consumer: "orders",
            component: "orders",
            delivery: &"o-17",
            attempt,
            publications,
            acknowledged: true,
            took_ms: 1.5,
        })
    }

    fn retried(class: &str, error: &str, delay: Duration) -> String {
        text(Fact::DeliveryRetried {
            consumer: "orders",
            component: "orders",
            delivery: &"o-17",
            attempt: 1,
            class,
            code: "HIVE-0401",
            error,
            delay,
            acknowledged: true,
            took_ms: 1.5,
        })
    }

    fn dead_lettered(class: &str, error: &str) -> String {
        text(Fact::DeliveryDeadLettered {
            consumer: "orders",
            component: "orders",
            delivery: &"o-17",
            attempt: 1,
            class,
            code: "HIVE-0401",
            error,
            acknowledged: true,
            took_ms: 1.5,
        })
    }

    #[test]
    fn a_delivery_is_shown_by_its_action() {
        assert_eq!(acked(1, 0), "orders o-17: ack (1.5 ms)");
        assert_eq!(acked(3, 2), "orders o-17: publish 2 (1.5 ms, attempt 3)");
        let later = retried("retry", "later", Duration::from_secs(5));
        assert_eq!(later, "orders o-17: retry in 5s: later (1.5 ms)");
        let rejected = dead_lettered("rejected", "no");
        assert_eq!(rejected, "orders o-17: reject: no (1.5 ms)");
        let raised = retried("error", "KeyError\n\u{1b}a.py", Duration::from_secs(1));
        let whole = "orders o-17: failed (error), retry in 1s: KeyError (1.5 ms)\n    \\u{1b}a.py";
        assert_eq!(raised, whole);
        let trapped = dead_lettered("trap", "boom");
        assert_eq!(
            trapped,
            "orders o-17: failed (trap), dead-lettered: boom (1.5 ms)"
        );
    }

    #[test]
    fn a_retry_that_is_kept_in_order_is_a_delivery_too() {
        let kept = text(Fact::RetryKept {
            consumer: "orders",
            component: "orders",
            delivery: &"o-17",
            attempt: 2,
            class: "retry",
            code: "HIVE-0407",
            error: "later",
            delay: Duration::from_secs(5),
        });
        assert_eq!(
            kept,
            "orders o-17: retry in 5s, its key waits: later (attempt 2)"
        );
    }

    #[test]
    fn everything_else_is_said_by_the_host() {
        let debug = Fact::PrefetchChanged {
            consumer: "orders",
            prefetch: 2,
        };
        assert_eq!(line(&debug, Level::INFO), None);
        let swapped = Fact::ComponentSwapped {
            component: "orders",
            before: 1,
            generation: 2,
            sha256: "abc",
        };
        let shown = "hive: swapped component=orders before=1 generation=2";
        let seen = line(&swapped, Level::INFO);
        assert_eq!(seen, Some((Colour::Aside, shown.to_owned())));
        assert_eq!(line(&swapped, Level::WARN), None);
        let guest = Fact::PrintedOut {
            consumer: "orders",
            component: "orders",
            delivery: "o-17",
            shadow: None,
            trace_id: None,
            span_id: None,
            line: "hello",
        };
        assert_eq!(text(guest), "orders o-17 | hello");
    }
}
