//! Deliveries and lines as they happen, for people to follow.

use std::io::IsTerminal;

use hive_core::escape;
use tokio::sync::watch;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::cli::event::{Fields, fields, follow};
use crate::cli::say;
use crate::log::OURS;

/// Where deliveries are told of.
const DELIVERIES: &str = "hive_telemetry::consumer";

/// The stream of events. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Stream {
    coloured: bool,
    consuming: watch::Sender<usize>,
}

/// The colour of a line, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Good,
    Later,
    Bad,
    Aside,
}

impl Stream {
    /// Shows deliveries and log lines from here on.
    pub(in crate::cli) fn start() -> Self {
        Self::start_from(Level::INFO)
    }

    /// Shows deliveries, and faults of the host, from here on.
    pub(in crate::cli) fn start_brief() -> Self {
        Self::start_from(Level::WARN)
    }

    /// Shows deliveries, and what the host logs at this level or above.
    fn start_from(level: Level) -> Self {
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let stream = Self {
            coloured: std::io::stdout().is_terminal() && !wants_none,
            consuming: watch::Sender::new(0),
        };
        let wanted = Targets::new()
            .with_target("guest", Level::INFO)
            .with_target(OURS, level)
            .with_target(DELIVERIES, Level::DEBUG);
        let shown = tracing_subscriber::registry()
            .with(wanted)
            .with(stream.clone());
        follow(shown, "deliveries");
        stream
    }

    /// Resolves when this many consumers have begun to consume.
    pub(super) async fn consuming(&self, consumers: usize) {
        let mut begun = self.consuming.subscribe();
        // The sender lives as long as this.
        let _begun = begun.wait_for(|begun| *begun >= consumers).await;
    }
}

impl<S: Subscriber> Layer<S> for Stream {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = fields(event);
        let metadata = event.metadata();
        let Some((colour, line)) = line(metadata.target(), *metadata.level(), &fields) else {
            return;
        };
        match self.coloured {
            true => say::result(&format!("\u{1b}[{}m{line}\u{1b}[0m\n", colour.code())),
            false => say::result(&format!("{line}\n")),
        }
        if fields
            .get("message")
            .is_some_and(|said| said == "consuming")
        {
            self.consuming.send_modify(|begun| *begun += 1);
        }
    }
}

impl Colour {
    /// The parameter of SGR (ECMA-48, 8.3.117).
    fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Later => 33,
            Self::Bad => 31,
            Self::Aside => 2,
        }
    }
}

/// An event as a line, if it is one for people who develop.
fn line(target: &str, level: Level, fields: &Fields) -> Option<(Colour, String)> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (message, who) = (
        field("message"),
        format!("{} {}", field("consumer"), field("delivery")),
    );
    if target == "guest" {
        let colour = if level == Level::WARN {
            Colour::Later
        } else {
            Colour::Aside
        };
        return Some((colour, format!("{who} | {}", escape::line(message))));
    }
    if target == DELIVERIES {
        let took = fields.get("took_ms")?;
        let took: f64 = took.parse().ok()?;
        let (colour, action) = action(message, fields);
        let attempt = match field("attempt") {
            "" | "1" => String::new(),
            attempt => format!(", attempt {attempt}"),
        };
        // A traceback has many lines.
        let mut lines = action.lines();
        let first = escape::lines(lines.next().unwrap_or_default());
        let rest: String = lines
            .map(|line| format!("\n    {}", escape::lines(line)))
            .collect();
        let shown = format!("{who}: {first} ({took:.1} ms{attempt}){rest}");
        return Some((colour, shown));
    }
    let colour = match level {
        Level::ERROR => Colour::Bad,
        Level::WARN => Colour::Later,
        _ => Colour::Aside,
    };
    let rest = fields
        .iter()
        .filter(|(name, _)| !["message", "sha256"].contains(*name));
    let rest: String = rest
        .map(|(name, value)| format!(" {name}={value}"))
        .collect();
    Some((
        colour,
        format!("hive: {}{}", escape::line(message), escape::line(&rest)),
    ))
}

/// The result of a delivery, in the words of actions.
fn action(message: &str, fields: &Fields) -> (Colour, String) {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (class, error) = (field("class"), field("error"));
    match message {
        "acknowledged" => match field("publications") {
            "" | "0" => (Colour::Good, "ack".to_owned()),
            count => (Colour::Good, format!("publish {count}")),
        },
        "failed; will be retried" => {
            let what = match class {
                "retry" => String::new(),
                class => format!("failed ({class}), "),
            };
            (
                Colour::Later,
                format!("{what}retry in {}: {error}", field("delay")),
            )
        }
        "dead-lettered" if class == "rejected" => (Colour::Bad, format!("reject: {error}")),
        "dead-lettered" => (
            Colour::Bad,
            format!("failed ({class}), dead-lettered: {error}"),
        ),
        _ if class.is_empty() => (Colour::Later, format!("{message} {}", field("reason"))),
        _ => (Colour::Bad, format!("{message}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(target: &str, fields: &[(&'static str, &str)]) -> Option<(Colour, String)> {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        line(target, Level::INFO, &fields.collect())
    }

    #[test]
    fn a_delivery_is_told_by_its_action() {
        let of = |message, more: &[(&'static str, &str)]| {
            let own = [
                ("message", message),
                ("consumer", "orders"),
                ("delivery", "o-17"),
                ("took_ms", "1.5"),
                ("attempt", "1"),
            ];
            shown(DELIVERIES, &[&own[..], more].concat()).unwrap().1
        };
        assert_eq!(
            of("acknowledged", &[("publications", "0")]),
            "orders o-17: ack (1.5 ms)"
        );
        let published = of("acknowledged", &[("publications", "2"), ("attempt", "3")]);
        assert_eq!(published, "orders o-17: publish 2 (1.5 ms, attempt 3)");
        let retry = [("class", "retry"), ("error", "later"), ("delay", "5s")];
        let retried = of("failed; will be retried", &retry);
        assert_eq!(retried, "orders o-17: retry in 5s: later (1.5 ms)");
        let rejected = of("dead-lettered", &[("class", "rejected"), ("error", "no")]);
        assert_eq!(rejected, "orders o-17: reject: no (1.5 ms)");
        let raised = [
            ("class", "error"),
            ("error", "KeyError\n\u{1b}a.py"),
            ("delay", "1s"),
        ];
        let raised = of("failed; will be retried", &raised);
        let whole = "orders o-17: failed (error), retry in 1s: KeyError (1.5 ms)\n    \\u{1b}a.py";
        assert_eq!(raised, whole);
        let trapped = of("dead-lettered", &[("class", "trap"), ("error", "boom")]);
        assert_eq!(
            trapped,
            "orders o-17: failed (trap), dead-lettered: boom (1.5 ms)"
        );
    }

    #[test]
    fn what_is_no_delivery_is_told_beside() {
        assert_eq!(
            shown(DELIVERIES, &[("message", "not published again")]),
            None
        );
        let swapped = shown(
            "hive_host::app",
            &[("message", "swapped"), ("sha256", "1"), ("b", "2")],
        );
        assert_eq!(
            swapped,
            Some((Colour::Aside, "hive: swapped b=2".to_owned()))
        );
        let guest = [
            ("message", "hello"),
            ("consumer", "orders"),
            ("delivery", "o-17"),
        ];
        assert_eq!(shown("guest", &guest).unwrap().1, "orders o-17 | hello");
    }
}
